package stat

import (
	"math"

	"github.com/montanaflynn/stats"
)

// A Student holds what Student's t says about the mean of a sample. It reaches every
// level with few values, for which exact tests have none, at the price of a
// distribution: normal, or with heavier tails, for which its intervals are wider
// than they need to be (Efron, JASA 64 (1969) 1278-1302).
type Student struct {
	mean, err float64 // err is the standard error of the mean
	freedom   int
}

// NewStudent needs two values.
func NewStudent(values []float64) Student {
	mean, _ := stats.Mean(values)
	sd, _ := stats.StandardDeviationSample(values)
	return Student{mean: mean, err: sd / math.Sqrt(float64(len(values))), freedom: len(values) - 1}
}

// Interval is the confidence interval at the given level.
func (s Student) Interval(level float64) Interval {
	margin := 0.0
	if s.err > 0 {
		margin = s.err * StudentQuantile(level, s.freedom)
	}
	return Interval{Low: s.mean - margin, High: s.mean + margin, Level: level}
}

// PValue is the two-sided p-value against a mean within [-floor, floor].
func (s Student) PValue(floor float64) float64 {
	beyond := math.Abs(s.mean) - floor
	switch {
	case beyond <= 0:
		return 1
	case s.err == 0:
		return 0
	}
	return studentTails(beyond/s.err, s.freedom)
}

// StudentQuantile is what a variable of Student's distribution stays within, in
// either direction, with the given probability.
func StudentQuantile(level float64, freedom int) float64 {
	low, high := 0.0, 1.0
	for studentTails(high, freedom) > 1-level {
		low, high = high, 2*high
	}
	for high-low > 1e-12*high {
		middle := (low + high) / 2
		if studentTails(middle, freedom) > 1-level {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// studentTails is the probability of a value beyond t in either direction, by the
// finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4.
func studentTails(t float64, freedom int) float64 {
	v := float64(freedom)
	cos2 := v / (v + t*t)
	sin := t / math.Sqrt(v+t*t)
	odd := freedom % 2
	term, sum := 1.0, 0.0
	for k := odd; k <= freedom-2; k += 2 {
		sum += term
		term *= cos2 * float64(k+1) / float64(k+2)
	}
	if odd == 0 {
		return max(0, 1-sin*sum)
	}
	theta := math.Atan(t / math.Sqrt(v))
	return max(0, 1-2/math.Pi*(theta+sin*math.Sqrt(cos2)*sum))
}
