package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/stat"
)

// Curve is what the records of one server under one load say over its commits,
// in the order of the history.
type Curve struct {
	Name     string
	Load     string
	Records  []Record
	Machines int // kinds of machine that recorded it
	Series   []Series
}

// Series is one metric of a curve. An allocation metric is as it was measured,
// in its unit: it is the same on any machine. Timing is a change in percent
// against the first base of its stretch.
type Series struct {
	Metric  compare.Metric
	Points  []Point
	Changes []Change
	Notes   []string // what the series cannot tell, and why
}

// Point is one metric of one record.
type Point struct {
	Record    int // index in the curve
	Value     float64
	Low, High float64 // interval of the record; Value if it has none
	Level     float64 // between two changes
	Stretch   int     // points are comparable within one
}

// Change is where a metric's level changed: somewhere after one record, up to
// and including another.
type Change struct {
	After, Upto int     // indices in the curve
	Percent     float64 // 99% interval
	Low, High   float64
	Verdict     compare.Verdict // improved or regressed
}

// FalseMarks is the probability at most that a history without any change has
// any marked, whichever its curves and metrics are.
const FalseMarks = 0.005

// Curves arranges the records of a history, and finds the changes.
func Curves(records []Record) []Curve {
	var curves []Curve
	for _, r := range records {
		same := func(c Curve) bool { return c.Name == r.Curve && c.Load == r.Load }
		i := slices.IndexFunc(curves, same)
		if i < 0 {
			i = len(curves)
			curves = append(curves, Curve{Name: r.Curve, Load: r.Load})
		}
		curves[i].Records = append(curves[i].Records, r)
	}
	all := 0
	for i := range curves {
		curves[i].measure()
		all += len(curves[i].Series)
	}
	for i := range curves {
		for k := range curves[i].Series {
			curves[i].find(&curves[i].Series[k], FalseMarks/float64(all))
		}
	}
	return curves
}

// measure says which metrics a curve has.
func (c *Curve) measure() {
	machines := map[string]bool{}
	for _, r := range c.Records {
		machines[r.machine()] = true
	}
	c.Machines = len(machines)
	for _, m := range compare.EveryMetric() {
		has := func(r Record) bool { return r.Metric(m.ID) != nil && r.Metric(m.ID).Value != nil }
		if m.Share { // of failures, of which there mostly are none
			has = func(r Record) bool { return r.Metric(m.ID) != nil && orZero(r.Metric(m.ID).Value) > 0 }
		}
		if !m.Bound && slices.ContainsFunc(c.Records, has) {
			c.Series = append(c.Series, Series{Metric: m})
		}
	}
}

// machine identifies the kind of machine of a record. Runners come and go, and
// so do kernels; how the cost of two builds relates depends on the processor.
func (r Record) machine() string {
	m := r.Machine
	return fmt.Sprintf("%s/%s %s, %d CPUs, GOMAXPROCS %d", m.OS, m.Arch, m.CPUModel, m.Affinity, m.GOMAXPROCS)
}

// find fills a series; alpha is the probability that it has a false change.
func (c *Curve) find(s *Series, alpha float64) {
	if s.Relative() {
		c.findTiming(s, alpha)
		return
	}
	c.findExact(s, alpha)
}

// findExact takes the values as they are, wherever they were recorded.
func (c *Curve) findExact(s *Series, alpha float64) {
	var logs []float64
	for i, r := range c.Records {
		m := r.Metric(s.Metric.ID)
		if m == nil || m.Value == nil {
			continue
		}
		p := Point{Record: i, Value: *m.Value, Low: *m.Value, High: *m.Value, Level: *m.Value}
		if m.Change != nil && !s.Metric.Share {
			p.Low *= (100 + m.Change.Low) / (100 + m.Change.Percent)
			p.High *= (100 + m.Change.High) / (100 + m.Change.Percent)
		}
		s.Points = append(s.Points, p)
		logs = append(logs, math.Log(p.Value))
	}
	zero := func(p Point) bool { return p.Value == 0 }
	switch {
	case s.Metric.Share:
		s.Notes = append(s.Notes, "what fails depends on the machine too, so no change is marked")
		return
	case !slices.ContainsFunc(s.Points, func(p Point) bool { return !zero(p) }):
		return // 0 throughout
	case slices.ContainsFunc(s.Points, zero):
		s.Notes = append(s.Notes, "0 in some run, so there is no ratio, and no change is marked")
		return
	}
	least := slices.MinFunc(s.Points, func(a, b Point) int { return cmp.Compare(a.Value, b.Value) })
	floor := stat.LogRatio(s.Metric.Rule.At(least.Value).Floor)
	steps := stat.Steps(logs, make([]int, len(logs)), alpha, floor)
	s.mark(steps)
	s.level(steps, logs)
}

// orZero takes what is not known for nothing.
func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// level gives every point the level between two steps, of values that are
// logarithms.
func (s *Series) level(steps []stat.Step, logs []float64) {
	lo := 0
	for i := range len(steps) + 1 {
		hi := len(logs)
		if i < len(steps) {
			hi = steps[i].At
		}
		level := math.Exp(mean(logs[lo:hi]))
		for k := lo; k < hi; k++ {
			s.Points[k].Level = level
		}
		lo = hi
	}
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// mark adds the changes that steps in the points are.
func (s *Series) mark(steps []stat.Step) {
	for _, step := range steps {
		s.Changes = append(s.Changes, s.change(s.Points[step.First-1].Record, s.Points[step.Last].Record,
			step.Shift, step.Low, step.High))
	}
}

func (s *Series) change(after, upto int, shift, low, high float64) Change {
	verdict := compare.Regressed
	if (shift > 0) == (s.Metric.Better == compare.Up) {
		verdict = compare.Improved
	}
	return Change{
		After: after, Upto: upto, Verdict: verdict,
		Percent: stat.Percent(shift), Low: stat.Percent(low), High: stat.Percent(high),
	}
}

// Ends are the first and the last of the points that can be compared with the
// latest. There must be a point.
func (s Series) Ends() (first, last Point) {
	last = s.Points[len(s.Points)-1]
	i := slices.IndexFunc(s.Points, func(p Point) bool { return p.Stretch == last.Stretch })
	return s.Points[i], last
}

// Relative reports whether points are changes in percent rather than figures in
// the metric's unit.
func (s Series) Relative() bool { return s.Metric.Timing || s.Metric.Counted }
