package compare

import (
	"math/rand/v2"
	"slices"

	"github.com/eventobench/eventobench/profiles"
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
func (p *Pool) Add(base, head *profiles.Run) {
	blocks := min(len(base.Manifest.Blocks), len(head.Manifest.Blocks))
	for _, m := range p.criteria.metrics() {
		if !base.Has(m.Source) || !head.Has(m.Source) {
			continue
		}
		p.changes[m.Name] = append(p.changes[m.Name], m.pairedLogRatios(base, head, blocks)...)
	}
	p.blocks += blocks
}

// Blocks is the number of blocks in the pool.
func (p *Pool) Blocks() int { return p.blocks }

// metrics are those that every experiment of the pool has.
func (p *Pool) metrics() []Metric {
	return slices.DeleteFunc(p.criteria.metrics(), func(m Metric) bool { return len(p.changes[m.Name]) < p.blocks })
}

// Resample draws blocks for one experiment with the given looks, without
// replacement, decides it as a recorded one would have been, and returns the
// verdict on every metric. The pool must hold at least as many blocks as the
// last look.
func (p *Pool) Resample(rng *rand.Rand, looks []int) map[string]Verdict {
	drawn := rng.Perm(p.blocks)
	verdicts := map[string]Verdict{}
	for _, blocks := range looks {
		done := true
		for name, f := range p.judge(drawn[:blocks], alpha(len(looks)), nil) {
			verdicts[name] = f.verdict
			done = done && f.verdict != Inconclusive
		}
		if done {
			break
		}
	}
	return verdicts
}

// judge decides on the named blocks, with the changes of some metrics moved by
// shift.
func (p *Pool) judge(blocks []int, level float64, shift map[string]float64) map[string]*finding {
	found := map[string]*finding{}
	var family []*finding
	for _, m := range p.metrics() {
		values := make([]float64, len(blocks))
		for i, b := range blocks {
			values[i] = p.changes[m.Name][b] + shift[m.Name]
		}
		f := m.finding(p.criteria)
		f.estimator = SignedRank(values)
		found[m.Name], family = f, append(family, f)
	}
	judge(family, level)
	return found
}

// Resolution is the smallest regression of a metric, in percent, that an
// experiment of the given number of blocks, judged once, tells from none in four
// of five cases on the machine that the pool was recorded on, tolerance set
// aside. It is 0 if so few blocks find nothing however large.
func (p *Pool) Resolution(rng *rand.Rand, metric string, blocks int) float64 {
	const most = 100.0 // percent
	if p.power(rng, metric, blocks, most) < 0.8 {
		return 0
	}
	low, high := 0.0, most
	for high-low > 0.02*high {
		if middle := (low + high) / 2; p.power(rng, metric, blocks, middle) < 0.8 {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// power is the share of experiments, drawn with replacement from blocks whose
// median change is taken out, whose interval of the metric lies beyond its floor
// if the metric regressed by the given percent.
func (p *Pool) power(rng *rand.Rand, metric string, blocks int, regression float64) float64 {
	const experiments = 200
	change := logRatio(regression)
	if metricNamed(metric).Better == Up {
		change = -change
	}
	shift := map[string]float64{metric: change - SignedRank(p.changes[metric]).Estimate()}
	found := 0
	for range experiments {
		drawn := make([]int, blocks)
		for i := range drawn {
			drawn[i] = rng.IntN(p.blocks)
		}
		f := p.judge(drawn, falseAlarms, shift)[metric]
		f.rule.Tolerance = 0
		if f.decide() == Regressed {
			found++
		}
	}
	return float64(found) / experiments
}
