package texttab

import "testing"

func TestSparkline(t *testing.T) {
	tests := []struct {
		values []float64
		most   int
		want   string
	}{
		{nil, 10, ""},
		{[]float64{3}, 10, "▅"},
		{[]float64{5, 5, 5}, 10, "▅▅▅"},
		{[]float64{0, 1, 2, 3, 4, 5, 6, 7}, 10, "▁▂▃▄▅▆▇█"},
		{[]float64{0, 2, 10, 12, 4, 8}, 3, "▁█▅"},
		{[]float64{-1, 0, 1}, 2, "▁█"},
	}
	for _, tt := range tests {
		if got := Sparkline(tt.values, tt.most); got != tt.want {
			t.Errorf("%v in %d: %s, want %s", tt.values, tt.most, got, tt.want)
		}
	}
}
