package compare

import (
	"fmt"
	"math"
	"slices"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Decide judges the runs of one experiment as far as it has come: each but the
// first, and a null control, against the first. It is done when every gated metric of
// each has a verdict other than inconclusive and is known well enough; a metric that
// cannot be had does not keep it going, nor does one that more blocks would not decide
// either. If they are not likely to decide what is left, the look says so.
func Decide(runs []*runfolder.Run, c Criteria) runfolder.Look {
	look := runfolder.Look{Blocks: len(runs[0].Manifest.Blocks)}
	base := newSide(runs[0])
	var open []undecided
	known := true
	for _, run := range runs[1:] {
		if isNullControl(runs[0].Manifest, run.Manifest) {
			continue
		}
		head := newSide(run)
		head.countRedirects(base)
		gated := c.metrics(metricsOfPair(base, head, c))
		found := judgeAll(base, head, c, gated, compareAnswers(base, head).doubt())
		for _, m := range gated {
			if r := found[m.ID]; r.finding != nil {
				if r.isOpen() {
					open = append(open, undecided{m, r.finding})
				}
				known = known && r.isKnown()
				look.Decisions = append(look.Decisions, r.decision(run.Manifest.Subject.Name, m.ID))
			}
		}
	}
	look.Done = len(open) == 0 && known
	look.Reason = whyGiveUp(open, aheadOf(base.Manifest.Plan, look.Blocks))
	return look
}

// metricsOfPair are the figures of two runs, as they are judged. Most servers keep
// nothing that could be lost, and most machines count no instructions: of two runs
// that tell nothing of it nothing is said, unless it is gated.
func metricsOfPair(base, head side, c Criteria) []Metric {
	load := base.Manifest.Load
	all := metricsOf(load, load.AllowErrors > 0 || base.whole.failures()+head.whole.failures() > 0,
		base.tellsOfDatabase() || head.tellsOfDatabase())
	return slices.DeleteFunc(all, func(m Metric) bool {
		return (m.Bound || m.Counted) && !c.gates(m) && base.missing(m) != "" && head.missing(m) != ""
	})
}

// result is what was found of one metric: a finding, or why there is none.
type result struct {
	*finding
	missing string
	bare    Verdict // of a metric without a finding
	doubt   string  // why the verdict is inconclusive though the change is a clear improvement

	asBuilt *finding // where the finding is of other layouts; else nil
	linker  *Change  // likewise: what is left of asBuilt
}

// isOpen reports whether more blocks may decide what was found. None do away with a doubt.
func (r result) isOpen() bool { return r.verdict == Inconclusive && r.doubt == "" }

// isKnown reports whether what was found is known closely enough, or a doubt makes that
// useless.
func (r result) isKnown() bool { return r.known() || r.doubt != "" }

// doubted is a result that must not be an improvement, for a reason; without one,
// or of a share of failures, it is the same.
func (r result) doubted(m Metric, why string) result {
	if why == "" || m.Share {
		return r
	}
	if r.finding != nil && r.verdict == Improved {
		r.verdict, r.doubt = Inconclusive, why
	}
	if r.finding == nil && r.bare == Improved {
		r.bare, r.doubt = Inconclusive, why
	}
	return r
}

// held is a result of which nothing is said if it is one of throughput, since that was not
// the server's.
func (r result) held(m Metric, why string) result {
	if why == "" || !m.Asked || r.finding == nil {
		return r
	}
	r.verdict, r.doubt = Inconclusive, why
	return r
}

// judgeAll judges the metrics by the blocks of the programs as built and, if there
// are any, of other layouts. With a doubt about the answers nothing that depends on
// the work is improved.
func judgeAll(base, head side, c Criteria, metrics []Metric, doubt string) map[MetricID]result {
	found := judgeTogether(base, head, c, metrics, levelsOf(base, head, firstShare(base.Manifest.Plan)))
	if base.layouts != nil && head.layouts != nil && paired(base.Run, head.Run) {
		judgeLayouts(found, base, head, c, metrics)
	}
	held := heldDoubt(base, head)
	for _, m := range metrics {
		found[m.ID] = found[m.ID].doubted(m, doubt).held(m, held)
	}
	return found
}

// judgeTogether estimates the change of each of the metrics and judges them in three
// families: the gated metrics, the others that have a direction, and what was counted
// apart from the timed blocks. The rest get an interval and no verdict.
func judgeTogether(base, head side, c Criteria, metrics []Metric, level levels) map[MetricID]result {
	found := map[MetricID]result{}
	var gated, others, counted []*finding
	for _, m := range metrics {
		r := estimate(m, base, head, c)
		found[m.ID] = r
		switch {
		case r.finding == nil:
		case ownBlocks(m, base): // which no look has seen
			counted = append(counted, r.finding)
		case c.gates(m):
			gated = append(gated, r.finding)
		case m.Better != Neutral:
			others = append(others, r.finding)
		default:
			r.interval = r.intervalAt(1 - level(1))
		}
	}
	judge(gated, level)
	judge(others, level)
	judge(counted, once(FalseAlarms))
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
	if why := countedAlike(base, head); why != "" && m.Counted {
		return result{missing: why, bare: Inconclusive}
	}
	if m.Bound {
		return compareBounds(m, base, head, c.rule(m, base.value(m)))
	}
	f := &finding{better: m.Better, rule: c.rule(m, base.value(m)), share: m.Share}
	if paired(base.Run, head.Run) && !ownBlocks(m, base) {
		f.setBlocks(pairedChanges(m, base, head, blocksOf(base, head)), base.Manifest.Plan)
	} else {
		if why := incomparable(base.Manifest, head.Manifest); why != "" && m.Timing {
			return result{missing: "not compared: " + why}
		}
		f.estimator = stat.RankSum(base.scaled(m), head.scaled(m))
		if m.Timing {
			f.rule = Rule{Floor: c.Drift}
		}
	}
	if m.Timing && (running(base.Manifest) || running(head.Manifest)) {
		f.widening = stat.LogRatio(ProcessAllowance)
	}
	if r, zeros := zeroThroughout(m, base, head, f.rule); zeros {
		return r
	}
	if !f.estimator.Finite() {
		return result{missing: noRatio(m, base, head), bare: Inconclusive}
	}
	return result{finding: f}
}

// blocksOf is the number of blocks that both sides have.
func blocksOf(base, head side) int { return min(len(base.blocks), len(head.blocks)) }

// ownBlocks reports whether a metric is not of the timed blocks. What its blocks count does
// not depend on when they are recorded, so that they need not be paired.
func ownBlocks(m Metric, base side) bool { return m.Counted && base.Manifest.Instructions != nil }

// noRatio says why there is no estimate of a metric that has values.
func noRatio(m Metric, base, head side) string {
	text := fromTo(base.value(m), head.value(m), m.Share)
	if slices.ContainsFunc(slices.Concat(base.values(m), head.values(m)), math.IsNaN) {
		return text + ", with no request in some block"
	}
	return text + " (0 in a block: no ratio)"
}

// zeroThroughout says how a metric changed that is 0 in every block of a side. Two
// zeros are the same; one is judged by its direction, since no ratio can be. A
// share must also be beyond the tolerance in every block of the other side; if
// not, it is left to its interval, as is any other metric: false.
func zeroThroughout(m Metric, base, head side, rule Rule) (result, bool) {
	b, h := base.values(m), head.values(m)
	text := fromTo(base.value(m), head.value(m), m.Share)
	isZero := func(v float64) bool { return v == 0 }
	clear := func(v float64) bool { return v > 0 && (!m.Share || v > rule.Tolerance) }
	switch {
	case all(b, isZero) && all(h, isZero):
		return result{missing: "0 on both sides", bare: Equivalent}, true
	case all(b, isZero) && all(h, clear):
		return result{missing: text, bare: directed(m.Better, Up)}, true
	case all(b, clear) && all(h, isZero):
		return result{missing: text, bare: directed(m.Better, Down)}, true
	}
	return result{}, false
}

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

// running reports whether a subject was running before the experiment, so that
// all its blocks are of one process.
func running(m runfolder.Manifest) bool { return m.Subject.Kind == runfolder.KindURL }

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
	share     bool           // its scale is percentage points
	estimator stat.Estimator // of ln(head/base), of a share of head less base
	few       *few           // takes over at levels that the estimator does not reach; nil if nothing does
	widening  float64        // of the interval at both ends, on the scale of the estimator
	among     int            // findings that share the error rate with it, set by judge as what follows
	level     float64        // asked of the interval
	interval  stat.Interval  // of what is estimated
	verdict   Verdict
}

