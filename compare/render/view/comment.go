package view

import (
	"fmt"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
)

// Comment is what a gate says below a pull request: all that is needed to believe
// it or not, on one screen.
type Comment struct {
	*Gate
	Mark        string  // of the verdict, to see at a glance
	Places      []Place // the largest
	Others      string  // how many places there are beside; empty if none
	Commits     string  // of both sides; empty if unknown
	Unavailable []string
	Machine     []string
	Again       string // command that repeats it; empty if there is none
	Reliability string // how often a gate is wrong
}

// mostPlaces is how many functions a comment names.
const mostPlaces = 6

// NewComment shows a gate as a comment.
func NewComment(g compare.Gate) *Comment {
	head := g.Recorded[1].Manifest
	c := &Comment{
		Gate: NewGate(g), Mark: marks[g.Verdict], Commits: commits(g), Unavailable: unavailable(g.Recorded),
		Machine: append(whereRecorded(head), machines(g.Recorded)...), Again: g.Again,
		Reliability: reliability(compare.RecordedTrials()),
	}
	if g.OfCapacity() {
		c.Reliability = reliability(nil) // gates on runs were counted
	}
	shown := min(mostPlaces, len(c.Gate.Places))
	c.Places = c.Gate.Places[:shown]
	if others := len(c.Gate.Places) - shown; others > 0 {
		c.Others = fmt.Sprintf("and %s more", texttab.Count(others, "function"))
	}
	return c
}

var marks = map[compare.Verdict]string{
	compare.Regressed: "❌", compare.Inconclusive: "❔", compare.Improved: "✅", compare.Equivalent: "✅",
}

// commits is such as "before is 0123456789ab, after is fedcba987654 with changes".
func commits(g compare.Gate) string {
	var sides []string
	for _, r := range g.Recorded {
		commit, dirty := commitOf(r.Manifest.Subject)
		if commit == "" {
			return ""
		}
		text := fmt.Sprintf("%s is %s", r.Name, commit[:min(12, len(commit))])
		if dirty {
			text += " with uncommitted changes"
		}
		sides = append(sides, text)
	}
	return strings.Join(sides, ", ")
}

// reliability says how often a gate is wrong: what its statistics allow, and what
// was counted.
func reliability(trials []compare.Trial) string {
	text := fmt.Sprintf("Of two equal programs at most %.0f%% of gates call something improved or regressed.",
		compare.FalseAlarms*100)
	if len(trials) == 0 {
		return text
	}
	var counted []string
	for _, t := range compare.TallyTrials(trials) {
		what := "a program with itself"
		if t.Case != compare.NothingPlanted {
			what = "a planted " + t.Case
		}
		counted = append(counted, fmt.Sprintf("of %s %s %s", what, t.What(), t))
	}
	return fmt.Sprintf("%s Counted: %s (docs/selftest.jsonl; %s).", text, strings.Join(counted, "; "), compare.TallyBound)
}
