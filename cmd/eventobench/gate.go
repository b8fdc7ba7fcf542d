package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/render"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

type gateOptions struct {
	base, head   string // subjects to record
	baseline     string
	update       bool
	metricSet    string
	metrics      []string
	tolerances   []string
	config       string
	inconclusive string
	result       gateResult
	maxRate      string // of a search
	layouts      string
	nullControl  bool
	subjects     subjectOptions
	record       recordOptions
}

func newGateCmd() *cobra.Command {
	o := gateOptions{record: recordOptions{instructions: instructionsAuto}}
	cmd := &cobra.Command{
		Use:   "gate [BASE_DIR HEAD_DIR | HEAD_DIR | FILE]",
		Short: "Fail if a change made the server slower or hungrier",
		Long: `Gate judges a head against a base and says so with its exit code. The two are
 - run folders: BASE_DIR HEAD_DIR;
 - one run folder, against the baseline, a run folder that is kept with the code;
 - subjects, recorded now in one interleaved experiment: --base and --head;
 - a subject, recorded now, against the baseline: --head.
A subject is one of
   git:REF or git:REF:PACKAGE    a commit, built for the occasion
   go:PACKAGE                    the working tree
   exec:COMMAND                  any server; {addr} is where it shall listen
   url:http://127.0.0.1:8080     a server that is running
   builtin:fasthttp,codec=std    the built-in store
and is explained in docs/subjects.md.

Throughput, CPU, allocated bytes and allocations are gated (--metric-set=all), or
allocations alone (--metric-set=allocs), which takes seconds; --metric adds others. A
metric regressed if the whole interval of its change is worse than what fresh processes
of one binary can differ by, and not all of it within the tolerance. The experiment
ends after the block that decides them all, or after one after which more would hardly
do so.

If a time of two builds (git:, go:) moved, both are linked again in other orders; where
that tells nothing and valgrind is installed, instructions are counted. Both tell a
change of the code from one of its place in memory (docs/layout.md, docs/instructions.md).

docs/gate.md explains all that, and the configuration (eventobench.yaml); docs/ci.md has
the lines for GitHub, GitLab and any shell.

Exit codes: 0 nothing regressed; 1 regressed; 2 bad input, or the recording failed;
3 inconclusive (0 with --inconclusive=pass); 130 interrupted.`,
		Example: `  # the working tree against the main branch: built, recorded and judged
  eventobench gate --base=git:origin/main --head=go: --start='{out} -listen {addr}'

  # allocations alone, in seconds
  eventobench gate --base=git:origin/main --head=go: --metric-set=allocs

  # two programs, with their profiling pages on a port of their own
  eventobench gate --base='exec:./old -listen {addr}' --head='exec:./new -listen {addr}' --pprof='127.0.0.1:{port2}'

  # what was recorded before
  eventobench gate profiles/20261124_120000-nethttp profiles/20261124_120000-fasthttp

  # in CI: the base's program is kept for the next time, and results are written for others to read
  eventobench gate --base=git:origin/main --head=git:HEAD --programs=kept --write=junit=gate.xml --write=comment=gate.md

  # another metric, and another tolerance
  eventobench gate --base=nethttp --head=fasthttp --metric=p99=10% --tolerance=ops_per_sec=5%

  # the highest rate within a limit of latency; that of a search before (docs/capacity.md)
  eventobench gate --base=nethttp --head=fasthttp --metric=capacity@p99=5ms
  eventobench gate --metric=capacity@p99=5ms,errors=0.1%=5% profiles/20261124_120000-capacity.json

  # with the servers on another machine (docs/agents.md)
  eventobench gate --base=git:origin/main --head=go: --subject-agent=box --nats-listen=10.0.0.1:4222 --allow-remote

  # a new baseline
  eventobench gate --update-baseline profiles/20261124_120000-fasthttp`,
		Args: needs(0, 2, "at most two run folders"),
		RunE: func(cmd *cobra.Command, dirs []string) error { return o.run(cmd, dirs) },
	}
	theme(cmd.Flags(), themeMeasure, o.addFlags)
	return cmd
}

