package compare

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// GateFormats are the names that Gate.Render knows.
var GateFormats = []string{"text", "md", "json", "junit", "github"}

// Gate is what a gate decides on one comparison, and why.
type Gate struct {
	Base    string       `json:"base"`
	Head    string       `json:"head"`
	Verdict Verdict      `json:"verdict"`
	Blocks  int          `json:"blocks"`
	Paired  bool         `json:"paired"`
	Metrics []GateMetric `json:"metrics"` // the gated ones

	Explanation []string `json:"explanation"` // what kinds of work account for the change

	Waivers  []WaiverUse `json:"waivers"`
	Warnings []Warning   `json:"warnings"`
}

// GateMetric is one gated metric. Functions are those that grew most, per
// operation, if it regressed.
type GateMetric struct {
	MetricChange
	Functions []FunctionChange `json:"functions,omitempty"`
	Per       string           `json:"functions_unit,omitempty"`
}

// NewGate takes from a report of two runs what a gate needs.
func NewGate(r *Report) Gate {
	c := r.Comparisons[0]
	g := Gate{Base: c.Base, Head: c.Head, Verdict: c.Verdict, Blocks: c.Blocks, Paired: c.Paired, Metrics: []GateMetric{}, Explanation: c.Explanation, Waivers: c.Waivers, Warnings: r.Warnings}
	for _, m := range c.Metrics {
		if m.Gated {
			g.Metrics = append(g.Metrics, c.gateMetric(m))
		}
	}
	return g
}

func (c Comparison) gateMetric(m MetricChange) GateMetric {
	g := GateMetric{MetricChange: m}
	if m.Verdict != Regressed {
		return g
	}
	switch m.Name {
	case "alloc_bytes_per_op":
		g.Functions, g.Per = grown(c.Allocations, func(f FunctionChange) float64 { return f.Diff }), c.Allocations.Unit
	case "allocs_per_op":
		g.Functions, g.Per = grown(c.Allocations, func(f FunctionChange) float64 { return f.HeadAllocs - f.BaseAllocs }), m.Unit
	default:
		g.Functions, g.Per = grown(c.CPU, func(f FunctionChange) float64 { return f.Diff }), c.CPU.Unit
	}
	return g
}

// grown are the functions that cost more in the head, most first; changes
// within the noise are left out.
func grown(t ChangeTable, diff func(FunctionChange) float64) []FunctionChange {
	const most = 5
	all := slices.DeleteFunc(slices.Clone(t.Functions), func(f FunctionChange) bool { return f.Noise || diff(f) <= 0 })
	slices.SortFunc(all, func(f, g FunctionChange) int { return cmp.Compare(diff(g), diff(f)) })
	return all[:min(most, len(all))]
}

// grew is by how much a function of the metric's explanation grew.
func (m GateMetric) grew(f FunctionChange) float64 {
	if m.Name == "allocs_per_op" {
		return f.HeadAllocs - f.BaseAllocs
	}
	return f.Diff
}

// Render writes the gate's decision in one of the GateFormats.
func (g Gate) Render(w io.Writer, format string) error {
	switch format {
	case "text":
		return g.text(w)
	case "md":
		_, err := io.WriteString(w, g.markdown())
		return err
	case "json":
		return encodeJSON(w, g)
	case "junit":
		return g.junit(w)
	case "github":
		return g.annotations(w)
	}
	return fmt.Errorf("unknown format %q; use %s", format, strings.Join(GateFormats, ", "))
}

// headline is the decision in a line.
func (g Gate) headline() string {
	how := "recorded together"
	if !g.Paired {
		how = "not recorded together"
	}
	return fmt.Sprintf("%s: %s against %s, %d blocks %s", g.Verdict, g.Head, g.Base, g.Blocks, how)
}

// verdictText is the metric's verdict, and whether it is waived.
func (m GateMetric) verdictText() string {
	switch {
	case m.Waived:
		return string(m.Verdict) + ", waived"
	case m.Verdict == NotJudged:
		return "not judged"
	}
	return string(m.Verdict)
}

func (g Gate) table() *Table {
	t := NewTable("metric", "unit", g.Base, g.Head, "change [interval]", "tolerance", "verdict")
	for _, m := range g.Metrics {
		change := m.Unavailable
		if m.Change != nil {
			change = m.Change.String()
		}
		t.Add(m.Label, m.Unit, Optional(m.Base, m.Decimals), Optional(m.Head, m.Decimals), change, fmt.Sprintf("%g%%", m.Rule.Tolerance), m.verdictText())
	}
	return t
}

// functions is the explanation of a regressed metric; it is empty if the
// profiles show none.
func (m GateMetric) functions(g Gate) *Table {
	t := NewTable("function", g.Base, g.Head, "more, "+m.Per, "")
	for _, f := range m.Functions {
		base, head := f.Base, f.Head
		if m.Name == "allocs_per_op" {
			base, head = f.BaseAllocs, f.HeadAllocs
		}
		t.Add(f.Name, decimals(base), decimals(head), signed(m.grew(f)), f.Mark)
	}
	return t
}

