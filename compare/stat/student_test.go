package stat

import (
	"math"
	"testing"
)

// TestStudentQuantile holds quantiles against published ones: Abramowitz and Stegun,
// Handbook of Mathematical Functions, table 26.10.
func TestStudentQuantile(t *testing.T) {
	for _, tt := range []struct {
		freedom     int
		level, want float64
	}{
		{1, 0.9, 6.314}, {2, 0.99, 9.925}, {2, 0.999, 31.598}, {3, 0.99, 5.841}, {4, 0.999, 8.610},
		{5, 0.95, 2.571}, {5, 0.999, 6.869}, {7, 0.995, 4.029}, {10, 0.99, 3.169}, {11, 0.999, 4.437},
		{12, 0.99, 3.055}, {20, 0.999, 3.850}, {30, 0.95, 2.042},
	} {
		if got := StudentQuantile(tt.level, tt.freedom); math.Abs(got-tt.want) > 0.0011 {
			t.Errorf("%d degrees of freedom, level %v: %.4f, want %v", tt.freedom, tt.level, got, tt.want)
		}
	}
}

func TestStudent(t *testing.T) {
	s := NewStudent([]float64{1, 2, 3, 4, 5}) // mean 3, standard error 0.7071
	if i := s.Interval(0.95); math.Abs(i.Low-1.0368) > 1e-3 || math.Abs(i.High-4.9632) > 1e-3 {
		t.Errorf("%+v", i)
	}
	for _, floor := range []float64{0, 1, 2.5} { // the interval at 1-p ends at the floor
		if got := s.Interval(1 - s.PValue(floor)).Low; math.Abs(got-floor) > 1e-6 {
			t.Errorf("floor %v: the interval ends at %v", floor, got)
		}
	}
	if p := s.PValue(3.5); p != 1 {
		t.Errorf("a mean within the floor: %v", p)
	}
	same := NewStudent([]float64{2, 2, 2})
	if i := same.Interval(0.999); i.Low != 2 || i.High != 2 || same.PValue(1) != 0 || same.PValue(2) != 1 {
		t.Errorf("equal values: %+v", i)
	}
}
