package ratefit

import (
	"math"
	"math/rand/v2"
)

// Search chooses the rates of trials, block by block. The first block begins with
// bracketing: the rate is doubled or halved until it meets the limits on one side and
// not on the other, and the bracket is halved twice. These trials are far from the
// sought rate and are not fitted. Then, and in all later blocks from the beginning,
// every trial is near what the ones before it in the block say.
type Search struct {
	allowed         Allowed
	lowest, highest float64 // rates, as logarithms
	random          *rand.Rand

	blocks [][]Trial // that were fitted, the last one being the current
	slopes Slopes    // by the blocks before

	at       float64 // where the next trial is, as a logarithm
	prior    float64 // where this block began
	low      float64 // highest rate that met the limits, while bracketing
	high     float64 // lowest that did not
	halvings int     // of the bracket so far
	fitting  bool
}

// NewSearch looks for a rate between two.
func NewSearch(a Allowed, lowest, highest float64, random *rand.Rand) *Search {
	s := &Search{
		allowed: a, lowest: math.Log(lowest), highest: math.Log(highest), random: random,
		low: math.Inf(-1), high: math.Inf(1),
	}
	for range a {
		s.slopes = append(s.slopes, firstSlope)
	}
	return s
}

// Begin begins a block. start is where the first of all begins.
func (s *Search) Begin(start float64) {
	if len(s.blocks) == 0 {
		s.at = s.within(math.Log(start))
	} else {
		s.slopes = SlopesOf(s.blocks, s.allowed)
		s.at = s.typical()
	}
	s.prior = s.at
	s.blocks = append(s.blocks, nil)
}

// typical is the mean of what the blocks say.
func (s *Search) typical() float64 {
	total := 0.0
	for _, b := range s.blocks {
		total += s.within(Sought(b, s.allowed, s.slopes))
	}
	return total / float64(len(s.blocks))
}

func (s *Search) within(x float64) float64 { return min(max(x, s.lowest), s.highest) }

// Fitting reports whether the next trial is one that counts.
func (s *Search) Fitting() bool { return s.fitting }

// Rate is that of the next trial.
func (s *Search) Rate() float64 {
	if !s.fitting {
		return math.Exp(s.at)
	}
	// Trials at different rates are what the slope is known from.
	const spread = 0.03
	return math.Exp(s.within(s.at + spread*(2*s.random.Float64()-1)))
}

// Add takes in what the trial showed whose rate was asked for last.
func (s *Search) Add(t Trial) {
	if !s.fitting {
		s.bracket(s.allowed.Met(t))
		return
	}
	current := &s.blocks[len(s.blocks)-1]
	*current = append(*current, t)
	s.at = s.next(*current)
}

// bracket closes in on the sought rate from afar.
func (s *Search) bracket(met bool) {
	const enough = 2 // halvings: the sought rate is within 10%
	if met {
		s.low = s.at
	} else {
		s.high = s.at
	}
	switch {
	case met && s.at >= s.highest, !met && s.at <= s.lowest:
		s.fitting = true // there is nothing beyond
	case math.IsInf(s.low, 0):
		s.at = s.within(s.at - math.Ln2)
	case math.IsInf(s.high, 0):
		s.at = s.within(s.at + math.Ln2)
	default:
		s.at = (s.low + s.high) / 2
		s.halvings++
		s.fitting = s.halvings > enough
	}
	s.prior = s.at
}

// next is where the sought rate is by the trials of the block and by one more, at its
// beginning, that just met the limits: it keeps the first steps short.
func (s *Search) next(trials []Trial) float64 {
	const longest = 0.15 // from where the block began, per trial
	prior := Trial{Rate: math.Exp(s.prior), Requests: trials[0].Requests}
	for limit := range s.allowed {
		prior.Crossed = append(prior.Crossed, s.allowed.of(limit, prior)*prior.Requests)
	}
	x := math.Inf(1)
	all := append([]Trial{prior}, trials...)
	for limit := range s.allowed {
		x = min(x, root(all, s.allowed, limit, s.slopes[limit]))
	}
	reach := longest * float64(len(trials))
	return s.within(min(max(x, s.prior-reach), s.prior+reach))
}
