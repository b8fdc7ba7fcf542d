package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// exampleRun is an interrupted run on a system without a CPU clock, whose
// throughput climbs within a block and falls from block to block.
func exampleRun(t *testing.T, blocks, rounds int) *runfolder.Run {
	t.Helper()
	run := &runfolder.Run{Dir: "profiles/20260102_030405-one", Manifest: runfolder.Manifest{
		Experiment: "20260102_030405", Tool: "v1.2.3", Label: "a try",
		Folders: []string{"20260102_030405-one", "20260102_030405-one-2"},
		Subject: runfolder.SubjectInfo{
			Name: "one", Command: []string{"/usr/local/bin/one", "--listen=127.0.0.1:0", "--with=" + strings.Repeat("x", 40), "--and=" + strings.Repeat("y", 40)},
			Binary: runfolder.Binary{SHA256: strings.Repeat("0123456789abcdef", 4), GoVersion: "go1.26.0", Commit: "fedcba9876543210", Dirty: true},
		},
		Load:        loadgen.Load{Workload: "mix", Kinds: []string{"write", "read"}, Workers: 10},
		Plan:        runfolder.Plan{Blocks: blocks + 3, Rounds: rounds, Slice: 50 * time.Millisecond, Warmup: 2000, Seed: 7},
		Host:        runfolder.Host{OS: "linux", Arch: "amd64", Kernel: "6.1", CPUModel: "Test CPU", Cores: 4, Affinity: 2, Memory: 8e9},
		Start:       time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		End:         time.Date(2026, 1, 2, 3, 5, 6, 0, time.UTC),
		State:       runfolder.StateInterrupted,
		Reason:      "stopped by the user",
		Errors:      map[string]int64{"timeout": 3},
		Unavailable: map[runfolder.Source]string{runfolder.SourceCPUClock: "there is no such clock on this system"},
	}}
	for b := range blocks {
		var histograms []*hdrhistogram.Histogram
		for _, kind := range []int64{1, 2} {
			h := loadgen.NewHistogram()
			if err := h.RecordValues(kind*1e6, int64(100*rounds)); err != nil {
				t.Fatal(err)
			}
			histograms = append(histograms, h)
		}
		run.Latency = append(run.Latency, histograms)
		run.Manifest.Blocks = append(run.Manifest.Blocks, runfolder.Block{
			Block: b, After: runfolder.Counters{TotalAlloc: int64(rounds) * 200 * 512, Mallocs: int64(rounds) * 200 * 4, NumGC: 2, GCPause: 1e6, HeapSys: 20e6},
			RSSPeak: 40e6, Goroutines: 12,
		})
		for round := range rounds {
			run.Slices = append(run.Slices, runfolder.Slice{
				Block: b, Round: round, Duration: time.Duration(500+10*b-2*round) * time.Millisecond, GeneratorCPU: time.Millisecond,
				Kinds: []loadgen.KindResult{{Ops: 100, Latency: 100 * time.Millisecond}, {Ops: 100, Latency: 200 * time.Millisecond}},
			})
		}
	}
	return run
}

func exampleShown(t *testing.T, blocks, rounds int) *shown {
	t.Helper()
	run := exampleRun(t, blocks, rounds)
	s := &shown{Folder: run.Dir, Manifest: run.Manifest, Totals: new(run.Totals()), Latency: latencies(run), run: run}
	s.Warnings = []compare.Warning{{Code: "other_load", Message: strings.Repeat("many words about what the machine did meanwhile ", 4)}}
	s.Profiles = []profdiff.FunctionTable{
		{
			Kind: "cpu", Title: "CPU time", Unit: "us/op",
			Functions: []profdiff.Function{{Name: strings.Repeat("example.com/very/long/path/", 4) + "pkg.(*Type).Method", Value: 15, Share: 75}},
			Rest:      profdiff.Function{Name: "(3 others)", Value: 5, Share: 25}, Total: profdiff.Function{Name: "total", Value: 20, Share: 100}, More: 3,
		},
		{
			Kind: "allocs", Title: "Allocated", Unit: "B/op", CountUnit: "allocs/op",
			Functions: []profdiff.Function{{Name: "pkg.New", Value: 500, Share: 100, Count: 3.5}},
			Total:     profdiff.Function{Name: "total", Value: 500, Share: 100, Count: 3.5}, Exact: new(512.0),
		},
	}
	s.Metrics = []compare.MetricValue{{ID: "ops_per_sec", Value: new(390.6)}, {ID: "cpu_per_op"}, {ID: "alloc_bytes_per_op", Value: new(512.0)}}
	return s
}

func TestShowGolden(t *testing.T) {
	unfinished := exampleShown(t, 0, 10)
	unfinished.Totals, unfinished.Warnings = nil, nil
	unfinished.Manifest.State, unfinished.Manifest.Reason = runfolder.StateFailed, "subject one died before it listened: exit status 1"
	for name, s := range map[string]*shown{"show.txt": exampleShown(t, 12, 16), "show-failed.txt": unfinished} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := s.text(&got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("differs from %s; go test ./cmd/eventobench -run Golden -update rewrites it\n%s", path, diff)
			}
			for line := range strings.Lines(got.String()) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > showWidth {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

// TestThroughputFits draws plans of all sizes: every block is there, and no
// line is too long.
func TestThroughputFits(t *testing.T) {
	for _, plan := range [][2]int{{1, 1}, {1, 200}, {6, 15}, {10, 40}, {19, 40}, {20, 40}, {21, 3}, {100, 40}} {
		blocks, rounds := plan[0], plan[1]
		text := exampleShown(t, blocks, rounds).throughput()
		var drawn int
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(line) - 1; n > showWidth-2 {
				t.Errorf("%d blocks of %d: a line of %d columns", blocks, rounds, n)
			}
			if !strings.Contains(line, " is ") {
				drawn += strings.Count(line, "│") + 1
			}
		}
		if drawn != blocks {
			t.Errorf("%d blocks of %d: %d drawn:\n%s", blocks, rounds, drawn, text)
		}
	}
}

func TestWrap(t *testing.T) {
	tests := []struct{ text, want string }{
		{"one two", "one two\n"},
		{"one two three", "one two\n  three\n"},
		{"ümläut is counted", "ümläut\n  is\n  counted\n"},
		{"averylongword", "averylongword\n"},
		{"a averylongword b", "a\n  averylongword\n  b\n"},
	}
	for _, tt := range tests {
		if got := wrap(tt.text, 8, "  "); got != tt.want {
			t.Errorf("wrap(%q): %q, want %q", tt.text, got, tt.want)
		}
	}
}
