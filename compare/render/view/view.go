// Package view decides how a report is shown, whatever the format: what stands
// in which order, in which words and units, and which bars are drawn. Formats
// only set it.
package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/internal/texttab"
)

// Page is a report as every format shows it.
type Page struct {
	Title       string
	Names       []string // of the variants; the first is the base
	OpenLoop    bool
	Verdicts    []Verdict
	Warnings    []compare.Warning
	Results     []Result // the headline metrics and counts of all variants
	Bars        []Bars
	Comparisons []Comparison
	Variants    []Variant
	Environment []string
	Commands    []string // to look deeper
	Charts      *compare.Charts
}

// Verdict is the answer of one comparison in a few lines.
type Verdict struct {
	Base, Head  string
	Badge       Badge
	Summary     string
	Facts       []Metric // the gated ones, in the order in which they weigh
	Explanation []string // what moved in which kinds of request, and which kinds of work account for it
}

// Badge is a verdict: Class is the verdict alone, to color it by.
type Badge struct{ Class, Text string }

// Metric is one metric of a comparison, with its figures as text.
type Metric struct {
	compare.MetricChange
	BaseText, HeadText string
	ChangeText         string // why there is no change, if Change is nil
	Badge              Badge
}

// Comparison is one comparison in full.
type Comparison struct {
	Base, Head string
	Metrics    []Metric  // in the order in which they weigh
	Note       string    // what the table of metrics means
	Requests   *Requests // nil if the load has one kind of request
	Looks      [][]string
	Profiles   []Changes
}

// Changes is what one kind of profile shows of a comparison.
type Changes struct {
	profdiff.ChangeTable
	Note string // how the sampled figures relate to the exact ones
}

// Variant is one run.
type Variant struct {
	Name, Dir string
	Command   string
	Profiles  []Functions
}

// Functions are those of one kind of profile of a run.
type Functions struct {
	profdiff.FunctionTable
	Heading string
	Note    string
}

// Result is one figure of all variants and, of all but the base, its change.
type Result struct {
	Label, Unit string
	Cells       []ResultCell
}

// ResultCell is a figure of one variant; Change is empty for the base, and where
// there is none.
type ResultCell struct {
	Value, Change string
	Badge         Badge
}

// Bars is one metric of all variants as bars.
type Bars struct {
	Label, Unit string
	Better      string // which way is better, in words
	Bars        []Bar
}

// Bar is that of one variant. Share is its length as a part of the longest, from
// 0 to 1: a figure that is not above 0 has none.
type Bar struct {
	Name, Value string
	Share       float64
}

// New shows a report.
func New(r *compare.Report) *Page {
	p := &Page{
		Warnings: r.Warnings, Charts: r.Charts, OpenLoop: r.Variants[0].Manifest.Load.Open(),
		Results: results(r), Bars: bars(r), Environment: environment(r), Commands: commands(r),
	}
	for _, v := range r.Variants {
		p.Names = append(p.Names, v.Name)
		p.Variants = append(p.Variants, newVariant(v))
	}
	p.Title = p.Names[0] + " → " + strings.Join(p.Names[1:], ", ")
	for i, c := range r.Comparisons {
		p.Verdicts = append(p.Verdicts, newVerdict(c, r.Summary[i]))
		p.Comparisons = append(p.Comparisons, newComparison(c))
	}
	return p
}

func newVerdict(c compare.Comparison, summary string) Verdict {
	v := Verdict{
		Base: c.Base, Head: c.Head, Badge: overallBadge(c),
		Summary: summary, Explanation: explained(c.NullControl, c.LayoutSummary(), c.RequestsSummary(), c.Explanation),
	}
	for _, m := range c.Weighed() {
		if m.Gated {
			v.Facts = append(v.Facts, newMetric(m))
		}
	}
	return v
}

func newComparison(c compare.Comparison) Comparison {
	v := Comparison{Base: c.Base, Head: c.Head, Note: note(c), Requests: newRequests(c), Looks: looks(c)}
	for _, m := range c.Weighed() {
		v.Metrics = append(v.Metrics, newMetric(m))
		if row, there := m.AsBuiltRow(); there {
			v.Metrics = append(v.Metrics, newMetric(row))
		}
	}
	for _, t := range c.Profiles {
		v.Profiles = append(v.Profiles, Changes{t, reconcileChange(t)})
	}
	return v
}

func newVariant(v compare.Variant) Variant {
	shown := Variant{Name: v.Name, Dir: v.Dir, Command: v.Manifest.Subject.How()}
	for _, t := range v.Profiles {
		shown.Profiles = append(shown.Profiles, Functions{t, t.Title + " by function", Reconcile(t)})
	}
	return shown
}

func newMetric(m compare.MetricChange) Metric {
	return Metric{
		MetricChange: m,
		BaseText:     valueText(m.Base, m.BaseAll, m.Decimals),
		HeadText:     valueText(m.Head, m.HeadAll, m.Decimals),
		ChangeText:   m.Found(),
		Badge:        badge(m),
	}
}

func valueText(v *float64, all bool, decimals int) string {
	if all {
		return "all"
	}
	return texttab.Optional(v, decimals)
}

// badge shows a metric's verdict: that of a metric which is not gated stands in
// parentheses.
func badge(m compare.MetricChange) Badge {
	text := m.Judgement()
	switch {
	case m.Verdict == compare.NotJudged:
	case m.Waived:
		text += ", waived"
	case !m.Gated:
		text = "(" + text + ")"
	}
	return Badge{string(m.Verdict), text}
}

