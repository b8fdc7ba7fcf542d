package compare

import (
	"fmt"
	"slices"
	"strings"
)

// headlineMetrics are those of the page's summary.
var headlineMetrics = []string{"ops_per_sec", "latency_mean", "latency_p99", "cpu_per_op", "alloc_bytes_per_op", "allocs_per_op"}

// headlineRow is one metric of all variants.
type headlineRow struct {
	Label, Unit string
	Cells       []headlineCell // of each variant
}

// headlineCell is a metric of one variant and, of all but the base, its change.
type headlineCell struct {
	Value, Change string
	Badge         badge
}

func (r *Report) headline() []headlineRow {
	var rows []headlineRow
	for _, name := range headlineMetrics {
		m := metricNamed(name)
		row := headlineRow{Label: m.Label, Unit: m.Unit}
		for i, v := range r.Variants {
			value, _ := m.value(v)
			cell := headlineCell{Value: Optional(value, m.Decimals)}
			if i > 0 {
				mc := r.Comparisons[i-1].Metric(name)
				if cell.Badge = mc.badge(); mc.Change != nil {
					cell.Change = mc.Change.String()
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// bar is one variant in a bar chart; Width is a share of the largest.
type bar struct{ Name, Value, Width string }

// barChart is one metric of all variants.
type barChart struct {
	Label, Unit, Better string
	Bars                []bar
}

// bars are the metrics that every variant has, as bars.
func (r *Report) bars() []barChart {
	var all []barChart
	for _, name := range charts {
		m := metricNamed(name)
		values := r.values(m)
		if values == nil {
			continue
		}
		c := barChart{Label: m.Label, Unit: m.Unit, Better: map[Direction]string{Up: "longer is better", Down: "shorter is better"}[m.Better]}
		for i, v := range r.Variants {
			c.Bars = append(c.Bars, bar{v.Name, Number(values[i], m.Decimals), share(values[i], slices.Max(values))})
		}
		all = append(all, c)
	}
	return all
}

// values are a metric of all variants, or nil if one does not have it.
func (r *Report) values(m Metric) []float64 {
	var values []float64
	for _, v := range r.Variants {
		value, _ := m.value(v)
		if value == nil {
			return nil
		}
		values = append(values, *value)
	}
	return values
}

// share is a part of a whole as a length in SVG.
func share(part, whole float64) string {
	if whole == 0 {
		return "0%"
	}
	return fmt.Sprintf("%.2f%%", part/whole*100)
}

// forest is a comparison's metrics with their intervals drawn on one axis.
type forest struct {
	Rows  []forestRow
	Ticks []tick
}

type forestRow struct {
	MetricChange
	BaseText, HeadText string
	ChangeText         string
	Badge              badge
	Plot               *plot // nil without a change
}

// plot is where a row's marks lie on the axis.
type plot struct {
	Low, High, Point      string
	Interval              span
	Tolerance, Floor      span // empty if the metric is not judged
	BeyondLow, BeyondHigh bool // the interval goes on outside the axis
}

type span struct{ X, Width string }

type tick struct{ X, Text, Anchor string }

func (c Comparison) forest() forest {
	a := c.axis()
	var f forest
	for _, m := range c.Metrics {
		row := forestRow{MetricChange: m, BaseText: Optional(m.Base, m.Decimals), HeadText: Optional(m.Head, m.Decimals), Badge: m.badge()}
		if m.Change != nil {
			row.ChangeText, row.Plot = m.Change.String(), a.plot(m)
		}
		f.Rows = append(f.Rows, row)
	}
	f.Ticks = a.ticks()
	return f
}

// axis goes from minus its length to plus its length, in percent of change.
type axis float64

// axis is long enough for the intervals of the headline's metrics, as long as
// they stay below 100%: what is longer says little, and would hide the others.
func (c Comparison) axis() axis {
	longest := 0.0
	for _, name := range headlineMetrics {
		if m := c.Metric(name); m.Change != nil {
			longest = max(longest, abs(m.Change.Low), abs(m.Change.High), m.Rule.Tolerance)
		}
	}
	lengths := []axis{2, 5, 10, 20, 30, 40, 50, 80, 100}
	for _, a := range lengths {
		if longest <= float64(a) {
			return a
		}
	}
	return lengths[len(lengths)-1]
}

func (a axis) x(percent float64) string {
	limit := float64(a)
	return share(min(max(percent, -limit), limit)+limit, 2*limit)
}

// around is what lies within a factor of 1 and some percent, up and down.
func (a axis) around(within float64) span {
	limit, below := float64(a), 100-100/(1+within/100)
	return span{a.x(-below), share(min(within, limit)+min(below, limit), 2*limit)}
}

func (a axis) plot(m MetricChange) *plot {
	c := m.Change
	p := &plot{
		Low: a.x(c.Low), High: a.x(c.High),
		BeyondLow: c.Low < -float64(a), BeyondHigh: c.High > float64(a),
	}
	if abs(c.Percent) <= float64(a) {
		p.Point = a.x(c.Percent)
	}
	if m.Verdict != NotJudged {
		p.Tolerance, p.Floor = a.around(m.Rule.Tolerance), a.around(m.Rule.Floor)
	}
	return p
}

func (a axis) ticks() []tick {
	text := func(share float64) string { return fmt.Sprintf("%+g%%", share*float64(a)) }
	return []tick{{"0%", text(-1), "start"}, {"25%", text(-0.5), "middle"}, {"50%", "0", "middle"}, {"75%", text(0.5), "middle"}, {"100%", text(1), "end"}}
}

// lookRows are the rows of the table of looks, its header first, or none.
func (c Comparison) lookRows() [][]string {
	if t := c.lookTable(); t != nil {
		return t.rows
	}
	return nil
}

// grid is a table of functions or groups; its first column is the name.
type grid struct {
	First   string
	Columns []gridColumn
	Rows    []gridRow
	Foot    []gridRow // those that do not take part when the table is sorted
}

// gridColumn has a Label for screens that are too narrow for a header.
type gridColumn struct{ Text, Label, Class string }

func figureColumn(text, label string) gridColumn { return gridColumn{text, label, "figure"} }

type gridRow struct {
	Name, Group string
	Noise       bool // the difference is within the sampling error
	Cells       []gridCell
}

// labelled gives every cell the label of its column, which a narrow screen
// shows beside it.
func (g grid) labelled() grid {
	for _, row := range slices.Concat(g.Rows, g.Foot) {
		for i := range row.Cells {
			row.Cells[i].Label = g.Columns[i].Label
		}
	}
	return g
}

// gridCell is a figure or, with Class, a bar from the middle to the left for
// less and to the right for more, or a remark.
type gridCell struct {
	Label       string
	Text, Below string
	Sort        *float64
	Class       string // less or more
	Bar         *span
}

func figureCell(v float64, text string) gridCell { return gridCell{Text: text, Sort: &v} }

// differenceGrid lists rows with bars on one scale, a row for the rest and the
// total. The total has no bar: it would hide how the others differ.
func (c Comparison) differenceGrid(first string, t ChangeTable, rows []FunctionChange, rest FunctionChange) grid {
	g := grid{First: first, Columns: []gridColumn{
		figureColumn(c.Base, c.Base), figureColumn(c.Head, c.Head), figureColumn("difference, "+t.Unit, "difference"), {Text: "less ← → more", Class: "plot"},
	}}
	if t.countsAllocs() {
		g.Columns = append(g.Columns, figureColumn("difference, allocs/op", "allocs/op"))
	}
	g.Columns = append(g.Columns, gridColumn{})
	largest := abs(rest.Diff)
	for _, f := range rows {
		largest = max(largest, abs(f.Diff))
	}
	for _, f := range rows {
		g.Rows = append(g.Rows, t.gridRow(f, largest))
	}
	if rest.Name != "" {
		g.Foot = append(g.Foot, t.gridRow(rest, largest))
	}
	g.Foot = append(g.Foot, t.gridRow(t.Total, 0))
	return g.labelled()
}

func (t ChangeTable) countsAllocs() bool { return t.Total.BaseAllocs+t.Total.HeadAllocs > 0 }

// gridRow has a bar that reaches the edge at the largest difference, or none if
// that is 0.
func (t ChangeTable) gridRow(f FunctionChange, largest float64) gridRow {
	diff, bar := figureCell(f.Diff, signed(f.Diff)), gridCell{Class: "more", Bar: &span{"50%", share(abs(f.Diff), 2*largest)}}
	diff.Below = f.interval()
	if f.Diff < 0 {
		bar.Class, bar.Bar.X = "less", share(largest+f.Diff, 2*largest)
	}
	if largest == 0 {
		bar.Bar = nil
	}
	row := gridRow{Name: f.Name, Group: groupOf(f.Group, f.Name), Noise: f.Noise, Cells: []gridCell{
		figureCell(f.Base, decimals(f.Base)), figureCell(f.Head, decimals(f.Head)), diff, bar,
	}}
	if t.countsAllocs() {
		row.Cells = append(row.Cells, figureCell(f.DiffAllocs, signed(f.DiffAllocs)))
	}
	row.Cells = append(row.Cells, gridCell{Text: f.note()})
	return row
}

// changeSection explains one kind of cost of a comparison.
type changeSection struct {
	What, Base, Head string
	Grids            []grid
	Note             string
}

func (c Comparison) changeSection(what string, t ChangeTable) changeSection {
	s := changeSection{What: what, Base: c.Base, Head: c.Head, Note: t.reconciliation()}
	if len(t.Groups) > 0 {
		s.Grids = append(s.Grids, c.differenceGrid("kind of work", t, t.Groups, FunctionChange{}))
	}
	rows, rest := t.first(pageRows)
	s.Grids = append(s.Grids, c.differenceGrid("function", t, rows, rest))
	return s
}

// groupOf is a function's group; that of a group is no news.
func groupOf(group, name string) string {
	if group == name {
		return ""
	}
	return group
}

// pageRows is how many functions a table of the page names.
const pageRows = 15

// first are the n functions that changed most, those beyond noise before the
// others, and a row for the rest.
func (t ChangeTable) first(n int) ([]FunctionChange, FunctionChange) {
	n = min(n, len(t.Functions))
	var rest FunctionChange
	rest.add(t.Rest)
	for _, f := range t.Functions[n:] {
		rest.add(f)
	}
	rest.Name = others(len(t.Functions) - n + t.more)
	return t.Functions[:n], rest
}

// grid lists the largest functions of one side.
func (t FunctionTable) grid() grid {
	g := grid{First: "function", Columns: []gridColumn{figureColumn(t.Unit, t.Unit), figureColumn("share", "share")}}
	if t.Total.Allocs > 0 {
		g.Columns = append(g.Columns, figureColumn("allocs/op", "allocs/op"))
	}
	rows, rest := t.first(pageRows)
	for _, f := range rows {
		g.Rows = append(g.Rows, t.gridRow(f))
	}
	if rest.Name != "" {
		g.Foot = append(g.Foot, t.gridRow(rest))
	}
	g.Foot = append(g.Foot, t.gridRow(t.Total))
	return g.labelled()
}

func (t FunctionTable) gridRow(f Function) gridRow {
	row := gridRow{Name: f.Name, Group: groupOf(f.Group, f.Name), Cells: []gridCell{
		figureCell(f.Value, decimals(f.Value)), figureCell(f.Share, fmt.Sprintf("%.1f%%", f.Share)),
	}}
	if t.Total.Allocs > 0 {
		row.Cells = append(row.Cells, figureCell(f.Allocs, decimals(f.Allocs)))
	}
	return row
}

// parts are the pieces of a function's name between which a line may break.
func parts(name string) []string {
	return strings.FieldsFunc(strings.NewReplacer("/", "/\n", ".", "\n.").Replace(name), func(r rune) bool { return r == '\n' })
}

// badge is a verdict: Class is its colour.
type badge struct{ Class, Text string }

func (m *MetricChange) badge() badge { return badge{string(m.Verdict), m.verdict()} }

// badge is the verdict on a comparison as a whole.
func (c Comparison) badge() badge { return badge{string(c.Verdict), string(c.Verdict)} }
