package compare

import (
	"flag"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// truth is what a synthetic run is made to show.
type truth struct {
	ops       float64 // a second
	cpu       float64 // us an operation
	bytes     float64 // an operation
	latencyMs float64
}

const testRounds = 20

// synthesize makes a run of the given truth on a machine whose speed drifts:
// in the same way for every run of the same drift seed, by up to a third.
func synthesize(t *testing.T, name, experiment string, blocks int, want truth, drift uint64) *runfolder.Run {
	t.Helper()
	r := &runfolder.Run{Dir: "profiles/" + experiment + "-" + name, Manifest: runfolder.Manifest{
		Format: runfolder.Format, Schema: runfolder.Schema, Experiment: experiment, Tool: "test",
		Subject: runfolder.SubjectInfo{Name: name, Binary: runfolder.Binary{GoVersion: "go1.26.0", Commit: "0123456789abcdef"}},
		Load:    loadgen.Load{Workload: "test mix", Kinds: []string{"write", "read"}, Workers: 10},
		Plan:    runfolder.Plan{Blocks: blocks, Rounds: testRounds, Slice: 50 * time.Millisecond, Seed: 1},
		Capture: runfolder.CaptureInfo{Periods: map[string]int64{"cpu": 1e7, "allocs": 524288}, Profiles: []string{"cpu", "allocs", "heap", "goroutine"}},
		Host:    runfolder.Host{OS: "linux", Arch: "amd64", Kernel: "6.1", CPUModel: "Test CPU", Cores: 2, Affinity: 1},
		Start:   time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		State:   runfolder.StateComplete,
	}}
	machine := rand.New(rand.NewPCG(drift, 0))
	own := rand.New(rand.NewPCG(uint64(len(name)), uint64(blocks)))
	for b := range blocks {
		var ops, reads int64
		for round := range testRounds {
			speed := (1 + machine.Float64()/3) * (1 + own.NormFloat64()*0.02)
			s := sample(b, round, want, speed)
			ops += s.Ops()
			reads += s.Kinds[1].Ops
			r.Slices = append(r.Slices, s)
		}
		r.Manifest.Blocks = append(r.Manifest.Blocks, runfolder.Block{
			Block: b,
			After: runfolder.Counters{
				TotalAlloc: int64(want.bytes * float64(ops)), Mallocs: 10 * ops, NumGC: 3, GCPause: 1e6, HeapSys: 20e6,
			},
			RSSPeak: 40e6, Goroutines: 12,
			Answers: []runfolder.Answers{answered(ops-reads, 37), answered(reads, 3780)},
		})
		r.Latency = append(r.Latency, latencies(t, ops-reads, reads, want.latencyMs))
	}
	return r
}

func sample(b, round int, want truth, speed float64) runfolder.Slice {
	const length = 50 * time.Millisecond
	ops := int64(math.Round(want.ops * speed * length.Seconds()))
	return runfolder.Slice{
		Block: b, Round: round, Duration: length,
		ServerCPU:    time.Duration(want.cpu / speed * float64(ops) * float64(time.Microsecond)),
		GeneratorCPU: time.Duration(ops) * 10 * time.Microsecond,
		Kinds: []loadgen.KindResult{
			{Ops: ops - ops/11, Latency: time.Duration(float64(ops-ops/11) * want.latencyMs * 1e6)},
			{Ops: ops / 11, Latency: time.Duration(float64(ops/11) * want.latencyMs * 1e6)},
		},
	}
}

// answered are answers to requests that all succeeded.
func answered(ops, bodyBytes int64) runfolder.Answers {
	return runfolder.Answers{Bytes: ops * bodyBytes, Statuses: map[int]int64{200: ops}}
}

// latencies are those of writes and reads, all the same.
func latencies(t *testing.T, writes, reads int64, ms float64) []*hdrhistogram.Histogram {
	t.Helper()
	var kinds []*hdrhistogram.Histogram
	for _, ops := range []int64{writes, reads} {
		h := loadgen.NewHistogram()
		if err := h.RecordValues(int64(ms*1e6), ops); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, h)
	}
	return kinds
}

