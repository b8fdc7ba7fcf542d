package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	gocmpopts "github.com/google/go-cmp/cmp/cmpopts"

	"github.com/eventobench/eventobench/internal/ratefit"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// queue is a server of one line and one place, in virtual time.
type queue struct {
	name     string
	rate     float64       // of service, per second
	constant bool          // every service takes as long, M/D/1; else they are exponential, M/M/1
	limit    time.Duration // of p99
	length   time.Duration // of a slice
	truth    float64       // the highest rate within the limit, per second
}

// queues have capacities that are known: of M/M/1, P(latency > L) = exp(-(mu - lambda)
// L); that of M/D/1 is from a simulation of ten million requests. Slices begin with an
// empty queue, so that theirs is 0.3 to 0.5% higher, which the truths have in them.
var queues = []queue{
	{"M/M/1", 10000, false, 5 * time.Millisecond, 500 * time.Millisecond, 9117},
	{"M/M/1, short limit", 10000, false, time.Millisecond, 500 * time.Millisecond, 10000 - math.Ln10*2*1000},
	{"M/D/1", 10000, true, 5 * time.Millisecond, 500 * time.Millisecond, 9567},
	{"M/D/1, short limit", 10000, true, time.Millisecond, 500 * time.Millisecond, 7732},
}

// trial is a slice of Poisson arrivals at a rate (Lindley's recursion).
func (q queue) trial(rate float64, random *rand.Rand) runfolder.Trial {
	t := runfolder.Trial{Rate: rate, Duration: q.length, Over: []int64{0}, OverSent: []int64{0}}
	free := 0.0
	for now := random.ExpFloat64() / rate; now < q.length.Seconds(); now += random.ExpFloat64() / rate {
		service := 1 / q.rate
		if !q.constant {
			service *= random.ExpFloat64()
		}
		free = max(now, free) + service
		t.Answered++
		if free-now > q.limit.Seconds() {
			t.Over[0]++
		}
	}
	t.OverSent = t.Over
	return t
}

// search plays an experiment on queues. Processes of one build differ by a percent.
func search(seed uint64, queues ...queue) *runfolder.Capacity { return searchOf(20, seed, queues...) }

// searchOf is a search of so many rounds.
func searchOf(rounds int, seed uint64, queues ...queue) *runfolder.Capacity {
	const blocks, spread = 10, 0.01
	c := &runfolder.Capacity{
		Limits:  runfolder.Limits{Latencies: []runfolder.LatencyLimit{{Quantile: 99, Limit: queues[0].limit}}},
		Load:    loadgen.Load{Workers: 50},
		Plan:    runfolder.Plan{Blocks: blocks, Rounds: rounds, Slice: queues[0].length},
		Host:    runfolder.Host{Affinity: 2},
		MaxRate: 1e5, State: runfolder.StateComplete,
	}
	random := rand.New(rand.NewPCG(seed, 1))
	for n, q := range queues {
		run := runfolder.CapacityRun{Subject: runfolder.SubjectInfo{Name: fmt.Sprint("queue", n)}}
		s := ratefit.NewSearch(c.Limits.Allowed(), 20, c.MaxRate, random)
		for range blocks {
			process := q
			process.rate *= math.Exp(spread * random.NormFloat64())
			run.Blocks = append(run.Blocks, process.block(s, rounds, c.Limits.Allowed(), random))
		}
		c.Subjects = append(c.Subjects, run)
	}
	return c
}

func (q queue) block(s *ratefit.Search, rounds int, a ratefit.Allowed, random *rand.Rand) (b runfolder.CapacityBlock) {
	const start = 0.3 // of what it can serve
	s.Begin(start * q.rate)
	for counted := 0; counted < rounds; {
		t := q.trial(s.Rate(), random)
		t.Counts, t.Met = s.Fitting(), a.Met(t.Fitted())
		if t.Counts {
			counted++
		}
		s.Add(t.Fitted())
		b.Trials = append(b.Trials, t)
	}
	return b
}

// inParallel calls f with the numbers below n.
func inParallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, 4)
	for i := range n {
		free <- struct{}{}
		wg.Go(func() { f(i); <-free })
	}
	wg.Wait()
}

