package compare

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
)

// markdown writes the report as somebody would paste it into a pull request:
// the first screen answers, the rest is folded up.
func (r *Report) markdown(w io.Writer) error {
	var b strings.Builder
	names := make([]string, len(r.Variants))
	for i, v := range r.Variants {
		names[i] = v.Name
	}
	fmt.Fprintf(&b, "# %s\n\n", strings.Join(names, " → "))
	for i, s := range r.Summary {
		fmt.Fprintf(&b, "- %s\n", s)
		for _, e := range r.Comparisons[i].Explanation {
			fmt.Fprintf(&b, "  - %s\n", e)
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "- ⚠️ `%s`: %s\n", warning.Code, warning.Message)
	}
	for _, c := range r.Comparisons {
		fmt.Fprintf(&b, "\n## %s against %s\n\n%s", c.Head, c.Base, c.metricTable(MetricChange.leads).Markdown())
		if len(r.Comparisons) == 1 {
			fmt.Fprintf(&b, "\n%s", c.groupText())
		}
	}
	r.details(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// details are the parts that stay folded up until they are asked for.
func (r *Report) details(b *strings.Builder) {
	for _, c := range r.Comparisons {
		if len(r.Comparisons) > 1 {
			fold(b, fmt.Sprintf("By kind of work: %s against %s", c.Head, c.Base), c.groupText())
		}
		fold(b, fmt.Sprintf("All metrics: %s against %s", c.Head, c.Base), c.metricTable(MetricChange.any).Markdown()+"\n"+c.note()+"\n")
		if looks := c.lookTable(); looks != nil {
			fold(b, fmt.Sprintf("Verdicts while it was recorded: %s against %s", c.Head, c.Base), looks.Markdown())
		}
		for _, t := range c.profiles() {
			fold(b, fmt.Sprintf("%s by function, %s: %s against %s", t.what, t.Unit, c.Head, c.Base),
				codeNames(t.table("function", c.Base, c.Head, t.printed()))+"\n"+t.reconciliation()+"\n")
		}
	}
	fold(b, "Results per variant", r.resultTable().Markdown())
	fold(b, "Charts", "```text\n"+r.charts()+"```\n")
	for _, v := range r.Variants {
		fold(b, "Largest allocators of "+v.Name, codeNames(v.Allocations.table("function", v.Allocations.printed()))+"\n"+v.Allocations.reconciliation()+"\n")
		fold(b, "Most CPU time of "+v.Name, codeNames(v.CPU.table("function", v.CPU.printed()))+"\n"+v.CPU.reconciliation()+"\n")
	}
	fold(b, "How it was measured", "- "+strings.Join(r.environment(), "\n- ")+"\n")
	fold(b, "Profiling commands", "```sh\n"+lines(r.commands())+"```\n")
}

func fold(b *strings.Builder, title, text string) {
	fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n%s\n</details>\n", html.EscapeString(title), text)
}

func (c Comparison) groupText() string {
	return c.groupTable().Markdown() + "\n~ within noise. Sampled; the counters are exact.\n"
}

// groupTable holds both profiles side by side, a row a group.
func (c Comparison) groupTable() *Table {
	t := NewTable("kind of work", "B/op "+c.Base, c.Head, "difference", "in allocs/op", "us/op "+c.Base, c.Head, "difference")
	cpu := map[string]FunctionChange{}
	for _, g := range c.CPU.groupRows() {
		cpu[g.Name] = g
	}
	rows := slices.Clone(c.Allocations.Groups)
	for _, g := range c.CPU.Groups {
		if !slices.ContainsFunc(rows, func(f FunctionChange) bool { return f.Name == g.Name }) {
			rows = append(rows, FunctionChange{Name: g.Name})
		}
	}
	for _, f := range append(rows, c.Allocations.Total) {
		cells := append(append([]string{f.Name}, f.briefly()...), signed(f.DiffAllocs))
		if f.Base == 0 && f.Head == 0 {
			cells[4] = ""
		}
		t.Add(append(cells, cpu[f.Name].briefly()...)...)
	}
	return t
}

// briefly is both sides and the difference, with a mark if it is within noise;
// the cells are empty if there is nothing on either side.
func (f FunctionChange) briefly() []string {
	if f.Base == 0 && f.Head == 0 {
		return []string{"", "", ""}
	}
	diff := signed(f.Diff)
	if f.Noise {
		diff = "~ " + diff
	}
	return []string{decimals(f.Base), decimals(f.Head), diff}
}

// codeNames is a table in Markdown whose first column is code, so that the
// asterisks of Go's names stand as they are.
func codeNames(t *Table) string {
	code := &Table{rows: [][]string{t.rows[0]}}
	for _, row := range t.rows[1:] {
		code.Add(append([]string{"`" + row[0] + "`"}, row[1:]...)...)
	}
	return code.Markdown()
}
