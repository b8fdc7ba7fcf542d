// Package html writes a report as one HTML page with charts and flame graphs.
package html

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/view"
)

// The page's template, style and scripts, and the charting library that
// "make vendor-web" fetches.
//
//go:embed web/*.html web/*.svg web/*.css web/*.js web/vendor/uPlot.*
var web embed.FS

var (
	pageStyle   = template.CSS(asset("vendor/uPlot.min.css") + asset("page.css"))
	pageScripts = []template.JS{
		template.JS("/*\n" + asset("vendor/uPlot.LICENSE") + "*/\n" + asset("vendor/uPlot.iife.min.js")), // every copy must have it
		template.JS(asset("page.js")), template.JS(asset("charts.js")), template.JS(asset("flame.js")),
	}

	pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
		"forest":    newForest,
		"history":   newHistoryPlot,
		"commit":    view.Commit,
		"kinds":     newKinds,
		"cells":     func(c view.Comparison, row forestRow) cells { return cells{c.Base, c.Head, row} },
		"changes":   newChanges,
		"functions": functionGrid,
		"length":    length,
		"parts":     parts,
	}).ParseFS(web, "web/*.html", "web/*.svg"))
)

func asset(name string) string {
	text, err := fs.ReadFile(web, "web/"+name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// page is what the template shows.
type page struct {
	*view.Page
	Policy  string // for the browser: it loads nothing and runs these scripts only
	Style   template.CSS
	Scripts []template.JS
	Data    data // for the scripts
}

// data is what the page's scripts draw.
type data struct {
	Variants []string `json:"variants"`
	*compare.Charts
}

// Write writes a report as one page that needs nothing else. The report must
// hold its charts.
func Write(w io.Writer, p *view.Page) error {
	if p.Charts == nil {
		return errors.New("the report was written without its charts, which the page shows: compare the run folders again")
	}
	return execute(w, "page", "page.html", page{
		Page: p, Policy: policy(pageStyle, pageScripts), Style: pageStyle, Scripts: pageScripts,
		Data: data{p.Names, p.Charts},
	})
}

// execute writes what a template makes of what is shown, if it makes all of it.
func execute(w io.Writer, what, name string, shown any) error {
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, name, shown); err != nil {
		return fmt.Errorf("making the %s: %w", what, err)
	}
	_, err := b.WriteTo(w)
	return err
}

// policy is the content security policy of a page.
func policy(style template.CSS, scripts []template.JS) string {
	text := "default-src 'none'; base-uri 'none'; form-action 'none'; " +
		"style-src " + digest(string(style)) + "; script-src"
	for _, s := range scripts {
		text += " " + digest(string(s))
	}
	return text
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
