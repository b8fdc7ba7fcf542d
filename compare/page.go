package compare

import (
	"math"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// pageData is what the page's scripts draw.
type pageData struct {
	Variants []string     `json:"variants"`
	Slices   []timeSeries `json:"slices"`  // of each variant
	Pool     int          `json:"pool"`    // slices summed up in a point
	Borders  []figure     `json:"borders"` // s; where blocks begin, if all were recorded together
	Latency  percentiles  `json:"latency"`
	Flames   flames       `json:"flames"`
}

func (r *Report) pageData() (pageData, error) {
	var d pageData
	slices := 0
	for _, v := range r.Variants {
		d.Variants = append(d.Variants, v.Name)
		slices += len(v.run.Slices)
	}
	const mostPoints = 4000 // in a chart
	d.Pool = (slices + mostPoints - 1) / mostPoints
	for _, v := range r.Variants {
		d.Slices = append(d.Slices, v.timeSeries(d.Pool))
	}
	d.Borders = r.borders()
	d.Latency = r.percentiles()
	var err error
	d.Flames, err = r.flames()
	return d, err
}

// timeSeries is what the slices of a run showed. Between blocks it has a point
// without values.
type timeSeries struct {
	Start   []figure `json:"start"` // s from the start of the experiment
	Ops     []figure `json:"ops"`   // a second
	Latency []figure `json:"ms"`    // mean
}

// timeSeries sums up each pool of consecutive slices of a block in one point.
func (v Variant) timeSeries(pool int) timeSeries {
	var t timeSeries
	for b := range v.Manifest.Blocks {
		samples := v.run.BlockSlices(b)
		for i := 0; i < len(samples); i += pool {
			var s sums
			for _, sample := range samples[i:min(i+pool, len(samples))] {
				s.add(sample)
			}
			t.add(samples[i].Start, s.opsPerSec(), s.latency/s.ops*1e3)
		}
		last := samples[len(samples)-1]
		t.add(last.Start+last.Duration, math.NaN(), math.NaN())
	}
	return t
}

func (t *timeSeries) add(start time.Duration, ops, ms float64) {
	t.Start, t.Ops, t.Latency = append(t.Start, figure(start.Seconds())), append(t.Ops, figure(ops)), append(t.Latency, figure(ms))
}

// borders are the times at which blocks begin, or nothing if the variants were
// not recorded together.
func (r *Report) borders() []figure {
	borders := []figure{}
	for _, c := range r.Comparisons {
		if !c.Paired {
			return borders
		}
	}
	for b, block := range r.Variants[0].Manifest.Blocks {
		start := block.Start
		for _, v := range r.Variants[1:] {
			if b < len(v.Manifest.Blocks) {
				start = min(start, v.Manifest.Blocks[b].Start)
			}
		}
		borders = append(borders, figure(start.Seconds()))
	}
	return borders
}

// percentiles are latency distributions.
type percentiles struct {
	Nines []figure         `json:"nines"` // x stands for the share 1 - 10^-x of requests
	Lines []percentileLine `json:"lines"`
}

// percentileLine is one distribution. A variant under an open loop has two:
// from when requests were due, and from when they were sent.
type percentileLine struct {
	Label   string   `json:"label"`
	Variant int      `json:"variant"`
	Sent    bool     `json:"sent"`
	Ms      []figure `json:"ms"` // a value for each number of nines
}

func (r *Report) percentiles() percentiles {
	const step = 0.05
	var p percentiles
	var nines []float64
	for _, v := range r.Variants {
		for x := step * float64(len(nines)); x <= math.Log10(float64(v.Totals.TotalOps)); x = step * float64(len(nines)) {
			nines = append(nines, x)
			p.Nines = append(p.Nines, figure(x))
		}
	}
	for i, v := range r.Variants {
		p.Lines = append(p.Lines, percentileLine{v.Name, i, false, atNines(v.run.Latency.All(), nines)})
		if v.run.Sent != nil {
			p.Lines = append(p.Lines, percentileLine{v.Name + ", from sending", i, true, atNines(v.run.Sent.All(), nines)})
		}
	}
	return p
}

// atNines reads latencies in ms off a histogram, as far as there is a request
// that is as slow.
func atNines(h *hdrhistogram.Histogram, nines []float64) []figure {
	values := make([]figure, len(nines))
	for i, x := range nines {
		values[i] = figure(math.NaN())
		if share := math.Pow(10, -x); share*float64(h.TotalCount()) >= 1 {
			values[i] = figure(float64(h.ValueAtQuantile(100*(1-share))) / 1e6)
		}
	}
	return values
}

// figure is a number of the page's data: five digits are more than a chart
// shows. One that is no number is null.
type figure float64

// MarshalJSON writes the number, rounded.
func (f figure) MarshalJSON() ([]byte, error) {
	if !finite(float64(f)) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(f), 'g', 5, 64), nil
}
