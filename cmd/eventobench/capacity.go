package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render"
)

type capacityOptions struct {
	subjects runOptions // as far as they say what is measured
	search   searchOptions
	limits   limitOptions

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

--agents makes the load with processes of their own, here or elsewhere; --subject-agent
has one of another machine start and measure the servers (docs/agents.md).
"gate --metric=capacity@p99=5ms" makes a gate of a search.

The result is a file beside the run folders, which --from shows again (docs/capacity.md).

Exit codes: 0 found, whatever it is; 2 bad input, or a subject that died or answers
nothing (the file is kept, marked failed); 130 interrupted.`,
		Example: `  eventobench capacity --p99=5ms --transport=fasthttp
  eventobench capacity --p99=5ms --transport=nethttp,fasthttp
  eventobench capacity --p99=5ms --agents=2 --spawn --transport=nethttp,fasthttp
  eventobench capacity --p99=5ms --subject-agent=box --nats-listen=10.0.0.1:4222 --allow-remote --transport=nethttp,fasthttp
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
	theme(f, themeJudge, o.limits.addFlags)
	o.search.addFlags(f)
	theme(f, themeOutput, o.addOutputFlags)
	f.StringVar(&o.subjects.config, "config", "", configUsage)
	f.BoolVarP(&o.subjects.quiet, "quiet", "q", false, "tell nothing on stderr")
}

func (o *capacityOptions) addOutputFlags(f *pflag.FlagSet) {
	f.StringVar(&o.from, "from", "", "file of an earlier search to show, instead of searching")
	f.StringVar(&o.format, "format", "text", "text, md, html, json")
	f.StringVar(&o.file, "write", "", "file to write to, instead of stdout; compressed if it ends in .gz")
}

func (o *capacityOptions) run(cmd *cobra.Command) error {
	if !slices.Contains(render.PageFormats, o.format) {
		return render.UnknownFormat(o.format, render.PageFormats)
	}
	path, err := o.from, error(nil)
	if path == "" {
		path, err = o.record(cmd)
	} else {
		err = checkUseless(givenFlags(cmd.Flags()), "with --from, which searches nothing", func(name string) bool {
			return slices.Contains([]string{"from", "format", "write", "quiet"}, name)
		})
	}
	if err != nil {
		return err
	}
	report, err := capacityReport(path, compare.DefaultCriteria())
	if err != nil {
		return err
	}
	err = writeOutput(cmd, o.file, func(w io.Writer) error { return render.Capacity(w, report, o.format) })
	if err == nil && o.from == "" && !o.subjects.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), "kept: %s\n", path)
	}
	return err
}

// record searches for what the flags and the configuration say.
func (o *capacityOptions) record(cmd *cobra.Command) (path string, err error) {
	if err := o.applyConfig(cmd.Flags()); err != nil {
		return "", err
	}
	limits, err := o.limits.limits()
	if err != nil {
		return "", err
	}
	subjects, err := o.subjects.targets(cmd)
	if err != nil {
		return "", err
	}
	return o.search.record(cmd, subjects, limits, o.subjects.quiet)
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
	return project.forSearch(f).setFlags(f)
}

// forSearch is the configuration as far as it suits a search: a project's plan is one of
// slices under one load, and so are some of its flags.
func (c projectConfig) forSearch(f *pflag.FlagSet) projectConfig {
	c.Plan = nil
	isOfRuns := flagsOfRuns()
	c.Workload = slices.DeleteFunc(c.Workload, func(v flagValue) bool {
		noHistory := v.name == "record" && f.Lookup(v.name) == nil
		return isOfRuns(v.name) || noHistory || v.name == "workers" // which are those of a closed loop
	})
	return c
}

// flagsOfRuns tells which flags are about recording runs and mean nothing to a search.
func flagsOfRuns() (isOne func(flag string) bool) {
	searches, runs := new(searchOptions).flags(), pflag.NewFlagSet("run", pflag.ContinueOnError)
	new(recordOptions).addFlags(runs)
	return func(flag string) bool {
		ofRuns := runs.Lookup(flag) != nil || slices.Contains(gateRunFlags, flag)
		return ofRuns && searches.Lookup(flag) == nil
	}
}
