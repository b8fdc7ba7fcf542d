package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// searchOptions are the flags of a search for the highest rate within limits.
type searchOptions struct {
	workload workloadOptions
	connect  connectOptions
	agents   agentsOptions
	maxRate  string
	workers  int
	arrivals string
	timeout  time.Duration
	plan     runfolder.Plan
	maxTime  time.Duration
	out      string
	label    string
}

func (o *searchOptions) addFlags(f *pflag.FlagSet) {
	theme(f, themeMeasure, o.workload.addFlags)
	theme(f, themeLoad, o.addLoadFlags)
	theme(f, themeAgents, o.agents.addFlags)
	theme(f, themeLength, o.addPlanFlags)
	theme(f, themeOutput, o.addOutputFlags)
	_ = f.MarkHidden("replay") // whose rate is its own
	_ = f.MarkHidden("replay-speed")
}

// flags are all of them, apart from a command.
func (o *searchOptions) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("search", pflag.ContinueOnError)
	o.addFlags(f)
	return f
}

func (o *searchOptions) addLoadFlags(f *pflag.FlagSet) {
	f.StringVar(&o.maxRate, maxRateFlag, "200000/s", "highest rate to try")
	f.IntVar(&o.workers, "workers", 50, "requests in flight at most, one connection each")
	f.StringVar(&o.arrivals, "arrivals", string(loadgen.Poisson), "poisson, as of many independent users, or constant")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "time after which a request counts as failed, at most 1h")
	o.connect.addConnectionFlags(f)
}

const maxRateFlag = "max-rate"

func (o *searchOptions) addPlanFlags(f *pflag.FlagSet) {
	f.IntVar(&o.plan.Blocks, "blocks", 10, "fresh processes per subject; below 8 there is no verdict")
	f.IntVar(&o.plan.Rounds, "rounds", 20, "slices per subject and block")
	f.DurationVar(&o.plan.Slice, "slice", 500*time.Millisecond, "length of a slice")
	f.IntVar(&o.plan.Warmup, "warmup", 2000, "unmeasured requests before the first slice of a block")
	f.Uint64Var(&o.plan.Seed, "seed", 0, "seed of all random order and data; 0 draws one, the file keeps it")
	f.DurationVar(&o.maxTime, "max-time", 10*time.Minute, "begin no block that would end later than this; 0 for no limit")
}

func (o *searchOptions) addOutputFlags(f *pflag.FlagSet) {
	f.StringVar(&o.out, "out", "profiles", "folder that receives the file")
	f.StringVar(&o.label, "label", "", "a few words to find the file by")
}

// record searches, telling on stderr how far it is unless it is to be quiet, and returns
// the file. Of a search that failed it tells where the file is.
func (o *searchOptions) record(
	cmd *cobra.Command, subjects []subject.Target, limits runfolder.Limits, quiet bool,
) (path string, err error) {
	e, err := o.experiment(subjects, limits)
	if err != nil {
		return "", err
	}
	log := cmd.ErrOrStderr()
	if quiet {
		log = io.Discard
	}
	release, err := o.agents.gather(cmd.Context(), log)
	if err != nil {
		return "", err
	}
	defer release()
	if err := o.agents.searchElsewhere(&e); err != nil {
		return "", err
	}
	p := newProgress(cmd.ErrOrStderr())
	if !quiet {
		e.Progress = p.showCapacity
	}
	fmt.Fprintf(log, "searching for the highest rate within %s: %s of %d rounds of %v slices, %d workers, seed %d\n",
		limits, texttab.Count(e.Plan.Blocks, "block"), e.Plan.Rounds, e.Plan.Slice, e.Load.Workers, e.Plan.Seed)
	path, err = e.Record(cmd.Context())
	p.clear()
	if err != nil && path != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "kept:", path)
	}
	return path, err
}

func (o *searchOptions) experiment(
	subjects []subject.Target, limits runfolder.Limits,
) (e profiles.CapacityExperiment, err error) {
	if o.workload.replay {
		return e, errors.New("a recording has a rate of its own; leave out --replay")
	}
	sent, err := o.workload.workload(subjects)
	if err != nil {
		return e, err
	}
	maxRate, err := loadgen.ParseRate(o.maxRate)
	if err != nil {
		return e, fmt.Errorf("--%s: %w", maxRateFlag, err)
	}
	o.connect.allowErrors = "0%"
	load := loadgen.Load{
		Workload: sent.Name(), Kinds: sent.Kinds(), Workers: o.workers, Timeout: o.timeout,
		Arrivals: loadgen.Arrivals(o.arrivals),
	}
	if err := o.connect.apply(&load); err != nil {
		return e, err
	}
	driven := traffic{workload: sent, load: load}
	driven.load.Rate, driven.load.AllowErrors = maxRate, 0.999 // which the limits judge
	if err := driven.reach(subjects, &o.connect, &o.agents); err != nil {
		return e, err
	}
	plan := o.plan
	if plan.Seed == 0 {
		plan.Seed = rand.Uint64()
	}
	return profiles.CapacityExperiment{
		Subjects: subjects, Load: load, Limits: limits, Plan: plan, MaxRate: maxRate, Out: o.out, Label: o.label,
		Tool: version(), MaxTime: o.maxTime, NewGenerator: o.agents.drive(driven),
	}, nil
}

// capacityReport reads and fits what a search recorded.
func capacityReport(path string, c compare.Criteria) (*compare.CapacityReport, error) {
	recorded, err := runfolder.ReadCapacity(path)
	if err != nil {
		return nil, err
	}
	report, err := compare.NewCapacityReport(recorded, c)
	if err != nil {
		return nil, fmt.Errorf("capacity file %s: %w", path, err)
	}
	return report, nil
}

// limitOptions are the flags of the limits of a search.
type limitOptions struct {
	p99, p999 time.Duration
	errors    string
}

func (o *limitOptions) addFlags(f *pflag.FlagSet) {
	f.DurationVar(&o.p99, "p99", 0, "time within which 99% of requests must be answered, such as 5ms")
	f.DurationVar(&o.p999, "p999", 0, "time within which 99.9% of requests must be answered")
	f.StringVar(&o.errors, "errors", "0%", "share of requests that may fail or be left unsent")
}

func (o *limitOptions) limits() (l runfolder.Limits, err error) {
	for _, limit := range []runfolder.LatencyLimit{{Quantile: 99, Limit: o.p99}, {Quantile: 99.9, Limit: o.p999}} {
		if limit.Limit < 0 {
			return l, fmt.Errorf("a limit of %v: give a time above 0, such as 5ms", limit.Limit)
		}
		if limit.Limit > 0 {
			l.Latencies = append(l.Latencies, limit)
		}
	}
	if len(l.Latencies) == 0 {
		return l, errors.New("there is no limit to stay within; give --p99, such as --p99=5ms, or --p999")
	}
	if l.Errors, err = parseShare(o.errors); err != nil {
		err = fmt.Errorf("--errors: %w", err)
	}
	return l, err
}
