package handicap

import (
	"cmp"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want Handicap
	}{
		{"", Handicap{}},
		{"none", Handicap{}},
		{"cpu=5%", Handicap{CPU: 5}},
		{"cpu=0.5%", Handicap{CPU: 0.5}},
		{"cpu=5%/1.52", Handicap{CPU: 5, Gain: 1.52}},
		{"alloc=200B", Handicap{Alloc: 200}},
		{"cpu=3%+alloc=100B", Handicap{CPU: 3, Alloc: 100}},
		{"cpu=3%/1.5+alloc=100B", Handicap{CPU: 3, Gain: 1.5, Alloc: 100}},
	}
	for _, tt := range tests {
		if got, err := Parse(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
		if got := tt.want.String(); got != cmp.Or(tt.text, none) {
			t.Errorf("%+v is written %q, want %q", tt.want, got, tt.text)
		}
	}
	for _, bad := range []string{
		"cpu", "cpu=5", "cpu=%", "cpu=-1%", "cpu=0%", "cpu=NaN%", "cpu=1e9%", "alloc=200", "alloc=-1B", "alloc=2GB",
		"alloc=99999999B", "sleep=5ms", "cpu=5%+", "+", "cpu=3%,alloc=100B",
		"cpu=5%/", "cpu=5%/0", "cpu=5%/NaN", "cpu=5/1.5%", "cpu=5%/1.5%", "alloc=100B/2",
	} {
		if h, err := Parse(bad); err == nil {
			t.Errorf("%q was taken for %+v", bad, h)
		}
	}
}