func (o *gateOptions) addFlags(f *pflag.FlagSet) {
	theme(f, themeMeasure, o.addSubjectFlags)
	theme(f, themeLoad, func(f *pflag.FlagSet) {
		f.StringVar(&o.maxRate, maxRateFlag, "200000/s", "highest rate to try, if capacity is gated")
	})
	f.StringVar(&o.baseline, "baseline", "", "run folder to judge a lone head against; default benchmarks/baseline")
	f.BoolVar(&o.update, "update-baseline", false, "make HEAD_DIR the baseline, and judge nothing")
	theme(f, themeJudge, o.addJudgeFlags)
	theme(f, themeJudge, o.record.addProbe)
	theme(f, themeOutput, o.result.addFlags)
	o.record.addFlags(f)
}

func (o *gateOptions) addSubjectFlags(f *pflag.FlagSet) {
	f.StringVar(&o.base, "base", "", "subject to record as the base: SPEC or NAME=SPEC")
	f.StringVar(&o.head, "head", "", "subject to record as the head: SPEC or NAME=SPEC")
	o.subjects.addFlags(f)
}

func (o *gateOptions) addJudgeFlags(f *pflag.FlagSet) {
	o.addCriteria(f)
	f.StringVar(&o.layouts, "layouts", "", layoutsUsage)
	f.BoolVar(&o.nullControl, "null-control", false, nullControlUsage)
	f.StringVar(&o.inconclusive, "inconclusive", "",
		"what an inconclusive verdict means: fail (the default), exit code 3; or pass")
}

// addCriteria adds the flags that say which metrics are judged, and how.
func (o *gateOptions) addCriteria(f *pflag.FlagSet) {
	f.StringVar(&o.metricSet, "metric-set", "",
		"metrics to gate: all (the default: throughput, CPU, allocated bytes, allocations) or allocs (the last two)")
	f.StringArrayVar(&o.metrics, "metric", nil,
		"gate this metric too, with a tolerance if one is given: p99 or p99=10%; repeatable. Alone: capacity@p99=5ms")
	f.StringSliceVar(&o.tolerances, "tolerance", nil,
		"tolerances of gated metrics, such as ops_per_sec=3%,allocs_per_op=1%")
	f.StringVar(&o.config, "config", "", configUsage)
}

// gateInput is what flags and configuration together ask for.
type gateInput struct {
	options      compare.Options
	capacity     *runfolder.Limits // of the search that is gated; nil for the metrics of runs
	baseline     string
	inconclusive string
	layouts      string // as the configuration has it
	nullControl  bool
}

func (o *gateOptions) run(cmd *cobra.Command, args []string) error {
	given := givenFlags(cmd.Flags())
	if err := o.checkUnused(given, args); err != nil {
		return err
	}
	in, err := o.input(cmd.Flags(), len(args) == 0)
	if err != nil {
		return err
	}
	if err := o.result.check(); err != nil {
		return err
	}
	in.options.Charts = o.result.needsCharts()
	if o.update {
		return o.updateBaseline(cmd.OutOrStdout(), args, in.baseline)
	}
	if in.capacity != nil {
		return o.gateCapacity(cmd, args, in, given)
	}
	dirs, again, err := o.dirs(cmd, args, in, given)
	if err != nil {
		return err
	}
	report, err := compare.Compare(dirs, in.options)
	if err != nil {
		return err
	}
	if report.Comparisons[0].Foreign {
		return fmt.Errorf("%s and %s cannot be gated: one of them was recorded by another tool, without blocks, "+
			"so nothing tells how far its figures vary; \"eventobench compare\" shows what changed",
			dirs[0], dirs[1])
	}
	found := outcome{
		compare.NewGate(report), history.FromReport(report),
		func(w io.Writer) error { return render.Report(w, report, reportFormat) },
	}
	found.Again = again
	if err := o.result.write(cmd, found); err != nil {
		return err
	}
	return verdictError(found.Gate, in.inconclusive)
}

