package compare

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Resampler holds how head and base differed in each block of many experiments of
// the same two subjects, to draw further experiments from.
type Resampler struct {
	criteria Criteria
	rules    map[MetricID]Rule      // of the first experiment's base
	changes  map[MetricID][]float64 // as estimated of every block, by gated metric
	blocks   int
}

// NewResampler makes an empty resampler of the gated metrics of c.
func NewResampler(c Criteria) *Resampler {
	return &Resampler{criteria: c, rules: map[MetricID]Rule{}, changes: map[MetricID][]float64{}}
}

// Add takes in the blocks of one experiment. Metrics that one of its runs lacks
// are left out of the pool altogether.
func (p *Resampler) Add(base, head *runfolder.Run) {
	b, h := newSide(base), newSide(head)
	blocks := min(len(b.blocks), len(h.blocks))
	for _, m := range p.criteria.metrics(metricsOfPair(b, h, p.criteria)) {
		if m.Bound || !base.Has(m.Source) || !head.Has(m.Source) {
			continue
		}
		if _, known := p.rules[m.ID]; !known {
			p.rules[m.ID] = p.criteria.rule(m, b.value(m))
		}
		p.changes[m.ID] = append(p.changes[m.ID], pairedChanges(m, b, h, blocks)...)
	}
	p.blocks += blocks
}

// Blocks is the number of blocks in the pool.
func (p *Resampler) Blocks() int { return p.blocks }

// metrics are the gated ones that every experiment of the pool has.
func (p *Resampler) metrics() []Metric {
	gated := p.criteria.metrics(Metrics)
	return slices.DeleteFunc(gated, func(m Metric) bool { return !p.has(m.ID) })
}

// has reports whether every experiment of the pool has the metric.
func (p *Resampler) has(metric MetricID) bool { return len(p.changes[metric]) == p.blocks }

// Resample draws blocks for one experiment of a plan, without replacement, decides it
// as a recorded one would have been, and returns the verdict on every metric and the
// number of blocks it took. The pool must hold at least as many blocks as the plan.
func (p *Resampler) Resample(rng *rand.Rand, plan runfolder.Plan) (map[MetricID]Verdict, int) {
	return p.decide(rng.Perm(p.blocks), plan)
}

// decide judges the named blocks in their order as an experiment of a plan would.
func (p *Resampler) decide(order []int, plan runfolder.Plan) (map[MetricID]Verdict, int) {
	verdicts := map[MetricID]Verdict{}
	metrics := p.metrics()
	for _, blocks := range plan.Looks() {
		var family []*finding
		for _, m := range metrics {
			family = append(family, p.find(m, order[:blocks], 0, plan))
		}
		judge(family, atLook(plan, blocks, firstShare(plan)))
		var open []undecided
		known := true
		for i, m := range metrics {
			verdicts[m.ID] = family[i].verdict
			known = known && family[i].known()
			if family[i].verdict == Inconclusive {
				open = append(open, undecided{m, family[i]})
			}
		}
		if len(open) == 0 && known || whyGiveUp(open, aheadOf(plan, blocks)) != "" {
			return verdicts, blocks
		}
	}
	return verdicts, plan.Blocks
}

// find is what the named blocks say of one metric if all its changes are moved
// by shift.
func (p *Resampler) find(m Metric, blocks []int, shift float64, plan runfolder.Plan) *finding {
	values := make([]float64, len(blocks))
	for i, b := range blocks {
		values[i] = p.changes[m.ID][b] + shift
	}
	f := &finding{better: m.Better, rule: p.rules[m.ID], share: m.Share}
	f.setBlocks(values, plan)
	return f
}

// Resolution is the smallest regression of a metric, in percent, that an
// experiment of the given number of blocks, judged once, tells from none in four
// of five cases on the machine that the blocks were recorded on, tolerance set
// aside and no other metric having changed. It is 0 if so few blocks find
// nothing however large, or an experiment lacks the metric.
//
// Experiments are drawn with replacement from blocks whose center is taken out. A
// regression moves their intervals as it moves their blocks, so it is found once
// it has moved four of five intervals beyond the floor.
func (p *Resampler) Resolution(rng *rand.Rand, metric MetricID, blocks int) float64 {
	const experiments, found = 200, 0.8
	m, known := FindMetric(metric)
	if !known || !p.has(metric) {
		return 0
	}
	center := stat.SignedRank(p.changes[metric]).Estimate()
	bounds := make([]float64, experiments)
	for i := range bounds {
		bounds[i] = p.bound(m, p.drawReplacing(rng, blocks), center)
	}
	slices.Sort(bounds)
	moved := stat.LogRatio(p.rules[m.ID].Floor) - bounds[int(experiments*(1-found))]
	if most := stat.LogRatio(100); !(moved < most) {
		return 0
	}
	return stat.Percent(moved)
}

func (p *Resampler) drawReplacing(rng *rand.Rand, blocks int) []int {
	drawn := make([]int, blocks)
	for i := range drawn {
		drawn[i] = rng.IntN(p.blocks)
	}
	return drawn
}

// bound is the end of an experiment's interval, at the level of the first step
// of Holm's procedure, that a regression must move beyond the floor. It is
// minus infinity if there are too few blocks for the level.
func (p *Resampler) bound(m Metric, blocks []int, center float64) float64 {
	level := 1 - FalseAlarms/float64(len(p.metrics()))
	interval := p.find(m, blocks, -center, runfolder.Plan{}).estimator.Interval(level)
	switch {
	case interval.Level < level:
		return math.Inf(-1)
	case m.Better == Up:
		return -interval.High
	}
	return interval.Low
}