// note says what the table of changes means.
func note(c compare.Comparison) string {
	if c.Foreign {
		return foreignNote
	}
	how := "estimated over %s from paired slices, so it does not have to be exactly the ratio of the values, " +
		"which are those of the whole runs"
	if !c.Paired {
		how = "estimated from the values of %s per side, not paired; the values are those of the whole runs"
	}
	text := fmt.Sprintf("The change is "+how+".\n", texttab.Count(c.Blocks, "block"))
	if c.LayoutBlocks > 0 {
		text += fmt.Sprintf("Where a row says as built, the one above is of %s "+
			"with the functions of both sides in other orders.\n",
			texttab.Count(c.LayoutBlocks, "block"))
	}
	if c.OpenLoop {
		text += "The load sets the throughput, which is therefore not judged. " +
			"Latency counts from when a request was due; from sending is what a closed loop would have shown.\n"
	}
	return text + fmt.Sprintf("The gated metrics are judged together: a false improved or regressed "+
		"among them comes up in at most %.0f%% of comparisons, all looks included. "+
		"Verdicts in parentheses are of metrics that are not gated, judged together in the same way.",
		compare.FalseAlarms*100)
}

// looks is the table of what was decided when, its header first; nil for an
// experiment that was not judged while it was recorded. A metric that a look
// could not judge has an empty cell. Looks in a row that decided the same share one
// row of the table.
func looks(c compare.Comparison) [][]string {
	if len(c.Looks) == 0 {
		return nil
	}
	header, rows := []string{"after"}, make([][]string, len(c.Looks))
	for _, m := range c.Metrics {
		verdicts, judged := make([]string, len(c.Looks)), false
		for i, l := range c.Looks {
			for _, d := range l.Decisions {
				if d.Metric == string(m.ID) {
					verdicts[i], judged = d.Verdict, true
				}
			}
		}
		if !judged {
			continue
		}
		header = append(header, m.Label)
		for i, v := range verdicts {
			rows[i] = append(rows[i], v)
		}
	}
	table := [][]string{header}
	for first := 0; first < len(rows); {
		last := first
		for last+1 < len(rows) && slices.Equal(rows[first], rows[last+1]) {
			last++
		}
		table = append(table, append([]string{blockRange(c.Looks[first].Blocks, c.Looks[last].Blocks)}, rows[first]...))
		first = last + 1
	}
	return table
}

// blockRange is such as "4 blocks" or "7 to 34 blocks".
func blockRange(first, last int) string {
	if first == last {
		return texttab.Count(first, "block")
	}
	return fmt.Sprintf("%d to %s", first, texttab.Count(last, "block"))
}

// headlines are the headline metrics in the order in which they weigh.
func headlines(r *compare.Report) []compare.MetricChange {
	weighed := r.Comparisons[0]
	for _, c := range r.Comparisons {
		if c.GeneratorBound {
			weighed = c
		}
	}
	var all []compare.MetricChange
	for _, mc := range weighed.Weighed() {
		if m, known := compare.FindMetric(mc.ID); known && m.Headline {
			all = append(all, mc)
		}
	}
	return all
}

func results(r *compare.Report) []Result {
	var rows []Result
	for _, m := range headlines(r) {
		row := Result{Label: m.Label, Unit: m.Unit}
		for i, v := range r.Variants {
			cell := ResultCell{Value: texttab.Optional(v.Value(m.ID), m.Decimals)}
			if i > 0 {
				mc := r.Comparisons[i-1].Metric(m.ID)
				cell.Badge = badge(*mc)
				if mc.Change != nil {
					cell.Change = mc.Change.String()
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	held := Result{Label: "limited by"}
	for _, v := range r.Variants {
		held.Cells = append(held.Cells, ResultCell{Value: string(cmp.Or(v.Bottleneck.By, compare.ByUnknown))})
	}
	return append(append(rows, held), counts(r)...)
}

// counts are the requests of all variants.
func counts(r *compare.Report) []Result {
	row := func(label string, count func(compare.Variant) int64) Result {
		result := Result{Label: label}
		for _, v := range r.Variants {
			result.Cells = append(result.Cells, ResultCell{Value: texttab.Number(float64(count(v)), 0)})
		}
		return result
	}
	rows := []Result{
		row("requests", func(v compare.Variant) int64 { return v.Totals.TotalOps }),
		row("failed requests", func(v compare.Variant) int64 { return v.Totals.Errors }),
	}
	if r.Variants[0].Totals.OpenLoop != nil {
		rows = append(rows,
			row("sent late", func(v compare.Variant) int64 { return v.Totals.OpenLoop.Late }),
			row("never sent", func(v compare.Variant) int64 { return v.Totals.OpenLoop.Missed }))
	}
	return rows
}

// bars are the headline metrics that every variant has, but for those that the
// load sets.
func bars(r *compare.Report) []Bars {
	var all []Bars
	for _, m := range headlines(r) {
		values := valuesOf(r, m.ID)
		if values == nil || m.Better == compare.Neutral {
			continue
		}
		b := Bars{Label: m.Label, Unit: m.Unit, Better: "shorter is better"}
		if m.Better == compare.Up {
			b.Better = "longer is better"
		}
		longest := 0.0
		for _, v := range values {
			longest = max(longest, v)
		}
		for i, v := range r.Variants {
			bar := Bar{Name: v.Name, Value: texttab.Number(values[i], m.Decimals)}
			if values[i] > 0 {
				bar.Share = values[i] / longest
			}
			b.Bars = append(b.Bars, bar)
		}
		all = append(all, b)
	}
	return all
}

// valuesOf is a metric of all variants, or nil if one does not have it.
func valuesOf(r *compare.Report, id compare.MetricID) []float64 {
	var values []float64
	for _, v := range r.Variants {
		value := v.Value(id)
		if value == nil {
			return nil
		}
		values = append(values, *value)
	}
	return values
}
