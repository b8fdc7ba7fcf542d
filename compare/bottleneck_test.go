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
