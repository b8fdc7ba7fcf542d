package compare

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"strings"
)

// The page's template, style and scripts, and the charting library that
// "make vendor-web" fetches.
//
//go:embed web/*.html web/*.css web/*.js web/vendor/uPlot.*
var web embed.FS

var (
	pageStyle   = template.CSS(asset("vendor/uPlot.min.css") + asset("page.css"))
	pageScripts = []template.JS{
		template.JS("/*\n" + asset("vendor/uPlot.LICENSE") + "*/\n" + asset("vendor/uPlot.iife.min.js")), // every copy must have it
		template.JS(asset("page.js")), template.JS(asset("charts.js")), template.JS(asset("flame.js")),
	}

	pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{
		"bars":           (*Report).bars,
		"changes":        Comparison.changeSection,
		"commands":       (*Report).commands,
		"environment":    (*Report).environment,
		"forest":         Comparison.forest,
		"grid":           FunctionTable.grid,
		"headline":       (*Report).headline,
		"looks":          Comparison.lookRows,
		"note":           Comparison.note,
		"parts":          parts,
		"reconciliation": FunctionTable.reconciliation,
		"badge":          Comparison.badge,
	}).ParseFS(web, "web/*.html"))
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
	*Report
	Title   string
	Policy  string // for the browser: it loads nothing and runs these scripts only
	Style   template.CSS
	Scripts []template.JS
	Data    pageData // for the scripts
}

// html writes the report as one page that needs nothing else.
func (r *Report) html(w io.Writer) error {
	data, err := r.pageData()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, page{Report: r, Title: r.title(), Policy: policy(), Style: pageStyle, Scripts: pageScripts, Data: data}); err != nil {
		return fmt.Errorf("making the page: %w", err)
	}
	_, err = b.WriteTo(w)
	return err
}

// title names the base and the runs compared with it.
func (r *Report) title() string {
	var heads []string
	for _, v := range r.Variants[1:] {
		heads = append(heads, v.Name)
	}
	return r.Variants[0].Name + " → " + strings.Join(heads, ", ")
}

// policy is the content security policy of the page.
func policy() string {
	text := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + digest(string(pageStyle)) + "; script-src"
	for _, s := range pageScripts {
		text += " " + digest(string(s))
	}
	return text
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
