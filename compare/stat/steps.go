package stat

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Step is a change of level in a series of values.
type Step struct {
	At          int     // index of the first value of the new level, as estimated
	First, Last int     // what At is between with a probability of 99%
	Shift       float64 // new level less the old
	Low, High   float64 // 99% interval of Shift
}

// located is how surely a step lies where it is said to, and shifts by what it
// is said to.
const located = 0.99

// Steps finds where the level of a series changes. Values are comparable within
// their group only: a group has a level of its own, and the steps are common to
// all. A series without steps gives any with a probability of at most alpha.
// Steps whose whole interval does not lie beyond floor are left out.
//
// It is E-divisive (Matteson and James, JASA 109 (2014) 334-345) with the
// exponent 2, at which the divergence of two stretches is the difference of
// their means: the split that explains most of the variance, then the same in
// both parts. Its significance is that of a permutation test, as there, in which
// values change places within their group. A part is tested at a level in
// proportion to its length, so that the levels of all add up to alpha.
func Steps(values []float64, groups []int, alpha, floor float64) []Step {
	s := series{values, groups}
	splits := s.divide(0, len(values), alpha/float64(len(values)), rand.New(rand.NewPCG(1, uint64(len(values)))))
	for {
		steps := s.locate(splits)
		weakest := -1
		for i, step := range steps {
			if step.beyond() <= floor && (weakest < 0 || step.beyond() < steps[weakest].beyond()) {
				weakest = i
			}
		}
		if weakest < 0 {
			return steps
		}
		splits = slices.Delete(splits, weakest, weakest+1)
	}
}

// beyond is how far the interval of the shift keeps from 0.
func (s Step) beyond() float64 { return max(s.Low, -s.High) }

type series struct {
	values []float64
	groups []int
}

// divide returns where the part from lo to hi changes its level, in order.
func (s series) divide(lo, hi int, levelPerValue float64, r *rand.Rand) []int {
	p := s.part(lo, hi)
	at, gain := p.split()
	if at == 0 || !p.significant(gain, levelPerValue*float64(hi-lo), r) {
		return nil
	}
	before := s.divide(lo, lo+at, levelPerValue, r)
	after := s.divide(lo+at, hi, levelPerValue, r)
	return slices.Concat(before, []int{lo + at}, after)
}

// locate estimates every step between its neighbors, whose places it changes
// as well until they fit each other.
func (s series) locate(splits []int) []Step {
	steps := make([]Step, len(splits))
	for range len(splits) + 1 {
		before := slices.Clone(splits)
		for i := range splits {
			lo, hi := 0, len(s.values)
			if i > 0 {
				lo = splits[i-1]
			}
			if i+1 < len(splits) {
				hi = splits[i+1]
			}
			steps[i] = s.part(lo, hi).step(lo)
			splits[i] = steps[i].At
		}
		if slices.Equal(before, splits) {
			break
		}
	}
	return steps
}

// part is a stretch of a series.
type part struct {
	centered []float64 // values less the mean of their group
	members  [][]int   // indices by group
	weight   []float64 // by split: of the difference of the means before and after
}

func (s series) part(lo, hi int) part {
	p := part{centered: slices.Clone(s.values[lo:hi]), weight: make([]float64, hi-lo)}
	byGroup := map[int]int{}
	for i, g := range s.groups[lo:hi] {
		at, known := byGroup[g]
		if !known {
			at = len(p.members)
			byGroup[g] = at
			p.members = append(p.members, nil)
		}
		p.members[at] = append(p.members[at], i)
	}
	for _, members := range p.members {
		p.center(members)
	}
	return p
}

// center takes the mean of a group off its values, and adds what the group
// contributes to the weight of every split.
func (p part) center(members []int) {
	n, sum := float64(len(members)), 0.0
	for _, i := range members {
		sum += p.centered[i]
	}
	before := 0.0
	for k := range p.weight {
		p.weight[k] += before * (n - before) / n
		if int(before) < len(members) && members[int(before)] == k {
			p.centered[k] -= sum / n
			before++
		}
	}
}

// gains calls visit with every split, and by how much two levels instead of one
// lower the sum of squares there.
func (p part) gains(visit func(at int, sum, gain float64)) {
	const none = 1e-9 // no group has values on both sides
	sum := 0.0
	for k, weight := range p.weight {
		if weight > none {
			visit(k, sum, sum*sum/weight)
		}
		sum += p.centered[k]
	}
}

// split returns the best split, 0 if there is none.
func (p part) split() (at int, gain float64) {
	p.gains(func(k int, _, g float64) {
		if g > gain {
			at, gain = k, g
		}
	})
	return at, gain
}

// significant reports whether a gain is larger than those of most permutations.
// It ends as soon as too many reach it (Besag and Clifford, Biometrika 78 (1991)
// 301-304).
func (p part) significant(gain, level float64, r *rand.Rand) bool {
	const allowed = 9 // permutations that reach the gain
	const rounding = 1 - 1e-9
	shuffled := part{centered: slices.Clone(p.centered), members: p.members, weight: p.weight}
	reached := 0
	for range int(math.Ceil((allowed + 1) / level)) {
		shuffled.shuffle(r)
		if _, g := shuffled.split(); g >= gain*rounding {
			reached++
		}
		if reached > allowed {
			return false
		}
	}
	return true
}

func (p part) shuffle(r *rand.Rand) {
	for _, members := range p.members {
		r.Shuffle(len(members), func(i, j int) {
			a, b := members[i], members[j]
			p.centered[a], p.centered[b] = p.centered[b], p.centered[a]
		})
	}
}

// step estimates the one step of a part that begins at an index of its series.
//
// It may lie wherever the sum of squares is larger than the least by no more
// than 2 ln(2/0.01) variances: with a probability of 1-x a likelihood ratio
// never reaches 1/x (Ville 1939), on either side of the true place.
func (p part) step(start int) Step {
	at, best := p.split()
	if at == 0 { // all values are equal
		return Step{At: start, First: start, Last: start}
	}
	squares := 0.0
	for _, v := range p.centered {
		squares += v * v
	}
	freedom := max(1, len(p.centered)-len(p.members)-1)
	variance := max(0, squares-best) / float64(freedom)
	s := Step{At: start + at, First: start + at, Last: start + at}
	p.gains(func(k int, sum, gain float64) {
		if k == at {
			s.Shift = -sum / p.weight[k]
		}
		if best-gain <= 2*math.Log(2/(1-located))*variance {
			s.First, s.Last = min(s.First, start+k), max(s.Last, start+k)
		}
	})
	margin := NormalQuantile(located) * math.Sqrt(variance/p.weight[at])
	s.Low, s.High = s.Shift-margin, s.Shift+margin
	return s
}
