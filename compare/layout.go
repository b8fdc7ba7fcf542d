package compare

import (
	"fmt"
	"strings"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// The blocks of other layouts tell code from where the linker put it: each has the
// functions of both sides in another order, so that the order is part of what blocks
// differ by. A metric of time that is improved or regressed as built gets their
// verdict instead.
//
// Error rates. What these blocks call improved or regressed must have moved in that
// direction as built. So of their intervals at FalseAlarms one end counts, which is
// wrong half as often. The blocks as built are judged with the other half from their
// first look on (firstShare), so that nothing they decided is judged anew.
//
// They take no part in what these blocks say: they were looked at until something had
// moved, and all have the same two layouts.
const layoutShare = 0.5

// latePower leaves most of the error to the late looks at blocks of other layouts:
// large changes are found by the early ones all the same, and a small one costs the
// last look hardly more than if it were the only one.
const latePower = 3

// atLayouts is the judgement of so many blocks of other layouts.
func atLayouts(p runfolder.Plan, blocks int) levels {
	if p.LayoutLook == 0 {
		return once(2 * FalseAlarms * layoutShare)
	}
	return func(among int) float64 {
		s := stat.Spending{First: p.LayoutLook, Planned: p.Layouts, Power: latePower}
		return s.Level(blocks, 2*FalseAlarms*layoutShare/float64(among))
	}
}

// DecideLayouts judges the blocks of other layouts of one experiment as far as it has
// come. It is done when they have decided all gated metrics of time that had moved as
// built, and these are known well enough.
func DecideLayouts(runs []*runfolder.Run, c Criteria) runfolder.Look {
	base := newSide(runs[0])
	p := base.Manifest.Plan
	look := runfolder.Look{Blocks: len(base.layouts.Manifest.Blocks)}
	if look.Blocks < p.LayoutLook {
		return look
	}
	var open []undecided
	known := true
	for _, run := range runs[1:] {
		if isNullControl(runs[0].Manifest, run.Manifest) {
			continue
		}
		head := newSide(run)
		gated := c.metrics(metricsOfPair(base, head, c))
		found := judgeAll(base, head, c, gated, "")
		for _, m := range gated {
			r := found[m.ID]
			if r.asBuilt == nil || r.finding == nil {
				continue
			}
			if r.isOpen() {
				open = append(open, undecided{m, r.finding})
			}
			known = known && r.isKnown()
		}
	}
	look.Done = len(open) == 0 && known
	look.Reason = whyGiveUp(open, ahead{look.Blocks, p.Layouts, atLayouts(p, p.Layouts)})
	return look
}

// AsBuilt is what the blocks of the programs as built showed of a metric that the
// blocks of other layouts have judged.
type AsBuilt struct {
	Base    *float64 `json:"base"`
	Head    *float64 `json:"head"`
	Change  *Change  `json:"change"`
	Verdict Verdict  `json:"verdict"`
	// what is left of Change without that of the code: where the linker put it
	Linker *Change `json:"linker"`
}

// TimingMoved reports whether a look called a metric of time improved or regressed,
// so that other layouts have something to tell.
func TimingMoved(l runfolder.Look) bool {
	for _, d := range l.Decisions {
		m, known := FindMetric(MetricID(d.Metric))
		if known && m.Timing && Verdict(d.Verdict).moved() {
			return true
		}
	}
	return false
}

// judgeLayouts judges anew what moved as built.
func judgeLayouts(found map[MetricID]result, base, head side, c Criteria, metrics []Metric) {
	var times []Metric
	for _, m := range metrics {
		if f := found[m.ID].finding; m.Timing && f != nil && f.verdict.moved() {
			times = append(times, m)
		}
	}
	judged := judgeTogether(*base.layouts, *head.layouts, c, times,
		atLayouts(base.Manifest.Plan, blocksOf(*base.layouts, *head.layouts)))
	for _, m := range times {
		r := judged[m.ID]
		r.asBuilt, r.linker = found[m.ID].finding, linker(m, base, head)
		if r.finding != nil && r.verdict.moved() && r.verdict != r.asBuilt.verdict {
			r.verdict = Inconclusive
		}
		found[m.ID] = r
	}
}

// linker is how far the change as built lies above that of the code, at the level
// 1-FalseAlarms.
func linker(m Metric, base, head side) *Change {
	code := pairedChanges(m, *base.layouts, *head.layouts, blocksOf(*base.layouts, *head.layouts))
	asBuilt := pairedChanges(m, base, head, blocksOf(base, head))
	f := finding{share: m.Share, estimator: stat.RankSum(code, asBuilt)}
	f.interval = f.estimator.Interval(1 - FalseAlarms)
	return f.change()
}

// describeAsBuilt is what is shown beside the verdict of other layouts, nil without them.
func (r result) describeAsBuilt(m Metric, base, head side) *AsBuilt {
	if r.asBuilt == nil {
		return nil
	}
	return &AsBuilt{
		Base: base.value(m), Head: head.value(m), Change: r.asBuilt.change(), Verdict: r.asBuilt.verdict,
		Linker: r.linker,
	}
}

// Layout says in words which part of a change is the code; it is empty if other
// layouts have not judged it. blocks is the number of theirs.
func (m MetricChange) Layout(blocks int) string {
	if m.AsBuilt == nil {
		return ""
	}
	over := texttab.Count(blocks, "block")
	if m.Change != nil && m.Change.Level < 1-FalseAlarms {
		over += ", too few to judge it,"
	}
	return fmt.Sprintf("%s: %s as built, %s. The code accounts for %s (over %s with the functions of both sides "+
		"in other orders), its place in memory for %s.",
		m.Label, m.AsBuilt.Change, m.AsBuilt.Verdict, m.Found(), over, m.AsBuilt.Linker)
}

// LayoutSummary says of the gated metrics that other layouts have judged which part
// is the code.
func (c Comparison) LayoutSummary() []string {
	var all []string
	for _, m := range c.Weighed() {
		if text := m.Layout(c.LayoutBlocks); m.Gated && text != "" {
			all = append(all, text)
		}
	}
	return all
}

// AsBuiltRow is the metric as it was as built, for a table; false if that is what it
// is already.
func (m MetricChange) AsBuiltRow() (MetricChange, bool) {
	if m.AsBuilt == nil {
		return m, false
	}
	row := m
	row.Label += ", as built"
	row.Base, row.Head = m.AsBuilt.Base, m.AsBuilt.Head
	row.Change, row.Verdict = m.AsBuilt.Change, m.AsBuilt.Verdict
	row.Gated, row.Doubt, row.Waived, row.AsBuilt = false, "", false, nil
	return row, true
}

// layout is about times that moved of which nobody can say what the linker did.
func (w *warner) layout(c Comparison, base, head runfolder.Manifest) {
	var names []string
	for _, m := range c.Metrics {
		row, _ := FindMetric(m.ID)
		if m.Gated && row.Timing && m.AsBuilt == nil && m.Verdict.moved() {
			names = append(names, m.Label)
		}
	}
	b, h := base.Subject.Binary.SHA256, head.Subject.Binary.SHA256
	if len(names) == 0 || !c.Paired || b == "" || h == "" || b == h {
		return
	}
	w.add(WarnLayout, "two programs differ in time, and nothing tells how much of it is the code and how much is "+
		"only where the linker put it, which alone can make ten percent",
		fmt.Sprintf("%s of %s against %s, %s", strings.Join(names, " and "), c.Head, c.Base, whyNoLayouts(base, head)),
		"Gate two builds of your source (go:, git:), which are then linked in other orders too")
}

// whyNoLayouts says why there are no blocks of other layouts.
func whyNoLayouts(base, head runfolder.Manifest) string {
	for _, m := range []runfolder.Manifest{base, head} {
		if why := m.Unavailable[runfolder.SourceLayouts]; why != "" {
			return why
		}
		if m.Subject.Build == nil {
			return fmt.Sprintf("of which %s was not linked by eventobench", m.Subject.Name)
		}
	}
	return "recorded without other layouts (gate --layouts)"
}
