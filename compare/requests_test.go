package compare

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// slower makes all requests of a kind take so many ms.
func slower(t *testing.T, kind int, ms float64) func(*runfolder.Run) {
	return func(r *runfolder.Run) {
		for b := range r.Latency {
			ops := r.Latency[b][kind].TotalCount()
			r.Latency[b][kind].Reset()
			if err := r.Latency[b][kind].RecordValues(int64(ms*1e6), ops); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// failingKind makes a share of the requests of a kind fail.
func failingKind(kind int, share float64) func(*runfolder.Run) {
	return func(r *runfolder.Run) {
		failing(r, share/2)
		inBlocks(kind, func(a *runfolder.Answers) { a.Failed = int64(float64(a.Statuses[200]) * share) })(r)
	}
}

// TestRequests holds the verdict on every kind, and the sentence about them.
func TestRequests(t *testing.T) {
	const write, read = 0, 1
	tests := []struct {
		name    string
		blocks  int
		change  func(head *runfolder.Run)
		want    []Verdict // of write and read
		summary string
	}{
		{"the same", 12, none, []Verdict{Equivalent, Equivalent},
			"nothing changed beyond tolerance in any of the 2 kinds"},
		{"slower reads", 12, slower(t, read, 1.5), []Verdict{Equivalent, Regressed},
			"p50 and p99 of read regressed; nothing changed beyond tolerance in write"},
		{"faster both", 12, func(r *runfolder.Run) { slower(t, read, 1)(r); slower(t, write, 1)(r) },
			[]Verdict{Improved, Improved},
			"p50 and p99 of write, read improved"},
		{"one each way", 12, func(r *runfolder.Run) { slower(t, read, 2)(r); slower(t, write, 1)(r) },
			[]Verdict{Improved, Regressed},
			"p50 and p99 of read regressed; p50 and p99 of write improved"},
		{"failing writes", 12, failingKind(write, 0.02), []Verdict{Regressed, Equivalent},
			"failures of write regressed; nothing changed beyond tolerance in read"},
		{"faster with other answers", 12,
			func(r *runfolder.Run) { slower(t, read, 1)(r); inBlocks(read, become(404, 0.1))(r) },
			[]Verdict{Equivalent, Inconclusive},
			"nothing changed beyond tolerance in write; undecided: read (other answers)"},
		{"no reads", 12, vanished, []Verdict{Equivalent, Inconclusive},
			"nothing changed beyond tolerance in write; undecided: read"},
		{"few blocks", 6, none, []Verdict{Inconclusive, Inconclusive},
			"undecided: write, read; 6 blocks are too few to judge 4 figures together, that takes 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", tt.blocks, slow, 7),
				synthesize(t, "head", "e1", tt.blocks, slow, 7)
			tt.change(head)
			c := mustCompare(t, variant(base, nil), variant(head, nil))
			got := []Verdict{c.Requests.Kinds[0].Verdict, c.Requests.Kinds[1].Verdict}
			if !slices.Equal(got, tt.want) || c.Requests.Summary != tt.summary {
				t.Errorf("%v, %q; want %v, %q", got, c.Requests.Summary, tt.want, tt.summary)
			}
		})
	}
}

// vanished has a run of writes only.
func vanished(r *runfolder.Run) {
	for i := range r.Slices {
		r.Slices[i].Kinds[1] = loadgen.KindResult{}
	}
	for b := range r.Manifest.Blocks {
		r.Manifest.Blocks[b].Answers[1] = runfolder.Answers{}
		r.Latency[b][1].Reset()
	}
}

// TestRequestsFigures holds the figures of a kind.
func TestRequestsFigures(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, slow, 7)
	slower(t, 1, 1.5)(head)
	c := mustCompare(t, variant(base, nil), variant(head, nil))
	read := c.Requests.Kinds[1]
	var ops int64
	for _, s := range base.Slices {
		ops += s.Kinds[1].Ops
	}
	if read.Kind != "read" || read.BaseRequests != ops {
		t.Errorf("%s, %d requests, want read, %d", read.Kind, read.BaseRequests, ops)
	}
	figures := map[MetricID]MetricChange{}
	for _, m := range read.Metrics {
		figures[m.ID] = m
	}
	if p99 := figures["latency_p99"]; !near(*p99.Base, 1.2, 0.01) || !near(*p99.Head, 1.5, 0.01) ||
		!near(p99.Change.Percent, 25, 0.2) || p99.Gated {
		t.Errorf("p99 %+v", p99)
	}
	if size := figures["body_bytes"]; *size.Base != 3780 || size.Verdict != NotJudged {
		t.Errorf("size %+v", size)
	}
	if c.Verdict != Equivalent {
		t.Errorf("kinds count for the overall verdict: %s", c.summary())
	}
	one := synthesize(t, "one", "e1", 12, slow, 7)
	one.Manifest.Load.Kinds = []string{"get"}
	if got := compareRequests(newSide(one), newSide(one), DefaultCriteria(), ""); got != nil {
		t.Errorf("a load with one kind: %+v", got)
	}
}

