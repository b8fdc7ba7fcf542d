package view

import (
	"fmt"
	"slices"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/internal/texttab"
)

// Reconcile relates the sampled total of a run's profile to the exact one.
func Reconcile(t profdiff.FunctionTable) string {
	if t.Exact == nil || *t.Exact == 0 {
		return "The total is sampled; there is no exact counter to compare it with."
	}
	text := fmt.Sprintf("The total is sampled: %.1f%% of the exact %s %s",
		t.Total.Value / *t.Exact * 100, texttab.Decimals(*t.Exact), t.Unit)
	if t.Low != nil {
		text += fmt.Sprintf(" (95%% interval over blocks: %.1f%% to %.1f%%)", *t.Low / *t.Exact * 100,
			*t.High / *t.Exact * 100)
	}
	return text + "."
}

// reconcileChange relates the sampled difference to that of the counters, and
// says where the sampling error is unknown.
func reconcileChange(t profdiff.ChangeTable) string {
	text := "The figures are sampled"
	if t.BaseExact != nil && t.HeadExact != nil && *t.BaseExact != 0 && *t.HeadExact != 0 {
		exact := *t.HeadExact - *t.BaseExact
		text += fmt.Sprintf(": %.1f%% and %.1f%% of what the counters say; the exact difference is %s %s",
			t.Total.Base / *t.BaseExact * 100, t.Total.Head / *t.HeadExact * 100, texttab.Signed(exact), t.Unit)
	}
	text += "."
	if t.Total.Low == nil {
		text += " Their sampling error is unknown: that takes 3 blocks recorded together, and profiles that tell them apart."
	}
	return text
}

// FunctionTable prints functions or groups of one run, with their counts if
// they mean something.
func FunctionTable(t profdiff.FunctionTable, what string, rows []profdiff.Function) *texttab.Table {
	header := []string{what, t.Unit, "share"}
	counted := t.Total.Count > 0
	if counted {
		header = append(header, t.CountUnit)
	}
	out := texttab.New(header...)
	for _, f := range rows {
		cells := []string{f.Name, texttab.Decimals(f.Value), fmt.Sprintf("%.1f%%", f.Share)}
		if counted {
			cells = append(cells, texttab.Decimals(f.Count))
		}
		out.Add(cells...)
	}
	return out
}

// Counted reports whether a table has counts, such as numbers of allocations.
func Counted(t profdiff.ChangeTable) bool { return t.Total.BaseCount+t.Total.HeadCount > 0 }

// ChangeTable prints changes of functions or groups, with the difference in
// counts if they mean something.
func ChangeTable(t profdiff.ChangeTable, what, base, head string, rows []profdiff.FunctionChange) *texttab.Table {
	header := []string{what, base, head, "difference"}
	if t.Total.Low != nil {
		header = append(header, "95% interval")
	}
	if Counted(t) {
		header = append(header, "in "+t.CountUnit)
	}
	out := texttab.New(append(header, "")...)
	for _, f := range rows {
		cells := []string{f.Name, texttab.Decimals(f.Base), texttab.Decimals(f.Head), texttab.Signed(f.Diff)}
		if t.Total.Low != nil {
			cells = append(cells, Interval(f))
		}
		if Counted(t) {
			cells = append(cells, texttab.Signed(f.DiffCount))
		}
		out.Add(append(cells, f.Note())...)
	}
	return out
}

// Interval is that of a difference, empty if it is unknown.
func Interval(f profdiff.FunctionChange) string { return interval(f.Low, f.High) }

func interval(low, high *float64) string {
	if low == nil {
		return ""
	}
	return fmt.Sprintf("[%s, %s]", texttab.Signed(*low), texttab.Signed(*high))
}

// GroupRows are the rows of the kinds of work, and the total.
func GroupRows(t profdiff.ChangeTable) []profdiff.FunctionChange {
	return append(slices.Clone(t.Groups), t.Total)
}
