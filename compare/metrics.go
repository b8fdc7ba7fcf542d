package compare

import (
	"math"
	"slices"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Direction says which way a metric gets better.
type Direction string

// The directions. A metric without one is shown, not judged.
const (
	Up      Direction = "up"
	Down    Direction = "down"
	Neutral Direction = ""
)

// Metric is one figure of a run.
type Metric struct {
	Name     string
	Label    string
	Unit     string
	Better   Direction
	Decimals int
	Rule     Rule             // of metrics that have a direction
	Timing   bool             // depends on the speed of the machine
	Source   runfolder.Source // what the run must have been able to read; may be empty

	total func(runfolder.Totals) float64          // of the run, if the source is there; nil for the median of its blocks
	block func(run *runfolder.Run, b int) float64 // of one block
	slice func(runfolder.Slice) float64           // of one slice; nil if a slice does not tell
}

// Fresh processes of the same binary differ by as much as the floors in ways
// that no number of blocks averages out.
var (
	timeRule  = Rule{Tolerance: 3, Floor: 0.5}
	allocRule = Rule{Tolerance: 1, Floor: 0.1}
)

// Metrics are all figures that a comparison of closed loops shows, in its order.
var Metrics = []Metric{
	{
		Name: "ops_per_sec", Label: "throughput", Unit: "ops/s", Better: Up, Rule: timeRule, Timing: true,
		total: func(t runfolder.Totals) float64 { return t.OpsPerSec },
		block: func(r *runfolder.Run, b int) float64 { return sumSlices(r, b).opsPerSec() },
		slice: opsPerSec,
	},
	{
		Name: "cpu_per_op", Label: "CPU", Unit: "us/op", Better: Down, Decimals: 2, Rule: timeRule, Timing: true, Source: runfolder.SourceCPUClock,
		total: func(t runfolder.Totals) float64 { return *t.CPUPerOp },
		block: func(r *runfolder.Run, b int) float64 { return sumSlices(r, b).cpuPerOp() },
		slice: cpuPerOp,
	},
	{
		Name: "alloc_bytes_per_op", Label: "allocated", Unit: "B/op", Better: Down, Rule: allocRule, Source: runfolder.SourceMemStats,
		total: func(t runfolder.Totals) float64 { return *t.AllocBytesPerOp },
		block: func(r *runfolder.Run, b int) float64 {
			return float64(r.Manifest.Blocks[b].Window().TotalAlloc) / sumSlices(r, b).ops
		},
	},
	{
		Name: "allocs_per_op", Label: "allocations", Unit: "allocs/op", Better: Down, Decimals: 2, Rule: allocRule, Source: runfolder.SourceMemStats,
		total: func(t runfolder.Totals) float64 { return *t.AllocsPerOp },
		block: func(r *runfolder.Run, b int) float64 {
			return float64(r.Manifest.Blocks[b].Window().Mallocs) / sumSlices(r, b).ops
		},
	},
	{
		Name: "latency_mean", Label: "latency, mean", Unit: "ms", Better: Down, Decimals: 3, Rule: timeRule, Timing: true,
		total: func(t runfolder.Totals) float64 { return t.AvgLatencyMs },
		block: func(r *runfolder.Run, b int) float64 { s := sumSlices(r, b); return s.latency / s.ops * 1e3 },
	},
	latency("latency_p50", "latency, p50", 50, func(t runfolder.Totals) float64 { return t.P50Ms }),
	latency("latency_p90", "latency, p90", 90, func(t runfolder.Totals) float64 { return t.P90Ms }),
	latency("latency_p99", "latency, p99", 99, func(t runfolder.Totals) float64 { return t.P99Ms }),
	latency("latency_p999", "latency, p99.9", 99.9, func(t runfolder.Totals) float64 { return t.P999Ms }),
	slowest(latency("latency_max", "latency, max", 100, func(t runfolder.Totals) float64 { return t.MaxMs })),
	{
		Name: "gc_cycles", Label: "GC cycles", Unit: "per 10k ops", Decimals: 2, Source: runfolder.SourceMemStats,
		total: func(t runfolder.Totals) float64 { return float64(*t.GCCycles) / float64(t.TotalOps) * 1e4 },
		block: func(r *runfolder.Run, b int) float64 {
			return float64(r.Manifest.Blocks[b].Window().NumGC) / sumSlices(r, b).ops * 1e4
		},
	},
	{
		Name: "gc_pause", Label: "GC pauses", Unit: "ms per 10k ops", Decimals: 3, Timing: true, Source: runfolder.SourceMemStats,
		total: func(t runfolder.Totals) float64 { return *t.GCPauseMs / float64(t.TotalOps) * 1e4 },
		block: func(r *runfolder.Run, b int) float64 {
			return float64(r.Manifest.Blocks[b].Window().GCPause) / 1e6 / sumSlices(r, b).ops * 1e4
		},
	},
	{
		Name: "heap_peak", Label: "heap, peak", Unit: "MB", Decimals: 1, Source: runfolder.SourceMemStats,
		block: func(r *runfolder.Run, b int) float64 { return float64(r.Manifest.Blocks[b].After.HeapSys) / 1e6 },
	},
	{
		Name: "rss_peak", Label: "memory, peak", Unit: "MB", Decimals: 1, Source: runfolder.SourceRSS,
		block: func(r *runfolder.Run, b int) float64 { return float64(r.Manifest.Blocks[b].RSSPeak) / 1e6 },
	},
	{
		Name: "goroutines", Label: "goroutines", Unit: "at the end",
		block: func(r *runfolder.Run, b int) float64 { return float64(r.Manifest.Blocks[b].Goroutines) },
	},
}

func latency(name, label string, quantile float64, total func(runfolder.Totals) float64) Metric {
	return Metric{
		Name: name, Label: label, Unit: "ms", Better: Down, Decimals: 3, Rule: timeRule, Timing: true, total: total,
		block: func(r *runfolder.Run, b int) float64 {
			return float64(r.Latency.Block(b).ValueAtQuantile(quantile)) / 1e6
		},
	}
}

// metricsOf are the figures that runs under a load have. An open loop has the
// latencies from sending too, to hold against those from when requests were
// due. Its throughput is not judged: the load sets it, not the server.
func metricsOf(l loadgen.Load) []Metric {
	if !l.Open() {
		return Metrics
	}
	open := slices.Clone(Metrics)
	named := func(name string) int { return slices.IndexFunc(open, func(m Metric) bool { return m.Name == name }) }
	open[named("ops_per_sec")].Better = Neutral
	return slices.Insert(open, named("latency_max")+1,
		sent("latency_p50_sent", "latency, p50, from sending", 50, func(o *runfolder.OpenLoop) float64 { return o.P50Ms }),
		sent("latency_p99_sent", "latency, p99, from sending", 99, func(o *runfolder.OpenLoop) float64 { return o.P99Ms }),
		sent("latency_p999_sent", "latency, p99.9, from sending", 99.9, func(o *runfolder.OpenLoop) float64 { return o.P999Ms }),
	)
}

// sent is a latency from sending, which is shown and not judged: it leaves out
// what users waited before.
func sent(name, label string, quantile float64, total func(*runfolder.OpenLoop) float64) Metric {
	return Metric{
		Name: name, Label: label, Unit: "ms", Decimals: 3, Timing: true,
		total: func(t runfolder.Totals) float64 { return total(t.OpenLoop) },
		block: func(r *runfolder.Run, b int) float64 {
			return float64(r.Sent.Block(b).ValueAtQuantile(quantile)) / 1e6
		},
	}
}

// slowest takes the judgement from the largest latency: it grows with the
// number of requests, and so with speed.
func slowest(m Metric) Metric {
	m.Better = Neutral
	return m
}

// sums adds up the slices of a block; times are in seconds.
type sums struct{ ops, duration, cpu, latency float64 }

func sumSlices(r *runfolder.Run, b int) sums {
	var s sums
	for _, sample := range r.BlockSlices(b) {
		s.add(sample)
	}
	return s
}

func (s *sums) add(sample runfolder.Slice) {
	s.ops += float64(sample.Ops())
	s.duration += sample.Duration.Seconds()
	s.cpu += sample.ServerCPU.Seconds()
	s.latency += sample.Latency().Seconds()
}

func (s sums) opsPerSec() float64 { return s.ops / s.duration }
func (s sums) cpuPerOp() float64  { return s.cpu / s.ops * 1e6 }

func opsPerSec(s runfolder.Slice) float64 { return float64(s.Ops()) / s.Duration.Seconds() }
func cpuPerOp(s runfolder.Slice) float64  { return s.ServerCPU.Seconds() / float64(s.Ops()) * 1e6 }

// pairedLogRatios returns, for each of the first n blocks, ln(head/base): from
// the paired slices of the block where slices tell, else from its totals. Slices
// in which nothing was asked of either side say nothing.
func (m Metric) pairedLogRatios(base, head *runfolder.Run, n int) []float64 {
	d := make([]float64, n)
	for b := range d {
		if m.slice == nil {
			d[b] = math.Log(m.block(head, b) / m.block(base, b))
			continue
		}
		var ratios []float64
		heads := head.BlockSlices(b)
		for round, s := range base.BlockSlices(b) {
			if s.Ops() > 0 || heads[round].Ops() > 0 {
				ratios = append(ratios, math.Log(m.slice(heads[round])/m.slice(s)))
			}
		}
		d[b] = SignedRank(ratios).Estimate()
	}
	return d
}

// blocks returns the value of every block.
func (m Metric) blocks(r *runfolder.Run) []float64 {
	values := make([]float64, len(r.Manifest.Blocks))
	for b := range values {
		values[b] = m.block(r, b)
	}
	return values
}

// logs returns the logarithm of every block's value.
func (m Metric) logs(r *runfolder.Run) []float64 {
	values := m.blocks(r)
	for b, v := range values {
		values[b] = math.Log(v)
	}
	return values
}
