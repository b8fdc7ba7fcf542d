package stat

import (
	"math"
	"math/rand/v2"
	"testing"
)

// nile is the annual flow of the Nile at Aswan from 1871 to 1970, in 10^8 m^3
// (Cobb, Biometrika 65 (1978) 243-251; the data set Nile of R).
var nile = []float64{
	1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020,
	960, 1180, 799, 958, 1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840,
	874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702,
	1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
	781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801,
	1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815,
	1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740,
}

// TestNile holds the steps against what is known of the Nile: one change, after
// 1898, the 28th year. The residual sums of squares without and with it are
// those that Zeileis, Kleiber, Kraemer and Hornik publish (Computational
// Statistics and Data Analysis 44 (2003) 109-123; example(breakpoints) of R's
// strucchange): 2835157 and 1597457.
func TestNile(t *testing.T) {
	groups := make([]int, len(nile))
	steps := Steps(nile, groups, 0.01, 0)
	if len(steps) != 1 {
		t.Fatalf("%d steps, want 1: %+v", len(steps), steps)
	}
	s := steps[0]
	if year := 1871 + s.At; year != 1899 || s.First < 1896-1871 || s.Last > 1902-1871 {
		t.Errorf("the new level begins in %d, between %d and %d", year, 1871+s.First, 1871+s.Last)
	}
	const before, after = 1097.75, 849.97
	if math.Abs(s.Shift-(after-before)) > 0.01 || s.Low > s.Shift || s.High < s.Shift {
		t.Errorf("shift %.2f [%.2f, %.2f], want %.2f", s.Shift, s.Low, s.High, after-before)
	}
	p := series{nile, groups}.part(0, len(nile))
	_, gain := p.split()
	squares := 0.0
	for _, v := range p.centered {
		squares += v * v
	}
	if math.Round(squares) != 2835157 || math.Round(squares-gain) != 1597457 {
		t.Errorf("sums of squares %.0f and %.0f", squares, squares-gain)
	}
}

func noise(seed uint64, n int) []float64 {
	r := rand.New(rand.NewPCG(seed, 7))
	values := make([]float64, n)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	return values
}

// TestStepsOfNothing holds the error rate: of 2,000 series without a step, at
// alpha 2%, at most as many as chance allows 40 to become have one.
func TestStepsOfNothing(t *testing.T) {
	const series, alpha = 2000, 0.02
	found := 0
	for seed := range uint64(series) {
		if len(Steps(noise(seed, 60), make([]int, 60), alpha, 0)) > 0 {
			found++
		}
	}
	if most := series*alpha + 3*math.Sqrt(series*alpha); float64(found) > most || found == 0 {
		t.Errorf("%d of %d series have a step, want about %g", found, series, series*alpha)
	}
}

// TestStepsLocated holds that the places and shifts of steps are where they are
// said to be as often as promised.
func TestStepsLocated(t *testing.T) {
	const series = 500
	found, placed, sized := 0, 0, 0
	for seed := range uint64(series) {
		values := noise(seed, 80)
		for i := 30; i < len(values); i++ {
			values[i] += 2
		}
		for _, s := range Steps(values, make([]int, len(values)), 0.01, 0) {
			found++
			if s.First <= 30 && 30 <= s.Last {
				placed++
			}
			if s.Low <= 2 && 2 <= s.High {
				sized++
			}
		}
	}
	if found < series*98/100 || found > series*102/100 || placed < found*98/100 || sized < found*97/100 {
		t.Errorf("%d steps in %d series; %d lie and %d shift as they are said to", found, series, placed, sized)
	}
}

// TestStepsOfGroups: what only tells groups apart is no step, and a step is
// found beside it.
func TestStepsOfGroups(t *testing.T) {
	tests := []struct {
		name   string
		group  func(i int) int
		offset float64 // of each group
		step   int     // of 3, 0 for none
		want   int
	}{
		{"alternating groups", func(i int) int { return i % 2 }, 5, 0, 0},
		{"alternating groups, a step", func(i int) int { return i % 2 }, 5, 40, 1},
		{"a group after the other", func(i int) int { return i / 30 }, 5, 0, 0},
		{"a group after the other, a step where they meet", func(i int) int { return i / 30 }, 5, 30, 0},
		{"a group after the other, a step in one", func(i int) int { return i / 30 }, 5, 45, 1},
		{"each value a group of its own", func(i int) int { return i }, 0, 30, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values, groups := noise(3, 60), make([]int, 60)
			for i := range values {
				groups[i] = tt.group(i)
				values[i] += tt.offset * float64(groups[i])
				if tt.step > 0 && i >= tt.step {
					values[i] += 3
				}
			}
			steps := Steps(values, groups, 0.01, 0)
			if len(steps) != tt.want || tt.want == 1 && (steps[0].First > tt.step || steps[0].Last < tt.step) {
				t.Errorf("steps %+v", steps)
			}
		})
	}
}

func TestStepsOfFewValues(t *testing.T) {
	for _, values := range [][]float64{nil, {1}, {1, 2}, {1, 1, 1, 1}, {1, 1, 2, 2}} {
		if steps := Steps(values, make([]int, len(values)), 0.01, 0); len(steps) > 0 {
			t.Errorf("%v: %+v", values, steps)
		}
	}
}

// TestStepsExact: values without noise have their step where it is; within the
// floor there is none.
func TestStepsExact(t *testing.T) {
	values := make([]float64, 20)
	for i := 8; i < len(values); i++ {
		values[i] = 0.5
	}
	steps := Steps(values, make([]int, len(values)), 0.01, 0.4)
	want := Step{At: 8, First: 8, Last: 8, Shift: 0.5, Low: 0.5, High: 0.5}
	if len(steps) != 1 || math.Abs(steps[0].Shift-0.5) > 1e-12 || steps[0].At != want.At ||
		steps[0].First != want.First || steps[0].Last != want.Last {
		t.Errorf("steps %+v, want %+v", steps, want)
	}
	if steps := Steps(values, make([]int, len(values)), 0.01, 0.5); len(steps) > 0 {
		t.Errorf("within the floor: %+v", steps)
	}
}
