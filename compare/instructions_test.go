package compare

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// counted gives a run blocks of instructions around a number per request.
func counted(run *runfolder.Run, rng *rand.Rand, perOp, deviation float64) {
	i := &runfolder.Instructions{Tool: "valgrind-3.19.0", From: 200, To: 1200}
	for range 8 {
		n := perOp * (1 + deviation*rng.NormFloat64()) * float64(i.Ops())
		i.Blocks = append(i.Blocks, runfolder.InstructionBlock{Counted: int64(n)})
	}
	run.Manifest.Instructions = i
}

// judgeCounts is what is found of the instructions of two runs of one experiment.
func judgeCounts(rng *rand.Rand, ratio, deviation float64) result {
	base, head := newRun("base", runfolder.DefaultPlan()), newRun("head", runfolder.DefaultPlan())
	counted(base, rng, 137_000, deviation)
	counted(head, rng, 137_000*ratio, deviation)
	m, _ := FindMetric(InstructionsPerOp)
	return judgeAll(newSide(base), newSide(head), DefaultCriteria(), []Metric{m}, "")[m.ID]
}

// TestInstructionsErrorRates draws counts that differ as fresh processes do, as much as
// on a machine that is busy (docs/instructions.md): 1% more is found, nothing is not.
func TestInstructionsErrorRates(t *testing.T) {
	const draws, deviation = 1000, 0.003
	rng := rand.New(rand.NewPCG(1, 2))
	found, alarms := 0, 0
	for range draws {
		if judgeCounts(rng, 1.01, deviation).verdict == Regressed {
			found++
		}
		if judgeCounts(rng, 1, deviation).verdict.moved() {
			alarms++
		}
	}
	t.Logf("%d of %d, %d of %d", found, draws, alarms, draws)
	if found < draws*95/100 || alarms > 1 {
		t.Errorf("1%% more was found in %d of %d, nothing was called something in %d", found, draws, alarms)
	}
}

func TestInstructionsNeedTheSameCounter(t *testing.T) {
	runs := world{}.record(rand.New(rand.NewPCG(1, 2)))
	base, head := runs[0], runs[1]
	counted(base, rand.New(rand.NewPCG(1, 2)), 1000, 0)
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
