package compare

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// tableRows is how many functions a table holds, and topRows how many of them
// are printed; the others share a row.
const (
	tableRows = 100
	topRows   = 10
)

// Function is what one function itself did, without its callees, in one
// operation.
type Function struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`            // in the table's unit
	Cum     float64 `json:"cum"`              // in it or its callees
	Allocs  float64 `json:"allocs,omitempty"` // allocations per operation; of allocation tables
	Share   float64 `json:"share_percent"`    // of the total
	Package string  `json:"package"`
	Group   string  `json:"group"`
}

// FunctionTable lists the functions of one side, largest first. Functions and
// Rest, which has no name if nothing is left, add up to Total, and so do Groups.
// It comes from sampling: Low and High are the 95% interval of the total over
// blocks, nil if unknown; Exact is what the counters say, nil if there are none.
type FunctionTable struct {
	Unit      string     `json:"unit"`
	Functions []Function `json:"functions"`
	Groups    []Function `json:"groups"` // kinds of work; they add up to Total
	Rest      Function   `json:"rest"`
	Total     Function   `json:"total"`
	Low       *float64   `json:"total_low,omitempty"`
	High      *float64   `json:"total_high,omitempty"`
	Exact     *float64   `json:"exact"`

	more int // functions in Rest
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
	Name       string   `json:"name"`
	From       string   `json:"from,omitempty"` // the base's name of a renamed function
	Package    string   `json:"package"`
	Group      string   `json:"group"`
	Base       float64  `json:"base"`
	Head       float64  `json:"head"`
	Diff       float64  `json:"diff"`
	Low        *float64 `json:"diff_low,omitempty"` // 95% interval of Diff over blocks; nil if unknown
	High       *float64 `json:"diff_high,omitempty"`
	Noise      bool     `json:"within_noise"` // the interval reaches 0
	BaseCum    float64  `json:"base_cum"`     // in it or its callees
	HeadCum    float64  `json:"head_cum"`
	BaseAllocs float64  `json:"base_allocs,omitempty"` // allocations per operation; of allocation tables
	HeadAllocs float64  `json:"head_allocs,omitempty"`
	DiffAllocs float64  `json:"diff_allocs,omitempty"`
	Mark       string   `json:"mark,omitempty"` // new, gone, renamed or inlined

	deviation float64 // standard, of Diff, that sampling alone causes
}

// ChangeTable lists the functions that changed most, in either direction, those
// beyond noise first. Functions and Rest add up to Total, and so do Groups. All
// of it comes from sampling; the exact values are those of the counters, and
// nil if there are none.
type ChangeTable struct {
	Unit      string           `json:"unit"`
	Functions []FunctionChange `json:"functions"`
	Groups    []FunctionChange `json:"groups"` // kinds of work, named by their label
	Rest      FunctionChange   `json:"rest"`
	Total     FunctionChange   `json:"total"`
	BaseExact *float64         `json:"base_exact"`
	HeadExact *float64         `json:"head_exact"`

	more int // functions in Rest
}

// table lists the largest functions, and the groups.
func (c costs) table() FunctionTable {
	var all cost
	for _, name := range slices.Sorted(maps.Keys(c.values)) { // always the same sum, to the last digit
		all = all.plus(c.values[name])
	}
	t := FunctionTable{Unit: c.unit, Exact: c.exact}
	t.Total = function("total", all, all.value)
	t.Total.Cum = all.value
	if iv := SignedRank(all.blocks).Interval(rowLevel); c.blocks > 0 && iv.Level >= rowLevel {
		sampling := normalQuantile(rowLevel) * math.Sqrt(all.variance)
		t.Low, t.High = new(min(iv.Low, all.value-sampling)), new(max(iv.High, all.value+sampling))
	}
	functions := ranked(c.values, all.value)
	for i := range functions {
		functions[i].Package = packagePath(functions[i].Name)
		functions[i].Group = largestCharge(c.values[functions[i].Name])
	}
	n := min(tableRows, len(functions))
	t.Functions, t.Rest, t.more = functions[:n], restOf(functions[n:]), len(functions)-n
	t.Groups = ranked(c.groups, all.value)
	for i := range t.Groups {
		t.Groups[i].Group = t.Groups[i].Name
	}
	return t
}

func function(name string, c cost, total float64) Function {
	f := Function{Name: name, Value: c.value, Cum: c.cum, Allocs: c.allocs}
	if total != 0 {
		f.Share = c.value / total * 100
	}
	return f
}

// ranked lists what has a cost of its own, largest first.
func ranked(values map[string]cost, total float64) []Function {
	var all []Function
	for name, c := range values {
		if c.value != 0 {
			all = append(all, function(name, c, total))
		}
	}
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), strings.Compare(a.Name, b.Name))
	})
	return all
}

// restOf is the row of functions that have none of their own.
func restOf(functions []Function) Function {
	rest := Function{Name: others(len(functions))}
	for _, f := range functions {
		rest.Value += f.Value
		rest.Allocs += f.Allocs
		rest.Share += f.Share
	}
	return rest
}

// largestCharge is the group that the most of some functions' cost is charged
// to.
func largestCharge(of ...cost) string {
	var largest string
	sums := map[string]float64{}
	for _, c := range of {
		for label, v := range c.charged {
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

// others names the row of the n functions that have none of their own, if
// there are any.
func others(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "(1 other)"
	}
	return fmt.Sprintf("(%d others)", n)
}

func abs(x float64) float64 { return max(x, -x) }
