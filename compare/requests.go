package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/internal/texttab"
)

// Requests are the figures of every kind of request of a comparison, judged
// together and apart from the gated metrics.
type Requests struct {
	Summary string       `json:"summary"` // what moved, and what of the rest is known
	Kinds   []KindChange `json:"kinds"`   // in the order of the load
}

// KindChange is what changed for one kind of request.
type KindChange struct {
	Kind         string         `json:"kind"`
	BaseRequests int64          `json:"base_requests"` // failed ones included
	HeadRequests int64          `json:"head_requests"`
	Verdict      Verdict        `json:"verdict"` // on its judged metrics together
	Metrics      []MetricChange `json:"metrics"` // none of them is gated
}

// KindUse says whether a metric is also computed of every kind of request by
// itself.
type KindUse int

// The uses of a metric for kinds of request.
const (
	NotByKind KindUse = iota
	ShownByKind
	JudgedByKind
)

// byKind are the metrics that kinds of request have, as they are judged there.
func byKind(metrics []Metric) []Metric {
	var all []Metric
	for _, m := range metrics {
		if m.ByKind == ShownByKind {
			m.Better = Neutral
		}
		if m.ByKind != NotByKind {
			all = append(all, m)
		}
	}
	return all
}

// compareRequests judges every kind of request of a load with several, all in
// one family. It is nil for a load with one.
func compareRequests(base, head side, c Criteria, doubt string) *Requests {
	if len(base.kinds) < 2 {
		return nil
	}
	metrics := byKind(metricsOfPair(base, head, c))
	level := levelsOf(base, head, FalseAlarms)
	found, family := estimateKinds(base, head, c, metrics, level)
	judge(family, level)
	r := &Requests{}
	for k, kind := range base.Manifest.Load.Kinds {
		change := KindChange{
			Kind: kind, BaseRequests: base.kinds[k].requests(), HeadRequests: head.kinds[k].requests(),
		}
		for i, m := range metrics {
			result := found[k][i].doubted(m, doubt)
			change.Metrics = append(change.Metrics, describeKind(m, base.kinds[k], head.kinds[k], result, c))
		}
		change.Verdict = worst(change.Metrics)
		r.Kinds = append(r.Kinds, change)
	}
	r.Summary = sentence(r.Kinds, doubt)
	if short(family) {
		r.Summary += fmt.Sprintf("; %s too few to judge %d figures together",
			texttab.CountIs(min(len(base.blocks), len(head.blocks)), "block"), len(family))
		if paired(base.Run, head.Run) {
			r.Summary += fmt.Sprintf(", that takes %d", fewestBlocks(level(len(family))))
		}
	}
	return r
}

// estimateKinds returns what was found of every metric of every kind, and those
// findings that are to be judged. The others have their intervals.
func estimateKinds(base, head side, c Criteria, metrics []Metric, level levels) ([][]result, []*finding) {
	found := make([][]result, len(base.kinds))
	var family []*finding
	for k := range base.kinds {
		for _, m := range metrics {
			r := estimate(m, base.kinds[k], head.kinds[k], c)
			found[k] = append(found[k], r)
			switch {
			case r.finding == nil:
			case m.Better != Neutral:
				family = append(family, r.finding)
			default:
				r.interval = r.intervalAt(1 - level(1))
			}
		}
	}
	return found, family
}

func describeKind(m Metric, base, head side, found result, c Criteria) MetricChange {
	mc := describe(m, base, head, found, c)
	mc.Gated = false
	if found.finding == nil && m.Better != Neutral {
		mc.Verdict = found.bare
	}
	return mc
}

// requests is the number of requests, failed ones included.
func (s side) requests() int64 { return int64(s.whole.ops + s.whole.failed) }

// short reports whether there are too few blocks for the level that a family
// asks for.
func short(family []*finding) bool {
	return slices.ContainsFunc(family, func(f *finding) bool { return f.interval.Level < f.level-1e-9 })
}

// fewestBlocks is how many paired blocks the exact interval of a level 1-alpha
// takes: n blocks reach 2/2^n.
func fewestBlocks(alpha float64) int { return int(math.Ceil(1 - math.Log2(alpha))) }

// worst is the verdict on metrics together: a regression counts first, then
// doubt, then an improvement.
func worst(metrics []MetricChange) Verdict {
	for _, v := range byWeight {
		if slices.ContainsFunc(metrics, func(m MetricChange) bool { return m.Verdict == v }) {
			return v
		}
	}
	return NotJudged
}

// tally sorts kinds of request by what is known of them.
type tally struct {
	moved                []move // regressions first
	unchanged, undecided []string
}

// move is what moved alike in some kinds, such as "p50 and p99 of write and read
// improved".
type move struct {
	figures string
	verdict Verdict
	kinds   []string
}

func (m move) String() string {
	return fmt.Sprintf("%s of %s %s", m.figures, firstOf(m.kinds), m.verdict)
}

func tallied(kinds []KindChange) tally {
	var t tally
	for _, v := range []Verdict{Regressed, Improved} {
		for _, k := range kinds {
			t.add(move{k.moved(v), v, []string{k.Kind}})
		}
	}
	for _, k := range kinds {
		switch {
		case k.moved(Regressed)+k.moved(Improved) != "":
		case k.Verdict == Equivalent:
			t.unchanged = append(t.unchanged, k.Kind)
		default:
			t.undecided = append(t.undecided, k.Kind)
		}
	}
	return t
}

// add joins what moved alike.
func (t *tally) add(m move) {
	alike := func(o move) bool { return o.figures == m.figures && o.verdict == m.verdict }
	i := slices.IndexFunc(t.moved, alike)
	switch {
	case m.figures == "":
	case i < 0:
		t.moved = append(t.moved, m)
	default:
		t.moved[i].kinds = append(t.moved[i].kinds, m.kinds...)
	}
}

// moved names the figures that have a verdict.
func (k KindChange) moved(v Verdict) string {
	var figures []string
	for _, mc := range k.Metrics {
		if m, _ := FindMetric(mc.ID); mc.Verdict == v {
			figures = append(figures, m.Short)
		}
	}
	return strings.Join(figures, " and ")
}

// sentence says which figures of which kinds moved, and what of the other kinds
// is known.
func sentence(kinds []KindChange, doubt string) string {
	t := tallied(kinds)
	var parts []string
	for _, m := range t.moved {
		parts = append(parts, m.String())
	}
	if len(t.unchanged) > 0 {
		parts = append(parts, "nothing changed beyond tolerance in "+t.whereUnchanged(len(kinds)))
	}
	if len(t.undecided) > 0 {
		undecided := "undecided: " + firstOf(t.undecided)
		if doubt != "" {
			undecided += fmt.Sprintf(" (%s)", doubt)
		}
		parts = append(parts, undecided)
	}
	return strings.Join(parts, "; ")
}

func (t tally) whereUnchanged(kinds int) string {
	n := len(t.unchanged)
	switch {
	case n == kinds:
		return fmt.Sprintf("any of the %d kinds", kinds)
	case n == 1:
		return t.unchanged[0]
	case len(t.undecided) == 0:
		return fmt.Sprintf("the other %d", n)
	}
	return fmt.Sprintf("%d of %d kinds", n, kinds)
}

// firstOf lists the first few.
func firstOf(all []string) string {
	const most = 5
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}
