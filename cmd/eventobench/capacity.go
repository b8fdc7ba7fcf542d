package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

type capacityOptions struct {
	subjects  runOptions // as far as they say what is measured
	workload  workloadOptions
	connect   connectOptions
	p99, p999 time.Duration
	errors    string
	maxRate   string
	workers   int
	arrivals  string
	timeout   time.Duration
	plan      runfolder.Plan
	timeLimit time.Duration

	out, label   string
	from         string
	format, file string
}

func newCapacityCmd() *cobra.Command {
	var o capacityOptions
	cmd := &cobra.Command{
		Use:   "capacity",
		Short: "Find the highest rate at which servers stay within a limit of latency",
		Long: `Capacity looks for the highest rate of requests at which p99 stays within --p99 (and
p99.9 within --p999) and no request fails or is left unsent, with an interval. With two
subjects or more, their trials alternate, and each is judged against the first by the
ratio of their capacities.

Requests are due at times of their own (an open loop), and latency counts from then. A
block is a fresh process of every subject: after the warm-up it is tried for --rounds
slices, each at the rate that the ones before say is the highest. The first block looks
for the region before that. Subjects and requests are those of "eventobench run".

A slice begins with nothing waiting. Near its limit a queue takes a while to build up;
if a longer --slice gives a lower capacity, believe that one.

If requests are late because the load generator sent them late, the capacity is "at
least" what was found, and what held it is said: the generator, or too few --workers.

The result is a file beside the run folders, which --from shows again (docs/capacity.md).

Exit codes: 0 found, whatever it is; 2 bad input, or a subject that died or answers
nothing (the file is kept, marked failed); 130 interrupted.`,
		Example: `  eventobench capacity --p99=5ms --transport=fasthttp
  eventobench capacity --p99=5ms --transport=nethttp,fasthttp
  eventobench capacity --p99=20ms --errors=0.1% --subject='before=exec:./old -listen {addr}' \
    --subject='after=exec:./new -listen {addr}' --get=/search?q=go
  eventobench capacity --from=profiles/20261124_120000-capacity.json --format=html --write=capacity.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *capacityOptions) addFlags(f *pflag.FlagSet) {
	theme(f, themeMeasure, o.subjects.addSubjectFlags)
	theme(f, themeMeasure, o.workload.addFlags)
	theme(f, themeJudge, o.addLimits)
	theme(f, themeLoad, o.addLoadFlags)
	theme(f, themeLength, o.addPlanFlags)
	theme(f, themeOutput, o.addOutputFlags)
	f.StringVar(&o.subjects.config, "config", "", configUsage)
	f.BoolVarP(&o.subjects.quiet, "quiet", "q", false, "tell nothing on stderr")
	_ = f.MarkHidden("replay") // whose rate is its own
	_ = f.MarkHidden("replay-speed")
}

func (o *capacityOptions) addLimits(f *pflag.FlagSet) {
	f.DurationVar(&o.p99, "p99", 0, "time within which 99% of requests must be answered, such as 5ms")
	f.DurationVar(&o.p999, "p999", 0, "time within which 99.9% of requests must be answered")
	f.StringVar(&o.errors, "errors", "0%", "share of requests that may fail or be left unsent")
}

func (o *capacityOptions) addLoadFlags(f *pflag.FlagSet) {
	f.StringVar(&o.maxRate, "max-rate", "200000/s", "highest rate to try")
	f.IntVar(&o.workers, "workers", 50, "requests in flight at most, one connection each")
	f.StringVar(&o.arrivals, "arrivals", string(loadgen.Poisson), "poisson, as of many independent users, or constant")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "time after which a request counts as failed, at most 1h")
	o.connect.addConnectionFlags(f)
}

func (o *capacityOptions) addPlanFlags(f *pflag.FlagSet) {
	f.IntVar(&o.plan.Blocks, "blocks", 10, "fresh processes per subject; below 8 there is no verdict")
	f.IntVar(&o.plan.Rounds, "rounds", 20, "slices per subject and block")
	f.DurationVar(&o.plan.Slice, "slice", 500*time.Millisecond, "length of a slice")
	f.IntVar(&o.plan.Warmup, "warmup", 2000, "unmeasured requests before the first slice of a block")
	f.Uint64Var(&o.plan.Seed, "seed", 0, "seed of all random order and data; 0 draws one, the file keeps it")
	f.DurationVar(&o.timeLimit, "time-limit", 10*time.Minute, "begin no block that would end later than this; 0 for no limit")
}

func (o *capacityOptions) addOutputFlags(f *pflag.FlagSet) {
	f.StringVar(&o.out, "out", "profiles", "folder that receives the file")
	f.StringVar(&o.label, "label", "", "a few words to find the file by")
	f.StringVar(&o.from, "from", "", "file of an earlier search to show, instead of searching")
	f.StringVar(&o.format, "format", "text", "text, md, html, json")
	f.StringVar(&o.file, "write", "", "file to write to, instead of stdout; compressed if it ends in .gz")
}

func (o *capacityOptions) run(cmd *cobra.Command) error {
	if !slices.Contains(render.PageFormats, o.format) {
		return render.UnknownFormat(o.format, render.PageFormats)
	}
	path := o.from
	if path == "" {
		var err error
		if path, err = o.record(cmd); err != nil {
			return err
		}
	}
	recorded, err := runfolder.ReadCapacity(path)
	if err != nil {
		return err
	}
	report, err := compare.NewCapacityReport(recorded)
	if err != nil {
		return fmt.Errorf("capacity file %s: %w", path, err)
	}
	err = writeOutput(cmd, o.file, func(w io.Writer) error { return render.Capacity(w, report, o.format) })
	if err == nil && o.from == "" && !o.subjects.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "kept: %s\n", path)
	}
	return err
}

// record searches, telling on stderr how far it is.
func (o *capacityOptions) record(cmd *cobra.Command) (path string, err error) {
	if err := o.applyConfig(cmd.Flags()); err != nil {
		return "", err
	}
	limits, err := o.limits()
	if err != nil {
		return "", err
	}
	subjects, err := o.subjects.targets(cmd)
	if err != nil {
		return "", err
	}
	e, err := o.experiment(subjects, limits)
	if err != nil {
		return "", err
	}
	p := newProgress(cmd.ErrOrStderr())
	if !o.subjects.quiet {
		e.Progress = p.showCapacity
		fmt.Fprintf(cmd.ErrOrStderr(), "searching for the highest rate within %s: %s of %d rounds of %v slices, %d workers, seed %d\n",
			compare.LimitText(limits), texttab.Count(e.Plan.Blocks, "block"), e.Plan.Rounds, e.Plan.Slice, e.Load.Workers, e.Plan.Seed)
	}
	path, err = e.Record(cmd.Context())
	p.clear()
	if err != nil && path != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "kept:", path)
	}
	return path, err
}

// applyConfig takes what suits from the project's configuration: its plan is one of
// slices under one load, and so are some of its flags.
func (o *capacityOptions) applyConfig(f *pflag.FlagSet) error {
	project, err := readProject(o.subjects.config)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(factorFlags, f.Changed) {
		project.Workload = nil // it is that of the project's subjects
	} else if len(o.subjects.specs) == 0 {
		o.subjects.specs = project.Subjects
	}
	project.Plan = nil
	project.Workload = slices.DeleteFunc(project.Workload, func(v flagValue) bool { return f.Lookup(v.name) == nil })
	return project.setFlags(f)
}

func (o *capacityOptions) limits() (l runfolder.Limits, err error) {
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

func (o *capacityOptions) experiment(subjects []subject.Target, limits runfolder.Limits) (e profiles.CapacityExperiment, err error) {
	if o.workload.replay {
		return e, errors.New("a recording has a rate of its own; leave out --replay")
	}
	sent, err := o.workload.workload(subjects)
	if err == nil {
		err = checkWorkload(sent, subjects)
	}
	if err != nil {
		return e, err
	}
	maxRate, err := loadgen.ParseRate(o.maxRate)
	if err != nil {
		return e, fmt.Errorf("--max-rate: %w", err)
	}
	o.connect.allowErrors = "0%"
	load := loadgen.Load{
		Workload: sent.Name(), Kinds: sent.Kinds(), Workers: o.workers, Timeout: o.timeout, Arrivals: loadgen.Arrivals(o.arrivals),
	}
	err = o.connect.apply(&load)
	if err != nil {
		return e, err
	}
	connect, err := o.connect.connect()
	if err != nil {
		return e, err
	}
	driven := load
	driven.Rate, driven.AllowErrors = maxRate, 0.999 // which the limits judge
	plan := o.plan
	if plan.Seed == 0 {
		plan.Seed = rand.Uint64()
	}
	return profiles.CapacityExperiment{
		Subjects: subjects, Load: load, Limits: limits, Plan: plan, MaxRate: maxRate, Out: o.out, Label: o.label,
		Tool: version(), MaxTime: o.timeLimit, NewGenerator: drive(sent, driven, connect),
	}, nil
}
