package profdiff

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
)

const (
	explainedShare    = 0.02 // of the base's total: what is less explains nothing
	explainedMost     = 3    // sentences about one profile
	explainedPackages = 3    // named in one sentence
)

// Explain says in plain sentences what kinds of work account for a change: of
// each profile the largest groups whose change is significant and a few percent of
// the total, largest first.
func Explain(profiles ...Diff) []string {
	type sentence struct {
		share float64
		text  string
	}
	var found []sentence
	for _, d := range profiles {
		total := sumRows("", match(d.Base.groups, nil)).base.value
		significant := d.significant()
		for _, g := range significant[:min(explainedMost, len(significant))] {
			if share := math.Abs(g.Diff) / total; share >= explainedShare {
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

// significant are the groups beyond noise that sampling would not put there either
// if all groups are looked at together (Bonferroni): a sentence says more than
// a row among others.
func (d Diff) significant() []FunctionChange {
	groups := d.groups()
	limit := stat.NormalQuantile(1 - (1-rowLevel)/float64(max(len(groups), 1)))
	return slices.DeleteFunc(groups, func(g FunctionChange) bool {
		return g.Low == nil || g.Noise || math.Abs(g.Diff) < limit*g.deviation
	})
}

// sentence is such as "HTTP: about 2,600 B/op and 28 allocs/op less (2,677 to
// 43.6 B/op). Gone: 2,500 B/op and 26 allocs/op in net/http, net/textproto."
func (d Diff) sentence(g FunctionChange) string {
	text := fmt.Sprintf("%s: about %s (%s to %s %s).", g.Name, d.moreOrLess(g), texttab.Decimals(g.Base),
		texttab.Decimals(g.Head), d.Base.Kind.Unit)
	gone, fresh, changed := d.packagesOf(g)
	text += d.list("Gone", gone) + d.list("New", fresh)
	if len(changed) > 0 {
		text += fmt.Sprintf(" Changed: %s, %s.", changed[0].Name, d.moreOrLess(changed[0]))
	}
	return text
}

// moreOrLess is such as "2,600 B/op and 28 allocs/op less".
func (d Diff) moreOrLess(f FunctionChange) string {
	word := map[bool]string{true: "less", false: "more"}
	if f.DiffCount != 0 && (f.Diff < 0) != (f.DiffCount < 0) {
		return fmt.Sprintf("%s %s, but %s %s %s",
			d.amount(f.Diff, 0), word[f.Diff < 0], texttab.Roughly(f.DiffCount), d.Base.Kind.CountUnit, word[f.DiffCount < 0])
	}
	return d.amount(f.Diff, f.DiffCount) + " " + word[f.Diff < 0]
}

// packagesOf are the packages of a group that are gone, new and changed beyond
// noise by a tenth of the group's change or more.
func (d Diff) packagesOf(g FunctionChange) (gone, fresh, changed []FunctionChange) {
	for _, p := range d.changes(d.rank(match(inGroup(d.Base, g.Name), inGroup(d.Head, g.Name)))) {
		switch {
		case p.Noise || math.Abs(p.Diff) < math.Abs(g.Diff)/10:
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
func inGroup(a *Attribution, group string) map[string]perOp {
	packages := map[string]perOp{}
	for key, c := range a.packages {
		if key.group == group {
			packages[key.path] = c
		}
	}
	return packages
}

// list is such as " Gone: 2,500 B/op and 26 allocs/op in net/http,
// net/textproto.", and empty for no packages.
func (d Diff) list(what string, packages []FunctionChange) string {
	if len(packages) == 0 {
		return ""
	}
	packages = packages[:min(explainedPackages, len(packages))]
	var names []string
	var sum FunctionChange
	for _, p := range packages {
		names = append(names, p.Name)
		sum.Diff += p.Diff
		sum.DiffCount += p.DiffCount
	}
	return fmt.Sprintf(" %s: %s in %s.", what, d.amount(sum.Diff, sum.DiffCount), strings.Join(names, ", "))
}

// amount is such as "2,600 B/op and 28 allocs/op": two digits, as sampled
// figures hardly have more.
func (d Diff) amount(value, count float64) string {
	text := texttab.Roughly(value) + " " + d.Base.Kind.Unit
	if noun := d.Base.Kind.Noun; noun != "" {
		text += " of " + noun
	}
	if count != 0 {
		text += fmt.Sprintf(" and %s %s", texttab.Roughly(count), d.Base.Kind.CountUnit)
	}
	return text
}
