package compare

import (
	"fmt"
	"io"
	"strings"
)

// markdown writes the report as somebody would paste it into a pull request.
func (r *Report) markdown(w io.Writer) error {
	var b strings.Builder
	names := make([]string, len(r.Variants))
	for i, v := range r.Variants {
		names[i] = v.Name
	}
	fmt.Fprintf(&b, "# %s\n\n## Summary\n\n", strings.Join(names, " → "))
	for _, s := range r.Summary {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "- ⚠️ `%s`: %s\n", warning.Code, warning.Message)
	}
	fmt.Fprintf(&b, "\n## Results per variant\n\n%s", r.resultTable().Markdown())
	for _, c := range r.Comparisons {
		fmt.Fprintf(&b, "\n### %s against %s\n\n%s\n%s\n", c.Head, c.Base, c.metricTable().Markdown(), c.note())
		if looks := c.lookTable(); looks != nil {
			fmt.Fprintf(&b, "\nVerdicts while it was recorded:\n\n%s", looks.Markdown())
		}
	}
	fmt.Fprintf(&b, "\n```text\n%s```\n", r.charts())
	b.WriteString("\n## Allocation breakdown\n")
	for _, c := range r.Comparisons {
		fmt.Fprintf(&b, "\nLargest differences, B/op, %s against %s:\n\n%s", c.Head, c.Base, codeNames(c.Allocations.table("function", c.Base, c.Head)))
	}
	for _, v := range r.Variants {
		fmt.Fprintf(&b, "\nLargest allocators of %s:\n\n%s\n%s\n", v.Name, codeNames(v.Allocations.table("function")), v.Allocations.reconciliation())
	}
	b.WriteString("\n## CPU breakdown\n")
	for _, c := range r.Comparisons {
		fmt.Fprintf(&b, "\nLargest differences, us/op, %s against %s:\n\n%s", c.Head, c.Base, codeNames(c.CPU.table("function", c.Base, c.Head)))
	}
	fmt.Fprintf(&b, "\n## How it was measured\n\n- %s\n", strings.Join(r.environment(), "\n- "))
	fmt.Fprintf(&b, "\n## Profiling commands\n\n```sh\n%s```\n", lines(r.commands()))
	_, err := io.WriteString(w, b.String())
	return err
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
