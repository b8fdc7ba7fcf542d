package runfolder

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"
)

func TestForeignTotals(t *testing.T) {
	start := time.Date(2025, 12, 18, 21, 34, 38, 0, time.UTC)
	tests := []struct {
		name, text string
		want       foreignTotals
	}{
		{
			"the story's own script", `{"timestamp": "2025-12-18T22:34:38+01:00", "duration_s": 30.5, "total_ops": 1000,
				"writes": 900, "reads": 100, "errors": 2, "ops_per_sec": 32.8, "avg_latency_ms": 0.91}`,
			foreignTotals{ops: 1000, errors: 2, duration: 30500 * time.Millisecond, meanLatency: 0.91,
				knowsLatency: true, start: start},
		},
		{"numbers in strings", `{"total_ops": " 1000 ", "duration_s": "2", "avg_latency_ms": "1e-1"}`,
			foreignTotals{ops: 1000, duration: 2 * time.Second, meanLatency: 0.1, knowsLatency: true}},
		{"unknown and missing fields, null",
			`{"total_ops": 7, "p42": {"x": []}, "errors": null, "timestamp": "yesterday"}`,
			foreignTotals{ops: 7}},
		{"writes and reads", `{"writes": 5, "reads": 4, "duration": "1m30s"}`, foreignTotals{ops: 9,
			duration: 90 * time.Second}},
		{"a rate and a time", `{"ops_per_sec": 10.5, "duration": 2}`,
			foreignTotals{ops: 21, duration: 2 * time.Second}},
		{"the time follows", `{"ops_per_sec": 10, "total_ops": 5}`,
			foreignTotals{ops: 5, duration: 500 * time.Millisecond}},
		{"a duration of Go", `{"total_ops": 1, "duration": 30000000000}`,
			foreignTotals{ops: 1, duration: 30 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeForeignTotals([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(foreignTotals{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestForeignTotalsRejected(t *testing.T) {
	for text, want := range map[string]string{
		`[1]`:                                "not a JSON object with totals",
		`{"total_ops": 1} {}`:                "not a JSON object with totals",
		`null`:                               "it tells no operations",
		`{"total_ops": 0, "reads": 7}`:       "it tells no operations",
		`{"duration_s": 30}`:                 "it tells no operations",
		`{"total_ops": "many"}`:              `total_ops is "many", not a number`,
		`{"total_ops": 1.5}`:                 "total_ops is 1.5, not a count",
		`{"total_ops": 1e300}`:               "total_ops is 1e300, not a count",
		`{"total_ops": -1}`:                  "total_ops is -1, not a number of 0 or more",
		`{"errors": {"timeout": 3}}`:         `errors is {"timeout": 3}, not a number`,
		`{"total_ops":1,"duration_s":"NaN"}`: "duration_s is \"NaN\", not a number",
		`{"total_ops":1,"duration":"soon"}`:  "duration is \"soon\", not a number",
		`{"total_ops":1,"duration_s":1e300}`: "is none",
		`{"total_ops":9e15,"duration_s":1,"avg_latency_ms":9e9}`: "are none",
		`{"total_ops":9e15,"avg_latency_ms":9e9}`:                "are none",
	} {
		if _, err := decodeForeignTotals([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

// FuzzForeignTotals holds that whatever can be read makes a run whose totals are
// numbers.
func FuzzForeignTotals(f *testing.F) {
	for _, text := range []string{
		`{"timestamp": "2025-12-18T22:34:38+01:00", "duration_s": 30.5, "total_ops": 1000, "errors": 2, "avg_latency_ms": 0.91}`,
		`{"writes": "5", "reads": 4, "duration": "1m30s"}`, `{"ops_per_sec": 1e-300, "total_ops": 5}`,
		`{"total_ops":1,"duration":1e-9}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		totals, err := decodeForeignTotals(text)
		if err != nil {
			return
		}
		got := newForeign("x", totals).Totals()
		if got.TotalOps < 1 || !(got.OpsPerSec >= 0) || math.IsInf(got.OpsPerSec, 0) ||
			!(got.AvgLatencyMs >= 0) || math.IsInf(got.AvgLatencyMs, 0) {
			t.Errorf("%+v of %s", got, text)
		}
	})
}

// foreignFolder is a folder of the given files.
func foreignFolder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// oneSample is a profile of one sample, which tells a block of some run.
func oneSample(t *testing.T, kind string, duration time.Duration, count, value int64) []byte {
	t.Helper()
	k, _ := KindNamed(kind)
	f := &profile.Function{ID: 1, Name: "main.f"}
	l := &profile.Location{ID: 1, Line: []profile.Line{{Function: f}}}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: k.Count, Unit: "count"}, {Type: k.Value, Unit: "unit"}},
		Function:   []*profile.Function{f}, Location: []*profile.Location{l}, DurationNanos: int64(duration),
		Sample: []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{count, value},
			NumLabel: map[string][]int64{blockLabel: {7}}}},
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestOpenForeign holds that a folder is a run of one block: allocations are
// those of the load, and a CPU profile of a third of it stands for all of it.
func TestOpenForeign(t *testing.T) {
	dir := foreignFolder(t, map[string][]byte{
		FileTotals:           []byte(`{"total_ops": 500, "duration_s": 30, "avg_latency_ms": 2, "errors": 3}`),
		FileCPU:              oneSample(t, "cpu", 10*time.Second, 4, 4000),
		"allocs-before.prof": oneSample(t, "allocs", 0, 10, 1000),
		"allocs-after.prof":  oneSample(t, "allocs", 0, 30, 9000),
		"mutex-after.prof":   oneSample(t, "mutex", 0, 30, 900),
	})
	if !IsForeign(dir) {
		t.Fatal("it is not foreign")
	}
	run, err := OpenForeign(dir)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][2]int64{FileCPU: {12, 12000}, FileAllocs: {20, 8000}, "mutex.prof": {30, 900}} {
		p, err := run.ProfileFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int64(p.Sample[0].Value); len(p.Sample) != 1 || got != want {
			t.Errorf("%s: %d samples, the first %v, want %v", file, len(p.Sample), got, want)
		}
		if _, labelled := SampleBlock(p.Sample[0]); labelled {
			t.Errorf("%s tells a block", file)
		}
	}
	want := map[string]string{
		"cpu":    "cpu.prof, of 10.0 s of the load's 30.0 s, scaled to all of it",
		"allocs": "allocs-after.prof less allocs-before.prof",
		"mutex":  "mutex-after.prof, since the server's start",
	}
	m := run.Manifest
	if diff := cmp.Diff(want, m.Subject.Options); diff != "" {
		t.Error(diff)
	}
	totals := run.Totals()
	if !m.Foreign() || totals.TotalOps != 500 || totals.Errors != 3 || totals.AvgLatencyMs != 2 ||
		math.Abs(totals.OpsPerSec-500.0/30) > 1e-9 {
		t.Errorf("%+v", totals)
	}
	if run.Has(SourceCPUClock) || run.Has(SourceLatencies) || run.Has("block_profile") ||
		!run.Has(SourceDuration) || !run.Has("cpu_profile") {
		t.Errorf("unavailable: %v", m.Unavailable)
	}
}

func TestOpenForeignRejects(t *testing.T) {
	totals := []byte(`{"total_ops": 500}`)
	tests := []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"no totals", map[string][]byte{FileCPU: oneSample(t, "cpu", 0, 1, 1)},
			"has profiles but no load-test-results.json"},
		{"no profiles", map[string][]byte{FileTotals: totals}, "has none of cpu.prof, allocs-after.prof, allocs.prof"},
		{"damaged totals", map[string][]byte{FileTotals: []byte("{")}, "load-test-results.json: not a JSON object"},
		{"a damaged profile", map[string][]byte{FileTotals: totals, FileCPU: []byte("404 page not found")},
			"cpu.prof: "},
		{"a profile of another kind", map[string][]byte{FileTotals: totals, FileCPU: oneSample(t, "allocs", 0,
			1, 1)}, "cpu.prof: the cpu profile lacks the sample type cpu"},
		{
			"profiles of two kinds", map[string][]byte{
				FileTotals: totals, "allocs-after.prof": oneSample(t, "allocs", 0, 1, 1),
				"allocs-before.prof": oneSample(t, "cpu", 0, 1, 1),
			}, "allocs-after.prof: the allocs profile lacks the sample type",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := foreignFolder(t, tt.files)
			if _, err := OpenForeign(dir); err == nil || !strings.Contains(err.Error(), tt.want) ||
				!strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestIsForeign: what has a file that only run folders have is a damaged one.
func TestIsForeign(t *testing.T) {
	tests := []struct {
		files []string
		want  bool
	}{
		{nil, false},
		{[]string{FileReadme}, false},
		{[]string{FileTotals}, true},
		{[]string{"heap-after.prof"}, true},
		{[]string{FileTotals, FileCPU, FileSamples}, false},
		{[]string{FileTotals, FileManifest}, false},
	}
	for _, tt := range tests {
		files := map[string][]byte{}
		for _, name := range tt.files {
			files[name] = nil
		}
		if got := IsForeign(foreignFolder(t, files)); got != tt.want {
			t.Errorf("%v: %v", tt.files, got)
		}
	}
}
