package stat

import (
	"math"
	"slices"
	"sync"
)

// Spending spreads an error rate over the looks at a sample that grows: alpha spending
// (Lan and DeMets, Biometrika 70 (1983) 659-663). Of Planned values each look may have
// spent as much of the error as a power of the share of values that are there (Kim and
// DeMets, Biometrika 74 (1987) 149-154), so that after all of them all is spent,
// however many looks there were.
type Spending struct {
	First   int // values at the first look; then there is one at every value
	Planned int // values at the last
	Power   int // 1 spends evenly; more leave more to the late looks
}

// by is how much of the error is spent by the look at n values.
func (s Spending) by(n int, alpha float64) float64 {
	return alpha * min(1, math.Pow(float64(n)/float64(s.Planned), float64(s.Power)))
}

// Level is the nominal level of the look at n values, two-sided, that keeps the error
// over this look and those before at what may be spent by then.
//
// Of looks at one sample most that would find something have found it before. How
// much is left to the next is known of sums of normal values (Armitage, McPherson
// and Rowe, JRSS A 132 (1969) 235-244), and of ranks in the limit.
func (s Spending) Level(n int, alpha float64) float64 {
	if n <= s.First {
		return s.by(n, alpha)
	}
	levels := s.levels(alpha)
	return levels[min(n, s.Planned)-s.First]
}

// spent are the levels that were computed so far. Few are asked for, again and again.
var spent sync.Map

func (s Spending) levels(alpha float64) []float64 {
	type key struct {
		Spending
		alpha float64
	}
	if known, ok := spent.Load(key{s, alpha}); ok {
		return known.([]float64)
	}
	levels := s.compute(alpha)
	spent.Store(key{s, alpha}, levels)
	return levels
}

func (s Spending) compute(alpha float64) []float64 {
	levels := []float64{s.Level(s.First, alpha)}
	within := startWalk(float64(s.First), NormalQuantile(1-levels[0]))
	for n := s.First + 1; n <= s.Planned; n++ {
		bound := within.bound(float64(n), s.by(n, alpha)-s.by(n-1, alpha))
		levels = append(levels, math.Erfc(bound/math.Sqrt2))
		within = within.next(float64(n), bound)
	}
	return levels
}

// walk is the density of a sum of standard normal values, as far as it has stayed
// within its bounds: at points around 0, with the weights of Simpson's rule in it.
type walk struct{ at, mass []float64 }

// startWalk is the sum of n values within bound standard deviations.
func startWalk(n, bound float64) walk {
	sd := math.Sqrt(n)
	return newWalk(bound*sd, func(x float64) float64 { return math.Exp(-x*x/n/2) / sd })
}

// next is the walk one value further, at the n-th, within bound standard deviations.
func (w walk) next(n, bound float64) walk {
	return newWalk(bound*math.Sqrt(n), func(x float64) float64 {
		density := 0.0
		for i := w.after(x - far); i < len(w.at) && w.at[i] < x+far; i++ {
			density += w.mass[i] * math.Exp(-(x-w.at[i])*(x-w.at[i])/2)
		}
		return density
	})
}

// far is how far one more value hardly ever takes a sum.
const far = 9

// after is the index of the first point that is not below x.
func (w walk) after(x float64) int {
	i, _ := slices.BinarySearch(w.at, x)
	return i
}

// newWalk has a density, in units of 1/sqrt(2 pi), from -end to end.
func newWalk(end float64, density func(x float64) float64) walk {
	const step = 0.15 // of the sum, whose next value has a standard deviation of 1
	half := int(math.Ceil(end / step))
	h := end / float64(half)
	var w walk
	for i := -half; i <= half; i++ {
		weight := 2.0
		switch {
		case i == -half || i == half:
			weight = 1
		case (i+half)%2 == 1:
			weight = 4
		}
		x := float64(i) * h
		w.at = append(w.at, x)
		w.mass = append(w.mass, weight*h/3*density(x)/math.Sqrt(2*math.Pi))
	}
	return w
}

// bound is how many standard deviations the sum of n values, which has stayed within
// its bounds so far, is beyond with the given probability.
func (w walk) bound(n, probability float64) float64 {
	low, high := 0.0, 40.0
	for high-low > 1e-9 {
		middle := (low + high) / 2
		if w.beyond(middle*math.Sqrt(n)) > probability {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// beyond is the probability that the next sum is farther from 0 than end.
func (w walk) beyond(end float64) float64 {
	p := 0.0
	for i := w.after(end - far); i < len(w.at); i++ { // and as many on the other side
		p += w.mass[i] * math.Erfc((end-w.at[i])/math.Sqrt2)
	}
	return p
}
