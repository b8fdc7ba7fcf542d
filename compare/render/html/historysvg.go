package html

import (
	"errors"
	"io"
	"slices"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/view"
)

// The measures of the picture, in pixels: as wide as a README is shown, with two
// plots side by side.
const (
	pictureWidth = 840
	pictureGap   = 24
	panelWidth   = (pictureWidth - pictureGap) / 2
	panelPlot    = panelWidth - 54  // beside the ticks
	curveHeight  = 68 + plotHeight  // with what stands above
	curveStride  = curveHeight + 24 // from one curve to the next
)

// picturedMetrics are those of the picture: the first that a curve has of each
// list.
var picturedMetrics = [][]compare.MetricID{
	{"allocs_per_op", "alloc_bytes_per_op"},
	{"cpu_per_op", "ops_per_sec"},
}

// picture is what the template of the SVG shows.
type picture struct {
	Title         string
	Width, Height int
	Curves        []pictureCurve
}

type pictureCurve struct {
	view.History
	Y      int
	Panels []picturePanel
}

// picturePanel is the plot of one metric.
type picturePanel struct {
	view.HistorySeries
	X, Width, PlotWidth int
	Plot                historyPlot
	Labels              []bandLabel
}

// bandLabel says what a band means, beside it.
type bandLabel struct {
	X, Anchor, Class, Text string
	Y                      int
}

// WriteHistorySVG writes allocations and timing of the curves of a history as one
// small picture, in the reader's light or dark colors.
func WriteHistorySVG(w io.Writer, curves []view.History) error {
	p := picture{Title: "History", Width: pictureWidth}
	for _, h := range curves {
		c := pictureCurve{History: h, Y: len(p.Curves) * curveStride, Panels: panels(h)}
		if len(c.Panels) == 0 {
			continue
		}
		p.Curves = append(p.Curves, c)
		p.Title += ": " + h.Name + ", " + h.Summary
	}
	if len(p.Curves) == 0 {
		return errors.New("there is nothing to draw: no run of this history has allocations, or was recorded with a base")
	}
	p.Height = (len(p.Curves)-1)*curveStride + curveHeight
	return execute(w, "picture", "history.svg", p)
}

func panels(h view.History) []picturePanel {
	var all []picturePanel
	for _, choice := range picturedMetrics {
		s, found := firstOf(h.Series, choice)
		if !found {
			continue
		}
		all = append(all, picturePanel{
			HistorySeries: s, X: len(all) * (panelWidth + pictureGap), Width: panelWidth, PlotWidth: panelPlot,
			Plot: newHistoryPlot(h, s), Labels: labels(s.Marks, len(h.Records)),
		})
	}
	return all
}

func firstOf(series []view.HistorySeries, choice []compare.MetricID) (view.HistorySeries, bool) {
	for _, id := range choice {
		i := slices.IndexFunc(series, func(s view.HistorySeries) bool { return s.Metric.ID == id })
		if i >= 0 {
			return series[i], true
		}
	}
	return view.HistorySeries{}, false
}

// labels stand beside their bands, towards the middle of the plot, above or below
// where the points are lower or higher there, each on a line of its own.
func labels(marks []view.Mark, runs int) []bandLabel {
	const line, above, below = 14, 14, plotHeight - 6
	var all []bandLabel
	for i, m := range marks {
		l := bandLabel{Anchor: "start", Class: m.Badge.Class, Text: m.Text, Y: above + i*line}
		at := float64(m.Upto) + 0.8
		before := m.After+m.Upto >= runs
		if before {
			l.Anchor, at = "end", float64(m.After)+0.2
		}
		if before == (m.Percent < 0) {
			l.Y = below - i*line
		}
		l.X = share(at, float64(runs))
		all = append(all, l)
	}
	return all
}
