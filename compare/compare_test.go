package compare

import (
	"bytes"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

var update = flag.Bool("update", false, "rewrite the golden files")

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
		Schema: runfolder.Schema, Experiment: experiment, Tool: "test",
		Subject: runfolder.SubjectInfo{Name: name, Binary: runfolder.Binary{GoVersion: "go1.26.0", Commit: "0123456789abcdef"}},
		Load:    loadgen.Load{Workload: "test mix", Kinds: []string{"write", "read"}, Workers: 10},
		Plan:    runfolder.Plan{Blocks: blocks, Rounds: testRounds, Slice: 50 * time.Millisecond, Seed: 1},
		Capture: runfolder.CaptureInfo{CPUHz: 100, MemProfileRate: 524288},
		Host:    runfolder.Host{OS: "linux", Arch: "amd64", Kernel: "6.1", CPUModel: "Test CPU", Cores: 2, Affinity: 1},
		Start:   time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		State:   runfolder.StateComplete,
	}}
	machine := rand.New(rand.NewPCG(drift, 0))
	own := rand.New(rand.NewPCG(uint64(len(name)), uint64(blocks)))
	for b := range blocks {
		var ops int64
		for round := range testRounds {
			speed := (1 + machine.Float64()/3) * (1 + own.NormFloat64()*0.02)
			s := sample(b, round, want, speed)
			ops += s.Ops()
			r.Slices = append(r.Slices, s)
		}
		r.Manifest.Blocks = append(r.Manifest.Blocks, runfolder.Block{
			Block: b,
			After: runfolder.Counters{
				TotalAlloc: int64(want.bytes * float64(ops)), Mallocs: 10 * ops, NumGC: 3, GCPause: 1e6, HeapSys: 20e6,
			},
			RSSPeak: 40e6, Goroutines: 12,
		})
		r.Latency = append(r.Latency, latencies(t, ops, want.latencyMs))
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
		Kinds: []runfolder.KindSlice{
			{Ops: ops - ops/11, Latency: time.Duration(float64(ops-ops/11) * want.latencyMs * 1e6)},
			{Ops: ops / 11, Latency: time.Duration(float64(ops/11) * want.latencyMs * 1e6)},
		},
	}
}

func latencies(t *testing.T, ops int64, ms float64) []*hdrhistogram.Histogram {
	t.Helper()
	writes, reads := loadgen.NewHistogram(), loadgen.NewHistogram()
	if err := writes.RecordValues(int64(ms*1e6), ops); err != nil {
		t.Fatal(err)
	}
	return []*hdrhistogram.Histogram{writes, reads}
}

// variant gives a run the costs of a few functions that add up to its truth.
func variant(run *runfolder.Run, functions map[string]cost) Variant {
	v := Variant{Name: run.Manifest.Subject.Name, Dir: run.Dir, Manifest: run.Manifest, Totals: run.Totals(), run: run}
	blocks := len(run.Manifest.Blocks)
	v.allocCosts = madeUp(functions, blocks, v.Totals.AllocBytesPerOp)
	v.cpuCosts = madeUp(map[string]cost{"syscall.Syscall": {value: 12}, "main.handle": {value: *v.Totals.CPUPerOp - 12}}, blocks, v.Totals.CPUPerOp)
	v.allocCosts.unit, v.cpuCosts.unit = allocUnit, cpuUnit
	v.Allocations, v.CPU = v.allocCosts.table(), v.cpuCosts.table()
	return v
}

