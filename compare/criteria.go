package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Error rates. A comparison calls a metric improved or regressed although it is
// neither with at most this probability, whichever of its metrics it is and
// however often the experiment looked at its data.
const FalseAlarms = 0.01

// lookAlpha is the nominal level of each of three looks at 60%, 80% and 100% of
// the blocks, as version 0.1 had them, that keeps FalseAlarms over all of them
// (Pocock, Biometrika 64 (1977) 191-199; TestPocock simulates it for these looks).
const lookAlpha = 0.0048

// ProcessAllowance is by how many percent one process of a build can differ in its
// times from one of the same build, as nine in a thousand pairs do or fewer: fresh
// processes had a standard deviation of 0.7%, so that of a difference is 1.0%,
// and this is three of them.
const ProcessAllowance = 3

// levels are the nominal levels of a judgement: that of each of so many tests which
// share its error rate.
type levels func(among int) float64

// once is the judgement of an error rate that is not looked for again.
func once(alpha float64) levels {
	return func(among int) float64 { return alpha / float64(among) }
}

// atLook is the look at so many blocks of an experiment that spends alpha on all of
// its looks.
func atLook(p runfolder.Plan, blocks int, alpha float64) levels {
	return func(among int) float64 { return lookShare(p, blocks, alpha/float64(among)) }
}

// lookShare is the nominal level of the look at so many blocks, of an experiment that
// spends alpha on all of its looks.
func lookShare(p runfolder.Plan, blocks int, alpha float64) float64 {
	switch {
	case len(p.Looks()) == 1:
		return alpha
	case p.FirstLook == 0:
		return alpha * lookAlpha / FalseAlarms
	}
	return stat.Spending{First: p.FirstLook, Planned: p.Blocks, Power: 1}.Level(blocks, alpha)
}

// firstShare is the error rate of the programs as built. If blocks of other layouts
// may follow, it is what they leave, whether they do or not: a metric that was decided
// before they came must not lose its verdict when they come.
func firstShare(p runfolder.Plan) float64 {
	if p.Layouts > 0 {
		return FalseAlarms * (1 - layoutShare)
	}
	return FalseAlarms
}

// levelsOf are those of two runs. Runs that were not recorded together were not looked
// at together, and have the level of the last look.
func levelsOf(base, head side, alpha float64) levels {
	p := base.Manifest.Plan
	blocks := p.Blocks
	if paired(base.Run, head.Run) {
		blocks = blocksOf(base, head)
	}
	return atLook(p, blocks, alpha)
}

// Rule says when a change of a metric matters, in percent. It is meant as a
// ratio: 3% is a factor of 1.03 upwards and of 1/1.03 downwards. Of a share of
// requests it is a difference, in percentage points.
type Rule struct {
	Tolerance float64 `json:"tolerance_percent"` // a change within it does not matter
	Floor     float64 `json:"floor_percent"`     // a smaller change cannot be told from none
	Least     float64 `json:"least,omitempty"`   // in the metric's unit: the smallest that a tolerance may come to
}

// At is the rule for a metric of that value in base. Where the tolerance would come to
// less than Least, tolerance and floor are as many times as large; elsewhere Least has
// no part in it, and is 0.
func (r Rule) At(base float64) Rule {
	if times := 100 * r.Least / (base * r.Tolerance); r.Least > 0 && base > 0 && times > 1 {
		return Rule{Tolerance: r.Tolerance * times, Floor: r.Floor * times, Least: r.Least}
	}
	return Rule{Tolerance: r.Tolerance, Floor: r.Floor}
}

// Criteria say which metrics are gated and how.
type Criteria struct {
	Rules map[MetricID]Rule // of the gated metrics
	Drift float64           // percent: timing of runs that were not recorded together must differ by more
}

// MetricSet names metrics that are gated together.
type MetricSet string

// The sets. Failed requests are in each: whatever else is asked for, a server that
// fails is not better.
const (
	AllMetrics  MetricSet = "all"    // those whose row says so: throughput, CPU, allocations
	Allocations MetricSet = "allocs" // bytes and numbers, which no other load of the machine moves
)

// MetricSets are all there are.
var MetricSets = []MetricSet{AllMetrics, Allocations}

// has reports whether a metric that is gated by default is in the set.
func (s MetricSet) has(m Metric) bool {
	return s == AllMetrics || m.Share || m.Source == runfolder.SourceMemStats
}

// DefaultCriteria gates all metrics whose row says so.
func DefaultCriteria() Criteria { return criteriaOf(AllMetrics) }

// CriteriaOf gates the metrics of a set by its name.
func CriteriaOf(set string) (Criteria, error) {
	if !slices.Contains(MetricSets, MetricSet(set)) {
		return Criteria{}, fmt.Errorf("unknown set of metrics %q; there are all and allocs", set)
	}
	return criteriaOf(MetricSet(set)), nil
}

func criteriaOf(set MetricSet) Criteria {
	c := Criteria{Rules: map[MetricID]Rule{}, Drift: 15}
	for _, m := range Metrics {
		if m.Gated && set.has(m) {
			c.Rules[m.ID] = m.Rule
		}
	}
	return c
}

// CountsOnly reports whether all gated metrics are of the set of allocations: counts
// that short blocks tell as well as long ones.
func (c Criteria) CountsOnly() bool {
	for id := range c.Rules {
		if m, _ := FindMetric(id); !Allocations.has(m) {
			return false
		}
	}
	return true
}

// Gate adds a metric to the gated ones, or changes its tolerance (in percent; 0
// for the metric's own).
func (c Criteria) Gate(id MetricID, tolerance float64) error {
	m, known := FindMetric(id)
	if !known || m.Better == Neutral {
		return fmt.Errorf("no metric %q can be gated; there are %s", id, strings.Join(judgedIDs(), ", "))
	}
	rule, gated := c.Rules[id]
	if !gated {
		rule = m.Rule
	}
	if tolerance < 0 || tolerance > 0 && tolerance <= rule.Floor {
		return fmt.Errorf("tolerance %g%% of %s: it must be above %g%%, "+
			"the difference that fresh processes of one binary can show", tolerance, id, rule.Floor)
	}
	if tolerance > 0 {
		rule.Tolerance, rule.Least = tolerance, 0
	}
	c.Rules[id] = rule
	return nil
}

func judgedIDs() []string {
	var ids []string
	for _, m := range Metrics {
		if m.Better != Neutral {
			ids = append(ids, string(m.ID))
		}
	}
	return ids
}

// gates reports whether a metric, as it is under some load, is gated.
func (c Criteria) gates(m Metric) bool {
	_, gated := c.Rules[m.ID]
	return gated && m.Better != Neutral
}

// metrics are the gated ones of those given.
func (c Criteria) metrics(all []Metric) []Metric {
	return slices.DeleteFunc(slices.Clone(all), func(m Metric) bool { return !c.gates(m) })
}

// rule is how a metric of a value in base is judged; nil if base has none.
func (c Criteria) rule(m Metric, base *float64) Rule {
	rule, gated := c.Rules[m.ID]
	if !gated {
		rule = m.Rule
	}
	if base == nil {
		return rule.At(0)
	}
	return rule.At(*base)
}
