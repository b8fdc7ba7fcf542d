package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Error rates. A comparison calls a metric improved or regressed although it is
// neither with at most this probability, whichever of its metrics it is and
// however often the experiment looked at its data.
const FalseAlarms = 0.01

// lookAlpha is the nominal level of each of three looks at 60%, 80% and 100% of
// the blocks that keeps FalseAlarms over all of them (Pocock, Biometrika 64
// (1977) 191-199; TestPocock simulates it for these looks).
const lookAlpha = 0.0048

// ProcessAllowance is by how many percent one process of a build can differ in its
// times from one of the same build, as nine in a thousand pairs do or fewer: fresh
// processes had a standard deviation of 0.7%, so that of a difference is 1.0%,
// and this is three of them.
const ProcessAllowance = 3

// alpha is the nominal level of one look out of the number that were planned.
func alpha(looks int) float64 {
	if looks > 1 {
		return lookAlpha
	}
	return FalseAlarms
}

// Rule says when a change of a metric matters, in percent. It is meant as a
// ratio: 3% is a factor of 1.03 upwards and of 1/1.03 downwards. Of a share of
// requests it is a difference, in percentage points.
type Rule struct {
	Tolerance float64 `json:"tolerance_percent"` // a change within it does not matter
	Floor     float64 `json:"floor_percent"`     // a smaller change cannot be told from none
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
		return fmt.Errorf("tolerance %g%% of %s: it must be above %g%%, the difference that fresh processes of one binary can show",
			tolerance, id, rule.Floor)
	}
	rule.Tolerance = cmp.Or(tolerance, rule.Tolerance)
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

// rule is how a metric is judged.
func (c Criteria) rule(m Metric) Rule {
	if rule, gated := c.Rules[m.ID]; gated {
		return rule
	}
	return m.Rule
}
