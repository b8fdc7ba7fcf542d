package compare

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Charts are what the charts and flame graphs of a report show.
type Charts struct {
	Slices  []Series        `json:"slices"`  // one per variant
	Pooled  int             `json:"pooled"`  // slices that a point of a series stands for
	Borders []stat.Rounded  `json:"borders"` // s; where blocks begin, if all were recorded together
	Latency Percentiles     `json:"latency"`
	Flames  profdiff.Flames `json:"flames"`
}

// Series is what the slices of a run showed over time. Between blocks it has a
// point without values.
type Series struct {
	Start   []stat.Rounded `json:"start"` // s from the start of the experiment
	Ops     []stat.Rounded `json:"ops"`   // per second
	Latency []stat.Rounded `json:"ms"`    // mean
}

// Percentiles are latency distributions.
type Percentiles struct {
	Nines []stat.Rounded   `json:"nines"` // x stands for the share 1 - 10^-x of requests
	Lines []PercentileLine `json:"lines"`
}

// PercentileLine is one distribution. A variant under an open loop has two:
// from when requests were due, and from when they were sent.
type PercentileLine struct {
	Label   string         `json:"label"`
	Variant int            `json:"variant"`
	Sent    bool           `json:"sent"`
	Ms      []stat.Rounded `json:"ms"` // one value for each number of nines
}

func newCharts(r *Report) (*Charts, error) {
	const mostPoints = 4000 // in a chart
	number := 0
	var runs []*runfolder.Run
	for _, v := range r.Variants {
		number += len(v.side.Slices)
		runs = append(runs, v.side.Run)
	}
	c := &Charts{Pooled: (number + mostPoints - 1) / mostPoints, Borders: borders(r), Latency: percentiles(r.Variants)}
	for _, run := range runs {
		c.Slices = append(c.Slices, newSeries(run, c.Pooled))
	}
	var err error
	c.Flames, err = profdiff.NewFlames(runs, commonKinds(runs))
	return c, err
}

// commonKinds are the kinds of profiles per operation that all runs have.
func commonKinds(runs []*runfolder.Run) []runfolder.ProfileKind {
	var kinds []runfolder.ProfileKind
	for _, kind := range runfolder.Kinds {
		common := kind.PerOperation()
		for _, run := range runs {
			common = common && run.Recorded(kind)
		}
		if common {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// newSeries pools so many consecutive slices of a block in one point.
func newSeries(run *runfolder.Run, pooled int) Series {
	var t Series
	for b := range run.Manifest.Blocks {
		all := run.BlockSlices(b)
		for i := 0; i < len(all); i += pooled {
			m := measured{kind: allKinds}
			for _, s := range all[i:min(i+pooled, len(all))] {
				m.addSlice(s)
			}
			t.add(all[i].Start, m.ops/m.duration, m.latency/m.ops*1e3)
		}
		last := all[len(all)-1]
		t.add(last.Start+last.Duration, math.NaN(), math.NaN())
	}
	return t
}

func (t *Series) add(start time.Duration, ops, ms float64) {
	t.Start = append(t.Start, stat.Rounded(start.Seconds()))
	t.Ops = append(t.Ops, stat.Rounded(ops))
	t.Latency = append(t.Latency, stat.Rounded(ms))
}

// borders are the times at which blocks begin, or nothing if the variants were
// not recorded together.
func borders(r *Report) []stat.Rounded {
	all := []stat.Rounded{}
	for _, c := range r.Comparisons {
		if !c.Paired {
			return all
		}
	}
	for b, block := range r.Variants[0].Manifest.Blocks {
		start := block.Start
		for _, v := range r.Variants[1:] {
			if b < len(v.Manifest.Blocks) {
				start = min(start, v.Manifest.Blocks[b].Start)
			}
		}
		all = append(all, stat.Rounded(start.Seconds()))
	}
	return all
}

func percentiles(variants []Variant) Percentiles {
	const step = 0.05
	p := Percentiles{Nines: []stat.Rounded{}, Lines: []PercentileLine{}}
	var nines []float64
	for _, v := range variants {
		most := math.Log10(float64(v.Totals.TotalOps))
		for x := step * float64(len(nines)); x <= most; x = step * float64(len(nines)) {
			nines = append(nines, x)
			p.Nines = append(p.Nines, stat.Rounded(x))
		}
	}
	for i, v := range variants {
		p.Lines = append(p.Lines, PercentileLine{v.Name, i, false, atNines(v.side.whole.due(), nines)})
		if v.Manifest.Load.Open() {
			p.Lines = append(p.Lines, PercentileLine{v.Name + ", from sending", i, true, atNines(v.side.whole.sent(), nines)})
		}
	}
	return p
}

// atNines reads latencies in ms off a histogram, as far as there is a request
// that is as slow.
func atNines(h *hdrhistogram.Histogram, nines []float64) []stat.Rounded {
	values := make([]stat.Rounded, len(nines))
	for i, x := range nines {
		values[i] = stat.Rounded(math.NaN())
		if share := math.Pow(10, -x); share*float64(h.TotalCount()) >= 1 {
			values[i] = stat.Rounded(float64(h.ValueAtQuantile(100*(1-share))) / 1e6)
		}
	}
	return values
}
