package compare

import (
	"math/rand/v2"
	"slices"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Pool holds how head and base differed in each block of many experiments of
// the same two subjects, to draw further experiments from.
type Pool struct {
	criteria Criteria
	changes  map[string][]float64 // ln(head/base) of every block, by gated metric
	blocks   int
}

// NewPool makes an empty pool of the gated metrics of c.
func NewPool(c Criteria) *Pool {
	return &Pool{criteria: c, changes: map[string][]float64{}}
}

// Add takes in the blocks of one experiment. Metrics that one of its runs lacks
// are left out of the pool altogether.
func (p *Pool) Add(base, head *runfolder.Run) {
	blocks := min(len(base.Manifest.Blocks), len(head.Manifest.Blocks))
	for _, m := range p.criteria.metrics(base.Manifest.Load) {
		if !base.Has(m.Source) || !head.Has(m.Source) {
			continue
		}
		p.changes[m.Name] = append(p.changes[m.Name], m.pairedLogRatios(base, head, blocks)...)
	}
	p.blocks += blocks
}

// Blocks is the number of blocks in the pool.
func (p *Pool) Blocks() int { return p.blocks }

// metrics are the gated ones that every experiment of the pool has.
func (p *Pool) metrics() []Metric {
	return slices.DeleteFunc(p.criteria.metrics(loadgen.Load{}), func(m Metric) bool { return !p.has(m.Name) })
}

// has tells whether every experiment of the pool has the metric.
func (p *Pool) has(metric string) bool { return len(p.changes[metric]) == p.blocks }

// Resample draws blocks for one experiment with the given looks, without
// replacement, decides it as a recorded one would have been, and returns the
// verdict on every metric. The pool must hold at least as many blocks as the
// last look.
func (p *Pool) Resample(rng *rand.Rand, looks []int) map[string]Verdict {
	drawn := rng.Perm(p.blocks)
	verdicts := map[string]Verdict{}
	for _, blocks := range looks {
		var family []*finding
		for _, m := range p.metrics() {
			family = append(family, p.find(m, drawn[:blocks], 0))
		}
		judge(family, alpha(len(looks)))
		done := true
		for i, m := range p.metrics() {
			verdicts[m.Name] = family[i].verdict
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
func (p *Pool) find(m Metric, blocks []int, shift float64) *finding {
	values := make([]float64, len(blocks))
	for i, b := range blocks {
		values[i] = p.changes[m.Name][b] + shift
	}
	f := m.finding(p.criteria)
	f.estimator = SignedRank(values)
	return f
}

// Resolution is the smallest regression of a metric, in percent, that an
// experiment of the given number of blocks, judged once, tells from none in four
// of five cases on the machine that the pool was recorded on, tolerance set
// aside and no other metric having changed. It is 0 if so few blocks find
// nothing however large, or the pool lacks the metric.
func (p *Pool) Resolution(rng *rand.Rand, metric string, blocks int) float64 {
	const most = 100.0 // percent
	m := metricNamed(metric)
	centre := SignedRank(p.changes[metric]).Estimate()
	if !p.has(metric) || p.power(rng, m, blocks, centre, most) < 0.8 {
		return 0
	}
	low, high := 0.0, most
	for high-low > 0.02*high {
		if middle := (low + high) / 2; p.power(rng, m, blocks, centre, middle) < 0.8 {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// power is the share of experiments, drawn with replacement from blocks whose
// centre is taken out, whose interval of the metric lies beyond its floor if the
// metric regressed by the given percent.
func (p *Pool) power(rng *rand.Rand, m Metric, blocks int, centre, regression float64) float64 {
	const experiments = 200
	change := logRatio(regression)
	if m.Better == Up {
		change = -change
	}
	found := 0
	drawn := make([]int, blocks)
	for range experiments {
		for i := range drawn {
			drawn[i] = rng.IntN(p.blocks)
		}
		f := p.find(m, drawn, change-centre)
		f.rule.Tolerance = 0
		f.judge(1 - falseAlarms/float64(len(p.metrics()))) // the first step of Holm's procedure
		if f.verdict == Regressed {
			found++
		}
	}
	return float64(found) / experiments
}
