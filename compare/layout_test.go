package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// linkage is what the order of functions does to the times of a simulated pair.
type linkage struct {
	asBuilt float64 // standard deviation of its effect on the head as built, in percent
	orders  float64 // and between random orders
	blocks  int     // with other layouts
}

// usual is a linker that moves a pair by a few percent, and random orders that
// differ from each other by less (docs/layout.md).
var usual = linkage{asBuilt: 3, orders: 1, blocks: 32}

// record simulates both stages of an experiment: as built the head has the same
// order of functions in all blocks.
func (l linkage) record(w world, rng *rand.Rand) []*runfolder.Run {
	runs := w.slowed(rng.NormFloat64() * l.asBuilt).record(rng)
	for i, r := range runs {
		r.Manifest.Plan.Layouts, r.Manifest.Plan.LayoutLook = l.blocks, runfolder.FirstLook
		layouts := newRun(r.Manifest.Subject.Name, r.Manifest.Plan)
		for b := range l.blocks {
			effect := world{}
			if i == 1 {
				effect = w
			}
			w.block(rng, layouts, b, 1, effect.slowed(rng.NormFloat64()*l.orders))
		}
		r.Layouts = layouts
	}
	return runs
}

// slowed is a world in which the head takes so many percent more time, whatever
// else differs.
func (w world) slowed(percent float64) world {
	factor := 1 + percent/100
	w.cpu = ((1+w.cpu/100)*factor - 1) * 100
	w.ops = ((1+w.ops/100)/factor - 1) * 100
	return w
}

// decideLayouts is the verdict on each metric of an experiment of two stages, and how
// many blocks the second had, 0 if there was none.
func decideLayouts(runs []*runfolder.Run) (verdicts map[MetricID]Verdict, second int) {
	c := DefaultCriteria()
	verdicts, blocks := decideFast(runs, c)
	if !verdicts[OpsPerSec].moved() && !verdicts[CPUPerOp].moved() {
		return verdicts, 0
	}
	p := runs[0].Manifest.Plan
	for n := p.LayoutLook; ; n++ {
		var both []*runfolder.Run
		for _, r := range runs {
			first := upTo(r, blocks)
			first.Layouts = upTo(r.Layouts, n)
			both = append(both, first)
		}
		if look := DecideLayouts(both, c); !look.Done && look.Reason == "" && n < p.Layouts {
			continue
		}
		for _, d := range Decide(both, c).Decisions {
			verdicts[MetricID(d.Metric)] = Verdict(d.Verdict)
		}
		return verdicts, n
	}
}

// TestLayoutErrorRates drives both stages with experiments whose truth is known.
func TestLayoutErrorRates(t *testing.T) {
	costs := func(percent float64) world { return shared.slowed(percent) }
	for _, tt := range []struct {
		name        string
		world       world
		linkage     linkage
		metric      MetricID // if set, what must be found
		experiments int
		least, most float64
	}{
		{"the linker alone", shared, usual, "", 3000, 0, FalseAlarms},
		{"the linker alone, by a lot", shared, linkage{asBuilt: 10, orders: 2, blocks: 32}, "", 3000, 0, FalseAlarms},
		{"nothing at all", shared, linkage{orders: 1, blocks: 32}, "", 1500, 0, FalseAlarms},
		{"3% of time", costs(3), linkage{orders: 1, blocks: 32}, CPUPerOp, 500, 0.55, 1},
		{"5% of time", costs(5), linkage{orders: 1, blocks: 32}, CPUPerOp, 500, 0.97, 1},
		{"10% of time", costs(10), usual, CPUPerOp, 500, 0.97, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(11, 12))
			found := 0
			var seconds []float64
			experiments := testlong.Experiments(tt.experiments, 30)
			for range experiments {
				verdicts, second := decideLayouts(tt.linkage.record(tt.world, rng))
				if matches(verdicts, tt.metric, Regressed) {
					found++
				}
				if second > 0 {
					seconds = append(seconds, float64(second))
				}
			}
			share := float64(found) / float64(experiments)
			said := fmt.Sprintf("%.2f%% of experiments, %.0f%% of which had a second stage, of %v blocks (median)",
				share*100, math.Round(100*float64(len(seconds))/float64(experiments)), stat.Median(seconds))
			if share < tt.least || share > tt.most {
				t.Errorf("%s; want %v to %v%%", said, tt.least*100, tt.most*100)
			} else {
				t.Log(said)
			}
		})
	}
}

