package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles"
)

// recordOptions are the flags of every command that records experiments.
type recordOptions struct {
	workers int
	timeout time.Duration
	plan    planOptions
	out     string
	label   string
}

func (o *recordOptions) addFlags(f *pflag.FlagSet) {
	f.IntVar(&o.workers, "workers", 10, "requests in flight, one connection each")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "time after which a request counts as failed")
	o.plan.addFlags(f)
	f.StringVar(&o.out, "out", "profiles", "folder that receives the run folders")
	f.StringVar(&o.label, "label", "", "a few words to find the run by")
}

// run records an experiment of the subjects, telling on stderr how far it is
// unless it is to be quiet, and returns its folders. Of an experiment that
// failed it tells where the folders are.
func (o *recordOptions) run(cmd *cobra.Command, subjects []profiles.Subject, c compare.Criteria, quiet bool) ([]string, error) {
	e := o.experiment(subjects, c, cmd.Flags().Changed)
	p := newProgress(cmd.ErrOrStderr())
	if !quiet {
		e.Progress = p.show
		fmt.Fprintln(cmd.ErrOrStderr(), describe(e))
	}
	dirs, err := e.Record(cmd.Context())
	p.clear()
	if err != nil {
		for _, dir := range dirs {
			fmt.Fprintln(cmd.ErrOrStderr(), "kept:", dir)
		}
	}
	return dirs, err
}

func (o *recordOptions) experiment(subjects []profiles.Subject, c compare.Criteria, given func(flag string) bool) profiles.Experiment {
	return profiles.Experiment{
		Subjects: subjects,
		Workload: loadgen.EventMix{Token: benchToken, Streams: loadgen.DefaultStreams},
		Workers:  o.workers,
		Timeout:  o.timeout,
		Plan:     o.plan.plan(len(subjects), given),
		Out:      o.out,
		Label:    o.label,
		Tool:     version(),
		MaxTime:  o.plan.maxTime,
		Decide:   decider(c, len(subjects)),
	}
}

// decider judges the experiment at its looks, if there is anything to compare.
func decider(c compare.Criteria, subjects int) func([]*profiles.Run) profiles.Look {
	if subjects < 2 {
		return nil
	}
	return func(runs []*profiles.Run) profiles.Look { return compare.Decide(runs, c) }
}

func describe(e profiles.Experiment) string {
	var names []string
	for _, s := range e.Subjects {
		names = append(names, s.Name)
	}
	return fmt.Sprintf("measuring %s: %s of %d rounds of %v slices, %d workers, seed %d",
		strings.Join(names, ", "), blocks(e.Plan), e.Plan.Rounds, e.Plan.Slice, e.Workers, e.Plan.Seed)
}

// blocks says how many blocks a plan has.
func blocks(p profiles.Plan) string {
	if looks := p.Looks(); len(looks) > 1 {
		return fmt.Sprintf("%d to %d blocks", looks[0], p.Blocks)
	}
	if p.Blocks == 1 {
		return "1 block"
	}
	return fmt.Sprintf("%d blocks", p.Blocks)
}