// cost is what a function of a synthetic profile costs in one operation: the
// same in every block unless blocks are given.
type cost struct {
	value, count float64
	blocks       []float64
}

// variant gives a run profiles of a few functions that add up to its truth.
func variant(run *runfolder.Run, allocators map[string]cost) Variant {
	v := newVariant(run)
	profiles := map[string]map[string]cost{"allocs": allocators}
	if cpu := v.Value(CPUPerOp); cpu != nil {
		profiles["cpu"] = map[string]cost{"syscall.Syscall": {value: 12}, "main.handle": {value: *cpu - 12}}
	}
	for _, kind := range runfolder.Kinds {
		functions, there := profiles[kind.Name]
		if !there || !run.Recorded(kind) {
			continue
		}
		ops := profdiff.BlockOps(run, kind)
		a, err := profdiff.Attribute(profileOf(kind, functions, ops), kind, ops,
			profdiff.Options{Groups: profdiff.DefaultGroups(), Source: testSource})
		if err != nil {
			panic(err)
		}
		a.Exact = v.Value(MetricID(kind.Explains))
		v.attributions[kind.Name] = a
		v.Profiles = append(v.Profiles, a.Table())
	}
	return v
}

// testSource is where the functions of synthetic profiles stand.
var testSource = profdiff.Source{Module: "example.com/shop", Main: "example.com/shop/cmd/server", Dir: "backend"}

