package compare

import (
	"math"
	"testing"
)

// TestLeast: what a request that allocates next to nothing allocates more or less is not
// judged by the percent, and a tolerance that is asked for is what was asked for.
func TestLeast(t *testing.T) {
	bytes, _ := FindMetric("alloc_bytes_per_op")
	objects, _ := FindMetric("allocs_per_op")
	asked := DefaultCriteria()
	if err := asked.Gate(bytes.ID, 2); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		criteria Criteria
		metric   Metric
		base     float64
		want     Rule
	}{
		{DefaultCriteria(), bytes, 40, Rule{Tolerance: 10, Floor: 1, Least: 4}},
		{DefaultCriteria(), bytes, 200, Rule{Tolerance: 2, Floor: 0.2, Least: 4}},
		{DefaultCriteria(), bytes, 400, Rule{Tolerance: 1, Floor: 0.1}},
		{DefaultCriteria(), bytes, 4000, Rule{Tolerance: 1, Floor: 0.1}},
		{DefaultCriteria(), bytes, 0, Rule{Tolerance: 1, Floor: 0.1}}, // of which there are no ratios
		{DefaultCriteria(), objects, 1, Rule{Tolerance: 5, Floor: 0.5, Least: 0.05}},
		{DefaultCriteria(), objects, 8, Rule{Tolerance: 1, Floor: 0.1}},
		{asked, bytes, 40, Rule{Tolerance: 2, Floor: 0.1}},
	} {
		got := tt.criteria.rule(tt.metric, &tt.base)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
		if !near(got.Tolerance, tt.want.Tolerance) || !near(got.Floor, tt.want.Floor) || got.Least != tt.want.Least {
			t.Errorf("%s of %g: %+v, want %+v", tt.metric.ID, tt.base, got, tt.want)
		}
	}
}
