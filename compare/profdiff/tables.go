package profdiff

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare/stat"
)

// tableRows is how many functions a table holds; the others share a row.
const tableRows = 100

// Function is what one function itself did, without its callees, in one
// operation.
type Function struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`           // in the table's unit
	Cum     float64 `json:"cum"`             // in it or its callees
	Count   float64 `json:"count,omitempty"` // in the table's count unit, if it has one
	Share   float64 `json:"share_percent"`   // of the total
	Package string  `json:"package"`
	Group   string  `json:"group"`
}

// FunctionTable lists the functions of one side, largest first. Functions and
// Rest, which has no name if nothing is left, add up to Total, and so do Groups.
// It comes from sampling: Low and High are the 95% interval of the total over
// blocks, nil if unknown; Exact is what the counters say, nil if there are none.
type FunctionTable struct {
	Kind      string     `json:"kind"`  // name of the profile kind
	Title     string     `json:"title"` // such as "CPU time"
	Unit      string     `json:"unit"`
	CountUnit string     `json:"count_unit,omitempty"`
	Functions []Function `json:"functions"`
	Groups    []Function `json:"groups"` // kinds of work; they add up to Total
	Rest      Function   `json:"rest"`
	Total     Function   `json:"total"`
	Low       *float64   `json:"total_low,omitempty"`
	High      *float64   `json:"total_high,omitempty"`
	Exact     *float64   `json:"exact"`
	More      int        `json:"more"` // functions in Rest
}

// Marks of a function whose two sides do not simply correspond.
const (
	ChangeNew     = "new"     // the samples of the base do not show it at all
	ChangeGone    = "gone"    // the samples of the head do not show it at all
	ChangeRenamed = "renamed" // most likely From in the base
	ChangeInlined = "inlined" // called in the base, always part of its callers in the head
)

// FunctionChange is a function on both sides, per operation: what it did
// itself, and cumulatively with its callees.
type FunctionChange struct {
	Name      string   `json:"name"`
	From      string   `json:"from,omitempty"` // the base's name of a renamed function
	Package   string   `json:"package"`
	File      string   `json:"file,omitempty"` // of a function of the module's, from the top of the repository
	Line      int      `json:"line,omitempty"` // of File, where the most is charged
	Group     string   `json:"group"`
	Base      float64  `json:"base"`
	Head      float64  `json:"head"`
	Diff      float64  `json:"diff"`
	Low       *float64 `json:"diff_low,omitempty"` // 95% interval of Diff over blocks; nil if unknown
	High      *float64 `json:"diff_high,omitempty"`
	Noise     bool     `json:"within_noise"` // the interval reaches 0
	BaseCum   float64  `json:"base_cum"`     // in it or its callees
	HeadCum   float64  `json:"head_cum"`
	BaseCount float64  `json:"base_count,omitempty"` // in the table's count unit, if it has one
	HeadCount float64  `json:"head_count,omitempty"`
	DiffCount float64  `json:"diff_count,omitempty"`
	Mark      string   `json:"mark,omitempty"` // new, gone, renamed or inlined

	deviation float64 // standard, of Diff, that sampling alone causes
}

// ChangeTable lists the functions that changed most, in either direction, those
// beyond noise first. Functions and Rest add up to Total, and so do Groups.
// Packages sum up functions that are too small to be shown by themselves. All of
// it comes from sampling; the exact values are those of the counters, and nil if
// there are none.
type ChangeTable struct {
	Kind      string           `json:"kind"`  // name of the profile kind
	Title     string           `json:"title"` // such as "CPU time"
	Unit      string           `json:"unit"`
	CountUnit string           `json:"count_unit,omitempty"`
	Functions []FunctionChange `json:"functions"`
	Packages  []PackageChange  `json:"packages"`
	Groups    []FunctionChange `json:"groups"` // kinds of work, named by their label
	Rest      FunctionChange   `json:"rest"`
	Total     FunctionChange   `json:"total"`
	BaseExact *float64         `json:"base_exact"`
	HeadExact *float64         `json:"head_exact"`
	More      int              `json:"more"`     // functions in Rest
	Subtrees  []FunctionChange `json:"subtrees"` // functions whose cost with all they call changed beyond noise
	Nearest   *Nearest         `json:"nearest,omitempty"`
}

// PackageChange is what functions of one package, its name, changed together
// beyond noise.
type PackageChange struct {
	FunctionChange
	Functions int `json:"functions"` // how many these are
}

// Nearest is the function within noise that would stand out first, and of how
// many blocks the experiment should be for that.
type Nearest struct {
	Name   string `json:"name"`
	Blocks int    `json:"blocks"`
}

// Table lists the largest functions, and the groups.
func (a *Attribution) Table() FunctionTable {
	var all perOp
	for _, name := range slices.Sorted(maps.Keys(a.functions)) { // always the same sum, to the last digit
		all = all.plus(a.functions[name])
	}
	t := FunctionTable{Kind: a.Kind.Name, Title: a.Kind.Title, Unit: a.Kind.Unit, CountUnit: a.Kind.CountUnit,
		Exact: a.Exact}
	t.Total = newFunction("total", all, all.value)
	t.Total.Cum = all.value
	if iv := overBlocks(all.blocks); a.blocks > 0 && iv.Level >= rowLevel {
		sampling := stat.NormalQuantile(rowLevel) * math.Sqrt(all.variance)
		t.Low, t.High = new(min(iv.Low, all.value-sampling)), new(max(iv.High, all.value+sampling))
	}
	functions := ranked(a.functions, all.value)
	for i := range functions {
		functions[i].Package = packagePath(functions[i].Name)
		functions[i].Group = largestCharge(a.functions[functions[i].Name])
	}
	n := min(tableRows, len(functions))
	t.Functions, t.Rest, t.More = functions[:n], restOf(functions[n:]), len(functions)-n
	t.Groups = ranked(a.groups, all.value)
	for i := range t.Groups {
		t.Groups[i].Group = t.Groups[i].Name
	}
	return t
}

func newFunction(name string, c perOp, total float64) Function {
	f := Function{Name: name, Value: c.value, Cum: c.cum, Count: c.count}
	if total != 0 {
		f.Share = c.value / total * 100
	}
	return f
}

// ranked lists what has a cost of its own, largest first.
func ranked(values map[string]perOp, total float64) []Function {
	var all []Function
	for name, c := range values {
		if c.value != 0 {
			all = append(all, newFunction(name, c, total))
		}
	}
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), strings.Compare(a.Name, b.Name))
	})
	return all
}

// restOf is the row of functions that have none of their own.
func restOf(functions []Function) Function {
	rest := Function{Name: Others(len(functions))}
	for _, f := range functions {
		rest.Value += f.Value
		rest.Count += f.Count
		rest.Share += f.Share
	}
	return rest
}

// largestCharge is the group that the most of some functions' cost is charged
// to.
func largestCharge(of ...perOp) string {
	var largest string
	sums := map[string]float64{}
	for _, c := range of {
		for label, v := range c.byGroup {
			sums[label] += v
		}
	}
	for label, v := range sums {
		if largest == "" || v > sums[largest] || v == sums[largest] && label < largest {
			largest = label
		}
	}
	return largest
}

// Others names the row of the n functions that have none of their own, if
// there are any.
func Others(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "(1 other)"
	}
	return fmt.Sprintf("(%d others)", n)
}
