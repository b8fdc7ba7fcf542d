// Package ratefit finds the highest rate of requests at which no more than a share
// of them crosses a limit, from short trials at rates of its own choice. It knows
// neither requests nor servers: a trial is a rate, a number of requests, and how many
// crossed.
//
// The share that crosses is taken to grow as a power of the rate near the one that
// is sought, at most to 1: ln share = ln allowed + slope (ln rate - ln sought). That
// is exact of the queue M/M/1, where P(latency > L) = exp(-(mu - lambda) L), up to
// the curvature within a few percent of the rate. The sought rate is where the
// shares of all trials together are what the model expects of them (the estimating
// equation of a quasi-Poisson regression: McCullagh and Nelder, Generalized Linear
// Models, 2nd ed., chapter 9), so that it is the mean share that meets the limit: a
// longer run at that rate has it as well. The median over short trials, on which a
// staircase settles, would be some percent higher, for a queue near its limit crosses
// in clumps.
//
// Where to try next is what the trials so far say the sought rate is: the recursion
// of Lai and Robbins (Annals of Statistics 7 (1979) 1196-1221) and Wu (JASA 80 (1985)
// 974-984), which is Robbins and Monro's with steps as long as the slope asks. It
// puts trials close to the sought rate, where the model holds and its slope hardly
// matters.
package ratefit

import (
	"math"
	"slices"
)

// Trial is a stretch of requests at one rate.
type Trial struct {
	Rate     float64 // per second
	Requests float64 // that were due
	Crossed  []float64
}

// Allowed is the share of requests that may cross each limit. A share of 0 stands
// for less than half a request per trial.
type Allowed []float64

// of is the share allowed in a trial.
func (a Allowed) of(limit int, t Trial) float64 {
	if a[limit] > 0 {
		return a[limit]
	}
	return 0.5 / max(1, t.Requests)
}

// Met reports whether a trial stayed within all limits.
func (a Allowed) Met(t Trial) bool {
	for limit := range a {
		if t.Crossed[limit] > a.of(limit, t)*t.Requests {
			return false
		}
	}
	return true
}

// Slopes are how fast the share that crosses each limit grows with the rate.
type Slopes []float64

// The slopes that are looked for. 1 is a share that doubles with the rate; 30 is what
// is assumed before anything is known, a queue that comes to its limit within some
// percent.
const (
	leastSlope, mostSlope = 1.0, 200.0
	firstSlope            = 30.0
)

// Scaled are the slopes times a factor.
func (s Slopes) Scaled(factor float64) Slopes {
	scaled := slices.Clone(s)
	for i := range scaled {
		scaled[i] *= factor
	}
	return scaled
}

// SlopesOf are those that fit the trials of all blocks best (quasi-likelihood), each
// block with a sought rate of its own.
func SlopesOf(blocks [][]Trial, a Allowed) Slopes {
	const step = 1.15
	s := make(Slopes, len(a))
	for limit := range a {
		best := math.Inf(-1)
		s[limit] = firstSlope
		if !crossing(blocks, limit) {
			continue
		}
		for slope := leastSlope; slope < mostSlope; slope *= step {
			if l := likelihood(blocks, a, limit, slope); l > best {
				best, s[limit] = l, slope
			}
		}
	}
	return s
}

func crossing(blocks [][]Trial, limit int) bool {
	return slices.ContainsFunc(blocks, func(b []Trial) bool { return sum(b, limit) > 0 })
}

func likelihood(blocks [][]Trial, a Allowed, limit int, slope float64) float64 {
	total := 0.0
	for _, trials := range blocks {
		sought := root(trials, a, limit, slope)
		for _, t := range trials {
			if want := expected(t, a, limit, slope, sought); want > 0 {
				total += t.Crossed[limit]*math.Log(want) - want
			}
		}
	}
	return total
}

// expected is how many requests of a trial cross if the sought rate, as a logarithm,
// is that.
func expected(t Trial, a Allowed, limit int, slope, sought float64) float64 {
	return t.Requests * min(1, a.of(limit, t)*math.Exp(slope*(math.Log(t.Rate)-sought)))
}

// sum is how many requests crossed. If none did, half a request stands for what may
// have been missed.
func sum(trials []Trial, limit int) float64 {
	n := 0.0
	for _, t := range trials {
		n += t.Crossed[limit]
	}
	return n
}

// root is the logarithm of the rate at which the model expects what crossed.
func root(trials []Trial, a Allowed, limit int, slope float64) float64 {
	crossed := max(0.5, sum(trials, limit))
	low, high := math.Inf(1), math.Inf(-1)
	for _, t := range trials {
		low, high = min(low, math.Log(t.Rate)), max(high, math.Log(t.Rate))
	}
	top := high
	shares := make([]float64, len(trials)) // that are expected if top is sought
	for i, t := range trials {
		shares[i] = expected(t, a, limit, slope, top) / max(1, t.Requests)
	}
	const beyond, steps = 10, 45 // in logarithms, and halvings: exact to any digit that counts
	low, high = low-beyond, high+beyond
	for range steps {
		middle, want := (low+high)/2, 0.0
		factor := math.Exp(slope * (top - middle))
		for i, t := range trials {
			want += t.Requests * min(1, shares[i]*factor)
		}
		if want > crossed {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// Sought is the logarithm of the highest rate within all limits, by the trials of one
// block: that of the limit which is reached first.
func Sought(trials []Trial, a Allowed, s Slopes) float64 {
	sought := math.Inf(1)
	for limit := range a {
		sought = min(sought, root(trials, a, limit, s[limit])-bias(trials, limit)/s[limit])
	}
	return sought
}

// bias is by how much the logarithm of a sum of so few and so uneven numbers is below
// that of what it estimates: half its relative variance (delta method).
func bias(trials []Trial, limit int) float64 {
	n, total, squares := float64(len(trials)), sum(trials, limit), 0.0
	if total == 0 || n < 2 {
		return 0
	}
	for _, t := range trials {
		squares += t.Crossed[limit] * t.Crossed[limit]
	}
	variance := (squares - total*total/n) * n / (n - 1)
	return min(1, variance/(total*total)) / 2
}
