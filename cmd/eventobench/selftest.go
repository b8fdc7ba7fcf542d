package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/host"
	"github.com/eventobench/eventobench/profiles/subject"
	"github.com/eventobench/eventobench/server/handicap"
)

type selftestOptions struct {
	transport string
	spec      string // of --subject; the store with the transport if empty
	subjects  subjectOptions
	sides     []subject.Target // of the spec, twice the same
	limit     time.Duration
	state     string // file of trials; none if empty
	summary   string // another
	cases     []string
	recorded  []string
	resamples int
	record    recordOptions
}

func newSelftestCmd() *cobra.Command {
	var o selftestOptions
	cmd := &cobra.Command{
		Use:   "selftest",
		Short: "Measure how far this machine's verdicts can be trusted",
		Long: `Selftest records experiments whose truth is known, as "run" and "gate" do, and
counts how often the verdict is right: the built-in store against itself, where
nothing may be called improved or regressed, and against itself with a planted
regression (serve --handicap), which must be found. It says how often that was wrong,
and how often at most it may be. Then it draws thousands of experiments from the
blocks of those without a regression, and says how often they give a false alarm and
what this machine can resolve in 1, 2 and 5 minutes.

With --subject another server is compared with itself. Nothing can be planted in
it, so that the only case is none.

A planted cpu=5% is to make the server use 5% more. What a server uses rises by more
than its calls spin, so a larger handicap is measured first, for 16 blocks and by the
CPU clocks of whole processes, and shares are divided by what it comes to.

Without --case it goes through none, cpu=5%, none and alloc=200B for five minutes, or
for --time-limit.

With --state each outcome is added to a file at once, a line of JSON each: the time,
the build, the case, the verdict and its intervals, and how busy the machine was
before. A second call goes on where the first stopped, be it by Ctrl-C, --time-limit
or a power cut, and counts what is there; experiments of other programs or settings
are not counted. --recorded shows what such a file holds, and --summary adds it to
another: "make selftest" of this repository to docs/selftest.jsonl, from which a
gate's comment takes how often gates are wrong.

The folders are removed unless --out is given, but for those of an experiment that
failed; --recorded judges such folders again
without recording anything.

Leave the machine alone meanwhile: it is the machine's noise that is measured.

Exit codes: 0 measured; 2 bad input, or an experiment failed; 130 interrupted.`,
		Example: `  eventobench selftest
  eventobench selftest --case=none:60 --case=cpu=3%:20 --state=selftest.jsonl --time-limit=8h
  eventobench selftest --recorded=selftest.jsonl --summary=docs/selftest.jsonl
  eventobench selftest --case=none:12 --case=alloc=100B:3 --out=/var/tmp/selftest
  eventobench selftest --recorded=/var/tmp/selftest`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	theme(cmd.Flags(), themeMeasure, o.addFlags)
	return cmd
}

func (o *selftestOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.transport, "transport", "fasthttp", "transport of the store that is compared with itself")
	f.StringVar(&o.spec, "subject", "",
		"another server to compare with itself, SPEC or NAME=SPEC; nothing is planted in one that is not built-in")
	o.subjects.addFlags(f)
	f.DurationVar(&o.limit, "time-limit", 0,
		"begin no experiment that would probably end later than this; without --case 5m if it is not given")
	f.StringSliceVar(&o.cases, "case", nil,
		"a handicap of one side and how many experiments with it, such as none:12 or cpu=5%:10; repeatable")
	f.StringSliceVar(&o.recorded, "recorded", nil,
		"judge the experiments in this folder, or count those of a file of --state, instead of recording; repeatable")
	f.IntVar(&o.resamples, "resamples", 5000, "experiments to draw from the blocks without a regression")
	theme(f, themeOutput, func(f *pflag.FlagSet) {
		f.StringVar(&o.state, "state", "",
			"file to which every outcome is added at once, and by which a second call goes on where this one stopped")
		f.StringVar(&o.summary, "summary", "",
			"another such file, to which those of the experiments are added at the end that it does not have")
	})
	o.record.addFlags(f)
	f.Lookup("out").DefValue, o.record.out = "", ""
}

func (o *selftestOptions) run(cmd *cobra.Command) error {
	if err := o.check(cmd.Flags()); err != nil {
		return err
	}
	test := newSelftest(o.resamples)
	var err error
	if len(o.recorded) > 0 {
		err = test.readAll(o.recorded, cmd.ErrOrStderr())
	} else {
		err = o.recordAll(cmd, test)
	}
	if err != nil && len(test.trials) == 0 && cmd.Context().Err() == nil {
		return err
	}
	if added := o.addToSummary(cmd, test); err == nil {
		err = added
	}
	if printed := test.print(cmd.Context(), cmd.OutOrStdout()); err == nil {
		err = printed
	}
	return err
}