// profileOf is a profile in which functions cost what they shall in every block.
func profileOf(kind runfolder.ProfileKind, functions map[string]cost, ops []float64) *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: kind.Count, Unit: "count"}, {Type: kind.Value, Unit: "unit"}},
		PeriodType: &profile.ValueType{Type: kind.Value, Unit: "unit"},
		Period:     1,
	}
	for i, name := range slices.Sorted(maps.Keys(functions)) {
		f := &profile.Function{ID: uint64(i + 1), Name: name, Filename: "/gone/worktree/handler.go"}
		l := &profile.Location{ID: uint64(i + 1), Line: []profile.Line{{Function: f, Line: int64(40 + i)}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		for b, n := range ops {
			c := functions[name]
			value := c.value
			if c.blocks != nil {
				value = c.blocks[b]
			}
			count := int64(math.Round(max(c.count, 10) * n))
			p.Sample = append(p.Sample, &profile.Sample{
				Location: []*profile.Location{l},
				Value:    []int64{count, int64(math.Round(value * n / kind.Scale))},
				NumLabel: map[string][]int64{"block": {int64(b) + 1}},
			})
		}
	}
	return p
}

// mustReport compares variants.
func mustReport(t *testing.T, variants []Variant, o Options) *Report {
	t.Helper()
	r, err := newReport(variants, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustCompare compares two.
func mustCompare(t *testing.T, base, head Variant) Comparison {
	t.Helper()
	c, err := compareTwo(base, head, nil, defaults())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func defaults() Options { return Options{Criteria: DefaultCriteria()} }

var slow, fast = truth{ops: 8000, cpu: 100, bytes: 14000, latencyMs: 1.2}, truth{ops: 8800, cpu: 90, bytes: 10000, latencyMs: 1.1}

func TestPairingCancelsDrift(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 10, slow, 7), synthesize(t, "head-", "e1", 10, fast, 7)
	c := mustCompare(t, variant(base, nil), variant(head, nil))
	for id, want := range map[MetricID]struct {
		percent, width float64
		verdict        Verdict
	}{
		"ops_per_sec":        {10, 2, Improved},
		"cpu_per_op":         {-10, 2, Improved},
		"alloc_bytes_per_op": {-28.57, 0.1, Improved},
		"allocs_per_op":      {0, 0.1, Equivalent},
		"latency_p50":        {-8.33, 0.2, Improved},
		"gc_cycles":          {-9.1, 2, NotJudged},
	} {
		m := c.Metric(id)
		if got := m.Change; !near(got.Percent, want.percent, want.width) || got.High-got.Low > 2*want.width || m.Verdict != want.verdict {
			t.Errorf("%s: %v (%s), want about %v%% (%s)", id, got, m.Verdict, want.percent, want.verdict)
		}
	}
	back := mustCompare(t, variant(head, nil), variant(base, nil))
	if got := back.Metric("ops_per_sec").Verdict; got != Regressed {
		t.Errorf("the other way round throughput is %q", got)
	}
}

func TestUnpairedRunsShowTheDrift(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 10, slow, 7), synthesize(t, "head-", "e2", 10, fast, 8)
	r := mustReport(t, []Variant{variant(base, nil), variant(head, nil)}, defaults())
	c := r.Comparisons[0]
	if c.Paired {
		t.Error("runs of two experiments are paired")
	}
	paired := mustCompare(t, variant(base, nil), variant(synthesize(t, "head-", "e1", 10, fast, 7), nil)).Metric("ops_per_sec").Change
	if got := c.Metric("ops_per_sec").Change; got.High-got.Low < 2*(paired.High-paired.Low) {
		t.Errorf("the interval %v is not much wider than %v of paired slices", got, paired)
	}
	if codes := warningCodes(r); !slices.Contains(codes, "unpaired") {
		t.Errorf("warnings %v", codes)
	}
}

func TestFewBlocksAreNotJudged(t *testing.T) {
	r := mustReport(t, []Variant{variant(synthesize(t, "base", "e1", 3, slow, 7), nil), variant(synthesize(t, "head", "e1", 3, fast, 7), nil)}, defaults())
	if got := r.Comparisons[0].Metric("ops_per_sec"); got.Verdict != Inconclusive || got.Change.Level != 0.75 {
		t.Errorf("%s at level %v", got.Verdict, got.Change.Level)
	}
	if codes := warningCodes(r); !slices.Contains(codes, "too_few_blocks") {
		t.Errorf("warnings %v", codes)
	}
}

func TestUnavailableMetric(t *testing.T) {
	head := synthesize(t, "head", "e1", 12, fast, 7)
	head.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceCPUClock: "no such clock here"}
	got := mustCompare(t, variant(synthesize(t, "base", "e1", 12, slow, 7), nil), variant(head, nil)).Metric("cpu_per_op")
	if got.Head != nil || got.Change != nil || got.Verdict != Inconclusive || got.Unavailable != "no such clock here" {
		t.Errorf("%+v", got)
	}
}

// TestZeroHasNoRatio holds what is said of counts that are 0 on one side or both.
func TestZeroHasNoRatio(t *testing.T) {
	none := func(r *runfolder.Run, blocks ...int) {
		for _, b := range blocks {
			r.Manifest.Blocks[b].After.NumGC = 0
			r.Manifest.Blocks[b].After.Mallocs = 0
		}
	}
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	tests := []struct {
		name       string
		base, head []int // blocks without a collection or an allocation
		cycles     string
		allocs     Verdict
	}{
		{"from nothing", all, nil, "from 0 to 2.93", Regressed},
		{"to nothing", nil, all, "from 3.23 to 0", Improved},
		{"nothing on both sides", all, all, "0 on both sides", Equivalent},
		{"nothing in a block", nil, []int{3}, "from 3.23 to 2.69 (0 in a block: no ratio)", Inconclusive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, fast, 7)
			none(base, tt.base...)
			none(head, tt.head...)
			c := mustCompare(t, variant(base, nil), variant(head, nil))
			if got := c.Metric("gc_cycles"); got.Change != nil || got.Unavailable != tt.cycles || got.Verdict != NotJudged {
				t.Errorf("GC cycles, which are not judged: %+v", got)
			}
			if got := c.Metric("allocs_per_op"); got.Verdict != tt.allocs {
				t.Errorf("allocations: %+v, want %s", got, tt.allocs)
			}
		})
	}
}

// failing makes share of a run's requests fail, in the given blocks or, without
// any, in all of them.
func failing(r *runfolder.Run, share float64, blocks ...int) {
	due := 0.0
	for i := range r.Slices {
		s := &r.Slices[i]
		if len(blocks) == 0 || slices.Contains(blocks, s.Block) {
			due += float64(s.Ops()) * share / (1 - share)
			s.Errors = int64(due)
			due -= float64(s.Errors)
		}
	}
}

