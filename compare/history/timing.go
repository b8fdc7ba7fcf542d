package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/stat"
)

// ratio is what one record says of one timing metric: the logarithm of head by
// base, and its standard error.
type ratio struct {
	record      int
	log, err    float64
	base, group int // which base; which base on which machine
}

// base is a build that heads were recorded with.
type base struct {
	build   Build
	head    int // index of the ratio of which it was the head, -1 if it was of none
	ratios  []int
	level   float64 // of the base itself
	link    float64 // from the base to its first heads, 0 if they are not known to differ
	stretch int
}

// timing is how the ratios of a series hang together.
type timing struct {
	ratios []ratio
	bases  []base
	steps  []stat.Step // among heads that have a base in common
}

// link is the first heads of a base against that base.
type link struct {
	base       int
	shift, err float64
}

// findTiming chains the ratios of records to the base they have in common: what
// the machine does to head and base alike cancels. Two kinds of evidence tell of
// a change, each with half of alpha. Heads of the same base, recorded on the same
// kind of machine, are compared with each other. A base that was the head of an
// earlier record is compared with its own first heads.
func (c *Curve) findTiming(s *Series, alpha float64) {
	t := c.timing(s)
	if len(t.ratios) == 0 {
		s.Notes = append(s.Notes,
			"no run was recorded together with a base; timing of runs by themselves drifts with the machine")
		return
	}
	logs, groups := make([]float64, len(t.ratios)), make([]int, len(t.ratios))
	for i, r := range t.ratios {
		logs[i], groups[i] = r.log, r.group
	}
	floor := stat.LogRatio(s.Metric.Rule.Floor)
	t.steps = stat.Steps(logs, groups, alpha/2, floor)
	links := t.findLinks(alpha/2, floor)
	t.setLevels()
	for i, r := range t.ratios {
		s.Points = append(s.Points, t.point(i, r, c.Records[r.record].Metric(s.Metric.ID)))
	}
	s.mark(t.steps)
	for _, l := range links {
		s.markLink(t, l)
	}
	slices.SortStableFunc(s.Changes, func(a, b Change) int { return cmp.Compare(a.Upto, b.Upto) })
	s.noteStretches(c.Records, t)
	s.noteMachines(c.Records, t)
}

// markLink adds the change that a link is, unless a step tells of it already.
func (s *Series) markLink(t *timing, l link) {
	b := t.bases[l.base]
	margin := stat.NormalQuantile(0.99) * l.err
	after, upto := t.ratios[b.head].record, t.ratios[b.ratios[0]].record
	change := s.change(after, upto, l.shift, l.shift-margin, l.shift+margin)
	if !slices.ContainsFunc(s.Changes, change.overlaps) {
		s.Changes = append(s.Changes, change)
	}
}

func (c Change) overlaps(d Change) bool { return max(c.After, d.After) < min(c.Upto, d.Upto) }

func (c *Curve) timing(s *Series) *timing {
	t := &timing{}
	groups := map[string]int{}
	for i, r := range c.Records {
		m := r.Metric(s.Metric.ID)
		if m == nil || m.Value == nil || m.Change == nil {
			continue
		}
		b := t.baseOf(*r.Base, c.Records)
		name := fmt.Sprint(b, r.machine())
		if _, known := groups[name]; !known {
			groups[name] = len(groups)
		}
		t.bases[b].ratios = append(t.bases[b].ratios, len(t.ratios))
		t.ratios = append(t.ratios, ratio{
			record: i, base: b, group: groups[name],
			log: stat.LogRatio(m.Change.Percent), err: standardError(*m.Change),
		})
	}
	return t
}

// standardError is that of a change's logarithm, as its interval has it. The
// interval of very few blocks has a level of 0 and says nothing.
func standardError(c compare.Change) float64 {
	const highest = 1 - 1e-9
	if c.Level == 0 {
		return math.Inf(1)
	}
	half := (stat.LogRatio(c.High) - stat.LogRatio(c.Low)) / 2
	return half / stat.NormalQuantile(min(c.Level, highest))
}

// baseOf returns the index of a base.
func (t *timing) baseOf(build Build, records []Record) int {
	i := slices.IndexFunc(t.bases, func(b base) bool { return b.build.Same(build) })
	if i >= 0 {
		return i
	}
	b := base{build: build, head: -1}
	for k, r := range t.ratios {
		if records[r.record].Head.Same(build) {
			b.head = k
		}
	}
	t.bases = append(t.bases, b)
	return len(t.bases) - 1
}

