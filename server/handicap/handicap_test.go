package handicap

import (
	"runtime"
	"testing"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// TestWrap holds that a call costs more, that nothing else does, and that the
// answers are those of the core.
func TestWrap(t *testing.T) {
	store, err := sqlite.Open(sqlite.Memory, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	core, _, err := server.NewCore(t.Context(), store, server.Options{Codec: server.CodecRaw, TestMode: true})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := Wrap(core, Handicap{Alloc: 1000})
	out := make([]byte, 0, 1000)
	for _, tt := range []struct {
		path string
		want bool
	}{{"/rpc", true}, {"/health", false}} {
		r := server.Request{Method: "POST", Path: tt.path, Body: []byte(`["stream.version","a-1"]`)}
		before := wrapped.load.sink.Load()
		wrapped.Serve(t.Context(), r, out)
		if worked := wrapped.load.sink.Load() != before; worked != tt.want {
			t.Errorf("%s: additional work %v, want %v", tt.path, worked, tt.want)
		}
		got, want := wrapped.Serve(t.Context(), r, nil), core.Serve(t.Context(), r, nil)
		if got.Status != 200 || string(got.Body) != string(want.Body) {
			t.Errorf("%s: %d %s, want %s", tt.path, got.Status, got.Body, want.Body)
		}
	}
}

// TestAllocates holds that a call allocates what it was told to, once.
func TestAllocates(t *testing.T) {
	l := newLoad(Handicap{Alloc: 200})
	if got := testing.AllocsPerRun(100, l.add); got != 1 {
		t.Errorf("%v allocations per call", got)
	}
	const calls = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		l.add()
	}
	runtime.ReadMemStats(&after)
	if got := float64(after.TotalAlloc-before.TotalAlloc) / calls; got < 200 || got > 220 {
		t.Errorf("%v bytes per call, want 200 rounded up to a size class", got)
	}
}

// TestFollowsTheCost tells the handicap what calls and turns cost, and
// holds the turns that follow.
func TestFollowsTheCost(t *testing.T) {
	l := newLoad(Handicap{CPU: 5})
	l.perTurn, l.own = 2, 20
	l.adjust(1e9)
	l.learn(2 * mostLump)
	if got := l.turns.Load(); got != 0 {
		t.Errorf("%d turns before anything was measured", got)
	}
	cpu, nanos := int64(1e9), 2.0
	windows := func(n int) (perCall float64) {
		for range n {
			spun := (float64(l.turns.Load()) + l.own) * nanos
			cpu += int64(calls*(20_000+spun) + l.lump.nanos)
			l.adjust(cpu)
			l.learn(float64(l.lump.turns) * nanos)
		}
		return l.share()
	}
	if got := windows(50); got < 495 || got > 505 {
		t.Errorf("%v turns of 2 ns for 5%% of 20 us, want 500", got)
	}
	if own := l.own + float64(l.lump.turns)/calls; int64(l.share()-own+0.5) != l.turns.Load() || l.lump.turns == 0 {
		t.Errorf("%d turns of a call and %d at once", l.turns.Load(), l.lump.turns)
	}
	nanos = 4 // the processor got busy
	if got := windows(100); got < 245 || got > 255 {
		t.Errorf("%v turns of 4 ns, want 250", got)
	}
	cpu += 300e6 // a profile was taken
	if got := windows(1); got < 245 || got > 255 {
		t.Errorf("%v turns after a window with other work, want 250 as before", got)
	}
	l.Gain = 2
	if got := windows(50); got < 120 || got > 130 {
		t.Errorf("%v turns with a gain of 2, want 125", got)
	}
}

// share is what a call costs, in turns: its own, what it costs beyond them, and its part of
// the lump.
func (l *load) share() float64 {
	return float64(l.turns.Load()) + l.own + float64(l.lump.turns)/calls
}

// TestSpinsItsShare has calls that spin themselves, so that the right number of turns is
// known whatever the speed of the processor: of a clock, and of what it is compared with.
func TestSpinsItsShare(t *testing.T) {
	const work, warm, measured = 20_000, 8 * calls, 4 * calls // turns of a call; calls
	for _, percent := range []float64{1, 5} {
		l := newLoad(Handicap{CPU: percent})
		var turns float64
		for call := range warm + measured {
			spin(work)
			l.add()
			if call >= warm {
				turns += l.share()
			}
		}
		got := turns / measured / work * 100
		t.Logf("cpu=%v%%: %.2f%%, %.0f turns of it beyond those of spinning", percent, got, l.own)
		if got < 0.6*percent || got > 1.6*percent {
			t.Errorf("cpu=%v%% spins %.2f%% of what a call does", percent, got)
		}
	}
}
