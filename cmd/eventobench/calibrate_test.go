package main

import (
	"testing"

	"github.com/eventobench/eventobench/compare"
)

func TestGainOf(t *testing.T) {
	for _, tt := range []struct{ base, head, want float64 }{
		{20, 22, 1},
		{20, 23.012, 1.51},
		{20, 21, 0.5},
	} {
		if got, err := gainOf(tt.base, tt.head); err != nil || got != tt.want {
			t.Errorf("from %v to %v us: %v, %v; want %v", tt.base, tt.head, got, err, tt.want)
		}
	}
	for _, head := range []float64{19, 20, 20.01, 60} {
		if got, err := gainOf(20, head); err == nil {
			t.Errorf("from 20 to %v us: a gain of %v", head, got)
		}
	}
}

// TestWithGain holds that a share of CPU time gets the gain that was measured, that nothing
// else does, and that what was planted can be told from what was asked of the server.
func TestWithGain(t *testing.T) {
	test := &selftest{gain: 1.52}
	for planted, want := range map[string]string{
		"none": "none", "alloc=100B": "alloc=100B", "cpu=3%": "cpu=3%/1.52", "cpu=3%+alloc=8B": "cpu=3%/1.52+alloc=8B",
	} {
		got, err := (&selftestOptions{}).withGain(nil, planted, test)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", planted, got, err, want)
		}
		if back, gain := cutGain(got); back != planted || gain != 0 && gain != test.gain {
			t.Errorf("%s is %s with a gain of %v", got, back, gain)
		}
	}
}

// TestPlanned holds that a case counts as there whichever way it is written.
func TestPlanned(t *testing.T) {
	o := selftestOptions{cases: []string{"none:1", "alloc=100B+cpu=3.0%:2", "cpu=2.50%:1"}}
	planned, err := o.planned()
	if err != nil {
		t.Fatal(err)
	}
	there := []compare.Trial{{Case: "cpu=3%+alloc=100B"}, {Case: "cpu=2.5%"}, {Case: "none"}}
	if left := notYet(planned, there); len(left) != 1 || left[0] != "cpu=3%+alloc=100B" {
		t.Errorf("left of %v: %v", planned, left)
	}
}

func TestLikeness(t *testing.T) {
	like := likeness{"program", "subject", []string{"short slices", "long slices"}}
	for _, tt := range []struct {
		trial compare.Trial
		want  bool
	}{
		{compare.Trial{Program: "program", Subject: "subject", Settings: "short slices"}, true},
		{compare.Trial{Program: "program", Subject: "subject", Settings: "long slices"}, true},
		{compare.Trial{Program: "program", Subject: "subject", Settings: "two blocks"}, false},
		{compare.Trial{Program: "another", Subject: "subject", Settings: "short slices"}, false},
		{compare.Trial{Program: "program", Subject: "another", Settings: "short slices"}, false},
	} {
		if like.has(tt.trial) != tt.want {
			t.Errorf("%+v: want %v", tt.trial, tt.want)
		}
	}
}
