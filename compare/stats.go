package compare

import (
	"math"
	"slices"

	"github.com/montanaflynn/stats"
)

// Interval is a confidence interval and the level it really has. Exact
// intervals of few values cannot reach every level.
type Interval struct {
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Level float64 `json:"level"`
}

// HodgesLehmann estimates the centre of a symmetric distribution: the median of
// all means of two values, each value paired with itself too (Hollander, Wolfe
// and Chicken, Nonparametric Statistical Methods, 3rd ed., section 3.2). It is
// NaN without values.
func HodgesLehmann(values []float64) float64 {
	return median(walshAverages(values))
}

// SignedRankInterval is the interval of the centre that goes with Wilcoxon's
// exact signed-rank test (ibid., section 3.3), at the given level or, where
// there are too few values for that, at the highest level there is.
func SignedRankInterval(values []float64, level float64) Interval {
	n := len(values)
	return orderInterval(walshAverages(values), signedRankDistribution(n), level)
}

// HodgesLehmannShift estimates how far the values of y lie above those of x:
// the median of all differences (ibid., section 4.2).
func HodgesLehmannShift(x, y []float64) float64 {
	return median(differences(x, y))
}

// RankSumInterval is the interval of the shift that goes with Wilcoxon's exact
// rank-sum test (ibid., section 4.3), at the given level or the highest there
// is.
func RankSumInterval(x, y []float64, level float64) Interval {
	return orderInterval(differences(x, y), rankSumDistribution(len(x), len(y)), level)
}

// orderInterval takes the k-th smallest and k-th largest of the sorted values,
// with the largest k whose tails hold no more than the level allows. null is
// the null distribution of the test statistic, from 0.
func orderInterval(sorted, null []float64, level float64) Interval {
	if len(sorted) == 0 {
		return Interval{Low: math.Inf(-1), High: math.Inf(1)}
	}
	// Half of 1-level, and a little more against rounding.
	allowed := (1-level)/2 + 1e-12
	k, tail := 1, null[0]
	for k < len(sorted)/2 && tail+null[k] <= allowed {
		tail += null[k]
		k++
	}
	return Interval{Low: sorted[k-1], High: sorted[len(sorted)-k], Level: 1 - 2*tail}
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

func median(values []float64) float64 {
	m, err := stats.Median(values)
	if err != nil {
		return math.NaN()
	}
	return m
}
