package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Verdict is the answer that a comparison gives.
type Verdict string

// The verdicts. A metric that is shown but not judged has none.
const (
	Improved     Verdict = "improved"     // the whole interval is better than the floor
	Regressed    Verdict = "regressed"    // the whole interval is worse than the floor
	Equivalent   Verdict = "equivalent"   // the whole interval is within the tolerance
	Inconclusive Verdict = "inconclusive" // none of these, or too few blocks to say
	NotJudged    Verdict = ""
)

// Error rates. A comparison calls a metric improved or regressed although it is
// neither with at most this probability, whichever of its metrics it is and
// however often the experiment looked at its data.
const falseAlarms = 0.01

// lookAlpha is the nominal level of each of three looks at 60%, 80% and 100% of
// the blocks that keeps falseAlarms over all of them (Pocock, Biometrika 64
// (1977) 191-199; TestPocock simulates it for these looks).
const lookAlpha = 0.0048

// alpha is the nominal level of one look out of the number that were planned.
func alpha(looks int) float64 {
	if looks > 1 {
		return lookAlpha
	}
	return falseAlarms
}

// Rule says when a change of a metric matters, in percent. It is meant as a
// ratio: 3% is a factor of 1.03 upwards and of 1/1.03 downwards.
type Rule struct {
	Tolerance float64 `json:"tolerance_percent"` // a change within is as good as none
	Floor     float64 `json:"floor_percent"`     // a smaller change is not told from none
}

// Criteria say which metrics are gated and how.
type Criteria struct {
	Rules map[string]Rule // of the gated metrics, by name
	Drift float64         // percent: timing of runs that were not recorded together must differ by more
}

// DefaultCriteria gates throughput, CPU and allocations.
func DefaultCriteria() Criteria {
	c := Criteria{Rules: map[string]Rule{}, Drift: 15}
	for _, name := range []string{"ops_per_sec", "cpu_per_op", "alloc_bytes_per_op", "allocs_per_op"} {
		c.Rules[name] = metricNamed(name).Rule
	}
	return c
}

// Gate adds a metric to the gated ones, or changes its tolerance (in percent; 0
// for the metric's own).
func (c Criteria) Gate(name string, tolerance float64) error {
	i := slices.IndexFunc(Metrics, func(m Metric) bool { return m.Name == name && m.Better != Neutral })
	if i < 0 {
		return fmt.Errorf("no metric %q can be gated; there are %s", name, strings.Join(judgedNames(), ", "))
	}
	rule, gated := c.Rules[name]
	if !gated {
		rule = Metrics[i].Rule
	}
	if tolerance < 0 || tolerance > 0 && tolerance <= rule.Floor {
		return fmt.Errorf("tolerance %g%% of %s: it must be above %g%%, the difference that fresh processes of one binary can show", tolerance, name, rule.Floor)
	}
	rule.Tolerance = cmp.Or(tolerance, rule.Tolerance)
	c.Rules[name] = rule
	return nil
}

func judgedNames() []string {
	var names []string
	for _, m := range Metrics {
		if m.Better != Neutral {
			names = append(names, m.Name)
		}
	}
	return names
}

// finding is what the blocks of two runs say about one metric.
type finding struct {
	better    Direction
	rule      Rule
	estimator Estimator // of ln(head/base)
	level     float64   // asked of the interval, set by judge as what follows
	interval  Interval  // of what is estimated
	verdict   Verdict
}

// judge decides a family of metrics together. Their intervals are as wide as
// Holm's procedure asks, so that the probability of any false improved or
// regressed is at most alpha; the verdict then follows from the interval alone.
func judge(family []*finding, alpha float64) {
	p := make([]float64, len(family))
	for i, f := range family {
		p[i] = f.estimator.Beyond(logRatio(f.rule.Floor))
	}
	for i, a := range holm(p, alpha) {
		family[i].judge(1 - a)
	}
}

// holm returns the level that each p-value is held against in Holm's step-down
// procedure (Scandinavian Journal of Statistics 6 (1979) 65-70): the smallest
// against alpha shared among all, every further one against alpha shared among
// those that are left after what has been rejected.
func holm(p []float64, alpha float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(p[i], p[j]) })
	levels := make([]float64, len(p))
	left := len(p)
	for _, i := range order {
		levels[i] = alpha / float64(left)
		if p[i] <= levels[i] {
			left--
		}
	}
	return levels
}

func (f *finding) judge(level float64) {
	f.level, f.interval = level, f.estimator.Interval(level)
	f.verdict = f.decide()
}

// decide gives the verdict that follows from the interval, if it has the level.
func (f *finding) decide() Verdict {
	const rounding = 1e-9
	low, high := f.interval.Low, f.interval.High
	if f.better == Up { // turn it, so that higher is worse
		low, high = -high, -low
	}
	tolerance, floor := logRatio(f.rule.Tolerance), logRatio(f.rule.Floor)
	switch {
	case f.interval.Level < f.level-rounding:
		return Inconclusive
	case -tolerance < low && high < tolerance:
		return Equivalent
	case low > floor:
		return Regressed
	case high < -floor:
		return Improved
	}
	return Inconclusive
}

// overall is the verdict on all gated metrics together: any regression counts,
// then any doubt, a metric that could not be read included, then any
// improvement. Timing that must not be compared does not count, nor does what is
// waived.
func overall(metrics []MetricChange) Verdict {
	for _, v := range []Verdict{Regressed, Inconclusive, Improved, Equivalent} {
		if slices.ContainsFunc(metrics, func(m MetricChange) bool { return m.Gated && !m.Waived && m.Verdict == v }) {
			return v
		}
	}
	if slices.ContainsFunc(metrics, func(m MetricChange) bool { return m.Waived }) {
		return Equivalent
	}
	return Inconclusive
}
