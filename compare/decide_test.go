package compare

import (
	"maps"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// world is what a simulated pair of subjects truly is, and the machine they
// run on.
type world struct {
	ops, cpu, bytes float64 // true change of the head, in percent
	processes       float64 // standard deviation between fresh processes, in percent
	slices          float64 // and between slices of 10 ms
	drift           float64 // of the machine, which both subjects share, from block to block
	bursts          float64 // share of the slices that something else slows to a third
}

// shared is what was measured on shared two-core machines: blocks differ by
// about 1.6% in throughput.
var shared = world{processes: 0.7, slices: 10, drift: 8, bursts: 0.02}

// standsFor is how many slices a simulated one stands for, for speed.
const standsFor = 10

// record simulates one experiment of the default plan.
func (w world) record(rng *rand.Rand) []*runfolder.Run {
	plan := runfolder.DefaultPlan()
	plan.Rounds /= standsFor
	runs := []*runfolder.Run{newRun("base", plan), newRun("head", plan)}
	speed := 1.0
	for b := range plan.Blocks {
		speed *= math.Exp(rng.NormFloat64() * w.drift / 100)
		w.block(rng, runs[0], b, speed, world{})
		w.block(rng, runs[1], b, speed, w)
	}
	return runs
}

func newRun(name string, plan runfolder.Plan) *runfolder.Run {
	return &runfolder.Run{Manifest: runfolder.Manifest{
		Experiment: "simulated", Subject: runfolder.SubjectInfo{Name: name}, Plan: plan,
	}}
}

// block adds one block of a subject that differs from the base by effect.
func (w world) block(rng *rand.Rand, r *runfolder.Run, b int, speed float64, effect world) {
	process := math.Exp(rng.NormFloat64() * w.processes / 100)
	var all float64
	for round := range r.Manifest.Plan.Rounds {
		slice := speed * process * math.Exp(rng.NormFloat64()*w.slices/math.Sqrt(standsFor)/100)
		if rng.Float64() < w.bursts {
			slice /= 3
		}
		ops := 2000 * slice * (1 + effect.ops/100)
		all += ops
		r.Slices = append(r.Slices, runfolder.Slice{
			Block: b, Round: round, Duration: 50 * time.Millisecond,
			ServerCPU: time.Duration(ops / slice * 25e3 * (1 + effect.cpu/100)),
			Kinds:     []loadgen.KindResult{{Ops: int64(ops)}},
		})
	}
	perOp := 350 * (1 + effect.bytes/100) * (1 + rng.NormFloat64()*0.0004)
	r.Manifest.Blocks = append(r.Manifest.Blocks, runfolder.Block{
		Block: b, After: runfolder.Counters{TotalAlloc: int64(perOp * all), Mallocs: int64(8 * all)},
	})
}

// upTo is a run as it was after its first blocks.
func upTo(r *runfolder.Run, blocks int) *runfolder.Run {
	part := *r
	part.Manifest.Blocks = r.Manifest.Blocks[:blocks]
	return &part
}

// decide is the verdict on each gated metric of a whole sequential experiment.
func decide(runs []*runfolder.Run, c Criteria) map[MetricID]Verdict {
	verdicts := map[MetricID]Verdict{}
	for _, blocks := range runs[0].Manifest.Plan.Looks() {
		look := Decide([]*runfolder.Run{upTo(runs[0], blocks), upTo(runs[1], blocks)}, c)
		for _, d := range look.Decisions {
			verdicts[MetricID(d.Metric)] = Verdict(d.Verdict)
		}
		if look.Done || look.Reason != "" {
			break
		}
	}
	return verdicts
}

// decideFast is decide, of which the estimates of blocks are made once.
func decideFast(runs []*runfolder.Run, c Criteria) (map[MetricID]Verdict, int) {
	p := NewResampler(c)
	p.Add(runs[0], runs[1])
	order := make([]int, p.Blocks())
	for b := range order {
		order[b] = b
	}
	return p.decide(order, runs[0].Manifest.Plan)
}

// TestDecideFast holds that it decides as an experiment is decided.
func TestDecideFast(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, cpu := range []float64{0, 2, 3, 10} {
		w := shared
		w.cpu = cpu
		runs := w.record(rng)
		got, blocks := decideFast(runs, DefaultCriteria())
		if want := decide(runs, DefaultCriteria()); !maps.Equal(got, want) {
			t.Errorf("CPU %+v%%: %v after %d blocks, want %v", cpu, got, blocks, want)
		}
	}
}

// TestErrorRates drives the whole decision, looks included, with thousands of
// experiments whose truth is known.
func TestErrorRates(t *testing.T) {
	change := func(edit func(*world)) world { w := shared; edit(&w); return w }
	tests := []struct {
		name        string
		world       world
		metric      MetricID // if set, what must be found
		want        Verdict
		experiments int
		least, most float64 // share of experiments that find it, or say improved or regressed at all
	}{
		{"no change", shared, "", "", 3000, 0, FalseAlarms},
		{"no change, quiet machine", world{processes: 0.5, slices: 8}, "", "", 1500, 0, FalseAlarms},
		{"no change, wild machine", world{processes: 2, slices: 110, drift: 30, bursts: 0.1}, "", "", 1500, 0, FalseAlarms},
		{"5% CPU", change(func(w *world) { w.cpu, w.ops = 5, -3 }), "cpu_per_op", Regressed, 300, 0.97, 1},
		{"10% CPU", change(func(w *world) { w.cpu, w.ops = 10, -7 }), "cpu_per_op", Regressed, 300, 0.99, 1},
		{"30% CPU", change(func(w *world) { w.cpu, w.ops = -30, 30 }), "cpu_per_op", Improved, 300, 0.99, 1},
		{"3% CPU", change(func(w *world) { w.cpu, w.ops = 3, -2 }), "cpu_per_op", Regressed, 300, 0.80, 1},
		{"3% allocation", change(func(w *world) { w.bytes = 3 }), "alloc_bytes_per_op", Regressed, 300, 1, 1},
		{"6% throughput", change(func(w *world) { w.ops = 6 }), "ops_per_sec", Improved, 300, 0.97, 1},
		{"less than matters", change(func(w *world) { w.cpu = 0.3 }), "cpu_per_op", Regressed, 1000, 0, FalseAlarms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			experiments := testlong.Experiments(tt.experiments, 30)
			found, took := 0, make([]float64, experiments)
			for i := range took {
				verdicts, blocks := decideFast(tt.world.record(rng), DefaultCriteria())
				took[i] = float64(blocks)
				if matches(verdicts, tt.metric, tt.want) {
					found++
				}
			}
			share := float64(found) / float64(experiments)
			t.Logf("%.2f%% of %d, after a median of %.0f blocks", share*100, experiments, stat.Median(took))
			if share < tt.least || share > tt.most {
				t.Errorf("%s %s: want %v to %v%%", tt.metric, tt.want, tt.least*100, tt.most*100)
			}
		})
	}
}