// madeUp completes costs that nobody sampled: every function is charged to its
// own group, and costs the same in every block unless it says otherwise.
func madeUp(functions map[string]cost, blocks int, exact *float64) costs {
	c := costs{exact: exact, blocks: blocks, values: map[string]cost{}, groups: map[string]cost{}, packages: map[packageInGroup]cost{}}
	rules := DefaultGroups().of("")
	for name, f := range functions {
		if f.blocks == nil {
			f.blocks = slices.Repeat([]float64{f.value}, blocks)
		}
		path := packagePath(name)
		label := rules.group(name, path)
		f.cum, f.standsOut, f.charged = f.value, true, map[string]float64{label: f.value}
		c.values[name] = f
		c.groups[label] = withMore(c.groups[label], f)
		c.packages[packageInGroup{label, path}] = withMore(c.packages[packageInGroup{label, path}], f)
	}
	return c
}

func withMore(c, by cost) cost {
	c = c.plus(by)
	c.cum = c.value
	return c
}

func defaults() Options { return Options{Criteria: DefaultCriteria()} }

var slow, fast = truth{ops: 8000, cpu: 100, bytes: 14000, latencyMs: 1.2}, truth{ops: 8800, cpu: 90, bytes: 10000, latencyMs: 1.1}

func TestPairingCancelsDrift(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 10, slow, 7), synthesize(t, "head-", "e1", 10, fast, 7)
	c := compareTwo(variant(base, nil), variant(head, nil), defaults())
	for name, want := range map[string]struct {
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
		m := c.Metric(name)
		if got := m.Change; !near(got.Percent, want.percent, want.width) || got.High-got.Low > 2*want.width || m.Verdict != want.verdict {
			t.Errorf("%s: %v (%s), want about %v%% (%s)", name, got, m.Verdict, want.percent, want.verdict)
		}
	}
	back := compareTwo(variant(head, nil), variant(base, nil), defaults())
	if got := back.Metric("ops_per_sec").Verdict; got != Regressed {
		t.Errorf("the other way round throughput is %q", got)
	}
}

func TestUnpairedRunsShowTheDrift(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 10, slow, 7), synthesize(t, "head-", "e2", 10, fast, 8)
	r := newReport([]Variant{variant(base, nil), variant(head, nil)}, defaults())
	c := r.Comparisons[0]
	if c.Paired {
		t.Error("runs of two experiments are paired")
	}
	paired := compareTwo(variant(base, nil), variant(synthesize(t, "head-", "e1", 10, fast, 7), nil), defaults()).Metric("ops_per_sec").Change
	if got := c.Metric("ops_per_sec").Change; got.High-got.Low < 2*(paired.High-paired.Low) {
		t.Errorf("the interval %v is not much wider than %v of paired slices", got, paired)
	}
	if codes := warningCodes(r); !slices.Contains(codes, "unpaired") {
		t.Errorf("warnings %v", codes)
	}
}

func TestFewBlocksAreNotJudged(t *testing.T) {
	r := newReport([]Variant{variant(synthesize(t, "base", "e1", 3, slow, 7), nil), variant(synthesize(t, "head", "e1", 3, fast, 7), nil)}, defaults())
	if got := r.Comparisons[0].Metric("ops_per_sec"); got.Verdict != Inconclusive || got.Change.Level != 0.75 {
		t.Errorf("%s at level %v", got.Verdict, got.Change.Level)
	}
	if codes := warningCodes(r); !slices.Contains(codes, "too_few_blocks") {
		t.Errorf("warnings %v", codes)
	}
}

func TestUnavailableMetric(t *testing.T) {
	head := synthesize(t, "head", "e1", 12, fast, 7)
	v := variant(head, nil)
	head.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceCPUClock: "no such clock here"}
	v.Manifest = head.Manifest
	got := compareTwo(variant(synthesize(t, "base", "e1", 12, slow, 7), nil), v, defaults()).Metric("cpu_per_op")
	if got.Head != nil || got.Change != nil || got.Verdict != Inconclusive || got.Unavailable != "no such clock here" {
		t.Errorf("%+v", got)
	}
}

