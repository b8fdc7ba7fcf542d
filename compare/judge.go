package compare

import (
	"fmt"
	"math"
	"slices"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// result is what was found of one metric: a finding, or why there is none.
type result struct {
	*finding
	missing      string
	incomparable bool // there are values, but their ratio would say nothing
}

// findings estimates the change of each of the metrics and judges them in two
// families: the gated metrics, and the others that have a direction. The rest
// get an interval and no verdict.
func findings(base, head *runfolder.Run, c Criteria, metrics []Metric) map[string]result {
	found := map[string]result{}
	level := alpha(len(base.Manifest.Plan.Looks()))
	var gated, others []*finding
	for _, m := range metrics {
		r := m.find(base, head, c)
		found[m.Name] = r
		switch {
		case r.missing != "":
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

// find estimates one metric's change. Of runs that were not recorded together
// timing must differ by more than drift could explain, and is never shown to be
// equal.
func (m Metric) find(base, head *runfolder.Run, c Criteria) result {
	for _, run := range []*runfolder.Run{base, head} {
		if reason, missing := run.Manifest.Unavailable[m.Source]; missing {
			return result{missing: reason}
		}
	}
	f := m.finding(c)
	if paired(base, head) {
		f.estimator = SignedRank(m.pairedLogRatios(base, head, min(len(base.Manifest.Blocks), len(head.Manifest.Blocks))))
	} else {
		if why := incomparable(base, head); why != "" && m.Timing {
			return result{missing: "not compared: " + why, incomparable: true}
		}
		f.estimator = RankSum(m.logs(base), m.logs(head))
		if m.Timing {
			f.rule = Rule{Floor: c.Drift}
		}
	}
	if !f.estimator.finite() {
		return result{missing: "not above 0 in some block, so there is no ratio"}
	}
	return result{finding: f}
}

// finding is one without data yet.
func (m Metric) finding(c Criteria) *finding {
	f := &finding{better: m.Better, rule: m.Rule}
	if rule, gated := c.Rules[m.Name]; gated {
		f.rule = rule
	}
	return f
}

// incomparable says why the timing of two experiments cannot be compared at
// all, or nothing.
func incomparable(base, head *runfolder.Run) string {
	b, h := base.Manifest, head.Manifest
	switch {
	case b.Host != h.Host:
		return "another host or kernel"
	case b.Subject.Binary.GoVersion != h.Subject.Binary.GoVersion:
		return fmt.Sprintf("built with %s and %s", b.Subject.Binary.GoVersion, h.Subject.Binary.GoVersion)
	case b.Capture != h.Capture:
		return "profiled at different rates"
	}
	return ""
}

func (f *finding) change() *Change {
	return &Change{
		Percent: percent(f.estimator.Estimate()),
		Low:     percent(f.interval.Low), High: percent(f.interval.High), Level: f.interval.Level,
	}
}

func (e Estimator) finite() bool {
	n := len(e.sorted)
	return n > 0 && finite(e.sorted[0]) && finite(e.sorted[n-1])
}

// percent turns a logarithm of a ratio into a change in percent.
func percent(d float64) float64 { return math.Expm1(d) * 100 }

// logRatio turns a change in percent into the logarithm of a ratio.
func logRatio(percent float64) float64 { return math.Log1p(percent / 100) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Decide judges the runs of one experiment as far as it has come: each but the
// first against the first. It is done when every gated metric of every run has
// a verdict other than inconclusive; a metric that cannot be had does not keep
// it going.
func Decide(runs []*runfolder.Run, c Criteria) runfolder.Look {
	look := runfolder.Look{Blocks: len(runs[0].Manifest.Blocks), Done: true}
	gated := c.metrics(runs[0].Manifest.Load)
	for _, head := range runs[1:] {
		found := findings(runs[0], head, c, gated)
		for _, m := range gated {
			if r := found[m.Name]; r.missing == "" {
				look.Done = look.Done && r.verdict != Inconclusive
				look.Decisions = append(look.Decisions, r.decision(head.Manifest.Subject.Name, m.Name))
			}
		}
	}
	return look
}

// metrics are the gated ones of runs under a load, in the order of Metrics.
func (c Criteria) metrics(l loadgen.Load) []Metric {
	return slices.DeleteFunc(slices.Clone(metricsOf(l)), func(m Metric) bool { return !c.gates(m) })
}

// gates tells whether a metric, as it is under some load, is gated.
func (c Criteria) gates(m Metric) bool {
	_, gated := c.Rules[m.Name]
	return gated && m.Better != Neutral
}

func (f *finding) decision(head, metric string) runfolder.Decision {
	c := f.change()
	return runfolder.Decision{
		Head: head, Metric: metric, Verdict: string(f.verdict),
		Percent: c.Percent, Low: c.Low, High: c.High, Level: c.Level,
	}
}
