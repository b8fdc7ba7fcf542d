package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/html"
	"github.com/eventobench/eventobench/compare/render/view"
)

// FileDiff writes the comparison of two pprof files in one of the PageFormats. For html
// it must hold its flame graphs.
func FileDiff(w io.Writer, d *compare.FileDiff, format string) error {
	v := view.NewFileDiff(d)
	return page{
		text: func() string { return fileDiffText(v) },
		md:   func() string { return fileDiffMarkdown(v) },
		html: func(w io.Writer) error { return html.WriteFileDiff(w, v) },
		data: d,
	}.write(w, format)
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