// TestFailedRequests holds how the share of failed requests is judged: by its
// difference in percentage points, since it is often 0.
func TestFailedRequests(t *testing.T) {
	tests := []struct {
		name       string
		allowed    float64
		base, head func(*runfolder.Run)
		found      string // begins so
		want       Verdict
		overall    Verdict
	}{
		{"from nothing", 0, none, failingBy(0.0031), "from 0 to 0.31%", Regressed, Regressed},
		{"to nothing", 0.02, failingBy(0.01), none, "from 1 to 0%", Improved, Improved},
		{"twice as many", 0.1, failingBy(0.01), failingBy(0.02), "from 1 to 2%, +1.0", Regressed, Regressed},
		{"as many as before", 0.1, failingBy(0.01), failingBy(0.01), "from 1 to 1%, +0.00 [", Equivalent, Equivalent},
		{"a request in 5,000 in one block", 0.1, none, failingBy(0.0002, 3), "from 0 to ", Equivalent, Equivalent},
		{"three in ten in two blocks", 0.5, none, failingBy(0.3, 3, 7), "from 0 to ", Inconclusive, Inconclusive},
		{"none, though borne", 0.1, none, none, "0 on both sides", Equivalent, Equivalent},
		{"none, and not borne", 0, none, none, "0 on both sides", NotJudged, Equivalent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, slow, 7)
			base.Manifest.Load.AllowErrors, head.Manifest.Load.AllowErrors = tt.allowed, tt.allowed
			tt.base(base)
			tt.head(head)
			c := mustCompare(t, variant(base, nil), variant(head, nil))
			got := c.Metric("failed_requests")
			if !strings.HasPrefix(got.Found(), tt.found) || got.Verdict != tt.want ||
				got.Gated != (tt.want != NotJudged) {
				t.Errorf("%s, %q, gated %v; want %s, %s", got.Found(), got.Verdict, got.Gated, tt.found, tt.want)
			}
			if c.Verdict != tt.overall {
				t.Errorf("%s overall, want %s", c.summary(), tt.overall)
			}
		})
	}
}

func none(*runfolder.Run) {}

func failingBy(share float64, blocks ...int) func(*runfolder.Run) {
	return func(r *runfolder.Run) { failing(r, share, blocks...) }
}

// storyCosts are allocators such as the story names, of the given total.
func storyCosts(total float64, only string) map[string]cost {
	return map[string]cost{
		"encoding/json.(*decodeState).objectInterface": {value: total * 0.4, count: 30},
		only:          {value: total * 0.35, count: 12},
		"main.handle": {value: total * 0.25, count: 5},
	}
}

// wavering adds an allocator of the given mean, at the expense of main.handle,
// that varies over 16 blocks: twice as given.
func wavering(costs map[string]cost, mean float64, blocks ...float64) map[string]cost {
	handle := costs["main.handle"]
	handle.value -= mean
	costs["main.handle"] = handle
	costs["database/sql.(*Rows).Scan"] = cost{value: mean, count: 1, blocks: slices.Repeat(blocks, 2)}
	return costs
}

func TestSameNamesAreToldApart(t *testing.T) {
	a, b := synthesize(t, "fasthttp", "e1", 12, slow, 7), synthesize(t, "fasthttp", "e2", 6, fast, 7)
	b.Manifest.Label = "pool"
	r := mustReport(t, []Variant{variant(a, nil), variant(b, nil)}, defaults())
	if r.Variants[0].Name != "fasthttp e1" || r.Variants[1].Name != "fasthttp e2 pool" {
		t.Errorf("names %q and %q", r.Variants[0].Name, r.Variants[1].Name)
	}
}

func TestUnpairedCPUIsNotExplained(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 8, slow, 7), synthesize(t, "head", "e2", 8, fast, 7)
	c := mustCompare(t, variant(base, storyCosts(slow.bytes, "net/textproto.readMIMEHeader")), variant(head, storyCosts(fast.bytes, "net/textproto.readMIMEHeader")))
	if len(c.Explanation) == 0 || strings.Contains(strings.Join(c.Explanation, " "), "us/op") {
		t.Errorf("%q", c.Explanation)
	}
}
