package server

import (
	"runtime"
	"testing"
)

func TestParseHandicap(t *testing.T) {
	tests := []struct {
		text string
		want Handicap
	}{
		{"", Handicap{}},
		{"none", Handicap{}},
		{"cpu=5%", Handicap{CPU: 5}},
		{"cpu=0.5%", Handicap{CPU: 0.5}},
		{"alloc=200B", Handicap{Alloc: 200}},
		{"cpu=3%+alloc=100B", Handicap{CPU: 3, Alloc: 100}},
	}
	for _, tt := range tests {
		if got, err := ParseHandicap(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
	}
	for _, bad := range []string{"cpu", "cpu=5", "cpu=%", "cpu=-1%", "cpu=0%", "cpu=NaN%", "cpu=1e9%", "alloc=200", "alloc=-1B", "alloc=2GB", "alloc=99999999B", "sleep=5ms", "cpu=5%+", "+", "cpu=3%,alloc=100B"} {
		if h, err := ParseHandicap(bad); err == nil {
			t.Errorf("%q was taken for %+v", bad, h)
		}
	}
}

// TestHandicapAllocates holds that a call allocates what it was told to, once.
func TestHandicapAllocates(t *testing.T) {
	h := newHandicap(Handicap{Alloc: 200})
	if got := testing.AllocsPerRun(100, h.burden); got != 1 {
		t.Errorf("%v allocations a call", got)
	}
	const calls = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		h.burden()
	}
	runtime.ReadMemStats(&after)
	if got := float64(after.TotalAlloc-before.TotalAlloc) / calls; got < 200 || got > 220 {
		t.Errorf("%v bytes a call, want 200 rounded up to a size class", got)
	}
}

// TestHandicapFollowsTheCost tells the handicap what calls and turns cost, and
// holds the turns that follow from it.
func TestHandicapFollowsTheCost(t *testing.T) {
	h := newHandicap(Handicap{CPU: 5})
	h.perTurn = 2
	h.adjust(1e9, true)
	if got := h.turns.Load(); got != 0 {
		t.Errorf("%d turns before anything was measured", got)
	}
	cpu, nanos := int64(1e9), 2.0
	windows := func(n int) int64 {
		for range n {
			spun := int64(float64(h.turns.Load()) * nanos)
			cpu += handicapWindow * handicapTimed * (20_000 + spun)
			h.kept.Store(handicapWindow)
			h.nanos.Store(handicapWindow * spun)
			h.adjust(cpu, false)
		}
		return h.turns.Load()
	}
	if got := windows(50); got < 495 || got > 505 {
		t.Errorf("%d turns of 2 ns for 5%% of 20 us, want 500", got)
	}
	nanos = 4 // the processor got busy
	if got := windows(50); got < 245 || got > 255 {
		t.Errorf("%d turns of 4 ns, want 250", got)
	}
	if newHandicap(Handicap{}) != nil {
		t.Error("no handicap burdens a call")
	}
}
