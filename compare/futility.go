package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Futility. An experiment ends before its last block if what is undecided would hardly
// be decided by all of them: blocks of this spread, and a change where it is estimated
// now, leave that a chance of less than improbable (conditional power: Lan, Simon and
// Halperin, Sequential Analysis 1 (1982) 207-219; here averaged over where the change
// may be). Ending costs no error: what is undecided stays inconclusive.
const improbable = 0.05

// fewestHopeless is how many blocks tell their own spread well enough to give up.
const fewestHopeless = 8

// undecided is a gated metric that a look has found inconclusive.
type undecided struct {
	metric  Metric
	finding *finding
}

// ahead is what is left of an experiment: blocks of those planned are there, and the
// last look judges all of them at its own levels.
type ahead struct {
	blocks, planned int
	last            levels
}

// aheadOf is what is left of the programs as built, nothing where not every block has
// a look.
func aheadOf(p runfolder.Plan, blocks int) ahead {
	if p.FirstLook == 0 {
		return ahead{}
	}
	return ahead{blocks, p.Blocks, atLook(p, p.Blocks, firstShare(p))}
}

// whyGiveUp says why the experiment should end although something is undecided; it is
// empty if it should go on.
func whyGiveUp(open []undecided, a ahead) string {
	if len(open) == 0 || a.blocks < fewestHopeless || a.blocks >= a.planned {
		return ""
	}
	var names []string
	for _, u := range open {
		if u.finding.chance(a) >= improbable {
			return ""
		}
		names = append(names, u.metric.Label)
	}
	return fmt.Sprintf("all %d would hardly decide %s, with less than %.0f in 100", a.planned,
		strings.Join(names, " and "), improbable*100)
}

// chance is the probability that the last look decides, as far as the blocks so far
// tell. It is rather too high: their spread is taken to be as small as it may well be.
func (f *finding) chance(a ahead) float64 {
	n, planned := float64(a.blocks), float64(a.planned)
	err := f.standardError() * (1 - 1/math.Sqrt(2*n))
	margin := stat.NormalQuantile(1-a.last(f.among))*err*math.Sqrt(n/planned) + f.widening
	// Of the estimate at the end, which those now are a part of.
	center, sd := f.estimator.Estimate(), err*math.Sqrt(1-n/planned)
	within := func(low, high float64) float64 { return normalBelow((high-center)/sd) - normalBelow((low-center)/sd) }
	equal, moved := f.scaled(f.rule.Tolerance)-margin, f.scaled(f.rule.Floor)+margin
	return max(0, within(-equal, equal)) + 1 - within(-moved, moved)
}

// standardError is that of the estimate, by an interval that ordinary blocks decide.
func (f *finding) standardError() float64 {
	const level = 0.8
	i := f.estimator.Interval(level)
	return (i.High - i.Low) / 2 / stat.NormalQuantile(i.Level)
}

func normalBelow(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// givenUp is about an experiment that ended although something was undecided.
func (w *warner) givenUp(c Comparison) {
	if len(c.Looks) == 0 {
		return
	}
	if last := c.Looks[len(c.Looks)-1]; last.Reason != "" {
		w.add(WarnGivenUp, "the experiment ended early, because more blocks were unlikely to decide what is open",
			fmt.Sprintf("%s against %s after %d blocks: %s", c.Head, c.Base, last.Blocks, last.Reason),
			"Record on a quieter machine, with more blocks (--max-blocks), or allow a larger tolerance")
	}
}

// otherBase is about an experiment that ended when what was asked of it was decided, which
// was not this comparison.
func (w *warner) otherBase(c Comparison, head runfolder.Manifest) {
	open := func(m MetricChange) bool { return m.Gated && m.Verdict == Inconclusive }
	if !c.Paired || len(c.Looks) > 0 || len(head.Looks) == 0 || !slices.ContainsFunc(c.Metrics, open) {
		return
	}
	w.add(WarnOtherBase, "the experiment ended when subjects were decided against another base",
		fmt.Sprintf("%s against %s has %s", c.Head, c.Base, texttab.Count(c.Blocks, "block")),
		"Name the base first when recording, or ask for a number of blocks (--blocks)")
}