// check returns an error about flags that are wrong or have no effect.
func (o *selftestOptions) check(f *pflag.FlagSet) error {
	if o.resamples < 1 {
		return fmt.Errorf("--resamples=%d: draw at least 1 experiment", o.resamples)
	}
	given := givenFlags(f)
	if len(o.recorded) > 0 {
		return checkUseless(given, "with --recorded, which records nothing", func(name string) bool {
			return slices.Contains([]string{"recorded", "summary", "resamples"}, name)
		})
	}
	err := checkUseless(given, "with --subject", func(name string) bool { return name != "transport" || o.spec == "" })
	if err != nil {
		return err
	}
	return checkUseless(given, "without --case; --time-limit is for all experiments together",
		func(name string) bool { return name != "max-time" || len(o.cases) > 0 })
}

func (o *selftestOptions) addToSummary(cmd *cobra.Command, test *selftest) error {
	if o.summary == "" {
		return nil
	}
	added, err := compare.AppendTrials(o.summary, test.trials)
	if err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s added\n", o.summary, texttab.Count(added, "experiment"))
	}
	return err
}

// recordAll records and judges every experiment that is not there already.
func (o *selftestOptions) recordAll(cmd *cobra.Command, test *selftest) error {
	planned, err := o.planned()
	if err == nil && o.spec != "" {
		err = o.makeSides(cmd)
	}
	if err == nil {
		err = o.resume(cmd, test)
	}
	if err != nil {
		return err
	}
	keep := o.record.out != ""
	if !keep {
		remove, err := o.passingFolder()
		if err != nil {
			return err
		}
		defer remove()
	}
	for planted := range o.schedule(planned, test) {
		dirs, err := o.recordTrial(cmd, planted, test)
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if !keep {
				_ = os.RemoveAll(dir) // else what goes on for a night fills the disk
			}
		}
	}
	return cmd.Context().Err()
}

// passingFolder is a folder for experiments that is removed, but for those that failed.
func (o *selftestOptions) passingFolder() (remove func(), err error) {
	out, passing := o.record.out, o.record.passing
	if o.record.out, err = os.MkdirTemp("", "eventobench-selftest-"); err != nil {
		return nil, fmt.Errorf("making a folder for the experiments: %w", err)
	}
	o.record.passing = true
	return func() {
		if o.record.failed {
			_ = os.Remove(o.record.out) // nothing of it failed if it is empty
		} else {
			_ = os.RemoveAll(o.record.out)
		}
		o.record.out, o.record.passing = out, passing
	}, nil
}

// planned are the handicaps of the experiments that --case asks for, none without.
func (o *selftestOptions) planned() ([]string, error) {
	var all []string
	for _, text := range o.cases {
		planted, count, ok := cutLast(text, ":")
		n, err := strconv.Atoi(count)
		h, bad := handicap.Parse(planted)
		if !ok || err != nil || n < 1 || bad != nil || h.Gain > 0 {
			return nil, fmt.Errorf("--case %q: write a handicap and a number, such as none:12 or cpu=5%%:10", text)
		}
		planted = h.String() // as trials have it
		if o.spec != "" && planted != compare.NothingPlanted {
			return nil, fmt.Errorf("--case %q: a regression can be planted in the built-in store only, "+
				"not with --subject", text)
		}
		for range n {
			all = append(all, planted)
		}
	}
	return all, nil
}

// schedule yields the handicap of each experiment: those that are planned and not there
// yet, in random order, or else a cycle of four. None begins that would probably end
// after the limit, but for the first.
func (o *selftestOptions) schedule(planned []string, test *selftest) func(yield func(string) bool) {
	limit := o.limit
	next := o.cycle(len(test.trials))
	if len(o.cases) > 0 {
		next = slices.Values(notYet(planned, test.trials))
	} else if limit == 0 {
		limit = 5 * time.Minute
	}
	return func(yield func(string) bool) {
		var longest time.Duration
		start := time.Now()
		for planted := range next {
			spent := time.Since(start)
			if limit > 0 && longest > 0 && spent+longest > limit {
				return
			}
			if len(o.cases) == 0 {
				o.record.plan.maxTime = max(limit-spent, time.Second)
			}
			if !yield(planted) {
				return
			}
			longest = max(longest, time.Since(start)-spent)
		}
	}
}

