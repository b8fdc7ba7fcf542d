package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

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
var usual = linkage{asBuilt: 3, orders: 1, blocks: 16}

// record simulates both stages of an experiment: as built the head has the same
// order of functions in all blocks.
func (l linkage) record(w world, rng *rand.Rand) []*runfolder.Run {
	runs := w.slowed(rng.NormFloat64() * l.asBuilt).record(rng)
	for i, r := range runs {
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

// decideLayouts is the verdict on each metric of an experiment of two stages, and
// whether it came to the second.
func decideLayouts(runs []*runfolder.Run) (verdicts map[MetricID]Verdict, second bool) {
	c := DefaultCriteria()
	for _, blocks := range runs[0].Manifest.Plan.Looks() {
		first := []*runfolder.Run{upTo(runs[0], blocks), upTo(runs[1], blocks)}
		first[0].Layouts, first[1].Layouts = nil, nil
		look := Decide(first, c)
		second = TimingMoved(look)
		if second {
			first[0].Layouts, first[1].Layouts = runs[0].Layouts, runs[1].Layouts
		}
		if !look.Done && blocks < runs[0].Manifest.Plan.Blocks {
			continue
		}
		verdicts = map[MetricID]Verdict{}
		for _, d := range Decide(first, c).Decisions {
			verdicts[MetricID(d.Metric)] = Verdict(d.Verdict)
		}
		break
	}
	return verdicts, second
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
		{"the linker alone, by a lot", shared, linkage{asBuilt: 10, orders: 2, blocks: 16}, "", 3000, 0, FalseAlarms},
		{"nothing at all", shared, linkage{orders: 1, blocks: 16}, "", 1500, 0, FalseAlarms},
		{"3% of time", costs(3), linkage{orders: 1, blocks: 16}, CPUPerOp, 500, 0.55, 1},
		{"5% of time", costs(5), linkage{orders: 1, blocks: 16}, CPUPerOp, 500, 0.97, 1},
		{"10% of time", costs(10), usual, CPUPerOp, 500, 0.97, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(11, 12))
			found, seconds := 0, 0
			experiments := tt.experiments
			if os.Getenv("EVENTOBENCH_LONG_TESTS") == "" {
				experiments /= 10
			}
			for range experiments {
				verdicts, second := decideLayouts(tt.linkage.record(tt.world, rng))
				if matches(verdicts, tt.metric, Regressed) {
					found++
				}
				if second {
					seconds++
				}
			}
			share := float64(found) / float64(experiments)
			said := fmt.Sprintf("%.2f%% of experiments, %.0f%% of which had a second stage",
				share*100, math.Round(100*float64(seconds)/float64(experiments)))
			if share < tt.least || share > tt.most {
				t.Errorf("%s; want %v to %v%%", said, tt.least*100, tt.most*100)
			} else {
				t.Log(said)
			}
		})
	}
}
