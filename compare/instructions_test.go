package compare

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// counted gives a run blocks of instructions.
func counted(run *runfolder.Run, requests int, counts []int64) *runfolder.Run {
	i := &runfolder.Instructions{Tool: "valgrind-3.19.0", From: 200, To: 200 + requests}
	for _, n := range counts {
		i.Blocks = append(i.Blocks, runfolder.InstructionBlock{Counted: n})
	}
	run.Manifest.Instructions = i
	return run
}

// judgeCounts is what is found of the instructions of two runs of one experiment.
func judgeCounts(requests int, base, head []int64) result {
	b := counted(newRun("base", runfolder.DefaultPlan()), requests, base)
	h := counted(newRun("head", runfolder.DefaultPlan()), requests, head)
	m, _ := FindMetric(InstructionsPerOp)
	return judgeAll(newSide(b), newSide(h), DefaultCriteria(), []Metric{m}, "")[m.ID]
}

// countedPair is an experiment that docs/instructions.sh recorded.
type countedPair struct {
	Commit     string
	Kind       string // alike, or planted: head does 1% more
	Requests   int
	CPU        float64 `json:"cpu_s"`
	Base, Head []int64
}

const alike = "alike"

func countedPairs(t *testing.T) (pairs []countedPair) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "instructions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := json.NewDecoder(file); ; {
		var p countedPair
		switch err := lines.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pairs
		case err != nil:
			t.Fatal(err)
		case len(pairs) > 0 && (p.Requests != pairs[0].Requests || p.Commit != pairs[0].Commit):
			t.Fatalf("%+v is of other requests or another program than those before", p)
		}
		pairs = append(pairs, p)
	}
}

// TestCountedExperiments holds the verdict on every experiment that was recorded: one with
// 1% more is regressed, one of the same program equivalent.
func TestCountedExperiments(t *testing.T) {
	kinds := map[string]int{}
	for n, p := range countedPairs(t) {
		want := Regressed
		if p.Kind == alike {
			want = Equivalent
		}
		r := judgeCounts(p.Requests, p.Base, p.Head)
		if r.verdict != want {
			t.Errorf("experiment %d, %s: %s, %+v", n+1, p.Kind, r.verdict, r.change())
		}
		t.Logf("%s: %s %s, %.1f s of CPU time", p.Kind, r.verdict, r.change(), p.CPU)
		kinds[p.Kind]++
	}
	if len(kinds) != 2 {
		t.Errorf("recorded are %v", kinds)
	}
}

// TestInstructionsErrorRates draws experiments from the blocks that were recorded: 1% more is
// found in 95 of 100, and nothing is called something in 300 of one program.
func TestInstructionsErrorRates(t *testing.T) {
	const draws = 1000
	var same, more []int64
	pairs := countedPairs(t)
	for _, p := range pairs {
		same = append(same, p.Base...)
		if p.Kind == alike {
			same = append(same, p.Head...)
		} else {
			more = append(more, p.Head...)
		}
	}
	blocks, requests := len(pairs[0].Base), pairs[0].Requests
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(from []int64, n int) (drawn []int64) {
		for _, i := range rng.Perm(len(from))[:n] {
			drawn = append(drawn, from[i])
		}
		return drawn
	}
	found, alarms := 0, 0
	for range draws {
		both := draw(same, 2*blocks)
		if judgeCounts(requests, both[:blocks], draw(more, blocks)).verdict == Regressed {
			found++
		}
		if judgeCounts(requests, both[:blocks], both[blocks:]).verdict.moved() {
			alarms++
		}
	}
	t.Logf("drawn from %d and %d blocks: %d of %d, %d of %d", len(same), len(more), found, draws, alarms, draws)
	if found < draws*95/100 || alarms > 0 {
		t.Errorf("1%% more was found in %d of %d, nothing was called something in %d", found, draws, alarms)
	}
}

func TestInstructionsNeedTheSameCounter(t *testing.T) {
	runs := world{}.record(rand.New(rand.NewPCG(1, 2)))
	base, head := runs[0], runs[1]
	counted(base, 1000, []int64{1_000_000, 1_000_000})
	for i := range head.Manifest.Blocks {
		head.Manifest.Blocks[i].ProcessAfter.Instructions = int64(1000 * (i + 1))
	}
	m, _ := FindMetric(InstructionsPerOp)
	r := estimate(m, newSide(base), newSide(head), DefaultCriteria())
	if !strings.Contains(r.missing, "valgrind counted one side") {
		t.Errorf("found %+v", r)
	}
}

func TestExplainInstructions(t *testing.T) {
	change := func(id MetricID, v Verdict) MetricChange {
		return MetricChange{ID: id, Label: string(id), Verdict: v, Change: &Change{Percent: 2, Low: 1, High: 3}}
	}
	for _, tt := range []struct {
		cpu, instructions Verdict
		want              string
	}{
		{Regressed, Equivalent, "The instructions are the same (+2.0% [+1.0, +3.0]), though cpu_per_op moved"},
		{Regressed, Regressed, "The instructions moved (+2.0%"},
		{Inconclusive, Regressed, "The instructions moved (+2.0%"},
		{Regressed, Inconclusive, "Instructions: +2.0%"},
		{Inconclusive, Equivalent, "Instructions: +2.0%"},
	} {
		c := Comparison{Metrics: []MetricChange{
			change(CPUPerOp, tt.cpu), change(InstructionsPerOp, tt.instructions),
		}}
		if got := strings.Join(c.explainInstructions(), "\n"); !strings.HasPrefix(got, tt.want) {
			t.Errorf("CPU %s, instructions %s: %q, want %q", tt.cpu, tt.instructions, got, tt.want)
		}
	}
	if got := (Comparison{Metrics: []MetricChange{{ID: InstructionsPerOp}}}).explainInstructions(); got != nil {
		t.Errorf("without counts: %q", got)
	}
}