// TestLayoutVerdicts holds what the two stages make of a metric of time.
func TestLayoutVerdicts(t *testing.T) {
	changed := func(percent float64) truth {
		want := slow
		want.cpu *= 1 + percent/100
		return want
	}
	for _, tt := range []struct {
		name          string
		asBuilt, code float64 // percent of CPU
		blocks        int     // with other layouts
		want          Verdict
		said          bool // that it is of other layouts
	}{
		{"the code", 10, 10, 16, Regressed, true},
		{"the linker", 10, 0, 16, Equivalent, true},
		{"both", 10, 4, 16, Regressed, true},
		{"the other way", 10, -10, 16, Inconclusive, true},
		{"too few blocks", 10, 10, 4, Inconclusive, true},
		{"nothing as built", 0, 10, 16, Equivalent, false},
		{"faster", -10, -10, 16, Improved, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, changed(tt.asBuilt), 7)
			base.Layouts = synthesize(t, "base", "e1", tt.blocks, slow, 8)
			head.Layouts = synthesize(t, "head", "e1", tt.blocks, changed(tt.code), 8)
			r := mustReport(t, []Variant{variant(base, nil), variant(head, nil)}, defaults())
			c := r.Comparisons[0]
			m := c.Metric(CPUPerOp)
			said := m.Layout(c.LayoutBlocks)
			if m.Verdict != tt.want || (m.AsBuilt != nil) != tt.said || (said != "") != tt.said {
				t.Errorf("%s (as built %+v), said %q; want %s", m.Verdict, m.AsBuilt, said, tt.want)
			}
			if a := c.Metric("allocs_per_op"); a.Verdict != Equivalent || a.AsBuilt != nil {
				t.Errorf("allocations: %+v", a)
			}
			if strings.Contains(said, "too few to judge it") != (tt.blocks < 8) {
				t.Error(said)
			}
		})
	}
}

// TestLinker: what is left of a change as built is where the linker put it.
func TestLinker(t *testing.T) {
	m := layoutReport(t).Comparisons[0].Metric(CPUPerOp)
	if l := m.AsBuilt.Linker; l.Low > 10 || l.High < 10 || l.Low < 5 || l.High > 15 {
		t.Errorf("%v, want 10%%", l)
	}
}

// TestUnknownLayout holds when it is said that nothing tells code from layout.
func TestUnknownLayout(t *testing.T) {
	for _, tt := range []struct {
		name  string
		head  truth
		edit  func(base, head *runfolder.Run)
		wants string // empty if nothing is said
	}{
		{"not ours", fast, func(_, _ *runfolder.Run) {}, "CPU of head against base, of which base was not linked by eventobench"},
		{"not asked for", fast, func(base, head *runfolder.Run) {
			base.Manifest.Subject.Build, head.Manifest.Subject.Build = &runfolder.BuildInfo{}, &runfolder.BuildInfo{}
		}, "recorded without other layouts (gate --layouts)"},
		{"an old linker", fast, func(base, _ *runfolder.Run) {
			base.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceLayouts: "it is old"}
		}, "it is old"},
		{"equal times", slow, func(_, _ *runfolder.Run) {}, ""},
		{"one program", fast, func(base, head *runfolder.Run) {
			head.Manifest.Subject.Binary.SHA256 = base.Manifest.Subject.Binary.SHA256
		}, ""},
		{"told", fast, func(base, head *runfolder.Run) { addLayouts(t, base, slow); addLayouts(t, head, fast) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, tt.head, 7)
			base.Manifest.Subject.Binary.SHA256, head.Manifest.Subject.Binary.SHA256 = "aa", "bb"
			tt.edit(base, head)
			got := ""
			for _, w := range mustReport(t, []Variant{variant(base, nil), variant(head, nil)}, defaults()).Warnings {
				if w.Code == WarnLayout {
					got = w.Message
				}
			}
			if (got == "") != (tt.wants == "") || !strings.Contains(got, tt.wants) {
				t.Errorf("said %q, want %q", got, tt.wants)
			}
		})
	}
}
