package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// planOptions are the flags that divide an experiment.
type planOptions struct {
	runfolder.Plan
	maxBlocks int
	maxTime   time.Duration
	quick     bool
	exactly   bool // Blocks are meant, given or not
}

func (o *planOptions) addFlags(f *pflag.FlagSet) {
	d := runfolder.DefaultPlan()
	f.IntVar(&o.Blocks, "blocks", 0,
		"fresh processes per subject, exactly; without it their number follows from the verdicts")
	f.IntVar(&o.maxBlocks, "max-blocks", d.Blocks,
		"fresh processes per subject, at most; verdicts are looked for after each from the third on")
	f.DurationVar(&o.maxTime, "max-time", 0, "begin no block that would end later than this; 0 for no limit")
	f.IntVar(&o.Rounds, "rounds", 0, "slices per subject and block; without it as many as make 0.8s")
	f.DurationVar(&o.Slice, "slice", 0, fmt.Sprintf(
		"length of a slice; without it %v, up to %v for slow requests, and %[2]v with --rounds, --rate or agents",
		runfolder.FineSlice, runfolder.CoarseSlice))
	f.IntVar(&o.Warmup, "warmup", d.Warmup, "unmeasured requests before the first slice of a block")
	f.Uint64Var(&o.Seed, "seed", 0, "seed of all random order and data; 0 draws one, the manifest keeps it")
	f.BoolVar(&o.quick, "quick", false, "3 blocks of 10 rounds: a smoke run, too short for a verdict")
}

// plan is the plan of the flags for a number of subjects, of which only counts may be
// judged. Flags that were not given take the values of the plan for that, or with
// --quick of the quick one; one subject has nothing to be judged against, and gets ten
// blocks. Fine slices are lengthened by the recorder if they are too short for requests;
// coarse tells that they are too short for what else is asked for.
func (o *planOptions) plan(subjects int, counts, coarse bool, given func(flag string) bool) runfolder.Plan {
	plan := o.usual(counts)
	switch fine := plan.Slice == runfolder.FineSlice; {
	case given("slice") && fine:
		plan = plan.WithSlices(o.Slice)
	case given("slice"):
		plan.Slice = o.Slice
	case fine && (coarse || given("rounds")):
		plan = plan.WithSlices(runfolder.CoarseSlice)
	}
	if given("rounds") {
		plan.Rounds = o.Rounds
	}
	if given("warmup") {
		plan.Warmup = o.Warmup
	}
	plan.Seed = o.Seed
	switch {
	case given("blocks") || o.exactly:
		plan.Blocks, plan.Sequential = o.Blocks, false
	case o.quick:
	case given("max-blocks"):
		plan.Blocks, plan.Sequential = o.maxBlocks, subjects > 1
	case subjects < 2:
		plan.Blocks, plan.Sequential = 10, false
	}
	if !plan.Sequential {
		plan.FirstLook = 0
	}
	if plan.Seed == 0 {
		plan.Seed = rand.Uint64()
	}
	return plan
}

// usual is the plan of which flags change what they say.
func (o *planOptions) usual(counts bool) runfolder.Plan {
	switch {
	case o.quick:
		return runfolder.QuickPlan()
	case counts:
		return runfolder.CountsPlan()
	}
	return runfolder.DefaultPlan()
}
