package profiles

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
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
