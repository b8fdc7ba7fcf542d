package stat

import (
	"math"
	"slices"
	"sync"

	"github.com/montanaflynn/stats"
)

// Interval is a confidence interval and the level it really has. Exact
// intervals of few values cannot reach every level.
type Interval struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level"`
}

// An Estimator holds what a sample says about a location: the centre of one
// sample, or the shift between two. Its estimate is the Hodges-Lehmann one, its
// intervals and p-values those of Wilcoxon's exact tests (Hollander, Wolfe and
// Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.1 to 3.3 and
// 4.1 to 4.3). With ties they are conservative.
type Estimator struct {
	sorted []float64 // Walsh averages, or differences of all pairs
	null   []float64 // null distribution of the test's statistic, from 0
}

// SignedRank estimates the centre of a symmetric distribution from values of it.
func SignedRank(values []float64) Estimator {
	return Estimator{sorted: walshAverages(values), null: signedRankDistribution(len(values))}
}

// RankSum estimates how far the values of y lie above those of x.
func RankSum(x, y []float64) Estimator {
	return Estimator{sorted: differences(x, y), null: rankSumDistribution(len(x), len(y))}
}

// Estimate is the median of the means of all pairs of values (one sample) or of
// all differences (two). It is NaN without values.
func (e Estimator) Estimate() float64 { return Median(e.sorted) }

// Interval is the confidence interval at the given level or, where there are
// too few values for that, at the highest level there is.
func (e Estimator) Interval(level float64) Interval {
	n := len(e.sorted)
	if n == 0 {
		return Interval{Low: math.Inf(-1), High: math.Inf(1)}
	}
	// The k-th smallest and k-th largest, with the largest k whose tails hold no
	// more than half of 1-level each, and a little more against rounding.
	allowed := (1-level)/2 + 1e-12
	k, tail := 1, e.null[0]
	for k < n/2 && tail+e.null[k] <= allowed {
		tail += e.null[k]
		k++
	}
	return Interval{Low: e.sorted[k-1], High: e.sorted[n-k], Level: 1 - 2*tail}
}

// Reaches reports whether there are enough values for an interval of the level.
func (e Estimator) Reaches(level float64) bool {
	return len(e.sorted) > 0 && 2*e.null[0] <= 1-level+2e-12
}

// PValue is the two-sided p-value against a location within [-floor, floor]:
// the smallest 1-level whose interval lies wholly outside.
func (e Estimator) PValue(floor float64) float64 {
	above, _ := slices.BinarySearchFunc(e.sorted, floor, func(v, limit float64) int {
		if v <= limit {
			return -1
		}
		return 1
	})
	below, _ := slices.BinarySearch(e.sorted, -floor)
	tail := 0.0
	for _, p := range e.null[:min(above, len(e.sorted)-below)+1] {
		tail += p
	}
	return min(1, 2*tail)
}

// walshAverages returns the sorted means of all pairs i <= j.
func walshAverages(values []float64) []float64 {
	averages := make([]float64, 0, len(values)*(len(values)+1)/2)
	for i, v := range values {
		for _, w := range values[i:] {
			averages = append(averages, (v+w)/2)
		}
	}
	slices.Sort(averages)
	return averages
}

// differences returns the sorted differences of all pairs.
func differences(x, y []float64) []float64 {
	all := make([]float64, 0, len(x)*len(y))
	for _, v := range x {
		for _, w := range y {
			all = append(all, w-v)
		}
	}
	slices.Sort(all)
	return all
}

// signedRankDistribution is the probability of every value of the signed-rank
// statistic of n values: each rank counts or not, with probability one half.
func signedRankDistribution(n int) []float64 {
	return remembered([2]int{n}, func() []float64 { return computeSignedRank(n) })
}

// distributions are the null distributions computed so far, by their sample
// sizes. Every interval asks for one, and there are few sizes.
var distributions sync.Map

func remembered(sizes [2]int, compute func() []float64) []float64 {
	if known, ok := distributions.Load(sizes); ok {
		return known.([]float64)
	}
	p := compute()
	distributions.Store(sizes, p)
	return p
}

func computeSignedRank(n int) []float64 {
	p := make([]float64, n*(n+1)/2+1)
	p[0] = 1
	for rank := 1; rank <= n; rank++ {
		for s := len(p) - 1; s >= 0; s-- {
			p[s] /= 2
			if s >= rank {
				p[s] += p[s-rank] / 2
			}
		}
	}
	return p
}

// rankSumDistribution is the probability of every value of the Mann-Whitney
// statistic of m and n values. The largest of all values is one of the m with
// probability m/(m+n), and is then above all n others.
func rankSumDistribution(m, n int) []float64 {
	return remembered([2]int{m, n}, func() []float64 { return computeRankSum(m, n) })
}

func computeRankSum(m, n int) []float64 {
	rows := make([][]float64, n+1) // of the current m, by n
	for j := range rows {
		rows[j] = []float64{1}
	}
	for i := 1; i <= m; i++ {
		next := make([][]float64, n+1)
		next[0] = []float64{1}
		for j := 1; j <= n; j++ {
			next[j] = make([]float64, i*j+1)
			share := float64(i) / float64(i+j)
			for u, p := range rows[j] {
				next[j][u+j] += share * p
			}
			for u, p := range next[j-1] {
				next[j][u] += (1 - share) * p
			}
		}
		rows = next
	}
	return rows[n]
}

// Median is NaN without values.
func Median(values []float64) float64 {
	m, err := stats.Median(values)
	if err != nil {
		return math.NaN()
	}
	return m
}

func (e Estimator) Finite() bool {
	n := len(e.sorted)
	return n > 0 && Finite(e.sorted[0]) && Finite(e.sorted[n-1])
}

// NormalQuantile is what a standard normal variable stays within, in either
// direction, with the given probability.
func NormalQuantile(level float64) float64 { return math.Sqrt2 * math.Erfinv(level) }
