package html

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/render/view"
	"github.com/eventobench/eventobench/internal/texttab"
)

// length is a share as a length in SVG.
func length(share float64) string { return fmt.Sprintf("%.2f%%", share*100) }

// share is a part of a whole as a length in SVG.
func share(part, whole float64) string {
	if whole == 0 {
		return length(0)
	}
	return length(part / whole)
}

// forest is a comparison's metrics with their intervals drawn on one axis.
type forest struct {
	Rows  []forestRow
	Ticks []tick
}

type forestRow struct {
	view.Metric
	Plot *plot // nil without a change
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

func newForest(metrics []view.Metric) forest {
	a := axisOf(metrics)
	return forest{Rows: a.rows(metrics), Ticks: a.ticks()}
}

// cells are a row with the labels that its figures have on a narrow screen.
type cells struct {
	Base, Head string
	Row        forestRow
}

// kinds are the kinds of request of a comparison, on one axis.
type kinds struct {
	*view.Requests
	Kinds []kindRows
	Ticks []tick
}

type kindRows struct {
	view.Kind
	Rows []forestRow
}

func newKinds(r *view.Requests) kinds {
	a := axisOf(r.Metrics())
	shown := kinds{Requests: r, Ticks: a.ticks()}
	for _, k := range r.Kinds {
		shown.Kinds = append(shown.Kinds, kindRows{k, a.rows(k.Metrics)})
	}
	return shown
}

func (a axis) rows(metrics []view.Metric) []forestRow {
	var rows []forestRow
	for _, m := range metrics {
		row := forestRow{Metric: m}
		if m.Change != nil && !m.Change.Points { // the axis is of ratios
			row.Plot = a.plot(m)
		}
		rows = append(rows, row)
	}
	return rows
}

// axis goes from minus its length to plus its length, in percent of change.
type axis float64

// axisOf is long enough for the intervals of the headline metrics, as long as
// they stay below 100%: what is longer says little, and would hide the others.
func axisOf(metrics []view.Metric) axis {
	longest := 0.0
	for _, m := range metrics {
		if row, _ := compare.FindMetric(m.ID); row.Headline && m.Change != nil {
			longest = max(longest, math.Abs(m.Change.Low), math.Abs(m.Change.High), m.Rule.Tolerance)
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

func (a axis) plot(m view.Metric) *plot {
	c := m.Change
	p := &plot{
		Low: a.x(c.Low), High: a.x(c.High),
		BeyondLow: c.Low < -float64(a), BeyondHigh: c.High > float64(a),
	}
	if math.Abs(c.Percent) <= float64(a) {
		p.Point = a.x(c.Percent)
	}
	if m.Verdict != compare.NotJudged {
		p.Tolerance, p.Floor = a.around(m.Rule.Tolerance), a.around(m.Rule.Floor)
	}
	return p
}

func (a axis) ticks() []tick {
	text := func(share float64) string { return fmt.Sprintf("%+g%%", share*float64(a)) }
	return []tick{{"0%", text(-1), "start"}, {"25%", text(-0.5), "middle"}, {"50%", "0", "middle"},
		{"75%", text(0.5), "middle"}, {"100%", text(1), "end"}}
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
func differenceGrid(base, head, first string, t profdiff.ChangeTable, rows []profdiff.FunctionChange,
	rest profdiff.FunctionChange) grid {
	g := grid{First: first, Columns: []gridColumn{
		figureColumn(base, base), figureColumn(head, head),
		figureColumn("difference, "+t.Unit, "difference"), {Text: "less ← → more", Class: "plot"},
	}}
	if view.Counted(t) {
		g.Columns = append(g.Columns, figureColumn("difference, "+t.CountUnit, t.CountUnit))
	}
	g.Columns = append(g.Columns, gridColumn{})
	largest := math.Abs(rest.Diff)
	for _, f := range rows {
		largest = max(largest, math.Abs(f.Diff))
	}
	for _, f := range rows {
		g.Rows = append(g.Rows, changeRow(t, f, largest))
	}
	if rest.Name != "" {
		g.Foot = append(g.Foot, changeRow(t, rest, largest))
	}
	g.Foot = append(g.Foot, changeRow(t, t.Total, 0))
	return g.labelled()
}

// changeRow has a bar that reaches the edge at the largest difference, or none if
// that is 0.
func changeRow(t profdiff.ChangeTable, f profdiff.FunctionChange, largest float64) gridRow {
	diff, bar := figureCell(f.Diff, texttab.Signed(f.Diff)), gridCell{Class: "more",
		Bar: &span{"50%", share(math.Abs(f.Diff), 2*largest)}}
	diff.Below = view.Interval(f)
	if f.Diff < 0 {
		bar.Class, bar.Bar.X = "less", share(largest+f.Diff, 2*largest)
	}
	if largest == 0 {
		bar.Bar = nil
	}
	row := gridRow{Name: f.Name, Group: groupOf(f.Group, f.Name), Noise: f.Noise, Cells: []gridCell{
		figureCell(f.Base, texttab.Decimals(f.Base)), figureCell(f.Head, texttab.Decimals(f.Head)), diff, bar,
	}}
	if view.Counted(t) {
		row.Cells = append(row.Cells, figureCell(f.DiffCount, texttab.Signed(f.DiffCount)))
	}
	row.Cells = append(row.Cells, gridCell{Text: f.Note()})
	return row
}

// changes explains one kind of cost of a comparison.
type changes struct {
	Title, Base, Head string
	Grids             []grid
	Note              string
}

func newChanges(c view.Comparison, t view.Changes) changes {
	s := changes{Title: t.Title, Base: c.Base, Head: c.Head, Note: t.Note}
	if len(t.Groups) > 0 {
		s.Grids = append(s.Grids, differenceGrid(c.Base, c.Head, "kind of work", t.ChangeTable, t.Groups,
			profdiff.FunctionChange{}))
	}
	rows, rest := t.Shown()
	s.Grids = append(s.Grids, differenceGrid(c.Base, c.Head, "function", t.ChangeTable, rows, rest))
	return s
}

// groupOf is a function's group. A group itself has none.
func groupOf(group, name string) string {
	if group == name {
		return ""
	}
	return group
}

// pageRows is how many functions a table of the page names.
const pageRows = 15

// functionGrid lists the largest functions of one run.
func functionGrid(t view.Functions) grid {
	g := grid{First: "function", Columns: []gridColumn{figureColumn(t.Unit, t.Unit), figureColumn("share", "share")}}
	if t.Total.Count > 0 {
		g.Columns = append(g.Columns, figureColumn(t.CountUnit, t.CountUnit))
	}
	rows, rest := t.First(pageRows)
	for _, f := range rows {
		g.Rows = append(g.Rows, functionRow(t, f))
	}
	if rest.Name != "" {
		g.Foot = append(g.Foot, functionRow(t, rest))
	}
	g.Foot = append(g.Foot, functionRow(t, t.Total))
	return g.labelled()
}

func functionRow(t view.Functions, f profdiff.Function) gridRow {
	row := gridRow{Name: f.Name, Group: groupOf(f.Group, f.Name), Cells: []gridCell{
		figureCell(f.Value, texttab.Decimals(f.Value)), figureCell(f.Share, fmt.Sprintf("%.1f%%", f.Share)),
	}}
	if t.Total.Count > 0 {
		row.Cells = append(row.Cells, figureCell(f.Count, texttab.Decimals(f.Count)))
	}
	return row
}

// parts are the pieces of a function's name between which a line may break.
func parts(name string) []string {
	return strings.FieldsFunc(strings.NewReplacer("/", "/\n", ".", "\n.").Replace(name),
		func(r rune) bool { return r == '\n' })
}
