package compare

import (
	"slices"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestNullControl holds that a base which moves against itself takes every verdict back,
// and one that does not, none.
func TestNullControl(t *testing.T) {
	moved := slow
	moved.cpu *= 1.1
	for _, tt := range []struct {
		name          string
		control, head truth
		want          Verdict
		moved         string
	}{
		{"nothing moves", slow, slow, Equivalent, ""},
		{"the head moves", slow, moved, Regressed, ""},
		{"the control moves", moved, slow, Inconclusive, "CPU"},
		{"both move", moved, moved, Inconclusive, "CPU"},
		{"the head is better", moved, fast, Inconclusive, "CPU"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := defaults()
			for id := range o.Criteria.Rules { // so that the equal are equivalent in these few blocks
				if err := o.Criteria.Gate(id, 5); err != nil {
					t.Fatal(err)
				}
			}
			r := mustReport(t, controlled(t, tt.control, tt.head, slow), o)
			c := r.Comparisons[0]
			if c.Verdict != tt.want || strings.Join(c.NullControl.Moved, "") == "" != (tt.moved == "") {
				t.Errorf("%s, moved %q: %s", c.Verdict, c.NullControl.Moved, c.NullControl.Summary)
			}
			for _, m := range c.NullControl.Moved {
				if !strings.HasPrefix(m, tt.moved+" ") {
					t.Errorf("moved: %s", m)
				}
			}
			warned := slices.ContainsFunc(r.Warnings, func(w Warning) bool { return w.Code == WarnNullControl })
			if warned != (tt.moved != "") {
				t.Errorf("warnings %v", r.Warnings)
			}
			if own := r.Comparisons[1]; own.NullControl != nil {
				t.Error("the control has itself for a control")
			}
		})
	}
}

// TestControlDecidesNothing holds that looks are at the head alone: a control that moves
// neither ends an experiment nor asks for other layouts.
func TestControlDecidesNothing(t *testing.T) {
	var runs []*runfolder.Run
	for _, v := range controlled(t, fast, slow, slow) {
		runs = append(runs, v.side.Run)
	}
	look := Decide(runs, DefaultCriteria())
	if len(look.Decisions) == 0 || TimingMoved(look) {
		t.Errorf("%+v", look)
	}
	for _, d := range look.Decisions {
		if d.Head != "head" {
			t.Errorf("a decision on %s", d.Head)
		}
	}
}
