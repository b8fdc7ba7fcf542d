package profdiff

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare/stat"
)

// row is one function or group on both sides. One that a side does not show
// at all costs nothing there.
type row struct {
	name, from string
	mark       string
	base, head perOp
}

func (p row) plus(q row) row {
	return row{name: p.name, base: p.base.plus(q.base), head: p.head.plus(q.head)}
}

// rowLevel is the confidence level of the intervals in the tables of functions.
// Each row has its own, so that one in twenty misses by chance.
const rowLevel = 0.95

// Diff compares two sides.
type Diff struct {
	Base, Head *Attribution
	Paired     bool // the blocks of the sides belong together
}

// mostSubtrees is how many subtrees a table lists.
const mostSubtrees = 5

// mostPackages is how many packages of smaller functions it lists.
const mostPackages = 5

// subtrees are the n functions whose cost with all their callees changed most,
// beyond noise: where to look if no function by itself stands out. Diff, Low and
// High are of that cost. A function is left out if one that it calls, or that
// calls it, stands for nine tenths of the same change already.
func (d Diff) subtrees(n int) []FunctionChange {
	rows := match(d.Base.functions, d.Head.functions)
	for i, r := range rows {
		rows[i].base, rows[i].head = r.base.cumulative(), r.head.cumulative()
	}
	found := []FunctionChange{}
	ranked := d.rank(rows)
	ranked = ranked[:min(tableRows, len(ranked))]
	for i, c := range d.changes(ranked) {
		if c.Noise || c.Low == nil || len(found) == n {
			continue
		}
		same := func(f FunctionChange) bool { return math.Abs(c.Diff) > 0.9*math.Abs(f.Diff) && c.Diff*f.Diff > 0 }
		if slices.ContainsFunc(found, same) || d.wholeProgram(ranked[i]) {
			continue
		}
		c.Package = packagePath(c.Name)
		found = append(found, c)
	}
	return found
}

// wholeProgram reports whether a function holds most of everything that either
// side does, so that naming it says nothing.
func (d Diff) wholeProgram(r row) bool {
	const most = 0.8
	base, head := sumRows("", match(d.Base.groups, nil)).base, sumRows("", match(d.Head.groups, nil)).base
	return r.base.value > most*base.value || r.head.value > most*head.value
}

// nearest estimates how many blocks would put the likeliest function beyond
// noise: the interval of a difference narrows with the square root of the number
// of blocks. It is nil if nothing changed, or the sampling error is unknown.
func (d Diff) nearest(functions []FunctionChange) *Nearest {
	best, name := math.Inf(1), ""
	for _, c := range functions {
		if c.Low == nil || !c.Noise || c.Diff <= 0 {
			continue
		}
		if factor := (c.Diff - *c.Low) / c.Diff; factor < best {
			best, name = factor, c.Name
		}
	}
	if name == "" {
		return nil
	}
	blocks := float64(min(d.Base.blocks, d.Head.blocks)) * best * best
	return &Nearest{Name: name, Blocks: int(math.Ceil(blocks))}
}

// Table lists the functions and groups that differ most from base to head.
func (d Diff) Table() ChangeTable {
	functions := d.rank(d.functions())
	n := min(tableRows, len(functions))
	rest := sumRows(Others(len(functions)-n), functions[n:])
	kind := d.Base.Kind
	t := ChangeTable{
		Kind: kind.Name, Title: kind.Title, Unit: kind.Unit, CountUnit: kind.CountUnit,
		BaseExact: d.Base.Exact, HeadExact: d.Head.Exact, Rest: d.change(rest), More: len(functions) - n,
	}
	t.Functions = d.changes(functions[:n])
	for i, p := range functions[:n] {
		t.Functions[i].Package, t.Functions[i].Group = packagePath(p.name), largestCharge(p.base, p.head)
	}
	noiseLast(t.Functions)
	t.Groups = d.groups()
	total := sumRows("total", functions)
	total.base.cum, total.head.cum = total.base.value, total.head.value
	t.Total = d.change(total)
	t.Packages = d.smaller(functions, t.Functions[:t.shownFunctions()])
	t.Subtrees, t.Nearest = d.subtrees(mostSubtrees), d.nearest(t.Functions)
	return t
}

// smaller sums up, by package, the functions that are not shown by themselves, and
// keeps the packages that changed most, beyond noise. One function is no sum.
func (d Diff) smaller(functions []row, shown []FunctionChange) []PackageChange {
	sums, members := map[string]row{}, map[string]int{}
	for _, r := range functions {
		if slices.ContainsFunc(shown, func(f FunctionChange) bool { return f.Name == r.name }) {
			continue
		}
		path := packagePath(r.name)
		sums[path] = row{name: path, base: sums[path].base, head: sums[path].head}.plus(r)
		members[path]++
	}
	for path, sum := range sums {
		sum.mark = sum.markOf()
		sums[path] = sum
	}
	found := []PackageChange{}
	for _, c := range d.changes(d.rank(slices.Collect(maps.Values(sums)))) {
		if c.Low != nil && !c.Noise && members[c.Name] > 1 && len(found) < mostPackages {
			c.Package = c.Name
			found = append(found, PackageChange{c, members[c.Name]})
		}
	}
	return found
}

