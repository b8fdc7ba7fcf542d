package history

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

var update = flag.Bool("update", false, "rewrite the files of testdata")

// planted is a change of a metric, by a factor, at a commit.
type planted struct {
	metric compare.MetricID
	at     int
	factor float64
}

// synthetic makes up a history in which each commit is recorded once.
type synthetic struct {
	seed    uint64
	commits int
	planted []planted
	base    func(commit int) int               // the commit that the head is compared with
	machine func(commit int) (string, float64) // the model of its CPU, and how fast it is
	chip    map[string]float64                 // by model: what another chip makes of head/base, as a factor
}

// The gate's intervals of timing are about 1.7% wide on either side at a level of
// 99%. Allocations are exact but for 0.02%.
const (
	gateHalfWidth = 0.017
	gateLevel     = 0.99
	allocNoise    = 0.0002
)

// usual are figures of a server before any change.
var usual = map[compare.MetricID]float64{
	"ops_per_sec": 14000, "cpu_per_op": 64, "alloc_bytes_per_op": 2983, "allocs_per_op": 38,
	"latency_mean": 0.7, "latency_p50": 0.6, "latency_p90": 1.1, "latency_p99": 4.8, "latency_p999": 9,
}

func (s synthetic) records() []Record {
	r := rand.New(rand.NewPCG(s.seed, 13))
	var records []Record
	for commit := 1; commit <= s.commits; commit++ {
		model, speed := "Test CPU", 1.0
		if s.machine != nil {
			model, speed = s.machine(commit)
		}
		base := 0
		if s.base != nil {
			base = s.base(commit)
		}
		records = append(records, s.record(r, commit, base, model, speed))
	}
	return records
}

func (s synthetic) record(r *rand.Rand, commit, base int, model string, speed float64) Record {
	b := build(base)
	record := Record{
		Format: Format, Schema: Schema, Tool: "test", Experiment: fmt.Sprintf("e%03d", commit), Curve: "shop",
		Time:    time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, commit),
		Load:    "test mix, closed loop, 10 workers",
		Machine: runfolder.Host{OS: "linux", Arch: "amd64", CPUModel: model, Cores: 2, Affinity: 2, GOMAXPROCS: 2},
		Base:    &b, Head: build(commit), Paired: true, Blocks: 20, Verdict: compare.Equivalent,
	}
	for _, m := range compare.Metrics {
		if usual[m.ID] == 0 {
			continue
		}
		noise := allocNoise
		value := usual[m.ID] * s.factor(m.ID, commit)
		truth := math.Log(s.factor(m.ID, commit) / s.factor(m.ID, base))
		if m.Timing {
			noise = gateHalfWidth / stat.NormalQuantile(gateLevel)
			value *= speed * math.Exp(0.1*r.NormFloat64()) // the machine of the day
			if factor, other := s.chip[model]; other {
				truth += math.Log(factor)
			}
		} else {
			value *= math.Exp(noise * r.NormFloat64())
		}
		change := around(truth+noise*r.NormFloat64(), noise*stat.NormalQuantile(gateLevel))
		record.Metrics = append(record.Metrics, Metric{
			ID: m.ID, Value: &value, Verdict: compare.Equivalent, Change: &change,
		})
	}
	return record
}

// around is a change whose logarithm is an estimate, with a margin on either side.
func around(estimate, margin float64) compare.Change {
	return compare.Change{
		Percent: stat.Percent(estimate), Level: gateLevel,
		Low: stat.Percent(estimate - margin), High: stat.Percent(estimate + margin),
	}
}

// factor is what the planted changes up to a commit make of a metric.
func (s synthetic) factor(id compare.MetricID, commit int) float64 {
	f := 1.0
	for _, p := range s.planted {
		if p.metric == id && p.at <= commit {
			f *= p.factor
		}
	}
	return f
}

func build(commit int) Build {
	id := fmt.Sprintf("%07x", 0xa000000+commit*0x10321)
	return Build{Subject: "shop", Commit: id, SHA256: id + "00", Go: "go1.26.0"}
}

// found says which of the planted changes are marked, and how many marks are of
// none.
func found(s synthetic, curves []Curve) (marked map[planted]bool, others int) {
	marked = map[planted]bool{}
	for _, series := range curves[0].Series {
		for _, c := range series.Changes {
			which := -1
			for i, p := range s.planted {
				right := (c.Verdict == compare.Improved) == ((p.factor > 1) == (series.Metric.Better == compare.Up))
				if p.metric == series.Metric.ID && c.After < p.at-1 && p.at-1 <= c.Upto && right {
					which = i
				}
			}
			if which < 0 || marked[s.planted[which]] {
				others++
				continue
			}
			marked[s.planted[which]] = true
		}
	}
	return marked, others
}