// few is what a few blocks say of a metric.
type few struct {
	stat.Student
	floor float64 // a smaller change is none that so few can tell, on the scale of the estimator
}

// setBlocks sets what was estimated of every block. Where every block from the third on
// is looked at, exact tests come too late: at the level of a look they take a dozen
// blocks to find anything, however large. Before, Student's t judges.
//
// It is right of normal values and of such with heavier tails, but not where only one
// side is skewed, nor of a server that comes in two kinds, of which each side may
// happen to have one in all of its few processes. So few blocks do not tell changes
// within half the tolerance, and those of which all processes of a side may be of one
// kind in more than one of a thousand experiments none within five times the tolerance
// (TestFewBlocks).
func (f *finding) setBlocks(values []float64, p runfolder.Plan) {
	const (
		veryFew = 6 // of fewer pairs all differ in one direction in 2/4^5, 0.2%, or more
		leap    = 5
		half    = 0.5
	)
	f.estimator = stat.SignedRank(values)
	if p.FirstLook == 0 || len(values) < 2 {
		return
	}
	floor := half * f.rule.Tolerance
	if len(values) < veryFew {
		floor = leap * f.rule.Tolerance
	}
	f.few = &few{stat.NewStudent(values), f.scaled(floor)}
}

// judge decides a family of metrics together. Their intervals are as wide as
// Holm's procedure asks, so that the probability of any false improved or
// regressed is at most what they share; the verdict then follows from the interval
// alone.
func judge(family []*finding, level levels) {
	p := make([]float64, len(family))
	for i, f := range family {
		p[i] = f.pValue()
	}
	for i, among := range stat.Holm(p, level) {
		family[i].among = among
		family[i].judge(1 - level(among))
	}
}