func TestZeroHasNoRatio(t *testing.T) {
	head := synthesize(t, "head", "e1", 12, fast, 7)
	for b := range head.Manifest.Blocks {
		head.Manifest.Blocks[b].After.NumGC = 0
	}
	got := compareTwo(variant(synthesize(t, "base", "e1", 12, slow, 7), nil), variant(head, nil), defaults()).Metric("gc_cycles")
	if got.Change != nil || got.Unavailable == "" || *got.Head != 0 {
		t.Errorf("%+v", got)
	}
}

// storyCosts are allocators such as the story names, of the given total.
func storyCosts(total float64, only string) map[string]cost {
	return map[string]cost{
		"encoding/json.(*decodeState).objectInterface": {value: total * 0.4, allocs: 30},
		only:          {value: total * 0.35, allocs: 12},
		"main.handle": {value: total * 0.25, allocs: 5},
	}
}

// wavering adds an allocator of the given mean, at the expense of main.handle,
// that varies over 16 blocks: twice as given.
func wavering(costs map[string]cost, mean float64, blocks ...float64) map[string]cost {
	handle := costs["main.handle"]
	handle.value -= mean
	costs["main.handle"] = handle
	costs["database/sql.(*Rows).Scan"] = cost{value: mean, allocs: 1, blocks: slices.Repeat(blocks, 2)}
	return costs
}

func TestGolden(t *testing.T) {
	base, head := synthesize(t, "nethttp", "20260102_030405", 16, slow, 7), synthesize(t, "fasthttp", "20260102_030405", 16, fast, 7)
	for _, blocks := range []int{12, 16} {
		head.Manifest.Looks = append(head.Manifest.Looks, Decide([]*runfolder.Run{upTo(base, blocks), upTo(head, blocks)}, DefaultCriteria()))
	}
	for _, run := range []*runfolder.Run{base, head} {
		run.Manifest.Subject.Binary.Dirty = true
		run.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceThermal: "no CPU tells"}
		onMachine(run, runfolder.Machine{Busy: new(920 * time.Millisecond), Ours: new(900 * time.Millisecond), Steal: new(time.Millisecond), Runnable: new(0.25), Clocksource: new("tsc")})
	}
	r := newReport([]Variant{
		recorded(t, variant(base, wavering(storyCosts(slow.bytes, "net/textproto.readMIMEHeader"), 90, 70, 110, 95, 85, 90, 80, 100, 90)),
			stack{1, "net/textproto.readMIMEHeader net/http.(*conn).serve"}, stack{1, "main.handle net/http.(*conn).serve"}),
		recorded(t, variant(head, wavering(storyCosts(fast.bytes, "github.com/valyala/fasthttp.(*Args).Add"), 95, 110, 90, 85, 105, 95, 90, 80, 105)),
			stack{1, "main.handle github.com/valyala/fasthttp.(*Server).serveConn"}),
	}, defaults())
	for _, format := range Formats {
		t.Run(format, func(t *testing.T) {
			var got bytes.Buffer
			if err := r.Render(&got, format); err != nil {
				t.Fatal(err)
			}
			text := withoutAssets(got.Bytes())
			path := filepath.Join("testdata", "report."+format)
			if *update {
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(text)); diff != "" {
				t.Errorf("differs from %s; go test ./compare -update rewrites it\n%s", path, diff)
			}
		})
	}
	if err := r.Render(&bytes.Buffer{}, "pdf"); err == nil {
		t.Error("rendered a format that does not exist")
	}
}

func TestSameNamesAreToldApart(t *testing.T) {
	a, b := synthesize(t, "fasthttp", "e1", 12, slow, 7), synthesize(t, "fasthttp", "e2", 6, fast, 7)
	b.Manifest.Label = "pool"
	r := newReport([]Variant{variant(a, nil), variant(b, nil)}, defaults())
	if r.Variants[0].Name != "fasthttp e1" || r.Variants[1].Name != "fasthttp e2 pool" {
		t.Errorf("names %q and %q", r.Variants[0].Name, r.Variants[1].Name)
	}
}