// TestPlanted holds how often a history says what happened: 200 commits against
// one release, recorded on two kinds of machine by turns, with three changes.
func TestPlanted(t *testing.T) {
	seeds := testlong.Share(20, 4)
	right, least := 0, seeds-1 // of 20
	for seed := range uint64(seeds) {
		s := synthetic{seed: seed, commits: 200, machine: twoMachines, planted: []planted{
			{"ops_per_sec", 61, 1 / 1.02}, {"cpu_per_op", 121, 1.05}, {"allocs_per_op", 171, 39.0 / 38},
		}}
		marked, others := found(s, Curves(s.records()))
		if len(marked) == len(s.planted) && others == 0 {
			right++
		} else {
			t.Logf("seed %d: %d of %d, and %d others", seed, len(marked), len(s.planted), others)
		}
	}
	if right < least {
		t.Errorf("right in %d of %d seeds, want %d", right, seeds, least)
	}
}

func twoMachines(commit int) (string, float64) {
	if commit%3 == 0 {
		return "Other CPU", 1.4
	}
	return "Test CPU", 1
}

// TestNothingPlanted holds that a history without a change shows none, in 99 of
// 100 seeds, whatever its heads were compared with.
func TestNothingPlanted(t *testing.T) {
	const most = 1
	seeds := testlong.Share(100, 20)
	bases := map[string]func(commit int) int{
		"one release":         func(int) int { return 0 },
		"the commit before":   func(commit int) int { return commit - 1 },
		"a release every 50":  func(commit int) int { return (commit - 1) / 50 * 50 },
		"releases of no head": func(commit int) int { return -1 - commit/50 },
	}
	for name, base := range bases {
		t.Run(name, func(t *testing.T) {
			wrong := 0
			for seed := range uint64(seeds) {
				s := synthetic{seed: seed, commits: 200, machine: twoMachines, base: base}
				if _, others := found(s, Curves(s.records())); others > 0 {
					wrong++
				}
			}
			if wrong > most {
				t.Errorf("marks in %d of %d seeds, want at most %d", wrong, seeds, most)
			}
		})
	}
}

// TestChained: a change at the commit at which the base changes, and changes in
// a history whose heads are each compared with the one before.
func TestChained(t *testing.T) {
	step := planted{"cpu_per_op", 51, 1.05}
	bases := map[string]func(commit int) int{
		"the commit before":  func(commit int) int { return commit - 1 },
		"a release every 50": func(commit int) int { return (commit - 1) / 50 * 50 },
		"every 50, later":    func(commit int) int { return max(0, (commit-6)/45*45) },
	}
	for name, base := range bases {
		t.Run(name, func(t *testing.T) {
			s := synthetic{seed: 1, commits: 100, base: base, planted: []planted{step}}
			curves := Curves(s.records())
			marked, others := found(s, curves)
			if len(marked) != 1 || others > 0 {
				t.Fatalf("marked %v, and %d others", marked, others)
			}
			cpu := curves[0].Series[1]
			first, last := cpu.Ends()
			if math.Abs(first.Level) > 0.7 || math.Abs(last.Level-5) > 1.5 || last.Stretch != 0 {
				t.Errorf("levels %+v to %+v", first, last)
			}
		})
	}
}

// TestMachines: another kind of machine is no change of the server, though it
// makes something else of head and base.
func TestMachines(t *testing.T) {
	later := func(commit int) (string, float64) {
		if commit > 60 {
			return "New CPU", 2
		}
		return "Test CPU", 1
	}
	s := synthetic{seed: 2, commits: 100, machine: later, chip: map[string]float64{"New CPU": 1.06}}
	if _, others := found(s, Curves(s.records())); others > 0 {
		t.Errorf("%d marks where the machine changed", others)
	}
	notes := Curves(s.records())[0].Series[1].Notes
	if len(notes) != 1 || !strings.HasSuffix(notes[0], "at "+build(61).String()) {
		t.Errorf("notes %q", notes)
	}
	s.planted = []planted{{"allocs_per_op", 61, 39.0 / 38}, {"ops_per_sec", 81, 0.95}}
	if marked, others := found(s, Curves(s.records())); len(marked) != 2 || others > 0 {
		t.Errorf("marked %v, and %d others", marked, others)
	}
}

