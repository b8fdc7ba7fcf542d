package view

import (
	"fmt"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
)

// Gate is a gate's decision as every format shows it.
type Gate struct {
	compare.Gate
	Headline string // the decision in a line
	Metrics  []GateMetric
	Reasons  []Reason // for what regressed
	Places   []Place  // the functions that grew
}

// GateMetric is one gated metric.
type GateMetric struct {
	Metric
	Sentence string // what was found, and which functions explain it
}

// Regressed reports whether the metric makes the gate fail.
func (m GateMetric) Regressed() bool { return m.Verdict == compare.Regressed && !m.Waived }

// Doubtful reports whether the metric neither passes nor fails.
func (m GateMetric) Doubtful() bool {
	return m.Waived || m.Verdict == compare.Inconclusive || m.Verdict == compare.NotJudged
}

// Reason explains the regressions that one kind of profile explains.
type Reason struct {
	Title  string // the changes, and what the tables hold
	Tables []*texttab.Table
	Note   string // empty if functions stand out
}

// NewGate shows a gate.
func NewGate(g compare.Gate) *Gate {
	how := "recorded together"
	if !g.Paired {
		how = "not recorded together"
	}
	v := &Gate{Gate: g, Headline: fmt.Sprintf("%s%s: %s against %s, %s %s",
		g.Verdict, compare.Sureness(g.SameProcess), g.Head, g.Base, texttab.Count(g.Blocks, "block"), how)}
	if g.Layouts > 0 {
		v.Headline += fmt.Sprintf(", and %d with other layouts", g.Layouts)
	}
	v.Headline += g.NullControl.Headline()
	v.Explanation = explained(g.NullControl, g.Layout, g.Requests, g.Explanation)
	for _, m := range g.Metrics {
		shown := newMetric(m.MetricChange)
		if shown.Badge.Text == "" {
			shown.Badge.Text = "not judged"
		}
		v.Metrics = append(v.Metrics, GateMetric{shown, sentence(g, m, shown)})
	}
	for _, grown := range g.Grown {
		v.Reasons = append(v.Reasons, reason(g, grown))
	}
	v.Places = places(g)
	return v
}

// Table is that of the gated metrics.
func (g *Gate) Table() *texttab.Table {
	t := texttab.New("metric", "unit", g.Base, g.Head, "change [interval]", "tolerance", "verdict")
	for _, m := range g.Metrics {
		m.addTo(t)
		if row, there := m.AsBuiltRow(); there {
			newMetric(row).addTo(t)
		}
	}
	return t
}

func (m Metric) addTo(t *texttab.Table) {
	t.Add(m.Label, m.Unit, m.BaseText, m.HeadText, m.ChangeText, tolerance(m.MetricChange), m.Badge.Text)
}

// tolerance is that of a metric with its unit.
func tolerance(m compare.MetricChange) string {
	if row, known := compare.FindMetric(m.ID); known && row.Share {
		return fmt.Sprintf("%g points", m.Rule.Tolerance)
	}
	if m.Rule.Least > 0 {
		return fmt.Sprintf("%g %s", m.Rule.Least, m.Unit)
	}
	return fmt.Sprintf("%g%%", m.Rule.Tolerance)
}

func reason(g compare.Gate, grown compare.Grown) Reason {
	changes := changesOf(g, grown)
	if len(grown.Largest) > 0 {
		return Reason{
			Title:  fmt.Sprintf("%s; what grew, in %s", changes, grown.Unit),
			Tables: []*texttab.Table{grownTable(g, "function", grown.Unit, grown.Largest)},
		}
	}
	r := Reason{
		Title: fmt.Sprintf("%s; no function by itself stands out of its noise. What grew most, in %s",
			changes, grown.Unit),
		Note: nearest(grown),
	}
	if len(grown.Groups) > 0 {
		r.Tables = append(r.Tables, grownTable(g, "kind of work", grown.Unit, grown.Groups))
	}
	if len(grown.Subtrees) > 0 {
		r.Tables = append(r.Tables, grownTable(g, "function with all it calls", grown.Unit, grown.Subtrees))
	}
	return r
}

// changesOf names the metrics that are explained, with their changes.
func changesOf(g compare.Gate, grown compare.Grown) string {
	var changes []string
	for _, m := range g.Metrics {
		for _, id := range grown.Metrics {
			if m.ID == id {
				changes = append(changes, m.Label+" "+newMetric(m.MetricChange).ChangeText)
			}
		}
	}
	return strings.Join(changes, ", ")
}

func grownTable(g compare.Gate, what, unit string, entries []compare.GrownEntry) *texttab.Table {
	t := texttab.New(what, g.Base, g.Head, "more, "+unit, "95% interval", "")
	for _, e := range entries {
		t.Add(e.Name, texttab.Decimals(e.Base), texttab.Decimals(e.Head), texttab.Signed(e.More),
			interval(e.Low, e.High), e.Mark)
	}
	return t
}

// nearest says what a longer run would show.
func nearest(grown compare.Grown) string {
	n := grown.Nearest
	if n == nil {
		return "The profiles do not tell blocks apart well enough to say how many would name a function: " +
			"that takes at least 3, recorded together."
	}
	const bearable = 200 // blocks, or about a quarter of an hour
	if n.Blocks > bearable {
		return fmt.Sprintf("No run of bearable length would name a function: "+
			"the nearest to standing out, %s, takes about %s blocks.", n.Name, texttab.Number(float64(n.Blocks), 0))
	}
	return fmt.Sprintf("About %d blocks (--blocks=%d) would name a function: %s is the nearest to standing out.",
		n.Blocks, n.Blocks, n.Name)
}

// sentence says what was found of one metric, and what explains it.
func sentence(g compare.Gate, m compare.GateMetric, shown Metric) string {
	text := fmt.Sprintf("%s %s", m.Label, shown.Badge.Text)
	text += ": " + m.Found()
	if m.Change != nil {
		text += fmt.Sprintf(", tolerance %s", tolerance(m.MetricChange))
	}
	if m.Grown < 0 {
		return text
	}
	grown := g.Grown[m.Grown]
	entries := grown.Largest
	if len(entries) == 0 {
		text += "; no function stands out of its noise"
		entries = grown.Groups
	}
	for i, e := range entries {
		separator := ", "
		if i == 0 {
			separator = "; "
		}
		text += fmt.Sprintf("%s%s %s %s", separator, e.Name, texttab.Signed(e.More), grown.Unit)
	}
	return text
}
