package compare

import (
	"math/rand/v2"
	"slices"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Resampler holds how head and base differed in each block of many experiments of
// the same two subjects, to draw further experiments from.
type Resampler struct {
	criteria Criteria
	changes  map[MetricID][]float64 // ln(head/base) of every block, by gated metric
	blocks   int
}

// NewResampler makes an empty resampler of the gated metrics of c.
func NewResampler(c Criteria) *Resampler {
	return &Resampler{criteria: c, changes: map[MetricID][]float64{}}
}

// Add takes in the blocks of one experiment. Metrics that one of its runs lacks
// are left out of the pool altogether.
func (p *Resampler) Add(base, head *runfolder.Run) {
	b, h := newSide(base), newSide(head)
	blocks := min(len(b.blocks), len(h.blocks))
	for _, m := range p.criteria.metrics(base.Manifest.Load) {
		if !base.Has(m.Source) || !head.Has(m.Source) {
			continue
		}
		p.changes[m.ID] = append(p.changes[m.ID], pairedLogRatios(m, b, h, blocks)...)
	}
	p.blocks += blocks
}

// Blocks is the number of blocks in the pool.
func (p *Resampler) Blocks() int { return p.blocks }

// metrics are the gated ones that every experiment of the pool has.
func (p *Resampler) metrics() []Metric {
	return slices.DeleteFunc(p.criteria.metrics(loadgen.Load{}), func(m Metric) bool { return !p.has(m.ID) })
}

// has tells whether every experiment of the pool has the metric.
func (p *Resampler) has(metric MetricID) bool { return len(p.changes[metric]) == p.blocks }

// Resample draws blocks for one experiment with the given looks, without
// replacement, decides it as a recorded one would have been, and returns the
// verdict on every metric. The pool must hold at least as many blocks as the
// last look.
func (p *Resampler) Resample(rng *rand.Rand, looks []int) map[MetricID]Verdict {
	drawn := rng.Perm(p.blocks)
	verdicts := map[MetricID]Verdict{}
	for _, blocks := range looks {
		var family []*finding
		for _, m := range p.metrics() {
			family = append(family, p.find(m, drawn[:blocks], 0))
		}
		judge(family, alpha(len(looks)))
		done := true
		for i, m := range p.metrics() {
			verdicts[m.ID] = family[i].verdict
			done = done && family[i].verdict != Inconclusive
		}
		if done {
			break
		}
	}
	return verdicts
}

// find is what the named blocks say of one metric if all its changes are moved
// by shift.
func (p *Resampler) find(m Metric, blocks []int, shift float64) *finding {
	values := make([]float64, len(blocks))
	for i, b := range blocks {
		values[i] = p.changes[m.ID][b] + shift
	}
	return &finding{better: m.Better, rule: p.criteria.rule(m), estimator: stat.SignedRank(values)}
}

// Resolution is the smallest regression of a metric, in percent, that an
// experiment of the given number of blocks, judged once, tells from none in four
// of five cases on the machine that the pool was recorded on, tolerance set
// aside and no other metric having changed. It is 0 if so few blocks find
// nothing however large, or the pool lacks the metric.
func (p *Resampler) Resolution(rng *rand.Rand, metric MetricID, blocks int) float64 {
	const most = 100.0 // percent
	m, known := FindMetric(metric)
	center := stat.SignedRank(p.changes[metric]).Estimate()
	if !known || !p.has(metric) || p.power(rng, m, blocks, center, most) < 0.8 {
		return 0
	}
	low, high := 0.0, most
	for high-low > 0.02*high {
		if middle := (low + high) / 2; p.power(rng, m, blocks, center, middle) < 0.8 {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// power is the share of experiments, drawn with replacement from blocks whose
// center is taken out, whose interval of the metric lies beyond its floor if the
// metric regressed by the given percent.
func (p *Resampler) power(rng *rand.Rand, m Metric, blocks int, center, regression float64) float64 {
	const experiments = 200
	change := stat.LogRatio(regression)
	if m.Better == Up {
		change = -change
	}
	found := 0
	drawn := make([]int, blocks)
	for range experiments {
		for i := range drawn {
			drawn[i] = rng.IntN(p.blocks)
		}
		f := p.find(m, drawn, change-center)
		f.rule.Tolerance = 0
		f.judge(1 - FalseAlarms/float64(len(p.metrics()))) // the first step of Holm's procedure
		if f.verdict == Regressed {
			found++
		}
	}
	return float64(found) / experiments
}
