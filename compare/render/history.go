package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/render/html"
	"github.com/eventobench/eventobench/compare/render/view"
	"github.com/eventobench/eventobench/internal/texttab"
)

// HistoryFormats are the names that History knows.
var HistoryFormats = []string{"text", "html", "svg"}

// History writes the curves of a history in one of the HistoryFormats.
func History(w io.Writer, curves []history.Curve, format string) error {
	switch format {
	case "text":
		return writeHistory(w, view.NewHistory(curves))
	case "html":
		return html.WriteHistory(w, view.NewHistory(curves))
	case "svg":
		return html.WriteHistorySVG(w, view.NewHistory(curves))
	}
	return UnknownFormat(format, HistoryFormats)
}

func writeHistory(w io.Writer, curves []view.History) error {
	var b strings.Builder
	for i, h := range curves {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s\n%s\n", h.Title, h.Summary)
		if len(h.Series) > 0 {
			section(&b, "Metrics", historyTable(h).String())
		}
		section(&b, "Changes", marks(h))
		if len(h.Notes) > 0 {
			section(&b, "Not known", lines(h.Notes))
		}
	}
	return writeString(w, b.String())
}

func historyTable(h view.History) *texttab.Table {
	const widest = 60
	table := texttab.New("metric", "unit", "over the runs", "first", "last", "change")
	for _, s := range h.Series {
		table.Add(s.Metric.Label, s.Unit, texttab.Sparkline(s.Values(), widest), s.First, s.Last, s.Change)
	}
	return table
}

func marks(h view.History) string {
	var b strings.Builder
	for _, s := range h.Series {
		for _, m := range s.Marks {
			fmt.Fprintf(&b, "%s %s, %s\n  %s\n", m.Label, m.Text, m.Badge.Text, m.Where)
		}
	}
	if b.Len() == 0 {
		return "none that holds\n"
	}
	return b.String()
}