// pValue is against a change within the floor. Where all blocks are beyond it, that of
// ranks is as small as it can be, and that of the few may be smaller.
func (f *finding) pValue() float64 {
	p := f.estimator.PValue(f.scaled(f.rule.Floor) + f.widening)
	if f.few != nil && !f.estimator.Reaches(1-p/2) {
		p = min(p, f.few.PValue(f.few.floor+f.widening))
	}
	return p
}

// known reports whether a change is known well enough for the experiment to end: to
// within the tolerance, or half of itself if that is more. Early looks find a large change
// as soon as it is surely one, which may be anything from next to nothing to twice as much.
func (f *finding) known() bool {
	half := (f.interval.High-f.interval.Low)/2 - f.widening
	return half <= max(f.scaled(f.rule.Tolerance), math.Abs(f.estimator.Estimate())/2)
}

func (f *finding) judge(level float64) {
	f.level, f.interval = level, f.intervalAt(level)
	f.verdict = f.decide()
}

// byFew reports whether few blocks are asked for more than the estimator reaches.
func (f *finding) byFew(level float64) bool { return f.few != nil && !f.estimator.Reaches(level) }

func (f *finding) intervalAt(level float64) stat.Interval {
	i := f.estimator.Interval(level)
	if f.byFew(level) {
		i = f.few.Interval(level)
	}
	i.Low -= f.widening
	i.High += f.widening
	return i
}

// decide gives the verdict that follows from the interval, if it has the level.
func (f *finding) decide() Verdict {
	const rounding = 1e-9
	low, high := f.interval.Low, f.interval.High
	if f.better == Up { // turn it, so that higher is worse
		low, high = -high, -low
	}
	tolerance, floor := f.scaled(f.rule.Tolerance), f.scaled(f.rule.Floor)
	if f.byFew(f.level) {
		floor = f.few.floor
	}
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

// scaled is a change in percent on the scale of the estimator.
func (f *finding) scaled(percent float64) float64 {
	if f.share {
		return percent
	}
	return stat.LogRatio(percent)
}

// percent undoes scaled.
func (f *finding) percent(d float64) float64 {
	if f.share {
		return d
	}
	return stat.Percent(d)
}

func (f *finding) change() *Change {
	return &Change{
		Percent: f.percent(f.estimator.Estimate()),
		Low:     f.percent(f.interval.Low),
		High:    f.percent(f.interval.High),
		Level:   f.interval.Level,
		Points:  f.share,
	}
}

func (f *finding) decision(head string, metric MetricID) runfolder.Decision {
	c := f.change()
	return runfolder.Decision{
		Head: head, Metric: string(metric), Verdict: string(f.verdict),
		Percent: c.Percent, Low: c.Low, High: c.High, Level: c.Level,
	}
}
