package stat

import (
	"encoding/csv"
	"math"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// depression holds Hamilton scale values of nine patients before and after a
// therapy, from Hollander and Wolfe, table 3.1. The expected results are those
// of the book: estimate -0.46, interval (-0.786, -0.010) at 96.1%. R gives the
// same with
//
//	wilcox.test(y, x, paired = TRUE, conf.int = TRUE, conf.level = 0.95)
var (
	depressionBefore = []float64{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30}
	depressionAfter  = []float64{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29}
)

func TestSignedRankOfTheBook(t *testing.T) {
	d := make([]float64, len(depressionBefore))
	for i := range d {
		d[i] = depressionAfter[i] - depressionBefore[i]
	}
	if got := SignedRank(d).Estimate(); !near(got, -0.46, 0.001) {
		t.Errorf("estimate %v, want -0.46", got)
	}
	got := SignedRank(d).Interval(0.95)
	if !near(got.Low, -0.786, 0.0005) || !near(got.High, -0.010, 0.0005) || !near(got.Level, 0.9609, 0.0001) {
		t.Errorf("interval %+v, want (-0.786, -0.010) at 0.9609", got)
	}
}

// TestReference holds estimates, intervals and p-values against R's, in
// testdata/wilcoxon.csv; testdata/wilcoxon.R made them.
func TestReference(t *testing.T) {
	f, err := os.Open("testdata/wilcoxon.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := csv.NewReader(f)
	in.FieldsPerRecord = -1
	rows, err := in.ReadAll()
	if err != nil || len(rows) < 30 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows {
		if row[0] == "holm" {
			checkHolm(t, numbers(t, row[1]), numbers(t, row[2]))
			continue
		}
		x, y, want := numbers(t, row[1]), numbers(t, row[2]), numbers(t, strings.Join(row[3:], " "))
		e := SignedRank(x)
		if row[0] == "rank sum" {
			e = RankSum(x, y)
		}
		interval := e.Interval(want[0])
		got := []float64{want[0], e.Estimate(), interval.Low, interval.High, e.PValue(0)}
		for k := range want {
			if !near(got[k], want[k], 1e-9) {
				t.Errorf("line %d, %s: level, estimate, low, high, p are %v, want %v", i+1, row[0], got, want)
				break
			}
		}
	}
}

// checkHolm holds what is rejected against adjusted p-values.
func checkHolm(t *testing.T, p, adjusted []float64) {
	t.Helper()
	for _, alpha := range []float64{0.001, 0.0101, 0.021, 0.0301, 0.05, 0.0601, 0.95} {
		level := func(among int) float64 { return alpha / float64(among) }
		for i, among := range Holm(p, level) {
			if (p[i] <= level(among)) != (adjusted[i] <= alpha) {
				t.Errorf("p-values %v at %v: number %d is one among %d, though adjusted to %v", p, alpha, i, among, adjusted[i])
			}
		}
	}
}

func numbers(t *testing.T, text string) []float64 {
	t.Helper()
	var all []float64
	for field := range strings.FieldsSeq(text) {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// TestTies holds that intervals of values with many ties cover the truth at
// least as often as they say.
func TestTies(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const samples = 4000
	missed := 0
	for range samples {
		values := make([]float64, 12)
		for i := range values {
			values[i] = math.Round(rng.NormFloat64() * 1.5) // about seven different values
		}
		if in := SignedRank(values).Interval(0.95); in.Low > 0 || in.High < 0 {
			missed++
		}
	}
	if share := float64(missed) / samples; share > 0.05 {
		t.Errorf("%v of intervals miss, want at most 0.05", share)
	}
}

// TestSignedRankDistribution holds the distribution against all 2^n ways of
// giving n ranks a sign.
func TestSignedRankDistribution(t *testing.T) {
	for n := range 13 {
		want := make([]float64, n*(n+1)/2+1)
		for signs := range uint(1) << n {
			sum := 0
			for rest := signs; rest != 0; rest &= rest - 1 {
				sum += bits.TrailingZeros(rest) + 1
			}
			want[sum] += 1 / float64(uint(1)<<n)
		}
		checkDistribution(t, signedRankDistribution(n), want)
	}
}

// TestRankSumDistribution holds the distribution against all ways of choosing
// which m of m+n ranks are the first sample's.
func TestRankSumDistribution(t *testing.T) {
	for m := 1; m <= 5; m++ {
		for n := 1; n <= 6; n++ {
			want := make([]float64, m*n+1)
			total := 0.0
			for chosen := range uint(1) << (m + n) {
				if bits.OnesCount(chosen) == m {
					want[mannWhitney(chosen, m+n)]++
					total++
				}
			}
			for u := range want {
				want[u] /= total
			}
			checkDistribution(t, rankSumDistribution(m, n), want)
		}
	}
}

// mannWhitney counts, for every chosen place, the places below it that are not.
func mannWhitney(chosen uint, places int) int {
	u, below := 0, 0
	for p := range places {
		if chosen>>p&1 == 1 {
			u += below
		} else {
			below++
		}
	}
	return u
}

func checkDistribution(t *testing.T, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	for i := range want {
		if !near(got[i], want[i], 1e-12) {
			t.Errorf("probability of %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestFewValuesHaveTheWidestInterval(t *testing.T) {
	tests := []struct {
		values []float64
		want   Interval
	}{
		{[]float64{5}, Interval{5, 5, 0}},
		{[]float64{1, 2}, Interval{1, 2, 0.5}},
		{[]float64{1, 2, 9}, Interval{1, 9, 0.75}},
		{[]float64{1, 2, 3, 4, 9}, Interval{1, 9, 0.9375}},
	}
	for _, tt := range tests {
		if got := SignedRank(tt.values).Interval(0.95); got != tt.want {
			t.Errorf("interval of %v: %v, want %v", tt.values, got, tt.want)
		}
	}
	if got := SignedRank(nil).Interval(0.95); !math.IsInf(got.High, 1) || got.Level != 0 {
		t.Errorf("interval of nothing: %v", got)
	}
	if got := SignedRank(nil).Estimate(); !math.IsNaN(got) {
		t.Errorf("estimate of nothing: %v", got)
	}
}

// TestFewestBlocks holds how many blocks the levels need that verdicts use.
func TestFewestBlocks(t *testing.T) {
	for _, tt := range []struct {
		level  float64
		fewest int
	}{
		{0.95, 6},
		{1 - 0.01, 8},
		{1 - 0.01/4, 10},   // one look, four gated metrics
		{1 - 0.0048/4, 11}, // three looks
	} {
		for n := 2; n <= 30; n++ {
			values := make([]float64, n)
			for i := range values {
				values[i] = float64(i * i)
			}
			if got := SignedRank(values).Interval(tt.level); (got.Level >= tt.level) != (n >= tt.fewest) {
				t.Errorf("%d values reach level %v where %v is wanted", n, got.Level, tt.level)
			}
		}
	}
}

func TestShift(t *testing.T) {
	x, y := []float64{1, 2, 3, 4, 5, 6}, []float64{11, 12, 13, 14, 15, 16}
	if got := RankSum(x, y).Estimate(); got != 10 {
		t.Errorf("shift %v, want 10", got)
	}
	// P(U <= 5) is 0.0206 and P(U <= 6) 0.0325 for 6 and 6 values: the interval
	// goes from the 6th smallest to the 6th largest difference.
	d := differences(x, y)
	if got := RankSum(x, y).Interval(0.95); got.Low != d[5] || got.High != d[30] || !near(got.Level, 0.9589, 0.0001) {
		t.Errorf("interval %+v, want [%v, %v] at 0.9589", got, d[5], d[30])
	}
}

// TestIntervalsMoveWithTheData holds what an interval of a location must do.
func TestIntervalsMoveWithTheData(t *testing.T) {
	values := []float64{3, -1, 4, 1, -5, 9, 2, 6, 5, 3.5}
	moved := slices.Clone(values)
	for i := range moved {
		moved[i] += 100
	}
	a, b := SignedRank(values).Interval(0.95), SignedRank(moved).Interval(0.95)
	if !near(b.Low-a.Low, 100, 1e-9) || !near(b.High-a.High, 100, 1e-9) || a.Level != b.Level {
		t.Errorf("intervals %v and, 100 further on, %v", a, b)
	}
	if e := SignedRank(values).Estimate(); e < a.Low || e > a.High {
		t.Errorf("estimate %v outside %v", e, a)
	}
}
