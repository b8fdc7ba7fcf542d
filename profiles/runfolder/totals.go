package runfolder

import "time"

// Totals are the figures of a whole run, over all its blocks. It is stored as
// load-test-results.json; its first names are those of the tools that came
// before. A nil field is a figure the run could not have.
type Totals struct {
	Timestamp    time.Time        `json:"timestamp"`
	DurationS    float64          `json:"duration_s"` // measured time: the sum of the slices
	TotalOps     int64            `json:"total_ops"`
	Writes       *int64           `json:"writes"` // of OpsByKind; nil if the load has no such kind
	Reads        *int64           `json:"reads"`
	Errors       int64            `json:"errors"`
	OpsPerSec    float64          `json:"ops_per_sec"`
	AvgLatencyMs float64          `json:"avg_latency_ms"`
	P50Ms        float64          `json:"p50_latency_ms"`
	P90Ms        float64          `json:"p90_latency_ms"`
	P99Ms        float64          `json:"p99_latency_ms"`
	P999Ms       float64          `json:"p999_latency_ms"`
	MaxMs        float64          `json:"max_latency_ms"`
	OpsByKind    map[string]int64 `json:"ops_by_kind"`
	OpenLoop     *OpenLoop        `json:"open_loop"` // nil for a closed loop

	CPUPerOp          *float64 `json:"cpu_us_per_op"`
	DatabaseCPUPerOp  *float64 `json:"database_cpu_us_per_op,omitempty"`
	GeneratorCPUPerOp float64  `json:"generator_cpu_us_per_op"`
	AllocBytesPerOp   *float64 `json:"alloc_bytes_per_op"`
	AllocsPerOp       *float64 `json:"allocs_per_op"`
	GCCycles          *int64   `json:"gc_cycles"`
	GCPauseMs         *float64 `json:"gc_pause_ms"`
	HeapPeakBytes     *int64   `json:"heap_peak_bytes"`
	RSSPeakBytes      *int64   `json:"rss_peak_bytes"`
	Goroutines        *int64   `json:"goroutines"` // the most at the end of a block
}

// OpenLoop is what only a run with a fixed rate has: how well the rate was kept,
// and latencies from when requests were sent. Those of Totals count from when
// they were due; the difference is what a closed loop would not have shown.
type OpenLoop struct {
	RatePerSec   float64 `json:"rate_per_s"` // that was asked for
	Late         int64   `json:"late"`       // requests sent more than a millisecond after they were due
	Missed       int64   `json:"missed"`     // requests due and never sent
	MaxLateMs    float64 `json:"max_late_ms"`
	AvgLatencyMs float64 `json:"avg_latency_sent_ms"`
	P50Ms        float64 `json:"p50_latency_sent_ms"`
	P90Ms        float64 `json:"p90_latency_sent_ms"`
	P99Ms        float64 `json:"p99_latency_sent_ms"`
	P999Ms       float64 `json:"p999_latency_sent_ms"`
	MaxMs        float64 `json:"max_latency_sent_ms"`
}

// Totals sums the run up. A run without blocks has zero totals.
func (r *Run) Totals() Totals {
	t := Totals{Timestamp: r.Manifest.Start, OpsByKind: map[string]int64{}}
	for _, kind := range r.Manifest.Load.Kinds {
		t.OpsByKind[kind] = 0
	}
	t.addLoad(r)
	t.addLatency(r)
	if r.Manifest.Load.Open() {
		t.OpenLoop = openLoop(r)
	}
	if t.TotalOps > 0 {
		t.addProcess(r)
	}
	return t
}

func (t *Totals) addLoad(r *Run) {
	var duration, generatorCPU time.Duration
	for _, s := range r.Slices {
		duration += s.Duration
		generatorCPU += s.GeneratorCPU
		t.TotalOps += s.Ops()
		for i, k := range s.Kinds {
			t.OpsByKind[r.Manifest.Load.Kinds[i]] += k.Ops
		}
	}
	for _, n := range r.Manifest.Errors {
		t.Errors += n
	}
	t.Writes, t.Reads = t.opsOf("write"), t.opsOf("read")
	t.DurationS = duration.Seconds()
	if t.TotalOps > 0 {
		t.GeneratorCPUPerOp = micros(generatorCPU) / float64(t.TotalOps)
	}
	if duration > 0 { // which a foreign folder may not tell
		t.OpsPerSec = float64(t.TotalOps) / duration.Seconds()
	}
}

// opsOf is the number of requests of a kind, nil if the load has none.
func (t *Totals) opsOf(kind string) *int64 {
	n, known := t.OpsByKind[kind]
	if !known {
		return nil
	}
	return &n
}

func (t *Totals) addLatency(r *Run) {
	if t.TotalOps == 0 {
		return
	}
	var sum time.Duration
	for _, s := range r.Slices {
		sum += s.Latency()
	}
	t.AvgLatencyMs = sum.Seconds() * 1e3 / float64(t.TotalOps)
	h := r.Latency.All()
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e6 }
	t.P50Ms, t.P90Ms, t.P99Ms, t.P999Ms = ms(50), ms(90), ms(99), ms(99.9)
	t.MaxMs = float64(h.Max()) / 1e6
}

func openLoop(r *Run) *OpenLoop {
	o := &OpenLoop{RatePerSec: r.Manifest.Load.Rate}
	var maxLate time.Duration
	for _, s := range r.Slices {
		o.Late += s.Late
		o.Missed += s.Missed
		maxLate = max(maxLate, s.MaxLate)
	}
	o.MaxLateMs = maxLate.Seconds() * 1e3
	h := r.Sent.All()
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e6 }
	o.P50Ms, o.P90Ms, o.P99Ms, o.P999Ms = ms(50), ms(90), ms(99), ms(99.9)
	o.AvgLatencyMs, o.MaxMs = h.Mean()/1e6, float64(h.Max())/1e6
	return o
}

func (t *Totals) addProcess(r *Run) {
	ops := float64(t.TotalOps)
	if r.Has(SourceCPUClock) {
		var cpu time.Duration
		for _, s := range r.Slices {
			cpu += s.ServerCPU
		}
		t.CPUPerOp = new(micros(cpu) / ops)
	}
	var window Counters
	var databaseCPU time.Duration
	var rssPeak, goroutines int64
	for _, b := range r.Manifest.Blocks {
		if b.DatabaseCPU != nil {
			databaseCPU += *b.DatabaseCPU
			t.DatabaseCPUPerOp = new(micros(databaseCPU) / ops)
		}
		window = window.Add(b.Window())
		rssPeak = max(rssPeak, b.RSSPeak)
		goroutines = max(goroutines, b.Goroutines)
	}
	if r.Has(SourceMemStats) {
		t.AllocBytesPerOp = new(float64(window.TotalAlloc) / ops)
		t.AllocsPerOp = new(float64(window.Mallocs) / ops)
		t.GCCycles = new(window.NumGC)
		t.GCPauseMs = new(float64(window.GCPause) / 1e6)
		t.HeapPeakBytes = new(window.HeapSys)
	}
	if r.Has(SourceRSS) {
		t.RSSPeakBytes = new(rssPeak)
	}
	if r.Has(SourceGoroutines) {
		t.Goroutines = new(goroutines)
	}
}

// Has reports whether the run could read a source of figures.
func (r *Run) Has(s Source) bool {
	_, missing := r.Manifest.Unavailable[s]
	return !missing
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
