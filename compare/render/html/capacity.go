package html

import (
	"fmt"
	"html/template"
	"io"
	"math"

	"github.com/eventobench/eventobench/compare/render/view"
	"github.com/eventobench/eventobench/internal/texttab"
)

var capacityStyle = historyStyle + template.CSS(asset("capacity.css"))

// capacityPage is what the template shows.
type capacityPage struct {
	view.Capacity
	Plot    capacityPlot
	Policy  string
	Style   template.CSS
	Scripts []template.JS
}

// WriteCapacity writes a report of capacities as one page that needs nothing else. Its
// chart is there without JavaScript.
func WriteCapacity(w io.Writer, c view.Capacity) error {
	shown := capacityPage{
		Capacity: c, Plot: newCapacityPlot(c), Policy: policy(capacityStyle, historyScripts),
		Style: capacityStyle, Scripts: historyScripts,
	}
	return execute(w, "page", "capacity.html", shown)
}

// capacityPlot is p99 against rate, both logarithmic: shares of the width, and pixels
// from above.
type capacityPlot struct {
	Height    int
	Rates, Ms []capacityTick
	Points    []capacityPoint
	Bands     []capacityBand // the capacities and their intervals
}

type capacityTick struct{ At, Text string }

type capacityPoint struct {
	X, Y, Text string
	Color      int
	Missed     bool // it did not stay within the limits
}

type capacityBand struct {
	span
	At, Text string
	Color    int
}

const capacityHeight = 340

// colors are the variants that the style sheet has a color for.
const colors = 6

func newCapacityPlot(c view.Capacity) capacityPlot {
	p := capacityPlot{Height: capacityHeight}
	rates, ms := logScale{}, logScale{}
	for _, curve := range c.Curves {
		rates.include(curve.Low)
		rates.include(curve.High)
		for _, t := range curve.Curve {
			rates.include(t.Rate)
			ms.include(t.P99Ms)
		}
	}
	x := func(rate float64) string { return share(rates.place(rate), 1) }
	y := func(v float64) string {
		return fmt.Sprintf("%.1f", plotMargin+(1-ms.place(v))*(capacityHeight-2*plotMargin))
	}
	for _, v := range rates.ticks() {
		p.Rates = append(p.Rates, capacityTick{x(v), texttab.Number(v, 0) + "/s"})
	}
	for _, v := range ms.ticks() {
		p.Ms = append(p.Ms, capacityTick{y(v), texttab.Decimals(v) + " ms"})
	}
	for i, curve := range c.Curves {
		if curve.Bound == "" {
			low, high := rates.place(curve.Low), rates.place(curve.High)
			p.Bands = append(p.Bands, capacityBand{
				span{share(low, 1), share(high-low, 1)}, x(curve.Rate), curve.Name + ": " + curve.Text(), i % colors,
			})
		}
		for _, t := range curve.Curve {
			text := fmt.Sprintf("%s: %s/s, p50 %.3g ms, p99 %.3g ms", curve.Name, texttab.Number(t.Rate, 0), t.P50Ms, t.P99Ms)
			p.Points = append(p.Points, capacityPoint{x(t.Rate), y(t.P99Ms), text, i % colors, !t.Met})
		}
	}
	return p
}

// logScale is a logarithmic axis from 0 to 1, around the values that it includes.
type logScale struct{ low, high float64 }

func (s *logScale) include(v float64) {
	if !(v > 0) {
		return
	}
	if s.low == 0 {
		s.low, s.high = v, v
	}
	s.low, s.high = min(s.low, v), max(s.high, v)
}

// place is where a value is. Nothing was included only if nothing was answered.
func (s logScale) place(v float64) float64 {
	const room = 1.05
	if s.low == 0 {
		return 0
	}
	low, high := math.Log(s.low/room), math.Log(s.high*room)
	return (math.Log(min(max(v, s.low), s.high)) - low) / (high - low)
}

// ticks are 1, 2 and 5 times powers of ten within the scale.
func (s logScale) ticks() []float64 {
	var all []float64
	if s.low == 0 {
		return nil
	}
	for power := math.Floor(math.Log10(s.low)); power <= math.Log10(s.high); power++ {
		for _, factor := range []float64{1, 2, 5} {
			if v := factor * math.Pow(10, power); v >= s.low && v <= s.high {
				all = append(all, v)
			}
		}
	}
	return all
}
