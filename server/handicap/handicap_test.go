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
	l.perTurn = 2
	l.adjust(1e9, true)
	if got := l.turns.Load(); got != 0 {
		t.Errorf("%d turns before anything was measured", got)
	}
	cpu, nanos := int64(1e9), 2.0
	windows := func(n int) int64 {
		for range n {
			spun := int64(float64(l.turns.Load()) * nanos)
			cpu += window * timedEvery * (20_000 + spun)
			l.kept.Store(window)
			l.nanos.Store(window * spun)
			l.adjust(cpu, false)
		}
		return l.turns.Load()
	}
	if got := windows(50); got < 495 || got > 505 {
		t.Errorf("%d turns of 2 ns for 5%% of 20 us, want 500", got)
	}
	nanos = 4 // the processor got busy
	if got := windows(50); got < 245 || got > 255 {
		t.Errorf("%d turns of 4 ns, want 250", got)
	}
	cpu += 300e6 // a profile was taken
	if got := windows(1); got < 245 || got > 255 {
		t.Errorf("%d turns after a window with other work, want 250 as before", got)
	}
}

// TestSpinsItsShare has calls that spin themselves, so that the right number of turns is
// known whatever the speed of the processor: of a clock, and of what it is compared with.
func TestSpinsItsShare(t *testing.T) {
	const own, warm, measured = 20_000, 8 * window * timedEvery, 4 * window * timedEvery // turns of a call; calls
	for _, percent := range []float64{1, 5} {
		l := newLoad(Handicap{CPU: percent})
		var turns int64
		for call := range warm + measured {
			spin(own)
			l.add()
			if call >= warm {
				turns += l.turns.Load()
			}
		}
		t.Logf("cpu=%v%%: %.2f%%", percent, float64(turns)/measured/own*100)
		if got := float64(turns) / measured / own * 100; got < 0.6*percent || got > 1.6*percent {
			t.Errorf("cpu=%v%% spins %.2f%% of what a call does", percent, got)
		}
	}
}
