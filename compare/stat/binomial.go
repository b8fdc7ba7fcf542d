package stat

import "math"

// UpperBound is how large the probability of an event may be of which so many were seen
// in so many independent trials: the one-sided bound of Clopper and Pearson (Biometrika
// 26 (1934) 404-413) at a confidence level. It is exact, so that the level is reached
// however few the trials are.
func UpperBound(events, trials int, level float64) float64 {
	if events >= trials {
		return 1
	}
	low, high := 0.0, 1.0
	for range 60 { // halvings: as fine as a float64 is
		middle := (low + high) / 2
		if atMost(events, trials, middle) > 1-level {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// atMost is the probability of no more than so many events, each of which has
// probability p, 0 < p < 1.
func atMost(events, trials int, p float64) float64 {
	sum := 0.0
	for k := range events + 1 {
		sum += math.Exp(logChoose(trials, k) + float64(k)*math.Log(p) + float64(trials-k)*math.Log1p(-p))
	}
	return sum
}

// logChoose is the logarithm of the number of ways to choose k of n.
func logChoose(n, k int) float64 {
	factorial := func(n int) float64 {
		v, _ := math.Lgamma(float64(n) + 1)
		return v
	}
	return factorial(n) - factorial(k) - factorial(n-k)
}