// checkUnused returns an error if a baseline was given beside both sides, or flags about
// recording with what is recorded already.
func (o *gateOptions) checkUnused(given []givenFlag, args []string) error {
	if len(args) > 1 || o.base != "" && o.head != "" {
		err := checkUseless(given, "beside both sides", func(name string) bool { return name != "baseline" })
		if err != nil {
			return err
		}
	}
	if len(args) == 0 {
		return nil
	}
	recording := pflag.NewFlagSet("record", pflag.ContinueOnError)
	new(recordOptions).addFlags(recording)
	new(subjectOptions).addFlags(recording)
	return checkUseless(given, "on what is recorded already", func(name string) bool {
		return recording.Lookup(name) == nil && name != "layouts" && name != "probe"
	})
}

// input puts flags and configuration together. Subjects are the configuration's
// only if no folders are named.
func (o *gateOptions) input(f *pflag.FlagSet, noFolders bool) (gateInput, error) {
	in := gateInput{options: compare.Options{Now: time.Now()}}
	project, err := readProject(o.config)
	if err != nil {
		return in, err
	}
	config := project.Gate
	tolerance := ""
	in.capacity, tolerance, err = o.takeCapacity(&config)
	if err == nil {
		err = o.checkSearchFlags(f, in.capacity != nil)
	}
	if in.capacity != nil {
		project = project.forSearch(f)
	}
	if err == nil {
		err = project.setFlags(f)
	}
	if err != nil {
		return in, err
	}
	if noFolders {
		o.base = project.side(o.base, config.Base)
		o.head = project.side(o.head, config.Head)
	}
	criteria, err := o.criteria(&config, in.capacity != nil, tolerance)
	if err != nil {
		return in, err
	}
	in.options.Criteria = criteria
	in.options.Waivers, err = config.waivers(criteria)
	in.layouts = config.Layouts
	in.nullControl = o.nullControl || config.NullControl && !f.Changed("null-control")
	in.baseline = cmp.Or(o.baseline, config.Baseline, "benchmarks/baseline")
	in.inconclusive = cmp.Or(o.inconclusive, config.Inconclusive, "fail")
	if in.inconclusive != "pass" && in.inconclusive != "fail" {
		err = errors.Join(err, fmt.Errorf("inconclusive %q: use pass or fail", in.inconclusive))
	}
	return in, err
}

// criteria are those of flags and configuration. A set of metrics that was asked for
// with its flag leaves out what the configuration says of others.
//
// A capacity is gated alone, with the tolerance that stands behind it if one does.
func (o *gateOptions) criteria(config *gateConfig, capacity bool, tolerance string) (compare.Criteria, error) {
	c, err := compare.CriteriaOf(cmp.Or(o.metricSet, config.MetricSet, string(compare.AllMetrics)))
	if err == nil && capacity {
		clear(c.Rules)
		err = gateMetric(&c, string(compare.CapacityRate), tolerance)
	}
	if err != nil {
		return c, err
	}
	narrow := o.metricSet != "" || capacity
	if narrow {
		config.Metrics = config.metricsOf(c)
	}
	err = errors.Join(config.apply(&c), o.applyFlags(&c))
	if narrow {
		config.Waivers = config.waiversOf(c)
	}
	return c, err
}

func (o *gateOptions) applyFlags(c *compare.Criteria) error {
	for _, text := range o.metrics {
		name, tolerance, _ := strings.Cut(text, "=")
		if err := gateMetric(c, name, tolerance); err != nil {
			return err
		}
	}
	for _, text := range o.tolerances {
		name, tolerance, _ := strings.Cut(text, "=")
		if _, gated := c.Rules[compare.MetricID(name)]; !gated || tolerance == "" {
			return fmt.Errorf("--tolerance %q: write a gated metric and a percentage, such as ops_per_sec=3%%; "+
				"--metric gates more", text)
		}
		if err := gateMetric(c, name, tolerance); err != nil {
			return err
		}
	}
	return nil
}

