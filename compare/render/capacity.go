package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/html"
	"github.com/eventobench/eventobench/compare/render/view"
)

// CapacityFormats are the names that Capacity knows.
var CapacityFormats = []string{"text", "md", "html", "json"}

// Capacity writes a report of capacities in one of the CapacityFormats.
func Capacity(w io.Writer, r *compare.CapacityReport, format string) error {
	switch format {
	case "text":
		return writeString(w, capacityText(view.NewCapacity(r)))
	case "md":
		return writeString(w, capacityMarkdown(view.NewCapacity(r)))
	case "html":
		return html.WriteCapacity(w, view.NewCapacity(r))
	case "json":
		return JSON(w, r)
	}
	return UnknownFormat(format, CapacityFormats)
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
