package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare/render/view"
	"github.com/eventobench/eventobench/internal/texttab"
)

// writeText writes a report for a terminal.
func writeText(w io.Writer, p *view.Page) error {
	var b strings.Builder
	for _, v := range p.Verdicts {
		fmt.Fprintln(&b, v.Summary)
		for _, e := range v.Explanation {
			fmt.Fprintf(&b, "  %s\n", e)
		}
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(&b, "warning (%s): %s\n", warning.Code, warning.Message)
	}
	section(&b, "Results", resultTable(p).String())
	for _, c := range p.Comparisons {
		section(&b, against(c), metricTable(c, everyMetric).String()+c.Note+"\n")
		if c.Requests != nil {
			title := c.Requests.Title + ": " + against(c)
			section(&b, title, c.Requests.Table(c.Base, c.Head).String()+c.Requests.Note+"\n")
		}
		if c.Looks != nil {
			section(&b, "Verdicts while it was recorded", tableOf(c.Looks).String())
		}
	}
	section(&b, "Charts", bars(p))
	for _, c := range p.Comparisons {
		for _, t := range c.Profiles {
			section(&b, fmt.Sprintf("%s, %s: %s", t.Title, t.Unit, against(c)), changes(c, t))
		}
	}
	for _, v := range p.Variants {
		for _, t := range v.Profiles {
			section(&b, t.Heading+": "+v.Name, functions(t).String()+t.Note+"\n")
		}
	}
	section(&b, "Environment", lines(p.Environment))
	section(&b, "To look deeper", lines(p.Commands))
	return writeString(w, b.String())
}

func against(c view.Comparison) string { return fmt.Sprintf("%s against %s", c.Head, c.Base) }

// changes are the tables of kinds of work and of functions.
func changes(c view.Comparison, t view.Changes) string {
	groups := view.ChangeTable(t.ChangeTable, "kind of work", c.Base, c.Head, view.GroupRows(t.ChangeTable))
	return fmt.Sprintf("%s%s\n\n%s", groups, t.Note, changedFunctions(c, t))
}

func changedFunctions(c view.Comparison, t view.Changes) *texttab.Table {
	return view.ChangeTable(t.ChangeTable, "function", c.Base, c.Head, t.Printed())
}

func functions(t view.Functions) *texttab.Table {
	return view.FunctionTable(t.FunctionTable, "function", t.Printed())
}

func resultTable(p *view.Page) *texttab.Table {
	t := texttab.New(append([]string{"", "unit"}, p.Names...)...)
	for _, row := range p.Results {
		cells := []string{row.Label, row.Unit}
		for _, c := range row.Cells {
			cells = append(cells, c.Value)
		}
		t.Add(cells...)
	}
	return t
}

// metricTable is the table of the metrics that are wanted.
func metricTable(c view.Comparison, wanted func(view.Metric) bool) *texttab.Table {
	t := texttab.New("metric", "unit", c.Base, c.Head, "change [interval]", "verdict")
	for _, m := range c.Metrics {
		if wanted(m) {
			t.Add(m.Label, m.Unit, m.BaseText, m.HeadText, m.ChangeText, m.Badge.Text)
		}
	}
	return t
}

func everyMetric(view.Metric) bool { return true }

// tableOf prints rows, the first of which is the header.
func tableOf(rows [][]string) *texttab.Table {
	t := texttab.New(rows[0]...)
	for _, row := range rows[1:] {
		t.Add(row...)
	}
	return t
}

// bars draws the bar charts in text.
func bars(p *view.Page) string {
	const width = 40
	longest := 0
	for _, name := range p.Names {
		longest = max(longest, len(name))
	}
	var drawn []string
	for _, chart := range p.Bars {
		var b strings.Builder
		fmt.Fprintf(&b, "%s, %s (%s)\n", chart.Label, chart.Unit, chart.Better)
		for _, bar := range chart.Bars {
			blocks := strings.Repeat("█", int(bar.Share*width+0.5))
			fmt.Fprintf(&b, "  %-*s  %-*s %s\n", longest, bar.Name, width, blocks, bar.Value)
		}
		drawn = append(drawn, b.String())
	}
	return strings.Join(drawn, "\n")
}

func section(b *strings.Builder, title, text string) {
	fmt.Fprintf(b, "\n%s\n\n%s", title, indent(text))
}

func lines(all []string) string { return strings.Join(all, "\n") + "\n" }

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString("  ")
		}
		b.WriteString(line)
	}
	return b.String()
}
