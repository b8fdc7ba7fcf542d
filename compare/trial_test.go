package compare

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/docs"
)

func trial(planted string, v Verdict) Trial {
	return Trial{
		Format: TrialFormat, Schema: trialSchema, Time: time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC),
		Case: planted, Verdict: v, BusyCPUs: new(stat.Rounded(0.25)), Seconds: 107.5, Blocks: 20,
		Metrics: []TrialMetric{{CPUPerOp, v, -0.125, -1.5, 1.25}},
	}
}

// TestRecordedTrials holds that no line of the documentation's is lost.
func TestRecordedTrials(t *testing.T) {
	trials, cut, err := DecodeTrials(docs.Selftest)
	if err != nil || len(cut) > 0 {
		t.Errorf("docs/selftest.jsonl: lines %v are cut off; %v", cut, err)
	}
	if len(RecordedTrials()) != len(trials) {
		t.Errorf("%d of %d trials", len(RecordedTrials()), len(trials))
	}
}

func TestTallyTrials(t *testing.T) {
	var trials []Trial
	for range 58 {
		trials = append(trials, trial("none", Equivalent))
	}
	trials = append(trials, trial("cpu=3%", Regressed), trial("alloc=8B", Regressed), trial("none", Inconclusive), trial("cpu=3%", Improved),
		trial("cpu=3%", Equivalent), trial("cpu=3%", Inconclusive), trial("none", Equivalent))
	var got []string
	for _, tally := range TallyTrials(trials) {
		got = append(got, tally.Case+" "+tally.What()+" "+tally.String())
	}
	want := []string{
		"none called improved or regressed 0 of 60: at most 4.9%",
		"alloc=8B not called regressed 0 of 1: at most 95.0%",
		"cpu=3% not called regressed 3 of 4: at most 98.7%",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, v := range []Verdict{Improved, Regressed} {
		if !trial("none", v).Wrong() {
			t.Errorf("%s of a program against itself is not wrong", v)
		}
	}
}

// TestTrialsSurviveAKill holds that a line that was cut off costs no other, wherever it
// was cut, and that the next one does not continue it.
func TestTrialsSurviveAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trials.jsonl")
	add := func(planted string) {
		t.Helper()
		twice := []Trial{trial(planted, Equivalent), trial(planted, Equivalent)}
		added, err := AppendTrials(path, twice)
		if err != nil || added != 1 {
			t.Fatalf("%d added: %v", added, err)
		}
	}
	add("none")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(whole) - 1 { // without its end of line the last one is whole too
		cutOff := slices.Concat(whole, whole[:size])
		if err := os.WriteFile(path, cutOff, 0o600); err != nil {
			t.Fatal(err)
		}
		add("cpu=3%")
		trials, cut, err := ReadTrials(path)
		if err != nil {
			t.Fatal(err)
		}
		if size == 0 && len(cut) > 0 || size > 0 && !slices.Equal(cut, []int{2}) {
			t.Errorf("of %d bytes lines %v are cut off", size, cut)
		}
		if diff := cmp.Diff([]Trial{trial("none", Equivalent), trial("cpu=3%", Equivalent)}, trials); diff != "" {
			t.Errorf("after %d bytes: %s", size, diff)
		}
	}
}

func TestTrialsOfAnotherFormat(t *testing.T) {
	for _, line := range []string{
		`{}`, `{"format":"eventobench history","schema":1}`, `{"format":"eventobench selftest","schema":2}`,
		`{"format":"eventobench selftest","schema":1,"case":"none","time":"2026-11-29T03:00:00Z","verdict":"fine"}`,
		`[]`,
	} {
		if _, _, err := DecodeTrials([]byte(line + "\n")); err == nil {
			t.Errorf("%s is taken for a trial", line)
		}
	}
	if _, _, err := ReadTrials(t.TempDir()); err == nil {
		t.Error("a folder is taken for a file of trials")
	}
}
