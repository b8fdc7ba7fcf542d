package compare

import (
	"fmt"
	"slices"
)

// printed are the rows of a table on paper: the largest functions, the others
// in one, and the total.
func (t FunctionTable) printed() []Function {
	rows, rest := t.first(topRows)
	if rest.Name != "" {
		rows = append(rows, rest)
	}
	return append(rows, t.Total)
}

// first are the n largest functions, and a row for the others.
func (t FunctionTable) first(n int) ([]Function, Function) {
	n = min(n, len(t.Functions))
	rest := restOf(t.Functions[n:])
	rest.Name = others(len(t.Functions) - n + t.more)
	rest.Value, rest.Allocs, rest.Share = rest.Value+t.Rest.Value, rest.Allocs+t.Rest.Allocs, rest.Share+t.Rest.Share
	return slices.Clone(t.Functions[:n]), rest
}

// table prints functions or groups; of an allocation table with their number.
func (t FunctionTable) table(what string, rows []Function) *Table {
	header := []string{what, t.Unit, "share"}
	if t.Total.Allocs > 0 {
		header = append(header, "allocs/op")
	}
	out := NewTable(header...)
	for _, f := range rows {
		cells := []string{f.Name, decimals(f.Value), fmt.Sprintf("%.1f%%", f.Share)}
		if t.Total.Allocs > 0 {
			cells = append(cells, decimals(f.Allocs))
		}
		out.Add(cells...)
	}
	return out
}

// reconciliation holds the sampled total against the exact one.
func (t FunctionTable) reconciliation() string {
	if t.Exact == nil || *t.Exact == 0 {
		return "The total is sampled; there is no exact counter to hold it against."
	}
	text := fmt.Sprintf("The total is sampled: %.1f%% of the exact %s %s", t.Total.Value / *t.Exact * 100, decimals(*t.Exact), t.Unit)
	if t.Low != nil {
		text += fmt.Sprintf(" (95%% interval over blocks: %.1f%% to %.1f%%)", *t.Low / *t.Exact * 100, *t.High / *t.Exact * 100)
	}
	return text + "."
}

// printed are the rows of a table on paper: the largest changes beyond noise,
// those within noise in one row, the others in one, and the total.
func (t ChangeTable) printed() []FunctionChange {
	var rows []FunctionChange
	var noise, rest FunctionChange
	var noises int
	for _, f := range t.Functions {
		switch {
		case f.Noise:
			noise.add(f)
			noises++
		case len(rows) < topRows:
			rows = append(rows, f)
		default:
			rest.add(f)
		}
	}
	rest.add(t.Rest)
	rest.Name = others(len(t.Functions) - len(rows) - noises + t.more)
	if noises > 0 {
		noise.Name = fmt.Sprintf("(%d within noise)", noises)
		rows = append(rows, noise)
	}
	if rest.Name != "" {
		rows = append(rows, rest)
	}
	return append(rows, t.Total)
}

func (f *FunctionChange) add(g FunctionChange) {
	f.Base += g.Base
	f.Head += g.Head
	f.Diff += g.Diff
	f.BaseAllocs += g.BaseAllocs
	f.HeadAllocs += g.HeadAllocs
	f.DiffAllocs += g.DiffAllocs
}

// groupRows are the rows of the groups.
func (t ChangeTable) groupRows() []FunctionChange { return append(slices.Clone(t.Groups), t.Total) }

// table prints changes; of an allocation table with the difference in number.
func (t ChangeTable) table(what, base, head string, rows []FunctionChange) *Table {
	allocs := t.Total.BaseAllocs+t.Total.HeadAllocs > 0
	header := []string{what, base, head, "difference"}
	if t.Total.Low != nil {
		header = append(header, "95% interval")
	}
	if allocs {
		header = append(header, "in allocs/op")
	}
	out := NewTable(append(header, "")...)
	for _, f := range rows {
		cells := []string{f.Name, decimals(f.Base), decimals(f.Head), signed(f.Diff)}
		if t.Total.Low != nil {
			cells = append(cells, f.interval())
		}
		if allocs {
			cells = append(cells, signed(f.DiffAllocs))
		}
		out.Add(append(cells, f.note())...)
	}
	return out
}

func (f FunctionChange) interval() string {
	if f.Low == nil {
		return ""
	}
	return fmt.Sprintf("[%s, %s]", signed(*f.Low), signed(*f.High))
}

// note is what the last column says of a row.
func (f FunctionChange) note() string {
	switch {
	case f.Mark == ChangeRenamed:
		return "renamed from " + f.From
	case f.Noise:
		return "within noise"
	}
	return f.Mark
}

// reconciliation holds the sampled difference against that of the counters,
// and says where the sampling error is unknown.
func (t ChangeTable) reconciliation() string {
	text := "The figures are sampled"
	if t.BaseExact != nil && t.HeadExact != nil && *t.BaseExact != 0 && *t.HeadExact != 0 {
		exact := *t.HeadExact - *t.BaseExact
		text += fmt.Sprintf(": %.1f%% and %.1f%% of what the counters say; the exact difference is %s %s",
			t.Total.Base / *t.BaseExact * 100, t.Total.Head / *t.HeadExact * 100, signed(exact), t.Unit)
	}
	text += "."
	if t.Total.Low == nil {
		text += " Their sampling error is unknown: that takes 6 blocks, and profiles that tell them apart."
	}
	return text
}

// profiled is what one kind of profile shows of a comparison.
type profiled struct {
	what string
	ChangeTable
}

func (c Comparison) profiles() []profiled {
	return []profiled{{"Allocated", c.Allocations}, {"CPU time", c.CPU}}
}