// notYet are those of the planned handicaps that no trial had, in random order.
func notYet(planned []string, there []compare.Trial) []string {
	left := slices.Clone(planned)
	for _, t := range there {
		if i := slices.Index(left, t.Case); i >= 0 {
			left = slices.Delete(left, i, i+1)
		}
	}
	rand.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	return left
}

// cycle yields handicaps without end.
func (o *selftestOptions) cycle(from int) func(yield func(string) bool) {
	handicaps := []string{compare.NothingPlanted, "cpu=5%", compare.NothingPlanted, "alloc=200B"}
	if o.spec != "" {
		handicaps = handicaps[:1]
	}
	return func(yield func(string) bool) {
		for n := from; yield(handicaps[n%len(handicaps)]); n++ {
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// recordTrial records and judges one experiment, and keeps its outcome.
func (o *selftestOptions) recordTrial(cmd *cobra.Command, planted string, test *selftest) ([]string, error) {
	start := time.Now()
	given, err := o.withGain(cmd, planted, test)
	if err != nil {
		return nil, err
	}
	if o.record.plan.maxTime > 0 && len(o.cases) == 0 { // the rest of --time-limit
		o.record.plan.maxTime = max(o.record.plan.maxTime-time.Since(start), time.Second)
	}
	busy, err := busyCPUs(cmd.Context())
	if err != nil {
		return nil, err
	}
	dirs, err := o.recordOne(cmd, given)
	if err != nil {
		return nil, err
	}
	runs, err := openPair(dirs)
	if err != nil {
		return nil, err
	}
	trial := test.add(runs)
	trial.BusyCPUs = busy
	fmt.Fprintln(cmd.ErrOrStderr(), describeTrial(trial))
	if o.state == "" {
		return dirs, nil
	}
	_, err = compare.AppendTrials(o.state, []compare.Trial{trial})
	return dirs, err
}

// busyCPUs is how many CPUs are busy while nothing of ours runs; nil if the machine does
// not tell.
func busyCPUs(ctx context.Context) (*stat.Rounded, error) {
	survey, err := host.Look(ctx, host.Root, time.Second)
	if err != nil || survey.Now.Busy == nil || survey.Now.Ours == nil {
		return nil, err
	}
	others := max(0, *survey.Now.Busy-*survey.Now.Ours)
	return new(stat.Rounded(others.Seconds() / survey.Now.Window.Seconds())), nil
}

// recordOne records one experiment and returns its folders, that of the side with the
// handicap last. Nothing else tells its two sides apart, and a coin decides which of them
// comes first.
func (o *selftestOptions) recordOne(cmd *cobra.Command, handicap string) ([]string, error) {
	subjects, err := o.pair(handicap)
	if err != nil {
		return nil, err
	}
	swapped := rand.N(2) == 1
	if swapped {
		subjects[0], subjects[1] = subjects[1], subjects[0]
	}
	quiet := newProgress(cmd.ErrOrStderr()).terminal < 0 // one line per block would bury the results
	dirs, err := o.record.run(cmd, subjects, compare.DefaultCriteria(), quiet)
	if err != nil {
		return nil, err
	}
	if swapped {
		dirs[0], dirs[1] = dirs[1], dirs[0]
	}
	return dirs, nil
}

// pair are the two sides of an experiment, the one with the handicap last.
func (o *selftestOptions) pair(handicap string) ([]subject.Target, error) {
	if o.sides != nil {
		return slices.Clone(o.sides), nil
	}
	var subjects []subject.Exec
	for _, h := range []string{"none", handicap} {
		s, err := storeSpec{transport: o.transport, handicap: h}.subject()
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	return o.subjects.stores(subjects)
}

// makeSides makes the two sides of --subject. A folder tells by its handicap that
// a selftest recorded it.
func (o *selftestOptions) makeSides(cmd *cobra.Command) error {
	sides, err := o.subjects.targets(cmd.Context(), []string{o.spec, o.spec}, cmd.ErrOrStderr())
	for _, side := range sides {
		s, ok := side.(subject.Exec)
		if !ok {
			return errors.New("a running server cannot be compared with itself; use exec:, go: or git: instead")
		}
		s.Options = maps.Clone(s.Options)
		if s.Options == nil {
			s.Options = map[string]string{}
		}
		s.Options["handicap"] = "none"
		o.sides = append(o.sides, s)
	}
	return err
}
