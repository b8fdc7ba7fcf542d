package view

import (
	"fmt"
	"slices"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
)

// Requests are the kinds of request of a comparison.
type Requests struct {
	Title string
	Kinds []Kind
	Note  string // what the verdicts mean
}

// Kind is one kind of request. Its figures are like those of the comparison.
type Kind struct {
	Name               string
	Badge              Badge
	BaseText, HeadText string // numbers of requests
	Metrics            []Metric
}

// newRequests is nil if the load has one kind of request.
func newRequests(c compare.Comparison) *Requests {
	if c.Requests == nil {
		return nil
	}
	r := &Requests{
		Title: "By kind of request",
		Note: fmt.Sprintf("All kinds are judged together and apart from the metrics above: "+
			"a false improved or regressed among them comes up in at most %.0f%% of comparisons. "+
			"They do not count for the overall verdict.", compare.FalseAlarms*100),
	}
	for _, k := range c.Requests.Kinds {
		shown := Kind{
			Name: k.Kind, Badge: Badge{string(k.Verdict), string(k.Verdict)},
			BaseText: texttab.Number(float64(k.BaseRequests), 0), HeadText: texttab.Number(float64(k.HeadRequests), 0),
		}
		for _, m := range k.Metrics {
			shown.Metrics = append(shown.Metrics, newMetric(m))
		}
		r.Kinds = append(r.Kinds, shown)
	}
	return r
}

// Metrics are those of all kinds.
func (r *Requests) Metrics() []Metric {
	var all []Metric
	for _, k := range r.Kinds {
		all = append(all, k.Metrics...)
	}
	return all
}

// Table has a row per kind with the numbers of requests and the verdict, and
// below it a row per metric.
func (r *Requests) Table(base, head string) *texttab.Table {
	t := texttab.New("kind of request", "unit", base, head, "change [interval]", "verdict")
	for _, k := range r.Kinds {
		t.Add(k.Name, "requests", k.BaseText, k.HeadText, "", k.Badge.Text)
		for _, m := range k.Metrics {
			t.Add("· "+m.Label, m.Unit, m.BaseText, m.HeadText, m.ChangeText, m.Badge.Text)
		}
	}
	return t
}

// explained puts a null control, which part of a change is the code, and what moved in which kinds
// of request, before what kinds of work account for it.
func explained(control *compare.NullControl, layout []string, requests string, explanation []string) []string {
	if len(layout) > 0 {
		layout = append(slices.Clone(layout), "What follows is of the programs as built.")
	}
	if requests != "" {
		layout = append(slices.Clone(layout), "By kind of request: "+requests+".")
	}
	return slices.Concat(control.Lines(), layout, explanation)
}
