package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
)

// History is one curve of a history in words.
type History struct {
	history.Curve
	Title   string
	Summary string
	Series  []HistorySeries // that have points
	Notes   []string
}

// HistorySeries is one metric over the commits.
type HistorySeries struct {
	history.Series
	Unit                string
	First, Last, Change string
	Marks               []Mark
}

// Mark is a change of a metric.
type Mark struct {
	history.Change
	Label string // of the metric
	Text  string // such as "+5.0% [+4.6, +5.4]"
	Where string // the commits between which it lies
	Badge Badge
}

// NewHistory puts the curves of a history in words.
func NewHistory(curves []history.Curve) []History {
	var all []History
	for _, c := range curves {
		h := History{Curve: c, Title: c.Name + ", " + c.Load, Summary: summaryOf(c)}
		for _, s := range c.Series {
			for _, note := range s.Notes {
				h.note(s.Metric.Label, note)
			}
			if len(s.Points) > 0 {
				h.Series = append(h.Series, newSeries(c, s))
			}
		}
		all = append(all, h)
	}
	return all
}

func summaryOf(c history.Curve) string {
	first, last := c.Records[0], c.Records[len(c.Records)-1]
	if len(c.Records) == 1 {
		return "1 run, of " + Commit(first)
	}
	return fmt.Sprintf("%s from %s to %s, on %s", count(len(c.Records), "run"), Commit(first), Commit(last),
		count(c.Machines, "kind of machine"))
}

func count(n int, what string) string {
	one, rest, _ := strings.Cut(what, " ")
	if n != 1 {
		one += "s"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", n, one, rest))
}

// note adds a note of a metric; metrics of the same note share it.
func (h *History) note(label, text string) {
	for i, n := range h.Notes {
		labels, said, _ := strings.Cut(n, ": ")
		if said == text {
			h.Notes[i] = labels + "; " + label + ": " + text
			return
		}
	}
	h.Notes = append(h.Notes, label+": "+text)
}

// Commit is what a record measured, and when.
func Commit(r history.Record) string {
	return fmt.Sprintf("%s (%s)", r.Head, r.Time.Format("2006-01-02"))
}

func newSeries(c history.Curve, s history.Series) HistorySeries {
	first, last := s.Ends()
	h := HistorySeries{
		Series: s, Unit: s.Metric.Unit,
		First: texttab.Number(first.Level, s.Metric.Decimals), Last: texttab.Number(last.Level, s.Metric.Decimals),
	}
	switch {
	case s.Relative():
		h.Unit = "against " + baseName(c.Records[first.Record])
		h.First, h.Last = signedPercent(first.Level), signedPercent(last.Level)
		h.Change = signedPercent(stat.Percent(stat.LogRatio(last.Level) - stat.LogRatio(first.Level)))
	case first.Level > 0:
		h.Change = signedPercent((last.Level/first.Level - 1) * 100)
	}
	for _, change := range s.Changes {
		h.Marks = append(h.Marks, newMark(c, s, change))
	}
	return h
}

// baseName is the commit of a record's base or, if the head is the same build
// with other options, its subject.
func baseName(r history.Record) string {
	if r.Base.SHA256 == r.Head.SHA256 {
		return r.Base.Subject
	}
	return r.Base.String()
}

func signedPercent(v float64) string {
	text := fmt.Sprintf("%+.1f%%", v)
	if text == "-0.0%" {
		return "+0.0%"
	}
	return text
}

func newMark(c history.Curve, s history.Series, change history.Change) Mark {
	interval := compare.Change{Percent: change.Percent, Low: change.Low, High: change.High}
	return Mark{
		Change: change, Label: s.Metric.Label, Text: interval.String(), Where: where(c.Records, change),
		Badge: Badge{Class: string(change.Verdict), Text: string(change.Verdict)},
	}
}

// where says between which commits a change lies, and which they are if there
// are few.
func where(records []history.Record, change history.Change) string {
	const most = 4
	text := fmt.Sprintf("between %s and %s", Commit(records[change.After]), Commit(records[change.Upto]))
	n := change.Upto - change.After
	switch {
	case n == 1:
		return text
	case n > most:
		return fmt.Sprintf("%s, by one of %d runs", text, n)
	}
	var heads []string
	for _, r := range records[change.After+1 : change.Upto+1] {
		heads = append(heads, r.Head.String())
	}
	return text + ", by " + strings.Join(heads[:n-1], ", ") + " or " + heads[n-1]
}

// Values are what a sparkline shows: the points that can be compared with the
// last.
func (s HistorySeries) Values() []float64 {
	var values []float64
	_, last := s.Ends()
	for _, p := range s.Points {
		if p.Stretch == last.Stretch {
			values = append(values, p.Value)
		}
	}
	return values
}

// Marked reports whether any metric changed.
func (h History) Marked() bool {
	return slices.ContainsFunc(h.Series, func(s HistorySeries) bool { return len(s.Marks) > 0 })
}

// LastRecord is the latest record of the curve.
func (h History) LastRecord() history.Record { return h.Records[len(h.Records)-1] }
