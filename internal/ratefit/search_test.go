package ratefit

import (
	"math"
	"math/rand/v2"
	"testing"
)

// server crosses its limit with a share that is a power of the rate, and exactly that
// many requests.
func server(sought, slope, allowed float64) func(rate float64) Trial {
	return func(rate float64) Trial {
		const requests = 10000
		share := min(1, allowed*math.Pow(rate/sought, slope))
		return Trial{Rate: rate, Requests: requests, Crossed: []float64{math.Round(requests * share)}}
	}
}

func TestSearchFindsTheRate(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		sought, slope, allowed float64
		start                  float64
	}{
		{"begun below", 5000, 30, 0.01, 100},
		{"begun above", 5000, 30, 0.01, 90000},
		{"begun there", 5000, 30, 0.01, 5000},
		{"a cliff", 5000, 150, 0.01, 1000},
		{"a gentle slope", 5000, 3, 0.01, 1000},
		{"few may cross", 5000, 30, 0.001, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			try := server(tt.sought, tt.slope, tt.allowed)
			a := Allowed{tt.allowed}
			s := NewSearch(a, 10, 1e5, rand.New(rand.NewPCG(1, 1)))
			for range 3 {
				s.Begin(tt.start)
				for trials := 0; trials < 15; {
					if s.Fitting() {
						trials++
					}
					s.Add(try(s.Rate()))
				}
			}
			slopes := SlopesOf(s.blocks, a)
			for _, b := range s.blocks {
				if found := math.Exp(Sought(b, a, slopes)); math.Abs(found/tt.sought-1) > 0.02 {
					t.Errorf("found %.0f, want %.0f", found, tt.sought)
				}
			}
			if slopes[0] < tt.slope/1.5 || slopes[0] > tt.slope*1.5 {
				t.Errorf("slope %.1f, want %.1f", slopes[0], tt.slope)
			}
		})
	}
}

// TestSearchEnds holds that a server without a limit, and one that is always beyond it,
// are left where there is nothing more to try.
func TestSearchEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		share float64
		want  float64
	}{{"never crosses", 0, 1000}, {"always crosses", 1, 10}} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSearch(Allowed{0.01}, 10, 1000, rand.New(rand.NewPCG(1, 1)))
			s.Begin(100)
			for trial := 0; trial < 30; trial++ {
				s.Add(Trial{Rate: s.Rate(), Requests: 100, Crossed: []float64{100 * tt.share}})
			}
			if rate := s.Rate(); math.Abs(rate/tt.want-1) > 0.05 || !s.Fitting() {
				t.Errorf("it tries %.1f/s, want about %.0f/s", rate, tt.want)
			}
		})
	}
}

// TestFirstLimitDecides: of several limits the one that is reached first counts, and one
// of which nothing may cross is met by a trial in which nothing did.
func TestFirstLimitDecides(t *testing.T) {
	a := Allowed{0.01, 0}
	trial := func(rate, late, failed float64) Trial {
		return Trial{Rate: rate, Requests: 1000, Crossed: []float64{late, failed}}
	}
	if !a.Met(trial(100, 10, 0)) || a.Met(trial(100, 11, 0)) || a.Met(trial(100, 0, 1)) {
		t.Error("limits are met or not at the wrong place")
	}
	slopes := Slopes{20, 20}
	late := []Trial{trial(100, 10, 0), trial(100, 10, 0)}
	failing := []Trial{trial(100, 10, 5), trial(100, 10, 5)}
	if l, f := Sought(late, a, slopes), Sought(failing, a, slopes); math.Abs(l-math.Log(100)) > 0.01 || f > l-0.05 {
		t.Errorf("%.3f without failures, %.3f with them; want %.3f and less", l, f, math.Log(100))
	}
}
