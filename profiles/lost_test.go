package profiles

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// forgetful is a generator that loses a part of itself when a function says so.
type forgetful struct {
	Generator
	lose func(latency bool) error
}

func (g forgetful) Slice(ctx context.Context, length time.Duration) loadgen.Result {
	r := g.Generator.Slice(ctx, length)
	r.Lost = g.lose(false)
	return r
}

func (g forgetful) TakeLatency() loadgen.Latency {
	l := g.Generator.TakeLatency()
	l.Lost = g.lose(true)
	return l
}

// TestLostGenerator: a block of which a part was lost is recorded again, as often as
// is worth trying, and nothing of it is kept.
func TestLostGenerator(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		lost       loadgen.LostError
		from, to   int  // the calls that lose something
		latency    bool // calls of TakeLatency, rather than of Slice
		repeats    int
		state      runfolder.State
		keptBlocks int
	}{
		{"in a slice", loadgen.LostError{Reason: "gone", Again: true}, 3, 3, false, 1, runfolder.StateComplete, 2},
		{"at the end", loadgen.LostError{Reason: "gone", Again: true}, 3, 3, true, 1, runfolder.StateComplete, 2},
		{"for good", loadgen.LostError{Reason: "nobody is left"}, 10, 10, false, 0, runfolder.StateFailed, 1},
		{"always", loadgen.LostError{Reason: "gone", Again: true}, 1, 1000, false, mostRepeats, runfolder.StateFailed, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
			e.Profiles = nil
			calls, lost := 0, tt.lost
			drive := e.NewGenerator
			e.NewGenerator = func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator {
				return forgetful{drive(s, server, seed), func(latency bool) error {
					if latency == tt.latency {
						calls++
					}
					if latency == tt.latency && calls >= tt.from && calls <= tt.to {
						return &lost
					}
					return nil
				}}
			}
			dirs, err := e.Record(t.Context())
			if failed := tt.state == runfolder.StateFailed; failed != (err != nil) ||
				failed && !strings.Contains(err.Error(), tt.lost.Reason) {
				t.Fatalf("recorded with %v", err)
			}
			for _, dir := range dirs {
				m := open(t, dir).Manifest
				if m.State != tt.state || len(m.Blocks) != tt.keptBlocks || len(m.Repeated) != tt.repeats {
					t.Errorf("%s, %d blocks, repeated %v", m.State, len(m.Blocks), m.Repeated)
				}
			}
		})
	}
}

// rated is forgetful about slices of changing rates.
type rated struct {
	forgetful
	driver RateGenerator
}

func (r rated) SetRate(perSecond float64) { r.driver.SetRate(perSecond) }

// TestLostTrial: a block of a search is recorded again too, and begins where the search
// was before it.
func TestLostTrial(t *testing.T) {
	for name, lostAt := range map[string]int{"while it brackets": 1, "while it fits": 3, "in the second block": 6} {
		t.Run(name, func(t *testing.T) {
			load := loadgen.Load{Kinds: work{}.Kinds(), Workers: 4, Timeout: time.Second, Arrivals: loadgen.Poisson}
			driven := load
			driven.Rate, driven.AllowErrors = 2000, 0.999
			drive, calls := Drive(work{}, driven, loadgen.Connect{}), 0
			e := CapacityExperiment{
				Subjects: []subject.Target{testSubject(t, "one", "fine")}, Load: load, MaxRate: 2000, Out: t.TempDir(),
				Limits: runfolder.Limits{Latencies: []runfolder.LatencyLimit{{Quantile: 99, Limit: 5 * time.Second}}},
				Plan:   runfolder.Plan{Blocks: 2, Rounds: 3, Slice: 10 * time.Millisecond, Warmup: 10, Seed: 1},
				NewGenerator: func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator {
					d := drive(s, server, seed).(RateGenerator)
					return rated{forgetful{d, func(latency bool) error {
						if latency {
							return nil
						}
						if calls++; calls == lostAt {
							return &loadgen.LostError{Reason: "gone", Again: true}
						}
						return nil
					}}, d}
				},
			}
			path, err := e.Record(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c, err := runfolder.ReadCapacity(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Repeated) != 1 || c.Repeated[0].Reason != "gone" || len(c.Subjects[0].Blocks) != 2 {
				t.Fatalf("%d blocks, repeated %v", len(c.Subjects[0].Blocks), c.Repeated)
			}
			for b, block := range c.Subjects[0].Blocks {
				counts, first := 0, block.Trials[0].Counts
				for _, trial := range block.Trials {
					if trial.Counts {
						counts++
					}
				}
				if counts != e.Plan.Rounds || first != (b > 0) {
					t.Errorf("block %d has %d trials that count, and begins with one: %v", b, counts, first)
				}
			}
		})
	}
}

// unready is the workload work, of which the second worker cannot be prepared.
type unready struct{ work }

func (unready) Source(_ uint64, worker int) loadgen.Source {
	if worker == 1 {
		return unpreparedSource{}
	}
	return work{}
}

type unpreparedSource struct{ work }

func (unpreparedSource) Prepare(req *loadgen.Request) bool {
	req.Target = "/work"
	return true
}

func (unpreparedSource) Check(int, *loadgen.Answer) error { return errors.New("no token") }

// TestSetupFails: a setup that fails ends everything, also if the load bears failed requests
// and other workers send some.
func TestSetupFails(t *testing.T) {
	load := loadgen.Load{
		Workload: work{}.Name(), Kinds: work{}.Kinds(), Workers: 2, Timeout: 10 * time.Second, AllowErrors: 0.999,
	}
	one := testSubject(t, "one", "fine")
	for name, record := range map[string]func() error{
		"run": func() error {
			e := testExperiment(t, one)
			e.Load, e.NewGenerator = load, Drive(unready{}, load, loadgen.Connect{})
			_, err := e.Record(t.Context())
			return err
		},
		"probe": func() error {
			e := testExperiment(t, one)
			e.setLoad(load)
			e.Probing = probingOf(t, e)
			e.Probing.More = Drive(unready{}, load, loadgen.Connect{})
			_, err := e.Record(t.Context())
			return err
		},
		"count": func() error {
			e := testExperiment(t, one)
			e.setLoad(load)
			c := counter{recorder: &recorder{Experiment: e, infos: []runfolder.SubjectInfo{{Name: "one"}}}}
			i, err := one.Start(t.Context(), io.Discard)
			if err != nil {
				return err
			}
			defer i.Stop()
			g := Drive(unready{}, load, loadgen.Connect{})(c.infos[0], i.URL(), 1)
			defer g.Close()
			return c.send(t.Context(), 0, g, 10)
		},
		"capacity": func() error {
			open := load
			open.Rate, open.Arrivals = 2000, loadgen.Poisson
			e := CapacityExperiment{
				Subjects: []subject.Target{one}, Load: open, MaxRate: 2000, Out: t.TempDir(),
				Limits:       runfolder.Limits{Latencies: []runfolder.LatencyLimit{{Quantile: 99, Limit: 5 * time.Second}}},
				Plan:         runfolder.Plan{Blocks: 1, Rounds: 3, Slice: 10 * time.Millisecond, Warmup: 10, Seed: 1},
				NewGenerator: Drive(unready{}, open, loadgen.Connect{}),
			}
			_, err := e.Record(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			const want = "1 of the workers could not begin: setup: GET /work: no token in the answer"
			if err := record(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}
