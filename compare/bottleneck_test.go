package compare

import (
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

func TestHeldBy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*runfolder.Run)
		want   Bottleneck
		says   string
	}{
		{"as it is", func(*runfolder.Run) {}, ByServer, "of the CPUs server "},
		{"a slow generator", scale(1, 1, 6), ByGenerator, "Give the generator more CPU time"},
		{"waiting", scale(1, 0.5, 1), ByWorkers, "Record with more --workers"},
		{"others at work", func(r *runfolder.Run) {
			scale(1, 0.3, 0.3)(r)
			onMachine(r, runfolder.Machine{Busy: new(950 * time.Millisecond), Ours: new(300 * time.Millisecond)})
		}, ByMachine, "others 65%"},
		{"a clock that cannot be read", func(r *runfolder.Run) {
			r.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceCPUClock: "no /proc"}
		}, ByUnknown, "not known"},
		{"more workers make more", probed(1000, 1200, 10000), ByWorkers, "10 workers instead of 5 made +20"},
		{"near the ceiling", probed(1000, 1010, 1500), ByGenerator, "it was 67% of the 1,500/s that a server makes which does nothing"},
		{"both", probed(1000, 1200, 1500), ByWorkers, "Record with more --workers"},
		{"neither", probed(1000, 1010, 10000), ByServer, "10% of the 10,000/s"},
		{"neither, while CPUs idle", func(r *runfolder.Run) {
			scale(1, 0.5, 1)(r)
			probed(1000, 1010, 10000)(r)
		}, ByOther, "for locks, a disk"},
		{"no ceiling", func(r *runfolder.Run) {
			probed(1000, 1010, 10000)(r)
			r.Manifest.Probe.Ceiling, r.Manifest.Probe.NoCeiling = nil, "a reason"
		}, ByServer, "ceiling is not known: a reason"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run := synthesize(t, "head", "e1", 12, slow, 7)
			tt.change(run)
			if h := HeldBy(run); h.By != tt.want || !strings.Contains(h.String(), tt.says) {
				t.Errorf("held by %s, want %s and %q", h, tt.want, tt.says)
			}
		})
	}
}

func TestHeldOpen(t *testing.T) {
	load := loadgen.Load{Rate: 1000, Workers: 10}
	for _, tt := range []struct {
		name string
		o    runfolder.OpenLoop
		cpu  *CPUShare
		want Bottleneck
	}{
		{"the rate was kept", runfolder.OpenLoop{Late: 99, AvgLatencyMs: 1}, nil, ByRate},
		{"late with all workers busy", runfolder.OpenLoop{Late: 101, AvgLatencyMs: 9}, nil, ByWorkers},
		{"never sent with all workers busy", runfolder.OpenLoop{Missed: 1, AvgLatencyMs: 9}, nil, ByWorkers},
		{"late with workers free", runfolder.OpenLoop{Late: 101, AvgLatencyMs: 1}, nil, ByUnknown},
		{"late on CPUs that the server used up", runfolder.OpenLoop{Late: 101, AvgLatencyMs: 9}, &CPUShare{Server: 0.8, Generator: 0.2}, ByServer},
		{"late on CPUs that the generator used up", runfolder.OpenLoop{Late: 101, AvgLatencyMs: 1}, &CPUShare{Server: 0.5, Generator: 0.5}, ByGenerator},
	} {
		if h := heldOpen(load, tt.o, 10000, tt.cpu); h.By != tt.want {
			t.Errorf("%s: held by %s, want %s", tt.name, h, tt.want)
		}
	}
}

// TestHeldTrial: a trial beyond its limits is the server's fault if requests were late
// from when they were sent.
func TestHeldTrial(t *testing.T) {
	c := &runfolder.Capacity{
		Limits: runfolder.Limits{Latencies: []runfolder.LatencyLimit{{Quantile: 99, Limit: time.Millisecond}}},
		Load:   loadgen.Load{Workers: 10}, Host: runfolder.Host{Affinity: 2},
	}
	for _, tt := range []struct {
		name string
		t    runfolder.Trial
		want Bottleneck
	}{
		{"late from sending", runfolder.Trial{OverSent: []int64{20}}, ByServer},
		{"sent late, workers free", runfolder.Trial{OverSent: []int64{0}, InFlight: 1}, ByGenerator},
		{"sent late, workers busy", runfolder.Trial{OverSent: []int64{0}, InFlight: 9}, ByWorkers},
		{"sent late, CPUs used up", runfolder.Trial{OverSent: []int64{0}, InFlight: 9, Server: 1500 * time.Millisecond, Generator: 400 * time.Millisecond}, ByServer},
		{"sent late, the generator at its end", runfolder.Trial{OverSent: []int64{0}, Generator: 1200 * time.Millisecond}, ByGenerator},
		{"failed", runfolder.Trial{OverSent: []int64{0}, Failed: 1}, ByServer},
	} {
		tt.t.Duration, tt.t.Answered, tt.t.Over = time.Second, 1000, []int64{20}
		if by := heldTrial(c, tt.t, true); by != tt.want {
			t.Errorf("%s: held by the %s, want the %s", tt.name, by, tt.want)
		}
	}
}

// probed gives a run a probe with the medians of its rates.
func probed(usual, more, ceiling float64) func(*runfolder.Run) {
	rates := func(workers int, median float64) runfolder.ProbeRates {
		r := runfolder.ProbeRates{Workers: workers}
		for i := range 20 {
			r.PerSec = append(r.PerSec, median*(1+0.001*float64(i%5-2)))
		}
		return r
	}
	return func(r *runfolder.Run) {
		null := rates(5, ceiling)
		r.Manifest.Probe = &runfolder.Probe{
			Slice: 50 * time.Millisecond, Usual: rates(5, usual), More: rates(10, more), Ceiling: &null,
		}
	}
}

// TestHeldThroughput: of a throughput that a probe showed to be the generator's nothing is
// said, with the reason and what would help; it keeps no experiment going, and all else
// is judged.
func TestHeldThroughput(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, fast, 7)
	probed(1000, 1010, 10000)(base)
	probed(1000, 1010, 1500)(head)
	look := Decide([]*runfolder.Run{base, head}, DefaultCriteria())
	if !look.Done {
		t.Errorf("it is not done: %+v", look)
	}
	base.Layouts, head.Layouts = synthesize(t, "base", "e1", 12, slow, 8), synthesize(t, "head", "e1", 12, fast, 8)
	if look := DecideLayouts([]*runfolder.Run{base, head}, DefaultCriteria()); !look.Done {
		t.Errorf("with other layouts it is not done: %+v", look)
	}
	b, h, c := newSide(base), newSide(head), DefaultCriteria()
	found := judgeAll(b, h, c, metricsOfPair(b, h, c), "")
	if r := found[OpsPerSec]; r.verdict != Inconclusive || !strings.Contains(r.doubt, "that of head was held by the generator") ||
		!strings.Contains(r.doubt, "--agents") {
		t.Errorf("throughput is %s: %s", r.verdict, r.doubt)
	}
	if r := found[CPUPerOp]; r.verdict != Improved || r.doubt != "" {
		t.Errorf("CPU is %s: %s", r.verdict, r.doubt)
	}
}
