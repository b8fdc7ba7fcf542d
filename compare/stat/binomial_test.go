package stat

import (
	"math"
	"testing"
)

// TestUpperBound holds bounds that have a closed form, and one that R gives:
// binom.test(5, 100, alternative = "less").
func TestUpperBound(t *testing.T) {
	tests := []struct {
		events, trials int
		want           float64
	}{
		{0, 60, 1 - math.Pow(0.05, 1.0/60)},
		{0, 1, 0.95},
		{0, 100_000, 1 - math.Pow(0.05, 1e-5)},
		{19, 20, math.Pow(0.95, 1.0/20)},
		{20, 20, 1},
		{0, 0, 1},
		{5, 100, 0.10225},
	}
	for _, tt := range tests {
		if got := UpperBound(tt.events, tt.trials, 0.95); !near(got, tt.want, 1e-5) {
			t.Errorf("%d of %d: at most %v, want %v", tt.events, tt.trials, got, tt.want)
		}
	}
	for _, events := range []int{1, 7, 30} {
		bound := UpperBound(events, 60, 0.95)
		if p := atMost(events, 60, bound); !near(p, 0.05, 1e-9) {
			t.Errorf("%d of 60 at the bound %v has probability %v, want 0.05", events, bound, p)
		}
	}
}
