// Package render writes reports and gates in all formats. Formats are functions
// over a view of the report and read nothing else.
package render

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/html"
	"github.com/eventobench/eventobench/compare/render/view"
)

// Formats are the names that Report knows.
var Formats = []string{"text", "md", "html", "json", "csv", "benchfmt"}

// NeedsCharts reports whether a format shows, or keeps, the charts of a report.
func NeedsCharts(format string) bool { return format == "html" || format == "json" }

// Report writes a report in one of the Formats.
func Report(w io.Writer, r *compare.Report, format string) error {
	switch format {
	case "text":
		return writeText(w, view.New(r))
	case "md":
		return writeMarkdown(w, view.New(r))
	case "html":
		return html.Write(w, view.New(r))
	case "json":
		return JSON(w, r)
	case "csv":
		return writeCSV(w, r)
	case "benchfmt":
		return writeBenchfmt(w, r)
	}
	return UnknownFormat(format, Formats)
}

// GateFormats are the names that Gate knows.
var GateFormats = []string{"text", "md", "json", "junit", "github", "comment"}

// Gate writes a gate's decision in one of the GateFormats.
func Gate(w io.Writer, g compare.Gate, format string) error {
	switch format {
	case "text":
		return writeString(w, gateText(view.NewGate(g)))
	case "md":
		return writeString(w, gateMarkdown(view.NewGate(g)))
	case "json":
		return JSON(w, g)
	case "junit":
		return writeJUnit(w, view.NewGate(g))
	case "github":
		return writeAnnotations(w, view.NewGate(g))
	case "comment":
		return writeString(w, gateComment(view.NewComment(g)))
	}
	return UnknownFormat(format, GateFormats)
}

// PageFormats are those of what is shown apart from run folders: of two files, and of a
// search for the capacity.
var PageFormats = []string{"text", "md", "html", "json"}

// page is something in all PageFormats.
type page struct {
	text, md func() string
	html     func(w io.Writer) error
	data     any // as JSON has it
}

func (p page) write(w io.Writer, format string) error {
	switch format {
	case "text":
		return writeString(w, p.text())
	case "md":
		return writeString(w, p.md())
	case "html":
		return p.html(w)
	case "json":
		return JSON(w, p.data)
	}
	return UnknownFormat(format, PageFormats)
}

// UnknownFormat is the error of a format that is none of those there are.
func UnknownFormat(format string, known []string) error {
	return fmt.Errorf("unknown format %q; use %s", format, strings.Join(known, ", "))
}

// JSON writes a value as JSON for programs and people.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func writeString(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}
