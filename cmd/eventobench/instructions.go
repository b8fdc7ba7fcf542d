package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/loadgen"
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
func (i instructionsFlag) counting(
	w loadgen.Workload, l loadgen.Load, c loadgen.Connect, criteria compare.Criteria,
) *profiles.Counting {
	if i == instructionsOff || i == "" {
		return nil
	}
	l.Workers, l.Rate, l.Arrivals = 1, 0, ""
	counting := &profiles.Counting{NewGenerator: drive(w, l, c)}
	if _, gated := criteria.Rules[compare.InstructionsPerOp]; i == instructionsAuto && !gated {
		counting.Unwanted = whyNotCounted
	}
	return counting
}

// whyNotCounted says so unless a time moved, by the last look at the blocks.
func whyNotCounted(runs []*runfolder.Run) string {
	for _, run := range runs {
		looks := run.Manifest.Looks
		if len(looks) > 0 && slices.ContainsFunc(looks[len(looks)-1].Decisions, timeMoved) {
			return ""
		}
	}
	return "not counted, as no gated time moved; --instructions counts them in any case"
}

func timeMoved(d runfolder.Decision) bool {
	m, known := compare.FindMetric(compare.MetricID(d.Metric))
	v := compare.Verdict(d.Verdict)
	return known && m.Timing && (v == compare.Improved || v == compare.Regressed)
}