func TestSentence(t *testing.T) {
	kind := func(name string, p50, p99 Verdict) KindChange {
		k := KindChange{Kind: name, Metrics: []MetricChange{{ID: "latency_p50", Verdict: p50},
			{ID: "latency_p99", Verdict: p99}}}
		k.Verdict = worst(k.Metrics)
		return k
	}
	same := func(name string) KindChange { return kind(name, Equivalent, Equivalent) }
	tests := []struct {
		want  string
		kinds []KindChange
	}{
		{"p99 of POST /cart regressed; nothing changed beyond tolerance in the other 3",
			[]KindChange{same("a"), kind("POST /cart", Equivalent, Regressed), same("b"), same("c")}},
		{"p99 of a regressed; p50 of a improved; nothing changed beyond tolerance in b",
			[]KindChange{kind("a", Improved, Regressed), same("b")}},
		{"nothing changed beyond tolerance in 2 of 3 kinds; undecided: c",
			[]KindChange{same("a"), same("b"), kind("c", Equivalent, Inconclusive)}},
		{"undecided: a, b, c, d, e and 1 more", []KindChange{kind("a", NotJudged, NotJudged),
			kind("b", Inconclusive, Equivalent), kind("c", Inconclusive, Equivalent),
			kind("d", Inconclusive, Equivalent), kind("e", Inconclusive, Equivalent),
			kind("f", Inconclusive, Equivalent)}},
	}
	for _, tt := range tests {
		if got := sentence(tt.kinds, ""); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// kindWorld is a simulated pair of subjects with several kinds of request, of
// which the last may be slower on the head.
type kindWorld struct {
	kinds   int
	p99     float64 // true change of the last kind's, in percent
	process float64 // standard deviation between fresh processes, in percent, of all kinds alike
	own     float64 // and of each kind's p50 by itself
	tail    float64 // and of each kind's p99
}

// experiment is one that can be simulated again and again.
type experiment struct {
	kindWorld
	base, head side
}

func newExperiment(w kindWorld, blocks int) *experiment {
	plan := runfolder.DefaultPlan()
	plan.Blocks = blocks
	e := &experiment{kindWorld: w}
	for i, name := range []string{"base", "head"} {
		s := side{Run: newRun(name, plan), whole: &measured{kind: allKinds}}
		for k := range w.kinds {
			s.Manifest.Load.Kinds = append(s.Manifest.Load.Kinds, string(rune('a'+k)))
			s.kinds = append(s.kinds, newKind(s.Run, k, blocks))
		}
		s.blocks = make([]*measured, blocks)
		*[]*side{&e.base, &e.head}[i] = s
	}
	return e
}

func newKind(run *runfolder.Run, kind, blocks int) side {
	s := side{Run: run}
	for range blocks {
		s.blocks = append(s.blocks, &measured{
			kind: kind, tells: true, ops: 1000, latency: 1, bytes: 1, statuses: map[int]float64{200: 1000},
			dueHistogram: hdrhistogram.New(1, 60_000, 3),
		})
	}
	s.whole = s.blocks[0]
	return s
}

// run draws every block afresh.
func (e *experiment) run(rng *rand.Rand) {
	for b := range e.base.blocks {
		machine := rng.NormFloat64() * 0.08
		for _, s := range []side{e.base, e.head} {
			process := machine + rng.NormFloat64()*e.process/100
			for k, kind := range s.kinds {
				effect := 0.0
				if s.Manifest.Subject.Name == "head" && k == e.kinds-1 {
					effect = math.Log1p(e.p99 / 100)
				}
				h := kind.blocks[b].dueHistogram
				h.Reset()
				_ = h.RecordValues(int64(5_000*math.Exp(process+rng.NormFloat64()*e.own/100)), 970)
				_ = h.RecordValues(int64(15_000*math.Exp(process+effect+rng.NormFloat64()*e.tail/100)), 30)
			}
		}
	}
}

// upTo is one side after its first blocks.
func (s side) upTo(blocks int) side {
	s.blocks = s.blocks[:blocks]
	s.kinds = slices.Clone(s.kinds)
	for k := range s.kinds {
		s.kinds[k].blocks = s.kinds[k].blocks[:blocks]
	}
	return s
}

// TestRequestsErrorRates simulates experiments of kinds of request whose truth is
// known, judged at every third look: more often than they are, once.
func TestRequestsErrorRates(t *testing.T) {
	quiet := kindWorld{kinds: 4, process: 0.7, own: 0.5, tail: 4}
	slowTail := quiet
	slowTail.p99 = 15
	tests := []struct {
		name        string
		world       kindWorld
		experiments int
		least       float64 // share of experiments that find what there is to find
	}{
		{"no change", quiet, 600, 0},
		{"no change, wild", kindWorld{kinds: 4, process: 5, own: 5, tail: 20}, 1000, 0},
		{"p99 of one kind 15% slower", slowTail, 100, 0.97},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(11, 12))
			plan := runfolder.DefaultPlan()
			var looks []int
			for n := plan.FirstLook; n <= plan.Blocks; n += 3 {
				looks = append(looks, n)
			}
			e := newExperiment(tt.world, plan.Blocks)
			found, alarms := 0.0, 0.0
			experiments := testlong.Experiments(tt.experiments, 15)
			n := float64(experiments)
			for range experiments {
				e.run(rng)
				right, wrong := e.judged(looks)
				found += right
				alarms += wrong
			}
			t.Logf("found in %.2f%%, false alarms in %.2f%%", found/n*100, alarms/n*100)
			most := FalseAlarms + 2*math.Sqrt(FalseAlarms/n) // two standard errors
			if found/n < tt.least || alarms/n > most {
				t.Errorf("want %.2f%% or more, and %.2f%% or less", tt.least*100, most*100)
			}
		})
	}
}

// judged reports whether the last kind's p99 regressed at some look, and whether
// anything else moved, as 1 or 0.
func (e *experiment) judged(looks []int) (right, wrong float64) {
	for _, blocks := range looks {
		r := compareRequests(e.base.upTo(blocks), e.head.upTo(blocks), DefaultCriteria(), "")
		for k, kind := range r.Kinds {
			for _, m := range kind.Metrics {
				changed := e.p99 > 0 && k == e.kinds-1 && m.ID == "latency_p99"
				switch {
				case changed && m.Verdict == Regressed:
					right = 1
				case m.Verdict == Regressed || m.Verdict == Improved:
					wrong = 1
				}
			}
		}
	}
	return right, wrong
}

// TestFewestBlocks holds it against what exact intervals reach.
func TestFewestBlocks(t *testing.T) {
	for _, figures := range []float64{1, 4, 8, 10, 20} {
		n := fewestBlocks(lookAlpha / figures)
		reach := func(n int) float64 { return 2 / math.Exp2(float64(n)) }
		if reach(n) > lookAlpha/figures || reach(n-1) <= lookAlpha/figures {
			t.Errorf("%d blocks for %v figures", n, figures)
		}
	}
}