// capacitySearches is how many searches are simulated of each queue: the figures of
// docs/capacity.md are of 200, which take more than a minute.
func capacitySearches(t *testing.T) int {
	const variable = "EVENTOBENCH_CAPACITY_SEARCHES"
	n, err := strconv.Atoi(cmp.Or(os.Getenv(variable), "10"))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestCapacityCoverage holds that the intervals of capacities have in them what is true
// as often as they say, 99 of 100, and are narrow: counted over searches of queues
// whose capacity is known.
func TestCapacityCoverage(t *testing.T) {
	searches := capacitySearches(t)
	for _, q := range queues {
		t.Run(q.name, func(t *testing.T) {
			found := make([]SubjectCapacity, searches)
			inParallel(searches, func(i int) {
				r, err := NewCapacityReport(search(uint64(i), q), DefaultCriteria())
				if err == nil {
					found[i] = r.Subjects[0]
				}
			})
			hits, width, bias := 0, 0.0, 0.0
			for _, s := range found {
				if s.Low <= q.truth && q.truth <= s.High {
					hits++
				}
				width += math.Log(s.High/s.Low) / float64(searches)
				bias += math.Log(s.Rate/q.truth) / float64(searches)
			}
			t.Logf("%d of %d intervals have the capacity in them; they are %.1f%% wide, and the estimates %+.2f%% off",
				hits, searches, width*100, bias*100)
			if float64(hits) < 0.99*float64(searches)-3*math.Sqrt(0.01*float64(searches)) {
				t.Errorf("only %d of %d intervals have the capacity in them", hits, searches)
			}
			if width > 0.10 || math.Abs(bias) > 0.01 {
				t.Errorf("intervals are %.1f%% wide and estimates %+.2f%% off", width*100, bias*100)
			}
		})
	}
}

// TestCapacityRatio counts verdicts: two equal queues are as good as never told apart,
// and one of 15% more or less is found.
func TestCapacityRatio(t *testing.T) {
	searches := max(10, capacitySearches(t)/2)
	for _, tt := range []struct {
		factor  float64
		verdict Verdict // none for neither improved nor regressed
	}{{1, NotJudged}, {1.15, Improved}, {1 / 1.15, Regressed}} {
		t.Run(fmt.Sprintf("factor %.2f", tt.factor), func(t *testing.T) {
			base, head := queues[0], queues[0]
			head.rate *= tt.factor
			room := 2 * math.Ln10 / base.limit.Seconds() // that a queue needs for its limit
			truth := ((head.rate-room)/(base.rate-room) - 1) * 100
			ratios := make([]CapacityRatio, searches)
			inParallel(searches, func(i int) {
				r, err := NewCapacityReport(search(uint64(i), base, head), DefaultCriteria())
				if err == nil {
					ratios[i] = r.Ratios[0]
				}
			})
			right, covered := 0, 0
			for _, r := range ratios {
				if r.Verdict == tt.verdict || tt.verdict == NotJudged && !r.Verdict.moved() {
					right++
				}
				if r.Change.Low <= truth && truth <= r.Change.High {
					covered++
				}
			}
			t.Logf("%d of %d verdicts are right, %d intervals have %+.1f%% in them", right, searches, covered, truth)
			if least := 0.98 * float64(searches); float64(right) < least || float64(covered) < least-1 {
				t.Errorf("of %d searches %d verdicts are right and %d intervals have %+.1f%% in them", searches, right, covered, truth)
			}
		})
	}
}

// recordedCapacity is the file of a search of a queue and one that is served more slowly,
// of which tests here and of the formats, and scripts, make a gate.
var recordedCapacity = filepath.Join("testdata", "recorded", "20260102_030405-capacity.json")

// TestRecordedCapacity holds that file, and what a gate makes of it.
func TestRecordedCapacity(t *testing.T) {
	base, head := queues[0], queues[0]
	base.name, head.name, head.rate = "before", "after", head.rate/1.3
	c := searchOf(4, 3, base, head)
	c.Format, c.Schema, c.Experiment, c.Tool = "eventobench-capacity", runfolder.CapacitySchema, "20260102_030405", "v0.2.0"
	c.Start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c.Load = loadgen.Load{
		Workload: "a queue", Kinds: []string{"get"}, Workers: 50, Timeout: time.Second, Arrivals: loadgen.Poisson,
	}
	c.Host = runfolder.Host{OS: "linux", Arch: "amd64", Kernel: "6.1", CPUModel: "a model", Cores: 2, Affinity: 2}
	for i, name := range []string{base.name, head.name} {
		c.Subjects[i].Subject = runfolder.SubjectInfo{Name: name, Kind: "exec", Binary: runfolder.Binary{SHA256: name}}
		for _, b := range c.Subjects[i].Blocks {
			for n := range b.Trials { // figures that nothing is judged by, as charts need some
				t := &b.Trials[n]
				late := time.Duration(t.Over[0]) * 100 / time.Duration(t.Answered/100)
				t.P50, t.P99, t.P999 = time.Millisecond, (100+late)*base.limit/200, (100+late)*base.limit/100
			}
		}
	}
	if *update {
		text, err := json.Marshal(c)
		if err == nil {
			err = os.WriteFile(recordedCapacity, append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read, err := runfolder.ReadCapacity(recordedCapacity)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(c, read, gocmpopts.EquateEmpty()); diff != "" {
		t.Errorf("differs from %s; go test ./compare -update rewrites it\n%s", recordedCapacity, diff)
	}
}

// TestHeldOnTheWay: where no trial that counts was beyond the limits, those on the way there
// tell what held the rate; if none was, the highest rate that was tried.
func TestHeldOnTheWay(t *testing.T) {
	for _, tt := range []struct {
		name string
		met  bool // with 800 requests a second, tried on the way
		by   Bottleneck
		rate float64 // at least; 0 if it is not a bound
	}{
		{"beyond", false, ByServer, 0},
		{"never beyond", true, ByRate, 800},
	} {
		c := search(1, queues[0])
		trial := func(rate float64, counts, met bool) runfolder.Trial {
			return runfolder.Trial{
				Rate: rate, Counts: counts, Met: met, Duration: time.Second, Answered: int64(rate), Over: []int64{0}, OverSent: []int64{9},
			}
		}
		c.Subjects[0].Blocks = []runfolder.CapacityBlock{
			{Trials: []runfolder.Trial{trial(400, false, true), trial(800, false, tt.met), trial(500, true, true)}},
		}
		s := subjectCapacity(c, c.Subjects[0])
		if s.Bottleneck != tt.by || (s.Bound == AtLeast) != (tt.rate > 0) || tt.rate > 0 && s.Rate != tt.rate {
			t.Errorf("%s: %s %v/s, held by %s", tt.name, s.Bound, s.Rate, s.Bottleneck)
		}
	}
}

// TestCapacityFromElsewhere: a recorder on another machine than the subjects takes none of
// their CPU time, and holds the rate only if its own CPUs are used up.
func TestCapacityFromElsewhere(t *testing.T) {
	away := &runfolder.SubjectAgent{Name: "box", Elsewhere: true}
	for _, tt := range []struct {
		name      string
		agent     *runfolder.SubjectAgent
		cpus      int // of the recorder
		held      Bottleneck
		generator float64 // its share of the CPUs of the subjects
	}{
		{"at home", nil, 2, ByGenerator, 0.75},
		{"same machine", &runfolder.SubjectAgent{Name: "box"}, 2, ByGenerator, 0.75},
		{"elsewhere", away, 2, ByServer, 0},
		{"elsewhere, with fewer CPUs", away, 1, ByGenerator, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := searchOf(4, 3, queues[0])
			c.SubjectAgent, c.RecorderCPUs = tt.agent, tt.cpus
			for _, b := range c.Subjects[0].Blocks {
				for i := range b.Trials {
					b.Trials[i].Server = b.Trials[i].Duration / 10
					b.Trials[i].Generator = b.Trials[i].Duration * 3 / 2
				}
			}
			r, err := NewCapacityReport(c, DefaultCriteria())
			if err != nil {
				t.Fatal(err)
			}
			s := r.Subjects[0]
			if s.Bottleneck != tt.held || math.Abs(s.Shares.Generator-tt.generator) > 1e-9 || r.SubjectAgent != tt.agent {
				t.Errorf("held by the %s, shares %+v, agent %+v", s.Bottleneck, *s.Shares, r.SubjectAgent)
			}
		})
	}
}

// TestCapacityGate: a gate judges the ratio by the tolerance it is given, and waives it; a
// side whose limit was not found makes it inconclusive, with the reason and what helps.
func TestCapacityGate(t *testing.T) {
	gate := func(change func(*runfolder.Capacity), tolerance float64, waivers ...Waiver) Gate {
		t.Helper()
		c, err := runfolder.ReadCapacity(recordedCapacity)
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		criteria := Criteria{Rules: map[MetricID]Rule{}}
		if err := criteria.Gate(CapacityRate, tolerance); err != nil {
			t.Fatal(err)
		}
		r, err := NewCapacityReport(c, criteria)
		if err != nil {
			t.Fatal(err)
		}
		return NewCapacityGate(r, Options{Waivers: waivers, Now: c.Start})
	}
	asItIs := func(*runfolder.Capacity) {}
	heldBy := func(change func(*runfolder.Trial)) func(*runfolder.Capacity) {
		return func(c *runfolder.Capacity) {
			for _, b := range c.Subjects[1].Blocks {
				for i := range b.Trials {
					b.Trials[i].OverSent = []int64{0} // late only because they were sent late
					change(&b.Trials[i])
				}
			}
		}
	}
	waiver := Waiver{Metric: CapacityRate, Reason: "a test", Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, tt := range []struct {
		name      string
		change    func(*runfolder.Capacity)
		tolerance float64
		waivers   []Waiver
		verdict   Verdict
		says      string
	}{
		{"regressed", asItIs, 0, nil, Regressed, "-2"},
		{"waived", asItIs, 0, []Waiver{waiver}, Equivalent, "-2"},
		{"tolerated", asItIs, 100, nil, Equivalent, "-2"},
		{"held by the generator", heldBy(func(*runfolder.Trial) {}), 0, nil, Inconclusive,
			"held by the generator. Make the load with more --agents"},
		{"held by the workers", heldBy(func(t *runfolder.Trial) { t.InFlight = 50 }), 0, nil, Inconclusive,
			"held by the workers. Record with more --workers"},
		{"few blocks", func(c *runfolder.Capacity) {
			for i := range c.Subjects {
				c.Subjects[i].Blocks = c.Subjects[i].Blocks[:3]
			}
		}, 0, nil, Inconclusive, "which takes 8 (--blocks, --max-time)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := gate(tt.change, tt.tolerance, tt.waivers...)
			m := g.Metrics[0]
			if g.Verdict != tt.verdict || !strings.Contains(m.Found()+m.Doubt, tt.says) {
				t.Errorf("%s (%s %s %s), want %s and %q", g.Verdict, m.Verdict, m.Found(), m.Doubt, tt.verdict, tt.says)
			}
		})
	}
}
