package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSpending holds the levels against published bounds: linear spending of 5% over
// five looks, Lan and DeMets, Biometrika 70 (1983) 659-663, table 1.
func TestSpending(t *testing.T) {
	s := Spending{First: 1, Planned: 5, Power: 1}
	for i, want := range []float64{2.58, 2.49, 2.41, 2.34, 2.28} {
		if got := NormalQuantile(1 - s.Level(i+1, 0.05)); math.Abs(got-want) > 0.006 {
			t.Errorf("look %d: %.3f standard deviations, want %v", i+1, got, want)
		}
	}
}

// TestSpendingHolds simulates looks at every value from the third on: how often one
// finds something when there is nothing to find.
func TestSpendingHolds(t *testing.T) {
	const experiments, alpha = 100_000, 0.01
	for _, s := range []Spending{{First: 3, Planned: 32, Power: 1}, {First: 3, Planned: 32, Power: 3}} {
		rng := rand.New(rand.NewPCG(5, 6))
		half, all := 0, 0 // that found something in the first half, and at all
		for range experiments {
			sum, found := 0.0, 0
			for n := 1; n <= s.Planned && found == 0; n++ {
				sum += rng.NormFloat64()
				if n >= s.First && math.Erfc(math.Abs(sum)/math.Sqrt(2*float64(n))) <= s.Level(n, alpha) {
					found = n
				}
			}
			if found > 0 {
				all++
			}
			if found > 0 && found <= s.Planned/2 {
				half++
			}
		}
		// Standard errors of the shares are 0.0003 and 0.0002.
		for _, got := range [][2]float64{{float64(all), alpha}, {float64(half), alpha * math.Pow(0.5, float64(s.Power))}} {
			if share := got[0] / experiments; math.Abs(share-got[1]) > 0.001 {
				t.Errorf("%+v: %v of experiments without a difference find one, want %v", s, share, got[1])
			}
		}
	}
}

// TestSpendingBounds: less error to spend asks for more, and a sample that is too
// small for a look has what it would have spent.
func TestSpendingBounds(t *testing.T) {
	s := Spending{First: 3, Planned: 32, Power: 1}
	for n := 1; n <= 32; n++ {
		whole, quarter := s.Level(n, 0.01), s.Level(n, 0.0025)
		if quarter >= whole || whole > 0.01*float64(n)/32+1e-12 {
			t.Errorf("%d values: %v of 1%%, %v of a quarter of it", n, whole, quarter)
		}
	}
	if got := (Spending{First: 3, Planned: 2, Power: 1}).Level(2, 0.01); got != 0.01 {
		t.Errorf("all of two values: %v", got)
	}
}
