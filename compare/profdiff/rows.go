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

// Printed are the rows of a table on paper: those of Shown, the others in one
// row, and the total.
func (t ChangeTable) Printed() []FunctionChange {
	rows, rest := t.Shown()
	if rest.Name != "" {
		rows = append(rows, rest)
	}
	return append(rows, t.Total)
}

// Shown are the rows worth reading: the largest changes beyond noise, and the
// packages whose smaller functions changed beyond noise together. The other
// functions share one row, without a name if there are none.
func (t ChangeTable) Shown() ([]FunctionChange, FunctionChange) {
	rows := slices.Clone(t.Functions[:t.shownFunctions()])
	left := len(t.Functions) + t.More - len(rows)
	rest := t.Total
	for _, f := range rows {
		rest.Add(f.negative())
	}
	for _, p := range t.Packages {
		row := p.FunctionChange
		row.Name = fmt.Sprintf("(%d others in %s)", p.Functions, p.Name)
		rows = append(rows, row)
		rest.Add(p.negative())
		left -= p.Functions
	}
	return rows, FunctionChange{
		Name: Others(left), Base: rest.Base, Head: rest.Head, Diff: rest.Diff,
		BaseCount: rest.BaseCount, HeadCount: rest.HeadCount, DiffCount: rest.DiffCount,
	}
}

// negative is what takes f off a sum again.
func (f FunctionChange) negative() FunctionChange {
	return FunctionChange{
		Base: -f.Base, Head: -f.Head, Diff: -f.Diff,
		BaseCount: -f.BaseCount, HeadCount: -f.HeadCount, DiffCount: -f.DiffCount,
	}
}

// shownFunctions is how many functions beyond noise are shown by themselves.
func (t ChangeTable) shownFunctions() int {
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
