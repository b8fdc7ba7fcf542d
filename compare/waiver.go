package compare

import (
	"fmt"
	"strings"
	"time"
)

// Waiver lets one metric regress until a date, for a reason.
type Waiver struct {
	Metric MetricID  `json:"metric"`
	Head   string    `json:"head,omitempty"` // the subject it is for; empty for any
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"` // the last day it holds
}

// WaiverState says what became of a waiver in one comparison.
type WaiverState string

// The states of a waiver.
const (
	WaiverApplied WaiverState = "applied" // the metric regressed, and that is let pass
	WaiverUnused  WaiverState = "unused"  // there was nothing to waive
	WaiverExpired WaiverState = "expired" // its last day has passed: it does nothing
)

// WaiverUse is a waiver and what became of it.
type WaiverUse struct {
	Waiver
	State WaiverState `json:"state"`
}

// String is the waiver in a line.
func (w WaiverUse) String() string {
	head := ""
	if w.Head != "" {
		head = " of " + w.Head
	}
	reason := strings.Join(strings.Fields(w.Reason), " ")
	return fmt.Sprintf("%s%s until %s, %s: %s", w.Metric, head, w.Until.Format(time.DateOnly), w.State, reason)
}

// waive applies the waivers to the metrics of a comparison and reports what
// became of each.
func waive(metrics []MetricChange, head string, waivers []Waiver, now time.Time) []WaiverUse {
	var uses []WaiverUse
	for _, w := range waivers {
		use := WaiverUse{Waiver: w, State: WaiverUnused}
		if now.After(w.Until.AddDate(0, 0, 1)) {
			use.State = WaiverExpired
		} else if w.Head == "" || w.Head == head {
			for i := range metrics {
				if m := &metrics[i]; m.ID == w.Metric && m.Gated && m.Verdict == Regressed {
					m.Waived, use.State = true, WaiverApplied
				}
			}
		}
		uses = append(uses, use)
	}
	return uses
}
