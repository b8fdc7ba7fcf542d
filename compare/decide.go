package compare

import (
	"fmt"
	"slices"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Decide judges the runs of one experiment as far as it has come: each but the
// first against the first. It is done when every gated metric of every run has
// a verdict other than inconclusive; a metric that cannot be had does not keep
// it going.
func Decide(runs []*runfolder.Run, c Criteria) runfolder.Look {
	look := runfolder.Look{Blocks: len(runs[0].Manifest.Blocks), Done: true}
	gated := c.metrics(runs[0].Manifest.Load)
	base := newSide(runs[0])
	for _, run := range runs[1:] {
		found := judgeAll(base, newSide(run), c, gated)
		for _, m := range gated {
			if r := found[m.ID]; r.finding != nil {
				look.Done = look.Done && r.verdict != Inconclusive
				look.Decisions = append(look.Decisions, r.decision(run.Manifest.Subject.Name, m.ID))
			}
		}
	}
	return look
}

// result is what was found of one metric: a finding, or why there is none.
type result struct {
	*finding
	missing string
	bare    Verdict // of a metric without a finding
}

// judgeAll estimates the change of each of the metrics and judges them in two
// families: the gated metrics, and the others that have a direction. The rest
// get an interval and no verdict.
func judgeAll(base, head side, c Criteria, metrics []Metric) map[MetricID]result {
	found := map[MetricID]result{}
	level := alpha(len(base.Manifest.Plan.Looks()))
	var gated, others []*finding
	for _, m := range metrics {
		r := estimate(m, base, head, c)
		found[m.ID] = r
		switch {
		case r.finding == nil:
		case c.gates(m):
			gated = append(gated, r.finding)
		case m.Better != Neutral:
			others = append(others, r.finding)
		default:
			r.interval = r.estimator.Interval(1 - level)
		}
	}
	judge(gated, level)
	judge(others, level)
	return found
}

// estimate is the change of one metric. Of runs that were not recorded together
// timing must differ by more than drift could explain, and is never shown to be
// equal.
func estimate(m Metric, base, head side, c Criteria) result {
	if base.Manifest.Foreign() || head.Manifest.Foreign() {
		return withoutBlocks(m, base, head)
	}
	for _, s := range []side{base, head} {
		if reason := s.missing(m); reason != "" {
			return result{missing: reason, bare: Inconclusive}
		}
	}
	f := &finding{better: m.Better, rule: c.rule(m)}
	if paired(base.Run, head.Run) {
		f.estimator = stat.SignedRank(pairedLogRatios(m, base, head, min(len(base.blocks), len(head.blocks))))
	} else {
		if why := incomparable(base.Manifest, head.Manifest); why != "" && m.Timing {
			return result{missing: "not compared: " + why}
		}
		f.estimator = stat.RankSum(base.logs(m), head.logs(m))
		if m.Timing {
			f.rule = Rule{Floor: c.Drift}
		}
	}
	if !f.estimator.Finite() {
		return withoutRatio(m, base, head)
	}
	return result{finding: f}
}

// withoutRatio says how a metric changed that is not above 0 in every block. Two
// zeros are the same; a zero in every block of one side only is judged by its
// direction, since no ratio can be.
func withoutRatio(m Metric, base, head side) result {
	b, h := base.values(m), head.values(m)
	text := fmt.Sprintf("from %s to %s", texttab.Decimals(orZero(base.value(m))), texttab.Decimals(orZero(head.value(m))))
	switch {
	case all(b, isZero) && all(h, isZero):
		return result{missing: "0 on both sides", bare: Equivalent}
	case all(b, isZero) && all(h, isPositive):
		return result{missing: text, bare: directed(m.Better, Up)}
	case all(b, isPositive) && all(h, isZero):
		return result{missing: text, bare: directed(m.Better, Down)}
	}
	return result{missing: text + ", with 0 in some block, so there is no ratio", bare: Inconclusive}
}

func isZero(v float64) bool     { return v == 0 }
func isPositive(v float64) bool { return v > 0 }

func all(values []float64, is func(float64) bool) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return !is(v) })
}

// directed is the verdict on a move in a direction.
func directed(better, moved Direction) Verdict {
	if better == moved {
		return Improved
	}
	return Regressed
}

// paired reports whether two runs were recorded together.
func paired(base, head *runfolder.Run) bool {
	return base.Manifest.Experiment == head.Manifest.Experiment
}

// incomparable says why the timing of two experiments cannot be compared at
// all, or nothing.
func incomparable(b, h runfolder.Manifest) string {
	switch {
	case b.Host != h.Host:
		return "another host or kernel"
	case differentGo(b, h):
		return fmt.Sprintf("built with %s and %s", b.Subject.Binary.GoVersion, h.Subject.Binary.GoVersion)
	case !b.Capture.Equal(h.Capture):
		return "profiled at different rates"
	}
	return ""
}

// differentGo reports whether two subjects are known to be built with different
// versions of Go.
func differentGo(b, h runfolder.Manifest) bool {
	base, head := b.Subject.Binary.GoVersion, h.Subject.Binary.GoVersion
	return base != "" && head != "" && base != head
}

// finding is what the blocks of two runs say about one metric.
type finding struct {
	better    Direction
	rule      Rule
	estimator stat.Estimator // of ln(head/base)
	level     float64        // asked of the interval, set by judge as what follows
	interval  stat.Interval  // of what is estimated
	verdict   Verdict
}

// judge decides a family of metrics together. Their intervals are as wide as
// Holm's procedure asks, so that the probability of any false improved or
// regressed is at most alpha; the verdict then follows from the interval alone.
func judge(family []*finding, alpha float64) {
	p := make([]float64, len(family))
	for i, f := range family {
		p[i] = f.estimator.PValue(stat.LogRatio(f.rule.Floor))
	}
	for i, a := range stat.Holm(p, alpha) {
		family[i].judge(1 - a)
	}
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
	tolerance, floor := stat.LogRatio(f.rule.Tolerance), stat.LogRatio(f.rule.Floor)
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

func (f *finding) change() *Change {
	return &Change{
		Percent: stat.Percent(f.estimator.Estimate()),
		Low:     stat.Percent(f.interval.Low),
		High:    stat.Percent(f.interval.High),
		Level:   f.interval.Level,
	}
}

func (f *finding) decision(head string, metric MetricID) runfolder.Decision {
	c := f.change()
	return runfolder.Decision{
		Head: head, Metric: string(metric), Verdict: string(f.verdict),
		Percent: c.Percent, Low: c.Low, High: c.High, Level: c.Level,
	}
}
