package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	explainedShare    = 0.02 // of the base's total: what is less explains nothing
	explainedMost     = 3    // sentences about one profile
	explainedPackages = 3    // named in one sentence
)

// explain says in plain sentences what kinds of work account for a change: of
// each profile the largest groups whose change is certain and a few percent of
// the total, largest first.
func explain(profiles ...difference) []string {
	type sentence struct {
		share float64
		text  string
	}
	var found []sentence
	for _, d := range profiles {
		total := sumPairs("", pairUp(d.base.groups, nil)).base.value
		certain := d.certain()
		for _, g := range certain[:min(explainedMost, len(certain))] {
			if share := abs(g.Diff) / total; share >= explainedShare {
				found = append(found, sentence{share, d.sentence(g)})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b sentence) int { return cmp.Compare(b.share, a.share) })
	out := []string{}
	for _, s := range found {
		out = append(out, s.text)
	}
	return out
}

// certain are the groups beyond noise that sampling would not put there either
// if all groups are looked at together (Bonferroni): a sentence says more than
// a row among others.
func (d difference) certain() []FunctionChange {
	groups := d.groups()
	limit := normalQuantile(1 - (1-rowLevel)/float64(max(len(groups), 1)))
	return slices.DeleteFunc(groups, func(g FunctionChange) bool {
		return g.Low == nil || g.Noise || abs(g.Diff) < limit*g.deviation
	})
}

// sentence is such as "HTTP: about 2,600 B/op and 28 allocs/op less (2,677 to
// 43.6 B/op). Gone: 2,500 B/op and 26 allocs/op in net/http, net/textproto."
func (d difference) sentence(g FunctionChange) string {
	text := fmt.Sprintf("%s: about %s (%s to %s %s).", g.Name, d.moreOrLess(g), decimals(g.Base), decimals(g.Head), d.base.unit)
	gone, fresh, changed := d.packagesOf(g)
	text += d.list("Gone", gone) + d.list("New", fresh)
	if len(changed) > 0 {
		text += fmt.Sprintf(" Changed: %s, %s.", changed[0].Name, d.moreOrLess(changed[0]))
	}
	return text
}

// moreOrLess is such as "2,600 B/op and 28 allocs/op less".
func (d difference) moreOrLess(f FunctionChange) string {
	word := map[bool]string{true: "less", false: "more"}
	if f.DiffAllocs != 0 && (f.Diff < 0) != (f.DiffAllocs < 0) {
		return fmt.Sprintf("%s %s, but %s allocs/op %s", d.amount(f.Diff, 0), word[f.Diff < 0], roughly(f.DiffAllocs), word[f.DiffAllocs < 0])
	}
	return d.amount(f.Diff, f.DiffAllocs) + " " + word[f.Diff < 0]
}

// packagesOf are the packages of a group that are gone, new and changed beyond
// noise by a tenth of the group's change or more.
func (d difference) packagesOf(g FunctionChange) (gone, fresh, changed []FunctionChange) {
	for _, p := range d.changes(d.rank(pairUp(inGroup(d.base, g.Name), inGroup(d.head, g.Name)))) {
		switch {
		case p.Noise || abs(p.Diff) < abs(g.Diff)/10:
		case p.HeadCum == 0:
			gone = append(gone, p)
		case p.BaseCum == 0:
			fresh = append(fresh, p)
		default:
			changed = append(changed, p)
		}
	}
	return gone, fresh, changed
}

// inGroup is what a group's packages are charged, by path.
func inGroup(c costs, group string) map[string]cost {
	packages := map[string]cost{}
	for key, cost := range c.packages {
		if key.group == group {
			packages[key.path] = cost
		}
	}
	return packages
}

// list is such as " Gone: 2,500 B/op and 26 allocs/op in net/http,
// net/textproto.", and empty for no packages.
func (d difference) list(what string, packages []FunctionChange) string {
	if len(packages) == 0 {
		return ""
	}
	packages = packages[:min(explainedPackages, len(packages))]
	var names []string
	var sum FunctionChange
	for _, p := range packages {
		names = append(names, p.Name)
		sum.Diff += p.Diff
		sum.DiffAllocs += p.DiffAllocs
	}
	return fmt.Sprintf(" %s: %s in %s.", what, d.amount(sum.Diff, sum.DiffAllocs), strings.Join(names, ", "))
}

// amount is such as "2,600 B/op and 28 allocs/op": two digits, as sampled
// figures hardly have more.
func (d difference) amount(value, allocs float64) string {
	text := roughly(value) + " " + d.base.unit
	if d.base.unit == cpuUnit {
		text += " of CPU time"
	}
	if allocs != 0 {
		text += fmt.Sprintf(" and %s allocs/op", roughly(allocs))
	}
	return text
}

// roughly prints the size of v with two significant digits.
func roughly(v float64) string {
	if v == 0 {
		return "0"
	}
	exponent := int(math.Floor(math.Log10(abs(v)))) - 1
	unit := math.Pow10(exponent)
	return Number(math.Round(abs(v)/unit)*unit, max(0, -exponent))
}
