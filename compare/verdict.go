package compare

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is the answer that a comparison gives.
type Verdict string

// The verdicts. A metric that is shown but not judged has none.
const (
	Improved     Verdict = "improved"     // the whole interval is better than the floor
	Regressed    Verdict = "regressed"    // the whole interval is worse than the floor
	Equivalent   Verdict = "equivalent"   // the whole interval is within the tolerance
	Inconclusive Verdict = "inconclusive" // none of these, or too few blocks to say
	NotJudged    Verdict = ""
)

// moved reports whether the verdict is on a change.
func (v Verdict) moved() bool { return v == Improved || v == Regressed }

// byWeight are the verdicts in the order in which they count when there are
// several.
var byWeight = []Verdict{Regressed, Inconclusive, Improved, Equivalent}

// overall is the verdict on all gated metrics together: any regression counts,
// then any doubt, a metric that could not be read included, then any
// improvement. Timing that must not be compared does not count, nor does what is
// waived.
func overall(metrics []MetricChange) Verdict {
	for _, v := range byWeight {
		if slices.ContainsFunc(metrics, func(m MetricChange) bool { return m.Gated && !m.Waived && m.Verdict == v }) {
			return v
		}
	}
	if slices.ContainsFunc(metrics, func(m MetricChange) bool { return m.Waived }) {
		return Equivalent
	}
	return Inconclusive
}

// summary says in one line what a comparison shows of the gated metrics, and
// the overall verdict.
func (c Comparison) summary() string {
	if c.Foreign {
		return c.foreignSummary()
	}
	var parts []string
	for _, m := range c.Weighed() {
		if m.Gated {
			part := strings.TrimSpace(fmt.Sprintf("%s %s %s", m.Label, m.Found(), m.Judgement()))
			if m.AsBuilt != nil {
				part += fmt.Sprintf(" (as built %s %s)", m.AsBuilt.Change, m.AsBuilt.Verdict)
			}
			parts = append(parts, part)
		}
	}
	return fmt.Sprintf("%s against %s: %s%s. %s%s",
		c.Head, c.Base, c.Verdict, Sureness(c.SameProcess), strings.Join(parts, "; "), c.price())
}

// Sureness is what must stand behind a verdict on a process that was not started
// afresh for each block; else it is empty.
func Sureness(sameProcess bool) string {
	if !sameProcess {
		return ""
	}
	return ", less sure than of fresh processes"
}

// Judgement is the verdict, with the doubt that led to it.
func (m MetricChange) Judgement() string {
	if m.Doubt == "" {
		return string(m.Verdict)
	}
	return fmt.Sprintf("%s: %s", m.Verdict, m.Doubt)
}

// Weighed are the metrics in the order in which a reader should weigh them:
// where the load generator limits the throughput, CPU comes before it.
func (c Comparison) Weighed() []MetricChange {
	isCPU := func(m MetricChange) bool { return m.ID == CPUPerOp }
	cpu := slices.IndexFunc(c.Metrics, isCPU)
	if !c.GeneratorBound || cpu < 0 {
		return c.Metrics
	}
	rest := slices.DeleteFunc(slices.Clone(c.Metrics), isCPU)
	return slices.Insert(rest, 0, c.Metrics[cpu])
}