// explanation is a table of functions that grew, and the regressions that it
// explains.
type explanation struct {
	title string
	table *Table
}

// explanations has one table for neighbouring metrics that share it, as
// throughput and CPU do.
func (g Gate) explanations() []explanation {
	var all []explanation
	for _, m := range g.Metrics {
		if len(m.Functions) == 0 {
			continue
		}
		change, table := fmt.Sprintf("%s %s", m.Label, m.Change), m.functions(g)
		if last := len(all) - 1; last >= 0 && all[last].table.String() == table.String() {
			all[last].title = strings.Replace(all[last].title, "; what grew", ", "+change+"; what grew", 1)
			continue
		}
		all = append(all, explanation{title: fmt.Sprintf("%s; what grew, in %s", change, m.Per), table: table})
	}
	return all
}

func (g Gate) text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s", g.headline(), indent(g.table().String()))
	if len(g.Explanation) > 0 {
		fmt.Fprintf(&b, "\n%s", indent(lines(g.Explanation)))
	}
	for _, e := range g.explanations() {
		section(&b, e.title, e.table.String())
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
	_, err := io.WriteString(w, b.String())
	return err
}

func (g Gate) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Performance gate: %s\n\n%s\n\n%s", g.Verdict, g.headline(), g.table().Markdown())
	if len(g.Explanation) > 0 {
		fmt.Fprintf(&b, "\n- %s\n", strings.Join(g.Explanation, "\n- "))
	}
	for _, m := range g.Metrics {
		if len(m.Functions) > 0 {
			fmt.Fprintf(&b, "\n%s %s; what grew, in %s:\n\n%s", m.Label, m.Change, m.Unit, codeNames(m.functions(g)))
		}
	}
	if len(g.Waivers)+len(g.Warnings) > 0 {
		b.WriteString("\n")
	}
	for _, use := range g.Waivers {
		fmt.Fprintf(&b, "- waiver: %s\n", use)
	}
	for _, warning := range g.Warnings {
		fmt.Fprintf(&b, "- ⚠️ `%s`: %s\n", warning.Code, warning.Message)
	}
	return b.String()
}

// sentence says what was found of one metric, and which functions explain it.
func (m GateMetric) sentence() string {
	text := fmt.Sprintf("%s %s", m.Label, m.verdictText())
	if m.Change == nil {
		return text + ": " + m.Unavailable
	}
	text += fmt.Sprintf(": %s, tolerance %g%%", m.Change, m.Rule.Tolerance)
	for i, f := range m.Functions {
		text += map[bool]string{true: "; ", false: ", "}[i == 0] + fmt.Sprintf("%s %s %s", f.Name, signed(m.grew(f)), m.Per)
	}
	return text
}

// annotations writes GitHub Actions workflow commands: an error for each
// regression, a warning for each doubt, waiver and warning.
func (g Gate) annotations(w io.Writer) error {
	var b strings.Builder
	annotate := func(level, title, message string) {
		fmt.Fprintf(&b, "::%s title=%s::%s\n", level, githubProperty.Replace(title), githubData.Replace(message))
	}
	annotate("notice", "eventobench gate", g.headline())
	for _, m := range g.Metrics {
		switch {
		case m.Verdict == Regressed && !m.Waived:
			annotate("error", m.Label+" regressed", m.sentence())
		case m.Verdict == Inconclusive || m.Waived:
			annotate("warning", m.Label+" "+m.verdictText(), m.sentence())
		}
	}
	for _, use := range g.Waivers {
		annotate("warning", "waiver "+string(use.State), use.String())
	}
	for _, warning := range g.Warnings {
		annotate("warning", warning.Code, warning.Message)
	}
	_, err := io.WriteString(w, b.String())
	return err
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

// junit writes a test suite with a case for each gated metric: a regression is
// a failure; doubt, a waiver or a metric that is not judged is a skipped test.
func (g Gate) junit(w io.Writer) error {
	s := junitSuite{Name: "eventobench gate", Tests: len(g.Metrics)}
	for _, m := range g.Metrics {
		c := junitCase{Class: fmt.Sprintf("%s against %s", g.Head, g.Base), Name: m.Name}
		switch {
		case m.Verdict == Regressed && !m.Waived:
			c.Failure = &junitMessage{m.sentence()}
			s.Failures++
		case m.Waived || m.Verdict == Inconclusive || m.Verdict == NotJudged:
			c.Skipped = &junitMessage{m.sentence()}
			s.Skipped++
		}
		s.Cases = append(s.Cases, c)
	}
	var out strings.Builder
	if err := g.text(&out); err != nil {
		return err
	}
	s.Out = out.String()
	text, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
