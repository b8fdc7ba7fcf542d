package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/cachegrind"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestWhyNotCounted: instructions are counted by themselves where a time moved and
// nothing else tells whether that is the code.
func TestWhyNotCounted(t *testing.T) {
	moved := []runfolder.Look{{Decisions: []runfolder.Decision{
		{Metric: string(compare.CPUPerOp), Verdict: string(compare.Regressed)},
	}}}
	tests := []struct {
		name       string
		looks      []runfolder.Look
		layouts    int
		base, head string // sums of the programs
		want       string // within the reason; none if they are counted
	}{
		{"a time moved", moved, 0, "aa", "bb", ""},
		{"programs that could not be read", moved, 0, "", "", ""},
		{"no time moved", nil, 0, "aa", "bb", "no gated time moved"},
		{"other layouts tell", moved, 12, "aa", "bb", "other layouts"},
		{"one program", moved, 0, "aa", "aa", "one program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runs := make([]*runfolder.Run, 2)
			for i, sum := range []string{tt.base, tt.head} {
				runs[i] = &runfolder.Run{}
				m := &runs[i].Manifest
				m.Looks, m.LayoutBlocks = tt.looks, make([]runfolder.Block, tt.layouts)
				m.Subject.Binary.SHA256 = sum
			}
			got := whyNotCounted(runs)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestPlantedFunctionIsNamed counts a server against one whose request does 1% more, in one
// function: the instructions moved, and that function is the first of their table. The
// folders keep the counts of all blocks, and functions that add up to them.
func TestPlantedFunctionIsNamed(t *testing.T) {
	testlong.Need(t)
	if _, err := cachegrind.Find(t.Context()); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	const turns, more = 1000, 320
	args := append([]string{
		"run", "--quiet", "--targets=targets.txt", "--instructions", "--out=out",
		"--subject=base=exec:" + buildHashing(t, turns), "--subject=head=exec:" + buildHashing(t, turns+more),
	}, tinyPlan...)
	if err := os.WriteFile(filepath.Join(dir, "targets.txt"), []byte("GET /\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, text := eventobench(t, dir, t.TempDir(), args...); code != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	folders, err := filepath.Glob(filepath.Join(dir, "out", "*"))
	if err != nil || len(folders) != 2 {
		t.Fatalf("folders %v, %v", folders, err)
	}
	for _, folder := range folders {
		checkCounts(t, folder)
	}
	report, err := compare.Compare(folders, compare.Options{Criteria: compare.DefaultCriteria()})
	if err != nil {
		t.Fatal(err)
	}
	c := report.Comparisons[0]
	m := c.Metric(compare.InstructionsPerOp)
	if m == nil || m.Verdict != compare.Regressed || m.Change.Percent < 0.5 || m.Change.Percent > 2 {
		t.Errorf("instructions %+v", m)
	}
	for _, table := range c.Profiles {
		if table.Kind != "instructions" {
			continue
		}
		first := table.Functions[0]
		if first.Name != "main.hash" || first.Noise || first.Diff < more {
			t.Errorf("first is %+v", first)
		}
		return
	}
	t.Error("no table of instructions")
}

func checkCounts(t *testing.T, folder string) {
	t.Helper()
	run, err := runfolder.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	i := run.Manifest.Instructions
	if i == nil || len(i.Blocks) != profiles.CountBlocks || !strings.HasPrefix(i.Tool, "valgrind") {
		t.Fatalf("counted %+v, %v", i, run.Manifest.Unavailable)
	}
	kind, _ := runfolder.KindNamed("instructions")
	p, err := run.Profile(kind)
	if err != nil {
		t.Fatal(err)
	}
	sums := make([]int64, len(i.Blocks))
	for _, s := range p.Sample {
		block, _ := runfolder.SampleBlock(s)
		sums[block] += s.Value[0]
	}
	for b, block := range i.Blocks {
		if sums[b] != block.Counted {
			t.Errorf("block %d: functions add up to %d of %d", b, sums[b], block.Counted)
		}
	}
}

// buildHashing builds a server whose requests hash for so many turns.
func buildHashing(t *testing.T, turns int) (program string) {
	t.Helper()
	source := strings.ReplaceAll(`func answer(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, hash(TURNS), fib(18)) }

//go:noinline
func hash(turns int) (sum uint64) {
	for i := range turns {
		sum = (sum ^ uint64(i&255)) * 1099511628211
	}
	return sum
}
`, "TURNS", strconv.Itoa(turns))
	return testaid.BuildServer(t, source, "GOCACHE="+goCache(t))
}
