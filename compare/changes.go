package compare

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// pair is one function or group on both sides. One that a side does not show
// at all costs nothing there.
type pair struct {
	name, from string
	mark       string
	base, head cost
}

func (p pair) plus(q pair) pair {
	return pair{name: p.name, base: p.base.plus(q.base), head: p.head.plus(q.head)}
}

// rowLevel is the confidence level of the intervals in the tables of functions.
// Each row has its own, so that one in twenty misses by chance.
const rowLevel = 0.95

// normalQuantile is what a standard normal variable stays within, in either
// direction, with the given probability.
func normalQuantile(level float64) float64 { return math.Sqrt2 * math.Erfinv(level) }

// difference compares two sides.
type difference struct {
	base, head costs
	paired     bool // the blocks of the sides belong together
}

// table lists the functions and groups that differ most from base to head.
func (d difference) table() ChangeTable {
	functions := d.rank(d.functions())
	n := min(tableRows, len(functions))
	rest := sumPairs(others(len(functions)-n), functions[n:])
	t := ChangeTable{Unit: d.base.unit, BaseExact: d.base.exact, HeadExact: d.head.exact, Rest: d.change(rest), more: len(functions) - n}
	t.Functions = d.changes(functions[:n])
	for i, p := range functions[:n] {
		t.Functions[i].Package, t.Functions[i].Group = packagePath(p.name), largestCharge(p.base, p.head)
	}
	noiseLast(t.Functions)
	t.Groups = d.groups()
	total := sumPairs("total", functions)
	total.base.cum, total.head.cum = total.base.value, total.head.value
	t.Total = d.change(total)
	return t
}

// functions pairs the functions of both sides by name, and those that were
// only renamed by what is left of the name.
func (d difference) functions() []pair {
	pairs := pairUp(d.base.values, d.head.values)
	for i, p := range pairs {
		pairs[i].mark = p.markOf()
	}
	return joinRenamed(pairs)
}

// markOf tells a function that one side does not show at all, be it as a
// caller, and one that the compiler has made part of its callers.
func (p pair) markOf() string {
	seen := func(c cost) bool { return c.inlined || c.standsOut || c.value != 0 }
	switch {
	case !seen(p.base):
		return ChangeNew
	case !seen(p.head):
		return ChangeGone
	case p.base.standsOut && !p.base.inlined && p.head.inlined && !p.head.standsOut:
		return ChangeInlined
	}
	return ""
}

func pairUp[K ~string](base, head map[K]cost) []pair {
	var pairs []pair
	for name, c := range base {
		pairs = append(pairs, pair{name: string(name), base: c, head: head[name]})
	}
	for name, c := range head {
		if _, both := base[name]; !both {
			pairs = append(pairs, pair{name: string(name), head: c})
		}
	}
	return pairs
}

func (d difference) groups() []FunctionChange {
	groups := d.changes(d.rank(pairUp(d.base.groups, d.head.groups)))
	for i := range groups {
		groups[i].Group = groups[i].Name
	}
	noiseLast(groups)
	return groups
}

// rank orders pairs by the size of their difference, and leaves out those that
// have no cost of their own on either side.
func (d difference) rank(pairs []pair) []pair {
	pairs = slices.DeleteFunc(pairs, func(p pair) bool { return p.base.value == 0 && p.head.value == 0 })
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(abs(b.head.value-b.base.value), abs(a.head.value-a.base.value)), strings.Compare(a.name, b.name))
	})
	return pairs
}

// noiseLast puts what is within noise behind what is beyond it.
func noiseLast(changes []FunctionChange) {
	slices.SortStableFunc(changes, func(a, b FunctionChange) int {
		switch {
		case a.Noise == b.Noise:
			return 0
		case a.Noise:
			return 1
		}
		return -1
	})
}

func sumPairs(name string, pairs []pair) pair {
	sum := pair{name: name}
	for _, p := range pairs {
		sum = sum.plus(p)
	}
	return sum
}

func (d difference) changes(pairs []pair) []FunctionChange {
	out := make([]FunctionChange, 0, len(pairs))
	for _, p := range pairs {
		out = append(out, d.change(p))
	}
	return out
}

func (d difference) change(p pair) FunctionChange {
	f := FunctionChange{
		Name: p.name, From: p.from, Mark: p.mark,
		Base: p.base.value, Head: p.head.value, Diff: p.head.value - p.base.value,
		BaseCum: p.base.cum, HeadCum: p.head.cum,
		BaseAllocs: p.base.allocs, HeadAllocs: p.head.allocs, DiffAllocs: p.head.allocs - p.base.allocs,
	}
	iv := d.interval(p)
	if iv.Level < rowLevel {
		return f
	}
	// No interval is narrower than sampling allows, by however lucky blocks.
	f.deviation = math.Sqrt(p.base.variance + p.head.variance)
	sampling := normalQuantile(rowLevel) * f.deviation
	f.Low, f.High = new(min(iv.Low, f.Diff-sampling)), new(max(iv.High, f.Diff+sampling))
	f.Noise = *f.Low <= 0 && *f.High >= 0
	return f
}

// interval is that of the difference over blocks; its level is 0 if the
// profiles do not tell their blocks.
func (d difference) interval(p pair) Interval {
	if d.base.blocks == 0 || d.head.blocks == 0 {
		return Interval{}
	}
	base, head := inBlocks(p.base, d.base.blocks), inBlocks(p.head, d.head.blocks)
	if !d.paired {
		return RankSum(base, head).Interval(rowLevel)
	}
	diffs := make([]float64, min(len(base), len(head)))
	for b := range diffs {
		diffs[b] = head[b] - base[b]
	}
	return SignedRank(diffs).Interval(rowLevel)
}

// inBlocks are the values of a cost in n blocks: zeros if it was never seen.
func inBlocks(c cost, n int) []float64 {
	if c.blocks == nil {
		return make([]float64, n)
	}
	return c.blocks
}

// joinRenamed makes one row of a function that is gone and one that is new if
// their names differ in nothing but what a rename leaves, and no other gone or
// new function could be meant. Only in the subject's own code, which somebody
// has changed, may that be a closure's number or a receiver: elsewhere another
// closure or method was sampled by chance.
func joinRenamed(pairs []pair) []pair {
	pairs = joinBy(pairs, func(p pair) string { return unversioned(p.name) })
	return joinBy(pairs, func(p pair) string {
		if largestCharge(p.base, p.head) != GroupOwn {
			return p.name
		}
		return unanchored(p.name)
	})
}

func joinBy(pairs []pair, key func(pair) string) []pair {
	gone, fresh := map[string][]int{}, map[string][]int{}
	for i, p := range pairs {
		switch p.mark {
		case ChangeGone:
			gone[key(p)] = append(gone[key(p)], i)
		case ChangeNew:
			fresh[key(p)] = append(fresh[key(p)], i)
		}
	}
	joined := map[int]bool{}
	for k, from := range gone {
		if to := fresh[k]; len(from) == 1 && len(to) == 1 {
			pairs[to[0]].from, pairs[to[0]].base, pairs[to[0]].mark = pairs[from[0]].name, pairs[from[0]].base, ChangeRenamed
			joined[from[0]] = true
		}
	}
	var left []pair
	for i, p := range pairs {
		if !joined[i] {
			left = append(left, p)
		}
	}
	return left
}
