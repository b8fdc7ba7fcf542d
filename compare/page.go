package compare

import (
	"math"
	"strconv"
	"time"
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
		slices += len(v.run.Samples)
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
		samples := v.run.BlockSamples(b)
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

// percentiles are latency distributions: a value in ms for each variant and
// each number of nines.
type percentiles struct {
	Nines  []figure   `json:"nines"` // x stands for the share 1 - 10^-x of requests
	Values [][]figure `json:"ms"`
}

func (r *Report) percentiles() percentiles {
	const step = 0.05
	p := percentiles{Values: make([][]figure, len(r.Variants))}
	var most float64
	for _, v := range r.Variants {
		most = max(most, math.Log10(float64(v.Totals.TotalOps)))
	}
	for x := 0.0; x <= most; x += step {
		p.Nines = append(p.Nines, figure(x))
	}
	for i, v := range r.Variants {
		all := v.run.Latency.All()
		for x := 0.0; x <= most; x += step {
			share, ms := math.Pow(10, -x), math.NaN()
			if share*float64(v.Totals.TotalOps) >= 1 { // there is a request as slow as this
				ms = float64(all.ValueAtQuantile(100*(1-share))) / 1e6
			}
			p.Values[i] = append(p.Values[i], figure(ms))
		}
	}
	return p
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
