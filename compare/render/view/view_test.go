package view

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestLooks holds that a verdict stands under its own metric, though a look may
// not have been able to judge every metric, and that looks alike share a row.
func TestLooks(t *testing.T) {
	decided := func(metric, verdict string) runfolder.Decision {
		return runfolder.Decision{Head: "head", Metric: metric, Verdict: verdict}
	}
	c := compare.Comparison{
		Metrics: []compare.MetricChange{
			{ID: compare.OpsPerSec, Label: "throughput"}, {ID: compare.CPUPerOp, Label: "CPU"}, {ID: "gc_cycles", Label: "GC cycles"},
		},
		Looks: []runfolder.Look{
			{Blocks: 12, Decisions: []runfolder.Decision{decided("cpu_per_op", "inconclusive")}},
			{Blocks: 16, Decisions: []runfolder.Decision{decided("cpu_per_op", "improved"), decided("ops_per_sec", "equivalent")}},
			{Blocks: 17, Decisions: []runfolder.Decision{decided("cpu_per_op", "improved"), decided("ops_per_sec", "equivalent")}},
		},
	}
	want := [][]string{
		{"after", "throughput", "CPU"},
		{"12 blocks", "", "inconclusive"},
		{"16 to 17 blocks", "equivalent", "improved"},
	}
	if diff := cmp.Diff(want, looks(c)); diff != "" {
		t.Error(diff)
	}
	if looks(compare.Comparison{}) != nil {
		t.Error("a table of no looks")
	}
}

// TestUnavailable holds that what all variants lack is said once, and what some
// lack with their names.
func TestUnavailable(t *testing.T) {
	lacks := func(name string, sources ...runfolder.Source) compare.Recording {
		v := compare.Recording{Name: name, Manifest: runfolder.Manifest{Unavailable: map[runfolder.Source]string{}}}
		for _, s := range sources {
			v.Manifest.Unavailable[s] = "not here"
		}
		return v
	}
	got := unavailable([]compare.Recording{
		lacks("one", runfolder.SourceFrequency, runfolder.SourceMemStats),
		lacks("two", runfolder.SourceFrequency),
	})
	want := []string{"cpu_frequency: unavailable, not here", "memstats: unavailable, not here (one)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReliability(t *testing.T) {
	var trials []compare.Trial
	for i := range 62 {
		trial := compare.Trial{Case: compare.NothingPlanted, Verdict: compare.Inconclusive}
		if i >= 60 {
			trial = compare.Trial{Case: "cpu=3%", Verdict: compare.Regressed}
		}
		trials = append(trials, trial)
	}
	want := "Of two equal programs at most 1% of gates call something improved or regressed. Counted: " +
		"of a program with itself called improved or regressed 0 of 60: at most 4.9%; " +
		"of a planted cpu=3% not called regressed 0 of 2: at most 77.6% " +
		"(docs/selftest.jsonl; one-sided bounds at 95% of Clopper and Pearson)."
	if got := reliability(trials); got != want {
		t.Errorf("%s", got)
	}
}