// functions matches the functions of both sides by name, and those that were
// only renamed by what is left of the name.
func (d Diff) functions() []row {
	rows := match(d.Base.functions, d.Head.functions)
	for i, p := range rows {
		rows[i].mark = p.markOf()
	}
	return joinRenamed(rows)
}

// markOf tells a function that one side does not show at all, be it as a
// caller, and one that the compiler has made part of its callers.
func (p row) markOf() string {
	seen := func(c perOp) bool { return c.inlined || c.outlined || c.value != 0 }
	switch {
	case !seen(p.base):
		return ChangeNew
	case !seen(p.head):
		return ChangeGone
	case p.base.outlined && !p.base.inlined && p.head.inlined && !p.head.outlined:
		return ChangeInlined
	}
	return ""
}

func match[K ~string](base, head map[K]perOp) []row {
	var rows []row
	for name, c := range base {
		rows = append(rows, row{name: string(name), base: c, head: head[name]})
	}
	for name, c := range head {
		if _, both := base[name]; !both {
			rows = append(rows, row{name: string(name), head: c})
		}
	}
	return rows
}

func (d Diff) groups() []FunctionChange {
	groups := d.changes(d.rank(match(d.Base.groups, d.Head.groups)))
	for i := range groups {
		groups[i].Group = groups[i].Name
	}
	noiseLast(groups)
	return groups
}

// rank orders rows by the size of their difference, and leaves out those that
// have no cost of their own on either side.
func (d Diff) rank(rows []row) []row {
	rows = slices.DeleteFunc(rows, func(p row) bool { return p.base.value == 0 && p.head.value == 0 })
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(math.Abs(b.head.value-b.base.value), math.Abs(a.head.value-a.base.value)),
			strings.Compare(a.name, b.name))
	})
	return rows
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

func sumRows(name string, rows []row) row {
	sum := row{name: name}
	for _, p := range rows {
		sum = sum.plus(p)
	}
	return sum
}

func (d Diff) changes(rows []row) []FunctionChange {
	out := make([]FunctionChange, 0, len(rows))
	for _, p := range rows {
		out = append(out, d.change(p))
	}
	return out
}

func (d Diff) change(p row) FunctionChange {
	f := FunctionChange{
		Name: p.name, From: p.from, Mark: p.mark,
		Base: p.base.value, Head: p.head.value, Diff: p.head.value - p.base.value,
		BaseCum: p.base.cum, HeadCum: p.head.cum,
		BaseCount: p.base.count, HeadCount: p.head.count, DiffCount: p.head.count - p.base.count,
	}
	f.File, f.Line = p.place()
	iv := d.interval(p)
	if iv.Level < rowLevel {
		return f
	}
	// No interval is narrower than sampling allows, by however lucky blocks.
	f.deviation = math.Sqrt(p.base.variance + p.head.variance)
	sampling := stat.NormalQuantile(rowLevel) * f.deviation
	f.Low, f.High = new(min(iv.Low, f.Diff-sampling)), new(max(iv.High, f.Diff+sampling))
	f.Noise = *f.Low <= 0 && *f.High >= 0
	return f
}

// fewestBlocks is how many blocks that were recorded together it takes for an interval.
const fewestBlocks = 3

// interval is that of the difference over blocks; its level is 0 if the
// profiles do not tell their blocks.
func (d Diff) interval(p row) stat.Interval {
	if d.Base.blocks == 0 || d.Head.blocks == 0 {
		return stat.Interval{}
	}
	base, head := inBlocks(p.base, d.Base.blocks), inBlocks(p.head, d.Head.blocks)
	if !d.Paired {
		return stat.RankSum(base, head).Interval(rowLevel)
	}
	diffs := make([]float64, min(len(base), len(head)))
	for b := range diffs {
		diffs[b] = head[b] - base[b]
	}
	return overBlocks(diffs)
}

// overBlocks is the interval of what a typical block has. Exact tests reach rowLevel
// from the sixth block on. An experiment can have its verdict earlier, and then
// Student's t takes over: a verdict without its reason is half an answer.
func overBlocks(values []float64) stat.Interval {
	ranks := stat.SignedRank(values)
	if len(values) >= fewestBlocks && !ranks.Reaches(rowLevel) {
		return stat.NewStudent(values).Interval(rowLevel)
	}
	return ranks.Interval(rowLevel)
}

// inBlocks are the values in n blocks: zeros if it was never seen.
func inBlocks(c perOp, n int) []float64 {
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
func joinRenamed(rows []row) []row {
	rows = joinBy(rows, func(p row) string { return stripVersion(p.name) })
	return joinBy(rows, func(p row) string {
		if largestCharge(p.base, p.head) != GroupOwn {
			return p.name
		}
		return stripReceiver(p.name)
	})
}

func joinBy(rows []row, key func(row) string) []row {
	gone, fresh := map[string][]int{}, map[string][]int{}
	for i, p := range rows {
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
			rows[to[0]].from, rows[to[0]].base, rows[to[0]].mark = rows[from[0]].name, rows[from[0]].base, ChangeRenamed
			joined[from[0]] = true
		}
	}
	var left []row
	for i, p := range rows {
		if !joined[i] {
			left = append(left, p)
		}
	}
	return left
}
