package compare

import (
	"fmt"
	"math"
	"slices"

	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// What of the durability is published is a bound that was reached, so it is
// compared as such: the largest of all blocks of a side, without an interval.
// How many messages wait for the disk at the worst moment varies with chance;
// twice as many do not.
var durabilityRule = Rule{Tolerance: 100}

// durability is what the server says that a power cut can take.
var durability = Metric{
	ID: UnsyncedWrites, Label: "writes a power cut may lose", Unit: "messages, at most", Better: Down,
	Rule: durabilityRule, Brief: true, Bound: true,
	value: func(m *measured) float64 {
		switch n := m.block.MaxUnsynced; {
		case n == nil:
			return math.NaN()
		case *n < 0:
			return math.Inf(1)
		default:
			return float64(*n)
		}
	},
}

// publishesDurability reports whether every block has the figure.
func (s side) publishesDurability() bool {
	return !slices.ContainsFunc(s.Manifest.Blocks, func(b runfolder.Block) bool { return b.MaxUnsynced == nil })
}

// boundless reports whether a metric is a bound and there is none.
func (s side) boundless(m Metric) bool { return m.Bound && s.missing(m) == "" && s.value(m) == nil }

// compareBounds judges a bound: one block in which it was reached is enough. What
// was 0 and is not is a regression, however little it is.
func compareBounds(m Metric, base, head side, rule Rule) result {
	b, h := slices.Max(base.values(m)), slices.Max(head.values(m))
	factor := 1 + rule.Tolerance/100
	switch {
	case b == h:
		return result{missing: boundText(b) + " on both sides", bare: Equivalent}
	case h > b*factor:
		return result{missing: boundChange(b, h), bare: Regressed}
	case b > h*factor:
		return result{missing: boundChange(b, h), bare: Improved}
	}
	return result{missing: boundChange(b, h), bare: Equivalent}
}

func boundChange(base, head float64) string {
	return fmt.Sprintf("from %s to %s", boundText(base), boundText(head))
}

func boundText(v float64) string {
	if math.IsInf(v, 1) {
		return "all"
	}
	return texttab.Number(v, 0)
}

// price is what a head gives up in durability, as a summary has to say beside what
// it gains; it is empty if that is nothing, or is said because it is gated.
func (c Comparison) price() string {
	m := c.Metric(UnsyncedWrites)
	if m == nil || m.Verdict != Regressed || m.Gated {
		return ""
	}
	most := "all"
	if !m.HeadAll {
		most = "up to " + boundText(orZero(m.Head))
	}
	return fmt.Sprintf("; but a power cut may lose %s acknowledged writes (base %s)", most, boundText(orZero(m.Base)))
}
