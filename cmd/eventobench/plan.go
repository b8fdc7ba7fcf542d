package main

import (
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
}

func (o *planOptions) addFlags(f *pflag.FlagSet) {
	d := runfolder.DefaultPlan()
	f.IntVar(&o.Blocks, "blocks", 0,
		"fresh processes per subject, exactly; without it their number follows from the verdicts")
	f.IntVar(&o.maxBlocks, "max-blocks", d.Blocks,
		"fresh processes per subject, at most; verdicts are looked for at 60%, 80% and all of them")
	f.DurationVar(&o.maxTime, "max-time", 0, "begin no block that would end later than this; 0 for no limit")
	f.IntVar(&o.Rounds, "rounds", d.Rounds, "slices per subject and block")
	f.DurationVar(&o.Slice, "slice", d.Slice, "length of a slice")
	f.IntVar(&o.Warmup, "warmup", d.Warmup, "unmeasured requests before the first slice of a block")
	f.Uint64Var(&o.Seed, "seed", 0, "seed of all random order and data; 0 draws one, the manifest keeps it")
	f.BoolVar(&o.quick, "quick", false, "3 blocks of 10 rounds: a smoke run, too short for a verdict")
}

// plan is the plan of the flags for a number of subjects. With --quick, flags
// that were not given take the quick plan's values; one subject has nothing to
// be judged against, and gets ten blocks.
func (o *planOptions) plan(subjects int, given func(flag string) bool) runfolder.Plan {
	plan := o.Plan
	quick := runfolder.QuickPlan()
	switch {
	case given("blocks"):
	case o.quick:
		plan.Blocks = quick.Blocks
	case subjects < 2 && !given("max-blocks"):
		plan.Blocks = 10
	default:
		plan.Blocks, plan.Sequential = o.maxBlocks, subjects > 1
	}
	if o.quick && !given("rounds") {
		plan.Rounds = quick.Rounds
	}
	if o.quick && !given("warmup") {
		plan.Warmup = quick.Warmup
	}
	if plan.Seed == 0 {
		plan.Seed = rand.Uint64()
	}
	return plan
}