// matches tells whether a metric got the verdict, or, without a metric, whether
// any was called improved or regressed.
func matches(verdicts map[MetricID]Verdict, metric MetricID, want Verdict) bool {
	if metric != "" {
		return verdicts[metric] == want
	}
	for _, v := range verdicts {
		if v == Improved || v == Regressed {
			return true
		}
	}
	return false
}

// TestEquivalent holds that a server compared with itself is found to be so, and
// that a difference of the tolerance is not called
// equivalent.
func TestEquivalent(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	experiments := testlong.Experiments(300, 5)
	same, different := 0, 0
	changed := shared
	changed.cpu = 3
	for range experiments {
		if found, _ := decideFast(shared.record(rng), DefaultCriteria()); found[CPUPerOp] == Equivalent {
			same++
		}
		if found, _ := decideFast(changed.record(rng), DefaultCriteria()); found[CPUPerOp] == Equivalent {
			different++
		}
	}
	if same < experiments*90/100 || different > experiments/100 {
		t.Errorf("equivalent: %d of %d without a change, %d with one of the tolerance", same, experiments, different)
	}
}

// TestPocock simulates the level of a look of version 0.1: how often the largest of three
// statistics of a growing sample is beyond it when there is nothing to find.
func TestPocock(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	looks := runfolder.Plan{Blocks: 20, Sequential: true}.Looks()
	const experiments = 200_000
	beyond := 0
	for range experiments {
		sum, n, smallest := 0.0, 0, 1.0
		for _, look := range looks {
			for ; n < look; n++ {
				sum += rng.NormFloat64()
			}
			smallest = min(smallest, math.Erfc(math.Abs(sum)/math.Sqrt(2*float64(n))))
		}
		if smallest <= lookAlpha {
			beyond++
		}
	}
	// The standard error of the share is 0.0002.
	if share := float64(beyond) / experiments; !near(share, FalseAlarms, 0.0007) {
		t.Errorf("%v of experiments without a difference find one, want %v", share, FalseAlarms)
	}
}

func TestJudge(t *testing.T) {
	spread := func(center float64) stat.Estimator { // twenty values around a change in percent
		var values []float64
		for i := range 20 {
			values = append(values, stat.LogRatio(center)+(float64(i)-9.5)/2000)
		}
		return stat.SignedRank(values)
	}
	tests := []struct {
		change float64
		better Direction
		want   Verdict
	}{
		{0, Up, Equivalent}, {0, Down, Equivalent}, {2, Up, Equivalent}, {-2, Down, Equivalent},
		{5, Up, Improved}, {5, Down, Regressed}, {-5, Up, Regressed}, {-5, Down, Improved},
		{2.9, Down, Regressed}, {2.9, Up, Improved},
	}
	for _, tt := range tests {
		f := &finding{better: tt.better, rule: timeRule, estimator: spread(tt.change)}
		if judge([]*finding{f}, once(FalseAlarms)); f.verdict != tt.want {
			t.Errorf("%+v%% where %s is better: %s [%v, %v], want %s", tt.change, tt.better, f.verdict, stat.Percent(f.interval.Low), stat.Percent(f.interval.High), tt.want)
		}
	}
	few := &finding{better: Up, rule: timeRule, estimator: stat.SignedRank([]float64{9, 9, 9})}
	if judge([]*finding{few}, once(FalseAlarms)); few.verdict != Inconclusive {
		t.Errorf("three blocks: %s", few.verdict)
	}
}

