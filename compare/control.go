package compare

import (
	"fmt"
	"strings"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// NullControl is what the base showed against itself: a subject of the same program, in
// processes of its own, that took part in the experiment. Whatever moved there was no
// change of the code, so that nothing that the experiment says of time can be believed.
//
// It is judged as a head is, so of experiments in which nothing is wrong at most
// FalseAlarms are given up for it.
type NullControl struct {
	Name    string   `json:"name"`
	Moved   []string `json:"moved"`   // gated metrics that did, with their changes
	Summary string   `json:"summary"` // all gated metrics, in a sentence
}

// controlDoubt is why nothing is said of a head then.
const controlDoubt = "the null control moved"

// newNullControl judges the null control of an experiment among its variants, nil if it
// has none. The first variant is the base.
func newNullControl(variants []Variant, o Options) *NullControl {
	base := variants[0]
	for _, v := range variants[1:] {
		if isNullControl(base.Manifest, v.Manifest) {
			return judgeControl(base, v, o)
		}
	}
	return nil
}

// isNullControl reports whether a run is the null control of the base.
func isNullControl(base, m runfolder.Manifest) bool {
	return m.Subject.NullControl && m.Experiment == base.Experiment
}

func judgeControl(base, control Variant, o Options) *NullControl {
	control.side.countRedirects(base.side)
	metrics := o.Criteria.metrics(metricsOfPair(base.side, control.side, o.Criteria))
	found := judgeAll(base.side, control.side, o.Criteria, metrics, "")
	c := &NullControl{Name: control.Name, Moved: []string{}}
	var all []string
	for _, m := range metrics {
		change := describe(m, base.side, control.side, found[m.ID], o.Criteria)
		text := change.Label + " " + change.Found()
		if change.Verdict.moved() {
			c.Moved = append(c.Moved, text)
		}
		all = append(all, strings.TrimSpace(text+" "+string(change.Verdict)))
	}
	verdict := "nothing was seen to move"
	if c.Failed() {
		verdict = "it moved in " + strings.Join(c.Moved, " and ")
	}
	c.Summary = fmt.Sprintf("Null control, %s against %s, the same program: %s (%s).",
		control.Name, base.Name, verdict, strings.Join(all, "; "))
	return c
}

// Failed reports whether there is a control, and it moved.
func (c *NullControl) Failed() bool { return c != nil && len(c.Moved) > 0 }

// doubt takes all verdicts back that count, if the control moved.
func (c *NullControl) doubt(metrics []MetricChange) {
	if !c.Failed() {
		return
	}
	for i := range metrics {
		if m := &metrics[i]; m.Gated && m.Verdict != NotJudged {
			m.Verdict, m.Doubt = Inconclusive, controlDoubt
		}
	}
}

// Headline is what a line about the experiment says of it; empty without one.
func (c *NullControl) Headline() string {
	switch {
	case c == nil:
		return ""
	case c.Failed():
		return ", but the base moved against itself"
	}
	return ", and the base was not seen to move against itself"
}

// Lines are the summary, if there is a control.
func (c *NullControl) Lines() []string {
	if c == nil {
		return nil
	}
	return []string{c.Summary}
}

// control is about an experiment whose base moved against itself.
func (w *warner) control(c Comparison) {
	if !c.NullControl.Failed() {
		return
	}
	w.add(WarnNullControl, "the base moved against itself, so nothing is said about the head",
		fmt.Sprintf("%s against %s in %s", c.NullControl.Name, c.Base, strings.Join(c.NullControl.Moved, " and ")),
		"Find out what disturbs the machine (eventobench doctor), or what the server does differently from start to start")
}
