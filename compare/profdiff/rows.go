package profdiff

import (
	"fmt"
	"math"
	"slices"
)

// How many functions a printed table names: at least topRows and, while what is
// left over accounts for more than unnamedShare of the total difference, up to
// mostRows.
const (
	topRows      = 10
	mostRows     = 25
	unnamedShare = 0.25
)

// Printed are the rows of a table on paper: the largest functions, the others in
// one row, and the total.
func (t FunctionTable) Printed() []Function {
	rows, rest := t.First(topRows)
	if rest.Name != "" {
		rows = append(rows, rest)
	}
	return append(rows, t.Total)
}

// First are the n largest functions, and a row for the others, without a name if
// there are none.
func (t FunctionTable) First(n int) ([]Function, Function) {
	n = min(n, len(t.Functions))
	rest := restOf(t.Functions[n:])
	rest.Name = Others(len(t.Functions) - n + t.More)
	rest.Value += t.Rest.Value
	rest.Count += t.Rest.Count
	rest.Share += t.Rest.Share
	return slices.Clone(t.Functions[:n]), rest
}

// Printed are the rows of a table on paper: the largest changes beyond noise,
// those within noise in one row, the others in one, and the total.
func (t ChangeTable) Printed() []FunctionChange {
	var rows []FunctionChange
	var noise, rest FunctionChange
	noises, named := 0, t.named()
	for _, f := range t.Functions {
		switch {
		case f.Noise:
			noise.Add(f)
			noises++
		case len(rows) < named:
			rows = append(rows, f)
		default:
			rest.Add(f)
		}
	}
	rest.Add(t.Rest)
	rest.Name = Others(len(t.Functions) - len(rows) - noises + t.More)
	if noises > 0 {
		noise.Name = fmt.Sprintf("(%d within noise)", noises)
		rows = append(rows, noise)
	}
	if rest.Name != "" {
		rows = append(rows, rest)
	}
	return append(rows, t.Total)
}

// named is how many functions beyond noise a printed table names.
func (t ChangeTable) named() int {
	left := t.Total.Diff
	for i, f := range t.Functions {
		enough := i >= topRows && math.Abs(left) <= unnamedShare*math.Abs(t.Total.Diff)
		if f.Noise || enough || i == mostRows {
			return i
		}
		left -= f.Diff
	}
	return len(t.Functions)
}

// First are the n functions that changed most, those beyond noise before the
// others, and a row for the rest, without a name if there is none.
func (t ChangeTable) First(n int) ([]FunctionChange, FunctionChange) {
	n = min(n, len(t.Functions))
	var rest FunctionChange
	rest.Add(t.Rest)
	for _, f := range t.Functions[n:] {
		rest.Add(f)
	}
	rest.Name = Others(len(t.Functions) - n + t.More)
	return t.Functions[:n], rest
}

// Add adds what g changed by itself.
func (f *FunctionChange) Add(g FunctionChange) {
	f.Base += g.Base
	f.Head += g.Head
	f.Diff += g.Diff
	f.BaseCount += g.BaseCount
	f.HeadCount += g.HeadCount
	f.DiffCount += g.DiffCount
}

// Note is what a table remarks on a row.
func (f FunctionChange) Note() string {
	switch {
	case f.Mark == ChangeRenamed:
		return "renamed from " + f.From
	case f.Noise:
		return "within noise"
	}
	return f.Mark
}