var errProgramsOfBoth = errors.New("--programs keeps what was built for --base and --head; give both")

// dirs are the two run folders to judge, recorded first if need be, and the command
// that records them again if their programs were kept.
func (o *gateOptions) dirs(
	cmd *cobra.Command, args []string, in gateInput, given []givenFlag,
) (dirs []string, again string, err error) {
	switch {
	case len(args) > 0 && (o.base != "" || o.head != ""):
		return nil, "", errors.New("name run folders or subjects (--base, --head), not both")
	case o.result.programs != "" && (o.base == "" || o.head == ""):
		return nil, "", errProgramsOfBoth
	case o.nullControl && (len(args) == 1 || len(args) == 0 && (o.base == "" || o.head == "")):
		return nil, "", errors.New("--null-control records the base twice, or judges two run folders; give both sides")
	case len(args) == 2:
		dirs, err := withNullControl(args, o.nullControl)
		return dirs, "", err
	case len(args) == 1:
		return []string{in.baseline, args[0]}, "", checkBaseline(in.baseline)
	case o.head == "":
		return nil, "", errors.New("there is nothing to judge: name two run folders, " +
			"one to compare with the baseline, or subjects with --base and --head")
	case o.base == "":
		if err := checkBaseline(in.baseline); err != nil { // before a minute is spent on recording
			return nil, "", err
		}
		recorded, _, err := o.recordSubjects(cmd, in, nil, o.head)
		return append([]string{in.baseline}, recorded...), "", err
	}
	return o.recordSubjects(cmd, in, given, o.base, o.head)
}

// targets are the subjects to record. Their programs are kept if that is wanted, and then
// there is a command that records them again.
func (o *gateOptions) targets(
	cmd *cobra.Command, given []givenFlag, specs ...string,
) (subjects []subject.Target, again string, err error) {
	subjects, err = o.subjects.targets(cmd.Context(), specs, cmd.ErrOrStderr())
	if dir := o.result.programs; err == nil && dir != "" {
		err = keepPrograms(dir, subjects)
		if err == nil {
			again = againCommand(dir, subjects, given)
		}
	}
	return subjects, again, err
}

func (o *gateOptions) recordSubjects(
	cmd *cobra.Command, in gateInput, given []givenFlag, specs ...string,
) (dirs []string, again string, err error) {
	if err := checkLayouts(o.layouts, len(specs), in.options.Criteria); err != nil {
		return nil, "", err
	}
	subjects, again, err := o.targets(cmd, given, specs...)
	if err != nil {
		return nil, "", err
	}
	if in.nullControl && len(specs) == 2 {
		control, err := nullControl(subjects[0])
		if err != nil {
			return nil, "", err
		}
		subjects = append(subjects, control)
	}
	if o.record.layouts, err = countLayouts(o.layouts, in.layouts, subjects); err != nil {
		return nil, "", err
	}
	dirs, err = o.record.run(cmd, subjects, in.options.Criteria, false)
	return dirs, again, err
}

// checkBaseline returns an error if the baseline cannot be read.
func checkBaseline(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no baseline at %s; \"eventobench gate --update-baseline RUN_FOLDER\" makes one, "+
			"and two run folders need none", dir)
	}
	_, err := runfolder.OpenManifest(dir)
	return err
}

// updateBaseline makes a copy of a run folder the baseline.
func (o *gateOptions) updateBaseline(w io.Writer, args []string, baseline string) error {
	if len(args) != 1 {
		return fmt.Errorf("--update-baseline takes the one run folder that shall be the baseline, not %d", len(args))
	}
	if err := runfolder.Copy(args[0], baseline); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s is now a copy of %s; commit it\n", baseline, args[0])
	return err
}
