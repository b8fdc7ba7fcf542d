package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/html"
	"github.com/eventobench/eventobench/compare/render/view"
)

// Capacity writes a report of capacities in one of the PageFormats.
func Capacity(w io.Writer, r *compare.CapacityReport, format string) error {
	v := view.NewCapacity(r)
	return page{
		text: func() string { return capacityText(v) },
		md:   func() string { return capacityMarkdown(v) },
		html: func(w io.Writer) error { return html.WriteCapacity(w, v) },
		data: r,
	}.write(w, format)
}

func capacityText(c view.Capacity) string {
	var b strings.Builder
	b.WriteString(lines(c.Summary))
	for _, warning := range c.Warnings {
		fmt.Fprintf(&b, "warning (%s): %s\n", warning.Code, warning.Message)
	}
	section(&b, c.Title, tableOf(c.Results).String())
	for _, curve := range c.Curves {
		section(&b, "Latency against rate: "+curve.Name, tableOf(curve.Steps).String())
	}
	section(&b, "How it was measured", lines(c.How))
	return b.String()
}

func capacityMarkdown(c view.Capacity) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", c.Title)
	for _, line := range c.Summary {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(&b, "- ⚠️ `%s`: %s\n", warning.Code, warning.Message)
	}
	fmt.Fprintf(&b, "\n%s", tableOf(c.Results).Markdown())
	for _, curve := range c.Curves {
		fold(&b, "Latency against rate: "+curve.Name, tableOf(curve.Steps).Markdown())
	}
	fold(&b, "How it was measured", "- "+strings.Join(c.How, "\n- ")+"\n")
	return b.String()
}
