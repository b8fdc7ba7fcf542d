package render

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/eventobench/eventobench/compare/render/view"
)

func gateText(g *view.Gate) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s", g.Headline, indent(g.Table().String()))
	if len(g.Explanation) > 0 {
		fmt.Fprintf(&b, "\n%s", indent(lines(g.Explanation)))
	}
	for _, r := range g.Reasons {
		text := ""
		for i, t := range r.Tables {
			if i > 0 {
				text += "\n"
			}
			text += t.String()
		}
		if r.Note != "" {
			text += r.Note + "\n"
		}
		section(&b, r.Title, text)
	}
	for _, use := range g.Waivers {
		fmt.Fprintf(&b, "\nwaiver: %s", use)
	}
	for _, warning := range g.Warnings {
		fmt.Fprintf(&b, "\nwarning (%s): %s", warning.Code, warning.Message)
	}
	if len(g.Waivers)+len(g.Warnings) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

func gateMarkdown(g *view.Gate) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Performance gate: %s\n\n%s\n\n%s", g.Verdict, g.Headline, g.Table().Markdown())
	if len(g.Explanation) > 0 {
		fmt.Fprintf(&b, "\n- %s\n", strings.Join(g.Explanation, "\n- "))
	}
	for _, r := range g.Reasons {
		writeReason(&b, r)
	}
	writeRemarks(&b, g)
	return b.String()
}

func writeReason(b *strings.Builder, r view.Reason) {
	fmt.Fprintf(b, "\n%s:\n", r.Title)
	for _, t := range r.Tables {
		fmt.Fprintf(b, "\n%s", t.MarkdownCode())
	}
	if r.Note != "" {
		fmt.Fprintf(b, "\n%s\n", r.Note)
	}
}

// writeRemarks lists waivers and warnings.
func writeRemarks(b *strings.Builder, g *view.Gate) {
	if len(g.Waivers)+len(g.Warnings) > 0 {
		b.WriteString("\n")
	}
	for _, use := range g.Waivers {
		fmt.Fprintf(b, "- waiver: %s\n", use)
	}
	for _, warning := range g.Warnings {
		fmt.Fprintf(b, "- ⚠️ `%s`: %s\n", warning.Code, warning.Message)
	}
}

// writeAnnotations writes GitHub Actions workflow commands: an error for each
// regression, a warning for each doubt, waiver and warning, and one at each
// function of the head that grew; a notice for which part of a change is the code.
func writeAnnotations(w io.Writer, g *view.Gate) error {
	var b strings.Builder
	annotateAt := func(level, place, title, message string) {
		fmt.Fprintf(&b, "::%s %stitle=%s::%s\n", level, place, githubProperty.Replace(title), githubData.Replace(message))
	}
	annotate := func(level, title, message string) { annotateAt(level, "", title, message) }
	annotate("notice", "eventobench gate", g.Headline)
	for _, m := range g.Metrics {
		switch {
		case m.Regressed():
			annotate("error", m.Label+" regressed", m.Sentence)
		case m.Doubtful() && m.Badge.Class != "":
			annotate("warning", m.Label+" "+m.Badge.Text, m.Sentence)
		}
	}
	for _, p := range g.Places {
		if p.File != "" {
			at := fmt.Sprintf("file=%s,line=%d,", githubProperty.Replace(p.File), p.Line)
			annotateAt("warning", at, p.Function+" grew", p.More)
		}
	}
	for _, text := range g.NullControl.Lines() {
		annotate("notice", "null control", text)
	}
	for _, text := range g.Layout {
		annotate("notice", "code and layout", text)
	}
	for _, use := range g.Waivers {
		annotate("warning", "waiver "+string(use.State), use.String())
	}
	for _, warning := range g.Warnings {
		annotate("warning", string(warning.Code), warning.Message)
	}
	return writeString(w, b.String())
}

// What workflow commands want escaped in a message and in a property.
var (
	githubData     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
	Out      string      `xml:"system-out,omitempty"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
}

// writeJUnit writes a test suite with a case for each gated metric: a regression
// is a failure; doubt, a waiver or a metric that is not judged is a skipped test.
func writeJUnit(w io.Writer, g *view.Gate) error {
	s := junitSuite{Name: "eventobench gate", Tests: len(g.Metrics), Out: gateText(g)}
	for _, m := range g.Metrics {
		c := junitCase{Class: fmt.Sprintf("%s against %s", g.Head, g.Base), Name: string(m.ID)}
		switch {
		case m.Regressed():
			c.Failure = &junitMessage{m.Sentence}
			s.Failures++
		case m.Doubtful():
			c.Skipped = &junitMessage{m.Sentence}
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	text, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeString(w, fmt.Sprintf("%s%s\n", xml.Header, text))
}
