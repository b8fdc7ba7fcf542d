package main

import (
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestWhyNotCounted: instructions are counted by themselves where a time moved and
// nothing else tells whether that is the code.
func TestWhyNotCounted(t *testing.T) {
	moved := []runfolder.Look{{Decisions: []runfolder.Decision{
		{Metric: string(compare.CPUPerOp), Verdict: string(compare.Regressed)},
	}}}
	tests := []struct {
		name       string
		looks      []runfolder.Look
		layouts    int
		base, head string // sums of the programs
		want       string // within the reason; none if they are counted
	}{
		{"a time moved", moved, 0, "aa", "bb", ""},
		{"programs that could not be read", moved, 0, "", "", ""},
		{"no time moved", nil, 0, "aa", "bb", "no gated time moved"},
		{"other layouts tell", moved, 12, "aa", "bb", "other layouts"},
		{"one program", moved, 0, "aa", "aa", "one program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			runs := make([]*runfolder.Run, 2)
			for i, sum := range []string{tt.base, tt.head} {
				runs[i] = &runfolder.Run{}
				m := &runs[i].Manifest
				m.Looks, m.LayoutBlocks = tt.looks, make([]runfolder.Block, tt.layouts)
				m.Subject.Binary.SHA256 = sum
			}
			got := whyNotCounted(runs)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
