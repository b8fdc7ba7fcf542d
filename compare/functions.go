package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles"
)

// topRows is how many functions a table names; the others share a row.
const topRows = 10

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
// Rest, which has no name if nothing is left, add up to Total. It comes from
// sampling: Exact is what the counters say,
// and nil if there are none.
type FunctionTable struct {
	Unit      string     `json:"unit"`
	Functions []Function `json:"functions"`
	Groups    []Function `json:"groups"` // kinds of work; they add up to Total
	Rest      Function   `json:"rest"`
	Total     Function   `json:"total"`
	Exact     *float64   `json:"exact"`
}

// Marks of a function whose two sides do not simply correspond.
const (
	ChangeNew     = "new"     // the samples of the base do not show it at all
	ChangeGone    = "gone"    // the samples of the head do not show it at all
	ChangeRenamed = "renamed" // most likely From in the base
	ChangeInlined = "inlined" // part of its callers on one side only
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
}

// ChangeTable lists the functions that changed most, in either direction.
// Functions and Rest add up to Total, and so do Groups. All of it comes from
// sampling; the exact values are those of the counters, and nil if there are
// none.
type ChangeTable struct {
	Unit      string           `json:"unit"`
	Functions []FunctionChange `json:"functions"`
	Groups    []FunctionChange `json:"groups"` // kinds of work, named by their label
	Rest      FunctionChange   `json:"rest"`
	Total     FunctionChange   `json:"total"`
	BaseExact *float64         `json:"base_exact"`
	HeadExact *float64         `json:"head_exact"`
}

// costs are the values of all functions of one side, per operation.
type costs struct {
	unit   string
	values map[string]cost
	exact  *float64
}

type cost struct{ value, allocs float64 }

// allocationCosts reads what every function allocated in the measured window.
func allocationCosts(run *profiles.Run, t profiles.Totals) (costs, error) {
	p, err := run.Profile(profiles.FileAllocs)
	if err != nil {
		return costs{}, err
	}
	c := costs{unit: "B/op", exact: t.AllocBytesPerOp}
	c.values, err = perOp(p, "alloc_space", "alloc_objects", float64(t.TotalOps))
	return c, err
}

// cpuCosts reads the CPU time of every function in the measured window.
func cpuCosts(run *profiles.Run, t profiles.Totals) (costs, error) {
	p, err := run.Profile(profiles.FileCPU)
	if err != nil {
		return costs{}, err
	}
	c := costs{unit: "us/op", exact: t.CPUPerOp}
	const nanos = 1e3 // in a microsecond
	c.values, err = perOp(p, "cpu", "", float64(t.TotalOps)*nanos)
	return c, err
}

// perOp sums the samples of a profile by function and divides them. Samples of
// the profiling itself are left out.
func perOp(p *profile.Profile, value, allocs string, divisor float64) (map[string]cost, error) {
	v, a := sampleIndex(p, value), sampleIndex(p, allocs)
	if v < 0 || a < 0 && allocs != "" {
		return nil, fmt.Errorf("a profile lacks the sample type %s or %s", value, allocs)
	}
	sum := map[string]cost{}
	for _, s := range p.Sample {
		if ofProfiling(s) {
			continue
		}
		name := leaf(s)
		c := sum[name]
		c.value += float64(s.Value[v]) / divisor
		if a >= 0 {
			c.allocs += float64(s.Value[a]) / divisor
		}
		sum[name] = c
	}
	return sum, nil
}

func sampleIndex(p *profile.Profile, name string) int {
	return slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == name })
}

// leaf is the function that a sample was taken in.
func leaf(s *profile.Sample) string {
	if len(s.Location) == 0 || len(s.Location[0].Line) == 0 || s.Location[0].Line[0].Function == nil {
		return "(unknown)"
	}
	return s.Location[0].Line[0].Function.Name
}

// ofProfiling tells whether a sample shows the measurement at work.
func ofProfiling(s *profile.Sample) bool {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if f := line.Function; f != nil && (strings.HasPrefix(f.Name, "net/http/pprof.") || strings.HasPrefix(f.Name, "runtime/pprof.")) {
				return true
			}
		}
	}
	return false
}

// table lists the largest functions.
func (c costs) table() FunctionTable {
	t := FunctionTable{Unit: c.unit, Exact: c.exact, Total: Function{Name: "total", Share: 100}}
	var all []Function
	for name, cost := range c.values {
		all = append(all, Function{Name: name, Value: cost.value, Allocs: cost.allocs})
		t.Total.Value += cost.value
		t.Total.Allocs += cost.allocs
	}
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), strings.Compare(a.Name, b.Name))
	})
	n := min(topRows, len(all))
	t.Functions, t.Rest = all[:n], Function{Name: others(len(all) - n)}
	for _, f := range all[n:] {
		t.Rest.Value += f.Value
		t.Rest.Allocs += f.Allocs
	}
	for i := range t.Functions {
		t.Functions[i].Share = t.Functions[i].Value / t.Total.Value * 100
	}
	t.Rest.Share = t.Rest.Value / t.Total.Value * 100
	return t
}

// changes lists the functions that differ most from base to head.
func changes(base, head costs) ChangeTable {
	t := ChangeTable{Unit: base.unit, BaseExact: base.exact, HeadExact: head.exact, Total: FunctionChange{Name: "total"}}
	names := map[string]bool{}
	for name := range base.values {
		names[name] = true
	}
	for name := range head.values {
		names[name] = true
	}
	var all []FunctionChange
	for name := range names {
		f := functionChange(name, base.values[name], head.values[name])
		t.Total.add(f)
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b FunctionChange) int {
		return cmp.Or(cmp.Compare(abs(b.Diff), abs(a.Diff)), strings.Compare(a.Name, b.Name))
	})
	n := min(topRows, len(all))
	t.Functions, t.Rest = all[:n], FunctionChange{Name: others(len(all) - n)}
	for _, f := range all[n:] {
		t.Rest.add(f)
	}
	return t
}

func functionChange(name string, base, head cost) FunctionChange {
	f := FunctionChange{
		Name: name, Base: base.value, Head: head.value, Diff: head.value - base.value,
		BaseAllocs: base.allocs, HeadAllocs: head.allocs, DiffAllocs: head.allocs - base.allocs,
	}
	switch {
	case base == cost{}:
		f.Mark = ChangeNew
	case head == cost{}:
		f.Mark = ChangeGone
	}
	return f
}

func (f *FunctionChange) add(g FunctionChange) {
	f.Base += g.Base
	f.Head += g.Head
	f.Diff += g.Diff
	f.BaseAllocs += g.BaseAllocs
	f.HeadAllocs += g.HeadAllocs
	f.DiffAllocs += g.DiffAllocs
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