// TestAlone: runs without a base have allocations, and no timing.
func TestAlone(t *testing.T) {
	s := synthetic{seed: 3, commits: 20, planted: []planted{{"allocs_per_op", 11, 39.0 / 38}, {"cpu_per_op", 11, 3}}}
	records := s.records()
	for i := range records {
		records[i].Base, records[i].Paired, records[i].Verdict = nil, false, compare.NotJudged
		for k := range records[i].Metrics {
			records[i].Metrics[k].Change, records[i].Metrics[k].Verdict = nil, compare.NotJudged
		}
	}
	for _, series := range Curves(records)[0].Series {
		want := 0
		if series.Metric.ID == "allocs_per_op" {
			want = 1
		}
		if len(series.Changes) != want || series.Metric.Timing != (len(series.Points) == 0 && len(series.Notes) == 1) {
			t.Errorf("%s: changes %+v, %d points, notes %q", series.Metric.ID, series.Changes, len(series.Points),
				series.Notes)
		}
	}
}

// TestZero: a metric that is 0 somewhere has no ratio.
func TestZero(t *testing.T) {
	records := synthetic{seed: 4, commits: 20}.records()
	*records[7].Metric("allocs_per_op").Value = 0
	series := Curves(records)[0].Series[3]
	if series.Metric.ID != "allocs_per_op" || len(series.Changes) > 0 || len(series.Points) != 20 ||
		len(series.Notes) != 1 {
		t.Errorf("%s: changes %v, notes %q", series.Metric.ID, series.Changes, series.Notes)
	}
}

// TestZeroThroughout: what never left 0 did not change.
func TestZeroThroughout(t *testing.T) {
	records := synthetic{seed: 4, commits: 20}.records()
	for i := range records {
		m := records[i].Metric("allocs_per_op")
		*m.Value, m.Change = 0, nil
	}
	series := Curves(records)[0].Series[3]
	if series.Metric.ID != "allocs_per_op" || len(series.Changes)+len(series.Notes) > 0 || len(series.Points) != 20 {
		t.Errorf("%s: changes %v, notes %q", series.Metric.ID, series.Changes, series.Notes)
	}
}

// TestFailures: their share is shown if there are any, and not judged.
func TestFailures(t *testing.T) {
	records := synthetic{seed: 4, commits: 20}.records()
	for i := range records {
		share := 0.0
		records[i].Metrics = append(records[i].Metrics, Metric{ID: "failed_requests", Value: &share})
	}
	if n := len(Curves(records)[0].Series); n != len(usual) {
		t.Errorf("%d metrics, want %d: nothing failed", n, len(usual))
	}
	for i := 10; i < 20; i++ {
		*records[i].Metric("failed_requests").Value = 3
	}
	for _, s := range Curves(records)[0].Series {
		if s.Metric.Share && (len(s.Points) != 20 || len(s.Changes) > 0 || len(s.Notes) != 1) {
			t.Errorf("%d points, changes %v, notes %q", len(s.Points), s.Changes, s.Notes)
		}
	}
	if n := len(Curves(records)[0].Series); n != len(usual)+1 {
		t.Errorf("%d metrics, want %d", n, len(usual)+1)
	}
}

// TestStretches: a base that is no earlier head cuts the curve.
func TestStretches(t *testing.T) {
	s := synthetic{seed: 5, commits: 40, base: func(commit int) int { return -1 - commit/21 }}
	cpu := Curves(s.records())[0].Series[1]
	if cpu.Points[0].Stretch == cpu.Points[39].Stretch || len(cpu.Notes) != 1 {
		t.Errorf("stretches %d and %d, notes %q", cpu.Points[0].Stretch, cpu.Points[39].Stretch, cpu.Notes)
	}
	if first, last := cpu.Ends(); first.Record != 20 || last.Record != 39 {
		t.Errorf("the ends are %d and %d", first.Record, last.Record)
	}
}

// TestFewRecords: short histories have no change and no fault.
func TestFewRecords(t *testing.T) {
	for n := range 5 {
		for _, curve := range Curves(synthetic{seed: 6, commits: n, base: func(c int) int { return c - 1 }}.records()) {
			for _, series := range curve.Series {
				if len(series.Points) != n || len(series.Changes) > 0 {
					t.Errorf("%d records: %+v", n, series)
				}
			}
		}
	}
}
