package server

import "testing"

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
	if got := testing.AllocsPerRun(100, h.burden); got < 1 || got > 2 {
		t.Errorf("%v allocations a call", got)
	}
	if got := len(*h.sink.Load()); got != 200 {
		t.Errorf("%d bytes", got)
	}
}

// TestHandicapFollowsTheCost gives calls a known cost and reads the turns that
// follow from it.
func TestHandicapFollowsTheCost(t *testing.T) {
	h := newHandicap(Handicap{CPU: 5})
	h.nanos = 2
	now := processCPU()
	h.cpu.Store(int64(now) - handicapWindow*20_000) // 20 us a call, less what this test takes
	h.adjust()
	if got := h.turns.Load(); got < 500 || got > 1000 {
		t.Errorf("%d turns of 2 ns for 5%% of 20 us, want 500", got)
	}
	if newHandicap(Handicap{}) != nil {
		t.Error("no handicap burdens a call")
	}
}
