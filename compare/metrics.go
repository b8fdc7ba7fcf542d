package compare

import (
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// MetricID names a metric in flags, files and JSON.
type MetricID string

// The metrics that code asks for by name; all others are rows of Metrics only.
const (
	OpsPerSec         MetricID = "ops_per_sec"
	CPUPerOp          MetricID = "cpu_per_op"
	InstructionsPerOp MetricID = "instructions_per_op"
	CapacityRate      MetricID = "capacity" // of a search, see CapacityReport
	UnsyncedWrites    MetricID = "unsynced_writes"
)

// Direction says which way a metric gets better.
type Direction string

// The directions. A metric without one is shown, not judged.
const (
	Up      Direction = "up"
	Down    Direction = "down"
	Neutral Direction = ""
)

// Metric is one figure of a run: what it is called, how it is computed of a
// block and of a run, and how it is judged and shown. Everything that handles
// metrics ranges over Metrics, so a new metric is a new row.
type Metric struct {
	ID       MetricID
	Label    string
	Short    string // in a sentence about a kind of request
	Unit     string
	Better   Direction
	Decimals int
	Rule     Rule             // of metrics that have a direction
	Timing   bool             // depends on the speed of the machine
	Source   runfolder.Source // what the run must have been able to read; may be empty

	Gated    bool // unless criteria say otherwise
	Headline bool // among the results of every run, and drawn as bars
	Brief    bool // in a short table, gated or not

	ExplainedBy string // the kind of profile; empty if none explains it
	ByCount     bool   // by the profile's counts rather than its values

	ByKind   KindUse
	Share    bool // percent of all requests: its change is a difference, in percentage points
	Answers  bool // from what came back, of which older folders do not tell
	Asked    bool // under a rate the load sets it, so that it is not judged
	Open     bool // there under a rate only
	Database bool // there only if a run of the comparison has a database server
	Counted  bool // of blocks of its own, and in a family of its own, if valgrind counted it
	Typical  bool // a run's value is the median of its blocks, not that of all requests
	Bound    bool // a run's value is the largest of its blocks, which may be infinite; not there if nobody tells it

	Bench *BenchUnit // in lines of Go's benchmark format; nil if it is left out

	value func(*measured) float64       // of a block, or of a whole run
	slice func(runfolder.Slice) float64 // of one slice; nil if a slice does not tell
}

// BenchUnit is a metric under the unit and the scale that Go benchmarks have.
type BenchUnit struct {
	Unit    string
	Convert func(float64) float64
}

func benchTimes(factor float64, unit string) *BenchUnit {
	return &BenchUnit{Unit: unit, Convert: func(v float64) float64 { return v * factor }}
}

// Fresh processes of the same binary differ by as much as the floors in ways
// that no number of blocks averages out.
var (
	timeRule  = Rule{Tolerance: 3, Floor: 0.5}
	allocRule = Rule{Tolerance: 1, Floor: 0.1}
	instrRule = Rule{Tolerance: 0.5, Floor: 0.2}
)

// Of a request that allocates next to nothing a percent is less than what the process
// allocates by the second for itself. Half of the smallest object that Go allocates is
// not one more for each request, and a twentieth of one not one more for many.
var (
	bytesRule   = Rule{Tolerance: allocRule.Tolerance, Floor: allocRule.Floor, Least: 4}
	objectsRule = Rule{Tolerance: allocRule.Tolerance, Floor: allocRule.Floor, Least: 0.05}
)

// shareRule is in percentage points: a request in a thousand does not matter, and
// one in ten thousand cannot be told from none.
var shareRule = Rule{Tolerance: 0.1, Floor: 0.01}

// Metrics are all figures of a comparison, in its order.
var Metrics = []Metric{
	{
		ID: OpsPerSec, Label: "throughput", Unit: "ops/s", Better: Up, Rule: timeRule, Timing: true,
		Source: runfolder.SourceDuration,
		Gated:  true, Headline: true, Brief: true, ExplainedBy: "cpu", Asked: true,
		// Between two finished requests, all workers together, as testing.B counts.
		Bench: &BenchUnit{Unit: "ns/op", Convert: func(perSecond float64) float64 { return 1e9 / perSecond }},
		value: func(m *measured) float64 { return m.ops / m.duration },
		slice: func(s runfolder.Slice) float64 { return float64(s.Ops()) / s.Duration.Seconds() },
	},
	durability,
	{
		ID: CPUPerOp, Label: "CPU", Unit: "us/op", Better: Down, Decimals: 2, Rule: timeRule, Timing: true,
		Source: runfolder.SourceCPUClock,
		Gated:  true, Headline: true, Brief: true, ExplainedBy: "cpu", Bench: benchTimes(1e3, "cpu-ns/op"),
		value: func(m *measured) float64 { return m.cpu / m.ops * 1e6 },
		slice: func(s runfolder.Slice) float64 { return s.ServerCPU.Seconds() / float64(s.Ops()) * 1e6 },
	},
	{
		ID: "database_cpu_per_op", Label: "CPU of the database", Unit: "us/op", Decimals: 2, Timing: true,
		Source: runfolder.SourceDatabaseCPU, Brief: true, Database: true,
		value: func(m *measured) float64 { return m.databaseCPU / m.ops * 1e6 },
	},
	{
		ID: "alloc_bytes_per_op", Label: "allocated", Unit: "B/op", Better: Down, Rule: bytesRule,
		Source: runfolder.SourceMemStats,
		Gated:  true, Headline: true, Brief: true, ExplainedBy: "allocs", Bench: benchTimes(1, "B/op"),
		value: func(m *measured) float64 { return float64(m.window.TotalAlloc) / m.ops },
	},
	{
		ID: "allocs_per_op", Label: "allocations", Unit: "allocs/op", Better: Down, Decimals: 2, Rule: objectsRule,
		Source: runfolder.SourceMemStats,
		Gated:  true, Headline: true, Brief: true, ExplainedBy: "allocs", ByCount: true, Bench: benchTimes(1, "allocs/op"),
		value: func(m *measured) float64 { return float64(m.window.Mallocs) / m.ops },
	},
	{
		ID: InstructionsPerOp, Label: "instructions", Unit: "instr/op", Better: Down, Rule: instrRule, Counted: true,
		Source: runfolder.SourceInstructions,
		Brief:  true, ExplainedBy: "instructions",
		value: func(m *measured) float64 { return m.instructions / m.ops },
	},
	{
		ID: "failed_requests", Label: "failed requests", Unit: "% of requests", Better: Down, Decimals: 2,
		Rule:  shareRule,
		Gated: true, Share: true, Short: "failures", ByKind: JudgedByKind,
		value: func(m *measured) float64 { return (m.failed + m.redirected) / (m.ops + m.failed) * 100 },
	},
	{
		ID: "latency_mean", Label: "latency, mean", Unit: "ms", Better: Down, Decimals: 3, Rule: timeRule, Timing: true,
		Source:   runfolder.SourceMeanLatency,
		Headline: true, Brief: true, ExplainedBy: "cpu", Bench: benchTimes(1e6, "mean-ns"), ByKind: ShownByKind,
		value: func(m *measured) float64 { return m.latency / m.ops * 1e3 },
	},
	byKindToo("p50", judged(latency("latency_p50", "latency, p50", 50, benchTimes(1e6, "p50-ns")))),
	judged(latency("latency_p90", "latency, p90", 90, benchTimes(1e6, "p90-ns"))),
	byKindToo("p99", headline(judged(latency("latency_p99", "latency, p99", 99, benchTimes(1e6, "p99-ns"))))),
	judged(latency("latency_p999", "latency, p99.9", 99.9, benchTimes(1e6, "p99.9-ns"))),
	// Not judged: the largest of more requests is larger, and so with speed.
	latency("latency_max", "latency, max", 100, nil),
	sent("latency_p50_sent", "latency, p50, from sending", 50),
	sent("latency_p99_sent", "latency, p99, from sending", 99),
	sent("latency_p999_sent", "latency, p99.9, from sending", 99.9),
	{
		ID: "body_bytes", Label: "answers, size", Unit: "B of body", Decimals: 1, Answers: true, ByKind: ShownByKind,
		value: (*measured).bodySize,
	},
	{
		ID: "gc_cycles", Label: "GC cycles", Unit: "per 10k ops", Decimals: 2, Source: runfolder.SourceMemStats,
		value: func(m *measured) float64 { return float64(m.window.NumGC) / m.ops * 1e4 },
	},
	{
		ID: "gc_pause", Label: "GC pauses", Unit: "ms per 10k ops", Decimals: 3, Timing: true, Source: runfolder.SourceMemStats,
		value: func(m *measured) float64 { return float64(m.window.GCPause) / 1e6 / m.ops * 1e4 },
	},
	{
		ID: "heap_peak", Label: "heap, peak", Unit: "MB", Decimals: 1, Source: runfolder.SourceMemStats, Typical: true,
		value: func(m *measured) float64 { return float64(m.block.After.HeapSys) / 1e6 },
	},
	{
		ID: "rss_peak", Label: "memory, peak", Unit: "MB", Decimals: 1, Source: runfolder.SourceRSS, Typical: true,
		value: func(m *measured) float64 { return float64(m.block.RSSPeak) / 1e6 },
	},
	{
		ID: "goroutines", Label: "goroutines", Unit: "at the end", Source: runfolder.SourceGoroutines, Typical: true,
		value: func(m *measured) float64 { return float64(m.block.Goroutines) },
	},
	{
		ID: "goroutine_growth", Label: "goroutines, growth", Unit: "in a window", Source: runfolder.SourceGoroutines, Typical: true,
		value: func(m *measured) float64 { return float64(m.block.Goroutines - m.block.GoroutinesBefore) },
	},
	perOperation("switches_voluntary", "switches, waiting", "/op", runfolder.SourceSwitches,
		func(p runfolder.ProcessCounters) int64 { return p.VoluntarySwitches }),
	perOperation("switches_involuntary", "switches, preempted", "/op", runfolder.SourceSwitches,
		func(p runfolder.ProcessCounters) int64 { return p.InvoluntarySwitches }),
	perOperation("read_bytes", "bytes read", "B/op", runfolder.SourceIO,
		func(p runfolder.ProcessCounters) int64 { return p.ReadBytes }),
	perOperation("written_bytes", "bytes written", "B/op", runfolder.SourceIO,
		func(p runfolder.ProcessCounters) int64 { return p.WrittenBytes }),
}

// latency is a quantile of the time from when requests were due to their
// complete answers.
func latency(id MetricID, label string, quantile float64, bench *BenchUnit) Metric {
	return Metric{
		ID: id, Label: label, Unit: "ms", Decimals: 3, Timing: true, Bench: bench, Source: runfolder.SourceLatencies,
		value: func(m *measured) float64 { return milliseconds(m.due(), quantile) },
	}
}

// milliseconds is a quantile of latencies in ns, NaN if there are none.
func milliseconds(h *hdrhistogram.Histogram, quantile float64) float64 {
	if h.TotalCount() == 0 {
		return math.NaN()
	}
	return float64(h.ValueAtQuantile(quantile)) / 1e6
}

// perOperation is what the system counted of the process, by the requests.
func perOperation(id MetricID, label, unit string, source runfolder.Source,
	counter func(runfolder.ProcessCounters) int64) Metric {
	return Metric{
		ID: id, Label: label, Unit: unit, Decimals: 2, Source: source,
		value: func(m *measured) float64 { return float64(counter(m.process)) / m.ops },
	}
}

func judged(m Metric) Metric {
	m.Better, m.Rule, m.ExplainedBy = Down, timeRule, "cpu"
	return m
}

func byKindToo(short string, m Metric) Metric {
	m.Short, m.ByKind = short, JudgedByKind
	return m
}

func headline(m Metric) Metric {
	m.Headline, m.Brief = true, true
	return m
}

// sent is a latency from sending, to relate to the one from when requests were
// due. It is not judged: it leaves out what users waited before.
func sent(id MetricID, label string, quantile float64) Metric {
	return Metric{
		ID: id, Label: label, Unit: "ms", Decimals: 3, Timing: true, Open: true, Source: runfolder.SourceLatencies,
		value: func(m *measured) float64 { return milliseconds(m.sent(), quantile) },
	}
}

// metricsOf are the figures that runs under a load have, as they are judged
// under it. A share of failures is judged only where requests failed or may fail.
func metricsOf(l loadgen.Load, failures, database bool) []Metric {
	var all []Metric
	for _, m := range Metrics {
		if m.Open && !l.Open() || m.Database && !database {
			continue
		}
		if m.Asked && l.Open() || m.Share && !failures {
			m.Better = Neutral
		}
		all = append(all, m)
	}
	return all
}

// EveryMetric are those of runs, and that of searches.
func EveryMetric() []Metric { return append(slices.Clone(Metrics), capacityMetric) }

// FindMetric returns the row of a metric, and false if there is none.
func FindMetric(id MetricID) (Metric, bool) {
	all := EveryMetric()
	i := slices.IndexFunc(all, func(m Metric) bool { return m.ID == id })
	if i < 0 {
		return Metric{}, false
	}
	return all[i], true
}
