package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/html"
	"github.com/eventobench/eventobench/compare/render/view"
)

// FileDiffFormats are the names that FileDiff knows.
var FileDiffFormats = []string{"text", "md", "html", "json"}

// FileDiff writes the comparison of two pprof files in one of the
// FileDiffFormats. For html it must hold its flame graphs.
func FileDiff(w io.Writer, d *compare.FileDiff, format string) error {
	switch format {
	case "text":
		return writeString(w, fileDiffText(view.NewFileDiff(d)))
	case "md":
		return writeString(w, fileDiffMarkdown(view.NewFileDiff(d)))
	case "html":
		return html.WriteFileDiff(w, view.NewFileDiff(d))
	case "json":
		return JSON(w, d)
	}
	return UnknownFormat(format, FileDiffFormats)
}

func fileDiffText(p *view.FileDiff) string {
	var b strings.Builder
	fmt.Fprintln(&b, p.Summary)
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "  %s\n", n)
	}
	t := p.Comparison.Profiles[0]
	section(&b, fmt.Sprintf("%s, %s: %s", t.Title, t.Unit, against(p.Comparison)), changes(p.Comparison, t))
	for _, v := range p.Sides {
		for _, t := range v.Profiles {
			section(&b, t.Heading+": "+v.Name, functions(t).String())
		}
	}
	section(&b, "To look deeper", lines(p.Commands))
	return b.String()
}

func fileDiffMarkdown(p *view.FileDiff) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n- %s\n", p.Title, p.Summary)
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "  - %s\n", n)
	}
	t := p.Comparison.Profiles[0]
	fmt.Fprintf(&b, "\n## %s, %s: %s\n\n%s", t.Title, t.Unit, against(p.Comparison),
		groupTable(p.Comparison).Markdown())
	fmt.Fprintf(&b, "\n%s", changedFunctions(p.Comparison, t).MarkdownCode())
	for _, v := range p.Sides {
		for _, t := range v.Profiles {
			fold(&b, t.Heading+": "+v.Name, functions(t).MarkdownCode())
		}
	}
	fold(&b, "Profiling commands", "```sh\n"+lines(p.Commands)+"```\n")
	return b.String()
}