// TestHolm holds the step-down order: a metric is judged at a level that those
// found before it have left.
func TestHolm(t *testing.T) {
	clear, doubtful := make([]float64, 20), make([]float64, 20)
	for i := range clear {
		clear[i], doubtful[i] = 0.2+float64(i)/1000, 0.01+float64(i-9)/300
	}
	alone := &finding{better: Down, rule: timeRule, estimator: stat.SignedRank(doubtful)}
	judge([]*finding{alone}, once(FalseAlarms))
	first, second := &finding{better: Down, rule: timeRule, estimator: stat.SignedRank(clear)}, &finding{better: Down, rule: timeRule, estimator: stat.SignedRank(doubtful)}
	judge([]*finding{second, first}, once(FalseAlarms))
	if first.interval.Level < 1-FalseAlarms/2 || first.verdict != Regressed {
		t.Errorf("the clearer metric: %s at level %v, want regressed at %v", first.verdict, first.interval.Level, 1-FalseAlarms/2)
	}
	if second.interval != alone.interval {
		t.Errorf("the other: %v, want %v as if it were alone", second.interval, alone.interval)
	}
	noise := []float64{-0.03, 0.01, 0.02, -0.01, 0.03, -0.02, 0.015, -0.025, 0.005, -0.015, 0.028, -0.004}
	a, b := &finding{rule: timeRule, estimator: stat.SignedRank(noise)}, &finding{rule: timeRule, estimator: stat.SignedRank(noise)}
	judge([]*finding{a, b}, once(FalseAlarms))
	if a.interval.Level < 1-FalseAlarms/2 || b.interval.Level < 1-FalseAlarms/2 {
		t.Errorf("levels %v and %v of two metrics of which none is found, want at least %v", a.interval.Level, b.interval.Level, 1-FalseAlarms/2)
	}
}

// TestPValueAgreesWithIntervals holds the p-value against its definition.
func TestPValueAgreesWithIntervals(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		values := make([]float64, 8+rng.IntN(13))
		center := rng.NormFloat64()
		for i := range values {
			values[i] = center + rng.NormFloat64()
		}
		e := stat.SignedRank(values)
		for _, level := range []float64{0.9, 0.99, 0.9963} {
			interval := e.Interval(level)
			outside := interval.Low > 0.2 || interval.High < -0.2
			if p := e.PValue(0.2); interval.Level >= level && outside != (p <= 1-level) {
				t.Fatalf("interval %v at level %v, p-value %v", interval, level, p)
			}
		}
	}
}

func TestGateRejects(t *testing.T) {
	for id, tolerance := range map[MetricID]float64{"speed": 0, "goroutines": 0, "latency_max": 5, "ops_per_sec": 0.5, "allocs_per_op": -1} {
		if err := DefaultCriteria().Gate(id, tolerance); err == nil {
			t.Errorf("gated %s with a tolerance of %v%%", id, tolerance)
		}
	}
	c := DefaultCriteria()
	if err := c.Gate("latency_p99", 10); err != nil || c.Rules["latency_p99"] != (Rule{Tolerance: 10, Floor: 0.5}) {
		t.Errorf("rule %v, %v", c.Rules["latency_p99"], err)
	}
}

// TestUnpairedTiming holds that drift between experiments is not taken for a
// change, and that allocations are judged all the same.
func TestUnpairedTiming(t *testing.T) {
	find := func(edit func(head *runfolder.Run)) map[MetricID]result {
		base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e2", 12, fast, 7)
		edit(head)
		return judgeAll(newSide(base), newSide(head), DefaultCriteria(), metricsOf(base.Manifest.Load, false, false), "")
	}
	near := find(func(*runfolder.Run) {})
	if v := near["ops_per_sec"].verdict; v != Inconclusive {
		t.Errorf("throughput 10%% better in another experiment: %s", v)
	}
	if v := near["alloc_bytes_per_op"].verdict; v != Improved {
		t.Errorf("allocations: %s", v)
	}
	far := find(func(head *runfolder.Run) {
		for i := range head.Slices {
			head.Slices[i].Duration *= 2
		}
	})
	if v := far["ops_per_sec"].verdict; v != Regressed {
		t.Errorf("throughput halved in another experiment: %s", v)
	}
	elsewhere := find(func(head *runfolder.Run) { head.Manifest.Host.CPUModel = "Other" })
	if r := elsewhere["ops_per_sec"]; r.finding != nil || r.bare != NotJudged || r.missing == "" {
		t.Errorf("throughput of another machine: %+v", r)
	}
	if v := elsewhere["alloc_bytes_per_op"].verdict; v != Improved {
		t.Errorf("allocations on another machine: %s", v)
	}
}
