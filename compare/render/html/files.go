package html

import (
	"errors"
	"html/template"
	"io"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/render/view"
)

// fileScripts are those of the page of two files, which has no line charts.
var fileScripts = []template.JS{template.JS(asset("page.js")), template.JS(asset("flame.js"))}

// filePage is what the template of two files shows.
type filePage struct {
	*view.FileDiff
	Policy  string
	Style   template.CSS
	Scripts []template.JS
	Changes changes
	Values  string // what the flame graph's values are, in a few words
	Data    fileData
}

// fileData is what the page's scripts draw.
type fileData struct {
	Variants []string         `json:"variants"`
	Flames   *profdiff.Flames `json:"flames"`
}

// WriteFileDiff writes the comparison of two pprof files, which must hold its
// flame graphs, as one page that needs nothing else.
func WriteFileDiff(w io.Writer, p *view.FileDiff) error {
	if p.Flames == nil {
		return errors.New("the comparison was made without the flame graphs that the page shows")
	}
	shown := filePage{
		FileDiff: p, Policy: policy(pageStyle, fileScripts), Style: pageStyle, Scripts: fileScripts,
		Changes: newChanges(p.Comparison, p.Comparison.Profiles[0]),
		Values:  "total", Data: fileData{p.Names, p.Flames},
	}
	if shown.Changes.Per = p.Per; p.Per != "" {
		shown.Values = p.Per
	}
	return execute(w, "page", "files.html", shown)
}
