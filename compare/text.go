package compare

import (
	"fmt"
	"io"
	"strings"
)

// text writes the report for a terminal.
func (r *Report) text(w io.Writer) error {
	var b strings.Builder
	for i, s := range r.Summary {
		fmt.Fprintln(&b, s)
		for _, e := range r.Comparisons[i].Explanation {
			fmt.Fprintf(&b, "  %s\n", e)
		}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "warning (%s): %s\n", warning.Code, warning.Message)
	}
	section(&b, "Results", r.resultTable().String())
	for _, c := range r.Comparisons {
		section(&b, fmt.Sprintf("%s against %s", c.Head, c.Base), c.metricTable(MetricChange.any).String()+c.note()+"\n")
		if looks := c.lookTable(); looks != nil {
			section(&b, "Verdicts while it was recorded", looks.String())
		}
	}
	section(&b, "Charts", r.charts())
	for _, c := range r.Comparisons {
		for _, t := range c.profiles() {
			title := fmt.Sprintf("%s, %s: %s against %s", t.what, t.Unit, c.Head, c.Base)
			section(&b, title, fmt.Sprintf("%s%s\n\n%s", t.table("kind of work", c.Base, c.Head, t.groupRows()), t.reconciliation(), t.table("function", c.Base, c.Head, t.printed())))
		}
	}
	for _, v := range r.Variants {
		section(&b, "Largest allocators: "+v.Name, v.Allocations.table("function", v.Allocations.printed()).String()+v.Allocations.reconciliation()+"\n")
		section(&b, "Most CPU time: "+v.Name, v.CPU.table("function", v.CPU.printed()).String()+v.CPU.reconciliation()+"\n")
	}
	section(&b, "Environment", lines(r.environment()))
	section(&b, "To look deeper", lines(r.commands()))
	_, err := io.WriteString(w, b.String())
	return err
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
