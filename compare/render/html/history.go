package html

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/render/view"
	"github.com/eventobench/eventobench/internal/texttab"
)

var (
	historyStyle   = template.CSS(asset("page.css") + asset("history.css"))
	historyScripts = []template.JS{template.JS(asset("page.js"))}
)

// historyPage is what the template shows.
type historyPage struct {
	Title   string
	Curves  []view.History
	Policy  string
	Style   template.CSS
	Scripts []template.JS
}

// WriteHistory writes the curves of a history as one page that needs nothing
// else. Its charts are there without JavaScript.
func WriteHistory(w io.Writer, curves []view.History) error {
	shown := historyPage{
		Curves: curves, Policy: policy(historyStyle, historyScripts), Style: historyStyle, Scripts: historyScripts,
	}
	for i, c := range curves {
		if i > 0 {
			shown.Title += ", "
		}
		shown.Title += c.Name
	}
	return execute(w, "page", "history.html", shown)
}

// historyPlot is one metric drawn over the runs: shares of the width, and
// pixels of plotHeight from above.
type historyPlot struct {
	Height int
	Ticks  []historyTick
	Points []historyPoint
	Levels []historyLevel
	Bands  []historyBand // where a change lies
}

type historyTick struct{ Y, Text string }

type historyPoint struct {
	X, Y, Low, High string
	Text            string // what a pointer resting there is told
}

// historyLevel is the level of runs side by side.
type historyLevel struct{ X1, X2, Y string }

type historyBand struct {
	span
	Class string // improved or regressed
	Text  string
}

const (
	plotHeight = 170
	plotMargin = 12 // above and below, so that bars and ticks are whole
)

// newHistoryPlot draws a series of a curve.
func newHistoryPlot(h view.History, s view.HistorySeries) historyPlot {
	n := float64(len(h.Records))
	x := func(place float64) string { return share(place, n) }
	scale := scaleOf(s.Points)
	p := historyPlot{Height: plotHeight}
	for _, v := range scale.ticks() {
		p.Ticks = append(p.Ticks, historyTick{scale.y(v), tickText(v, scale.step, s.Relative())})
	}
	for i, point := range s.Points {
		at := float64(point.Record) + 0.5
		p.Points = append(p.Points, historyPoint{
			X: x(at), Y: scale.y(point.Value), Low: scale.y(point.Low), High: scale.y(point.High),
			Text: pointText(h.Records[point.Record], s, point),
		})
		level := historyLevel{x(at - 0.5), x(at + 0.5), scale.y(point.Level)}
		if last := len(p.Levels) - 1; i > 0 && continues(s.Points[i-1], point) {
			p.Levels[last].X2 = level.X2
			continue
		}
		p.Levels = append(p.Levels, level)
	}
	for _, m := range s.Marks {
		from, to := float64(m.After)+0.5, float64(m.Upto)+0.5
		p.Bands = append(p.Bands, historyBand{
			span{x(from), x(to - from)}, m.Badge.Class, fmt.Sprintf("%s, %s, %s", m.Text, m.Badge.Text, m.Where),
		})
	}
	return p
}

// continues reports whether a point lies on the level of the one before it.
func continues(before, p history.Point) bool {
	return before.Stretch == p.Stretch && before.Level == p.Level && before.Record+1 == p.Record
}

func pointText(r history.Record, s view.HistorySeries, p history.Point) string {
	value := texttab.Number(p.Value, s.Metric.Decimals) + " " + s.Metric.Unit
	if s.Relative() {
		change := compare.Change{Percent: p.Value, Low: p.Low, High: p.High}
		value = change.String()
	}
	return view.Commit(r) + ": " + value
}

// scale is the vertical axis.
type scale struct{ low, high, step float64 }

// scaleOf holds all values, and all intervals that are not much wider than most.
func scaleOf(points []history.Point) scale {
	low, high := points[0].Value, points[0].Value
	var halves []float64
	for _, p := range points {
		low, high = min(low, p.Value, p.Level), max(high, p.Value, p.Level)
		halves = append(halves, (p.High-p.Low)/2)
	}
	slices.Sort(halves)
	margin := halves[len(halves)/2]
	low, high = low-margin, high+margin
	if high-low < 1e-9*math.Abs(high) || high == low {
		room := max(math.Abs(high)/100, 1e-3)
		low, high = low-room, high+room
	}
	return scale{low, high, niceStep((high - low) / 4)}
}

// niceStep is 1, 2 or 5 times a power of ten, and at least so large.
func niceStep(least float64) float64 {
	power := math.Pow10(int(math.Floor(math.Log10(least))))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= least {
			return factor * power
		}
	}
	return 10 * power
}

func (s scale) ticks() []float64 {
	var all []float64
	for k := math.Ceil(s.low / s.step); k*s.step <= s.high; k++ {
		all = append(all, k*s.step)
	}
	return all
}

// tickText has as many decimals as the steps need.
func tickText(v, step float64, relative bool) string {
	decimals := max(0, -int(math.Floor(math.Log10(step)+1e-9)))
	if relative {
		return fmt.Sprintf("%+.*f%%", decimals, v+0) // no -0
	}
	return texttab.Number(v, decimals)
}

func (s scale) y(v float64) string {
	v = min(max(v, s.low), s.high)
	y := plotMargin + (s.high-v)/(s.high-s.low)*(plotHeight-2*plotMargin)
	return strconv.FormatFloat(y, 'f', 1, 64)
}
