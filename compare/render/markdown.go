package render

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/render/view"
	"github.com/eventobench/eventobench/internal/texttab"
)

// writeMarkdown writes a report as somebody would paste it into a pull request:
// the first screen answers, the rest is folded up.
func writeMarkdown(w io.Writer, p *view.Page) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", p.Title)
	for _, v := range p.Verdicts {
		fmt.Fprintf(&b, "- %s\n", v.Summary)
		for _, e := range v.Explanation {
			fmt.Fprintf(&b, "  - %s\n", e)
		}
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(&b, "- ⚠️ `%s`: %s\n", warning.Code, warning.Message)
	}
	for _, c := range p.Comparisons {
		fmt.Fprintf(&b, "\n## %s\n\n%s", against(c), metricTable(c, brief).Markdown())
		if len(p.Comparisons) == 1 {
			fmt.Fprintf(&b, "\n%s", groupText(c))
		}
	}
	details(&b, p)
	return writeString(w, b.String())
}

// brief reports whether a short table shows a metric.
func brief(m view.Metric) bool {
	row, _ := compare.FindMetric(m.ID)
	return m.Gated || row.Brief
}

// details are the parts that stay folded up until they are asked for.
func details(b *strings.Builder, p *view.Page) {
	for _, c := range p.Comparisons {
		if len(p.Comparisons) > 1 {
			fold(b, "By kind of work: "+against(c), groupText(c))
		}
		fold(b, "All metrics: "+against(c), metricTable(c, everyMetric).Markdown()+"\n"+c.Note+"\n")
		if c.Requests != nil {
			title := c.Requests.Title + ": " + against(c)
			fold(b, title, c.Requests.Table(c.Base, c.Head).Markdown()+"\n"+c.Requests.Note+"\n")
		}
		if c.Looks != nil {
			fold(b, "Verdicts while it was recorded: "+against(c), tableOf(c.Looks).Markdown())
		}
		for _, t := range c.Profiles {
			fold(b, fmt.Sprintf("%s by function, %s: %s", t.Title, t.Unit, against(c)),
				changedFunctions(c, t).MarkdownCode()+"\n"+t.Note+"\n")
		}
	}
	fold(b, "Results of every variant", resultTable(p).Markdown())
	fold(b, "Charts", "```text\n"+bars(p)+"```\n")
	for _, v := range p.Variants {
		for _, t := range v.Profiles {
			fold(b, t.Heading+": "+v.Name, functions(t).MarkdownCode()+"\n"+t.Note+"\n")
		}
	}
	fold(b, "How it was measured", "- "+strings.Join(p.Environment, "\n- ")+"\n")
	fold(b, "Profiling commands", "```sh\n"+lines(p.Commands)+"```\n")
}

func fold(b *strings.Builder, title, text string) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n%s\n</details>\n", html.EscapeString(title), text)
}

func groupText(c view.Comparison) string {
	if len(c.Profiles) == 0 {
		return "There are no profiles that could tell kinds of work apart.\n"
	}
	return groupTable(c).Markdown() + "\n~ within noise. Sampled; the counters are exact.\n"
}

// groupTable shows the kinds of work in all profiles side by side, one row per
// kind of work.
func groupTable(c view.Comparison) *texttab.Table {
	header := []string{"kind of work"}
	var names []string
	for _, t := range c.Profiles {
		header = append(header, t.Unit+" "+c.Base, c.Head, "difference")
		if view.Counted(t.ChangeTable) {
			header = append(header, "in "+t.CountUnit)
		}
		for _, g := range t.Groups {
			if !slices.Contains(names, g.Name) {
				names = append(names, g.Name)
			}
		}
	}
	table := texttab.New(header...)
	for _, name := range append(names, c.Profiles[0].Total.Name) {
		cells := []string{name}
		for _, t := range c.Profiles {
			cells = append(cells, briefly(t, name)...)
		}
		table.Add(cells...)
	}
	return table
}

// briefly is both sides and the difference of a kind of work, with a mark if it
// is within noise; the cells are empty if there is nothing on either side.
func briefly(t view.Changes, name string) []string {
	rows := view.GroupRows(t.ChangeTable)
	i := slices.IndexFunc(rows, func(f profdiff.FunctionChange) bool { return f.Name == name })
	cells := []string{"", "", ""}
	if view.Counted(t.ChangeTable) {
		cells = append(cells, "")
	}
	if i < 0 || rows[i].Base == 0 && rows[i].Head == 0 {
		return cells
	}
	f := rows[i]
	diff := texttab.Signed(f.Diff)
	if f.Noise {
		diff = "~ " + diff
	}
	copy(cells, []string{texttab.Decimals(f.Base), texttab.Decimals(f.Head), diff})
	if len(cells) > 3 {
		cells[3] = texttab.Signed(f.DiffCount)
	}
	return cells
}