// findLinks returns the links that are changes: those whose interval, at a level
// that is corrected for their number, lies beyond the floor. If the links as a
// whole vary by more than their intervals say, the intervals are widened.
func (t *timing) findLinks(alpha, floor float64) []link {
	const enough = 5 // links, to tell how much they vary
	var links []link
	var sizes []float64
	for i, b := range t.bases {
		if b.head < 0 {
			continue
		}
		l := t.link(i)
		links = append(links, l)
		sizes = append(sizes, math.Abs(l.shift)/l.err)
	}
	widen := 1.0
	if len(links) >= enough {
		widen = max(1, stat.Median(sizes)/stat.NormalQuantile(0.5))
	}
	level := 1 - alpha/float64(len(links))
	var changes []link
	for _, l := range links {
		l.err *= widen
		if math.Abs(l.shift)-floor > stat.NormalQuantile(level)*l.err {
			changes = append(changes, l)
			t.bases[l.base].link = l.shift
		}
	}
	return changes
}

// link takes the heads of a base up to where they may have changed themselves.
func (t *timing) link(i int) link {
	b := t.bases[i]
	end := len(t.ratios)
	for _, s := range t.steps {
		if s.At > b.ratios[0] {
			end = max(s.First, b.ratios[0]+1)
			break
		}
	}
	l, squares, n := link{base: i}, 0.0, 0.0
	for _, k := range b.ratios {
		if r := t.ratios[k]; k < end {
			l.shift += r.log
			squares += r.err * r.err
			n++
		}
	}
	l.shift, l.err = l.shift/n, math.Sqrt(squares)/n
	return l
}

// setLevels puts every base where the record put it of which it was the head. A
// base that was of none begins a stretch, at 0.
func (t *timing) setLevels() {
	stretches := 0
	for i := range t.bases {
		b := &t.bases[i]
		if b.head < 0 {
			b.stretch = stretches
			stretches++
			continue
		}
		r := t.ratios[b.head]
		b.level, b.stretch = t.level(b.head), t.bases[r.base].stretch
	}
}

// level is where the steps and links put a head.
func (t *timing) level(i int) float64 {
	r := t.ratios[i]
	b := t.bases[r.base]
	if b.head >= 0 {
		return b.level + b.link + t.stepped(i)
	}
	sum, n := 0.0, 0.0
	for _, k := range b.ratios {
		sum += t.ratios[k].log - t.stepped(k)
		n++
	}
	return b.level + sum/n + t.stepped(i)
}

// stepped is by how much the steps since the first head of its base moved a
// head.
func (t *timing) stepped(i int) float64 {
	sum, first := 0.0, t.bases[t.ratios[i].base].ratios[0]
	for _, s := range t.steps {
		if first < s.At && s.At <= i {
			sum += s.Shift
		}
	}
	return sum
}

// point is a record's change in percent against the first base of its stretch.
func (t *timing) point(i int, r ratio, m *Metric) Point {
	b := t.bases[r.base]
	against := func(percent float64) float64 { return stat.Percent(b.level + stat.LogRatio(percent)) }
	return Point{
		Record: r.record, Value: against(m.Change.Percent), Low: against(m.Change.Low), High: against(m.Change.High),
		Level: stat.Percent(t.level(i)), Stretch: b.stretch,
	}
}

// noteStretches says where the chain breaks.
func (s *Series) noteStretches(records []Record, t *timing) {
	const most = 3
	var breaks []string
	for i, b := range t.bases {
		if b.head < 0 && i > 0 {
			first := records[t.ratios[b.ratios[0]].record]
			breaks = append(breaks, fmt.Sprintf("at %s (base %s)", first.Head, b.build))
		}
	}
	if len(breaks) == 0 {
		return
	}
	named := strings.Join(breaks[:min(most, len(breaks))], ", ")
	if len(breaks) > most {
		named += fmt.Sprintf(" and %d more", len(breaks)-most)
	}
	s.Notes = append(s.Notes, "the curve starts anew where the base is no earlier head of this history: "+named)
}

// noteMachines says where the kind of machine changed for good, so that nothing
// links the heads of a base before and after.
func (s *Series) noteMachines(records []Record, t *timing) {
	var cuts []string
	for _, b := range t.bases {
		last := map[int]int{} // ratio of each group
		for _, k := range b.ratios {
			last[t.ratios[k].group] = k
		}
		reach := b.ratios[0]
		for _, k := range b.ratios {
			if k > reach {
				cuts = append(cuts, records[t.ratios[k].record].Head.String())
			}
			reach = max(reach, last[t.ratios[k].group])
		}
	}
	if len(cuts) > 0 {
		s.Notes = append(s.Notes, "the kind of machine changes for good, so that a change just there could not be "+
			"told from it: at "+strings.Join(cuts, ", "))
	}
}
