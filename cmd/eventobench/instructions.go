package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// When instructions are counted by runs of their own under valgrind.
const (
	instructionsOn   = "on"
	instructionsOff  = "off"
	instructionsAuto = "auto" // if throughput, CPU or latency moved, or if they are gated
)

// instructionsFlag is --instructions. The zero value is off.
type instructionsFlag string

func (i *instructionsFlag) addFlag(f *pflag.FlagSet) {
	if *i == "" {
		*i = instructionsOff
	}
	f.Var(i, "instructions", "count instructions by function, with valgrind, after the timed blocks: on, off, "+
		"or auto, if a time moved")
	f.Lookup("instructions").NoOptDefVal = instructionsOn
}

func (i *instructionsFlag) String() string { return string(*i) }

func (i *instructionsFlag) Type() string { return "string" }

// Set takes one of the three words.
func (i *instructionsFlag) Set(text string) error {
	if !slices.Contains([]string{instructionsOn, instructionsOff, instructionsAuto}, text) {
		return fmt.Errorf("use %s, %s or %s", instructionsOn, instructionsOff, instructionsAuto)
	}
	*i = instructionsFlag(text)
	return nil
}

// counting is what the flag asks of an experiment: the same workload over one connection,
// without a rate.
func (i instructionsFlag) counting(t traffic, criteria compare.Criteria) *profiles.Counting {
	if i == instructionsOff || i == "" {
		return nil
	}
	t.load.Workers, t.load.Rate, t.load.Arrivals = 1, 0, ""
	counting := &profiles.Counting{NewGenerator: drive(t), Blocks: profiles.CountBlocks}
	if _, gated := criteria.Rules[compare.InstructionsPerOp]; i == instructionsAuto && !gated {
		counting.Unwanted = whyNotCounted
	}
	return counting
}

// whyNotCounted says so unless a time moved, by the last look at the blocks, and only a
// count tells whether that is the code: no blocks of other layouts have told it, and the
// programs differ, without which there is but one layout.
func whyNotCounted(runs []*runfolder.Run) string {
	const anyway = "; --instructions counts them in any case"
	m := runs[0].Manifest
	switch {
	case len(m.LayoutBlocks) > 0:
		return "not counted, as blocks of other layouts tell code from layout" + anyway
	case oneProgram(runs):
		return "not counted, as all subjects are one program, with one layout" + anyway
	case len(m.Looks) == 0 || !compare.TimingMoved(m.Looks[len(m.Looks)-1]):
		return "not counted, as no gated time moved" + anyway
	}
	return ""
}

func oneProgram(runs []*runfolder.Run) bool {
	hash := runs[0].Manifest.Subject.Binary.SHA256
	return hash != "" && !slices.ContainsFunc(runs, func(r *runfolder.Run) bool {
		return r.Manifest.Subject.Binary.SHA256 != hash
	})
}
