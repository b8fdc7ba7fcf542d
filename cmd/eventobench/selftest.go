package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
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
	"github.com/eventobench/eventobench/server/handicap"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

type selftestOptions struct {
	transport string
	spec      string // of --subject; the store with the transport if empty
	subjects  subjectOptions
	sides     []subject.Target // of the spec, twice the same
	time      time.Duration
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
regression (serve --handicap), which must be found. Then it draws thousands of
experiments from the blocks of those without a regression, and says how often they
give a false alarm and what this machine can resolve in 1, 2 and 5 minutes.

With --subject another server is compared with itself. Nothing can be planted in
it, so that the only case is none.

Without --case it goes through none, cpu=5%, none and alloc=200B until --time is
used up. The folders are removed at the end unless --out is given; --recorded judges
such folders again without recording anything.

Leave the machine alone meanwhile: it is the machine's noise that is measured.

Exit codes: 0 measured; 2 bad input, or an experiment failed; 130 interrupted.`,
		Example: `  eventobench selftest --time=5m
  eventobench selftest --case=none:12 --case=cpu=3%:10 --case=alloc=100B:3 --out=/var/tmp/selftest
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
	f.DurationVar(&o.time, "time", 5*time.Minute, "time to spend, unless --case says what to do")
	f.StringSliceVar(&o.cases, "case", nil,
		"a handicap of one side and how many experiments with it, such as none:12 or cpu=5%:10; repeatable")
	f.StringSliceVar(&o.recorded, "recorded", nil, "judge the experiments in this folder instead of recording; repeatable")
	f.IntVar(&o.resamples, "resamples", 5000, "experiments to draw from the blocks without a regression")
	o.record.addFlags(f)
	f.Lookup("out").DefValue, o.record.out = "", ""
}

func (o *selftestOptions) run(cmd *cobra.Command) error {
	test := &selftest{criteria: compare.DefaultCriteria(), pool: compare.NewResampler(compare.DefaultCriteria()),
		resamples: o.resamples}
	var err error
	if len(o.recorded) > 0 {
		err = test.readAll(o.recorded)
	} else {
		err = o.recordAll(cmd, test)
	}
	if err != nil {
		return err
	}
	return test.print(cmd.Context(), cmd.OutOrStdout())
}

// recordAll records and judges every experiment.
func (o *selftestOptions) recordAll(cmd *cobra.Command, test *selftest) error {
	next, err := o.schedule()
	if err != nil {
		return err
	}
	if o.spec != "" {
		if err := o.makeSides(cmd); err != nil {
			return err
		}
	}
	if o.record.out == "" {
		if o.record.out, err = os.MkdirTemp("", "eventobench-selftest-"); err != nil {
			return fmt.Errorf("making a folder for the experiments: %w", err)
		}
		defer func() { _ = os.RemoveAll(o.record.out) }()
	}
	for planted := range next {
		runs, err := o.recordOne(cmd, planted)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), test.add(runs))
	}
	return cmd.Context().Err()
}

// schedule yields the handicap of each experiment: those of --case, or a cycle
// of four for as long as another experiment fits into --time.
func (o *selftestOptions) schedule() (func(yield func(string) bool), error) {
	if len(o.cases) == 0 {
		return o.cycle, nil
	}
	var all []string
	for _, text := range o.cases {
		planted, count, ok := cutLast(text, ":")
		n, err := strconv.Atoi(count)
		if _, bad := handicap.Parse(planted); !ok || err != nil || n < 1 || bad != nil {
			return nil, fmt.Errorf("--case %q: write a handicap and a number, such as none:12 or cpu=5%%:10", text)
		}
		if o.spec != "" && planted != "none" {
			return nil, fmt.Errorf("--case %q: a regression can be planted in the built-in store only, "+
				"not with --subject", text)
		}
		for range n {
			all = append(all, planted)
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return func(yield func(string) bool) {
		for _, planted := range all {
			if !yield(planted) {
				return
			}
		}
	}, nil
}

func (o *selftestOptions) cycle(yield func(string) bool) {
	start := time.Now()
	handicaps := []string{"none", "cpu=5%", "none", "alloc=200B"}
	if o.spec != "" {
		handicaps = handicaps[:1]
	}
	for n := 0; ; n++ {
		begun := time.Now()
		o.record.plan.maxTime = max(o.time-time.Since(start), time.Second)
		if !yield(handicaps[n%len(handicaps)]) || time.Since(start)+time.Since(begun) > o.time {
			return
		}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// recordOne records one experiment. Nothing but the handicap tells its two
// sides apart, and a coin decides which of them comes first.
func (o *selftestOptions) recordOne(cmd *cobra.Command, handicap string) ([]*runfolder.Run, error) {
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
	return openPair(dirs)
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
	return numbered(subjects), nil
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

func openPair(dirs []string) ([]*runfolder.Run, error) {
	var runs []*runfolder.Run
	for _, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// selftest is what the experiments have shown so far.
type selftest struct {
	criteria  compare.Criteria
	pool      *compare.Resampler // of experiments without a handicap
	resamples int
	cases     []*selftestCase
	seconds   float64 // of all experiments
	blocks    int
}

// selftestCase counts the outcomes of the experiments with one handicap.
type selftestCase struct {
	handicap    string
	experiments int
	verdicts    map[compare.Verdict]int        // of whole experiments, regressed before improved
	widths      map[compare.MetricID][]float64 // half widths of the intervals in percent
	seconds     []float64
}

// readAll judges recorded experiments again.
func (t *selftest) readAll(folders []string) error {
	for _, folder := range folders {
		entries, err := runfolder.List(folder)
		if err != nil {
			return err
		}
		pairs := map[string][]string{}
		var order []string
		for _, e := range entries {
			if e.Err != nil {
				return e.Err
			}
			if e.Manifest.Subject.Options["handicap"] == "" {
				continue // recorded by something else
			}
			id := e.Manifest.Experiment
			if pairs[id] = append(pairs[id], e.Dir); len(pairs[id]) == 2 {
				order = append(order, id)
			}
		}
		for _, id := range order {
			if err := t.read(pairs[id]); err != nil {
				return err
			}
		}
	}
	return nil
}

// read takes in one recorded pair, the side with the handicap as the head.
func (t *selftest) read(dirs []string) error {
	runs, err := openPair(dirs)
	if err != nil {
		return err
	}
	if handicapOf(runs[1]) == "none" {
		runs[0], runs[1] = runs[1], runs[0]
	}
	t.add(runs)
	return nil
}

func handicapOf(r *runfolder.Run) string { return r.Manifest.Subject.Options["handicap"] }

// add judges one experiment, base first, and returns a line about it.
func (t *selftest) add(runs []*runfolder.Run) string {
	look := compare.Decide(runs, t.criteria)
	c := t.caseOf(handicapOf(runs[1]))
	c.experiments++
	if c.handicap == "none" {
		t.pool.Add(runs[0], runs[1])
	}
	took := runs[0].Manifest.End.Sub(runs[0].Manifest.Start).Seconds()
	c.seconds = append(c.seconds, took)
	t.seconds, t.blocks = t.seconds+took, t.blocks+look.Blocks
	var parts []string
	for _, d := range look.Decisions {
		id := compare.MetricID(d.Metric)
		c.widths[id] = append(c.widths[id], (d.High-d.Low)/2)
		parts = append(parts, fmt.Sprintf("%s %s %+.2f%% [%+.2f, %+.2f]", d.Metric, d.Verdict, d.Percent, d.Low, d.High))
	}
	c.verdicts[worst(look)]++
	return fmt.Sprintf("%s: %s; %d blocks, %.0f s", c.handicap, strings.Join(parts, "; "), look.Blocks, took)
}

func (t *selftest) caseOf(handicap string) *selftestCase {
	for _, c := range t.cases {
		if c.handicap == handicap {
			return c
		}
	}
	c := &selftestCase{handicap: handicap, verdicts: map[compare.Verdict]int{}, widths: map[compare.MetricID][]float64{}}
	t.cases = append(t.cases, c)
	return c
}

// worst is the verdict that speaks loudest: a regression, then an improvement,
// then doubt.
func worst(look runfolder.Look) compare.Verdict {
	for _, v := range []compare.Verdict{compare.Regressed, compare.Improved, compare.Inconclusive} {
		for _, d := range look.Decisions {
			if d.Verdict == string(v) {
				return v
			}
		}
	}
	return compare.Equivalent
}

// print writes the tables. Drawing experiments takes a while, and ends early
// if ctx is cancelled.
func (t *selftest) print(ctx context.Context, w io.Writer) error {
	if len(t.cases) == 0 {
		_, err := fmt.Fprintln(w, "no experiment was recorded")
		return err
	}
	_, err := fmt.Fprintf(w, "\nExperiments, by the handicap of one side\n\n%s\n%s\n%s", t.outcomes(),
		t.falseAlarms(ctx), t.resolution(ctx))
	return errors.Join(err, ctx.Err())
}

// gatedMetrics are those that a selftest shows.
func gatedMetrics() []compare.Metric {
	return slices.DeleteFunc(slices.Clone(compare.Metrics), func(m compare.Metric) bool { return !m.Gated })
}

func (t *selftest) outcomes() *texttab.Table {
	header := []string{"handicap", "experiments", "regressed", "improved", "equivalent", "inconclusive"}
	for _, m := range gatedMetrics() {
		header = append(header, "+-"+m.Unit)
	}
	table := texttab.New(append(header, "median s", "longest s")...)
	for _, c := range t.cases {
		cells := []string{c.handicap, strconv.Itoa(c.experiments)}
		for _, v := range []compare.Verdict{compare.Regressed, compare.Improved, compare.Equivalent, compare.Inconclusive} {
			cells = append(cells, strconv.Itoa(c.verdicts[v]))
		}
		for _, m := range gatedMetrics() {
			cells = append(cells, percentOf(stat.Median(c.widths[m.ID])))
		}
		longest := 0.0
		for _, s := range c.seconds {
			longest = max(longest, s)
		}
		table.Add(append(cells, texttab.Number(stat.Median(c.seconds), 0), texttab.Number(longest, 0))...)
	}
	return table
}

// percentOf prints a percentage, of which there is none where nothing was judged.
func percentOf(v float64) string {
	if math.IsNaN(v) {
		return "none"
	}
	return fmt.Sprintf("%.2f%%", v)
}

// falseAlarms draws experiments from the blocks without a handicap.
func (t *selftest) falseAlarms(ctx context.Context) string {
	looks := runfolder.DefaultPlan().Looks()
	if need := looks[len(looks)-1]; t.pool.Blocks() < need {
		return fmt.Sprintf("Too few blocks without a handicap to draw experiments from: %d, and %d are needed.\n",
			t.pool.Blocks(), need)
	}
	rng := rand.New(rand.NewPCG(1, uint64(t.pool.Blocks())))
	alarms, inconclusive := 0, 0
	for range t.resamples {
		if ctx.Err() != nil {
			return ""
		}
		verdicts := t.pool.Resample(rng, looks)
		alarm, doubt := false, false
		for _, v := range verdicts {
			alarm = alarm || v == compare.Regressed || v == compare.Improved
			doubt = doubt || v == compare.Inconclusive
		}
		if alarm {
			alarms++
		} else if doubt {
			inconclusive++
		}
	}
	return fmt.Sprintf("%d experiments drawn from %d blocks without a handicap: %.2f%% call something improved or regressed, %.2f%% are inconclusive.\n",
		t.resamples, t.pool.Blocks(), percentage(alarms, t.resamples), percentage(inconclusive, t.resamples))
}

func percentage(part, whole int) float64 { return float64(part) / float64(whole) * 100 }

// resolution says what can be found in a given time.
func (t *selftest) resolution(ctx context.Context) string {
	const fewest, most = 10, 100 // blocks; experiments of more would take long to draw
	if t.pool.Blocks() < fewest {
		return ""
	}
	rng := rand.New(rand.NewPCG(2, uint64(t.pool.Blocks())))
	header := []string{"smallest regression found in 4 of 5 experiments", "blocks"}
	for _, m := range gatedMetrics() {
		header = append(header, m.Unit)
	}
	table := texttab.New(header...)
	for _, minutes := range []int{1, 2, 5} {
		blocks := min(most, int(float64(minutes)*60/t.seconds*float64(t.blocks)))
		cells := []string{fmt.Sprintf("in %d min", minutes), strconv.Itoa(blocks)}
		for _, m := range gatedMetrics() {
			if ctx.Err() != nil {
				return ""
			}
			if r := t.pool.Resolution(rng, m.ID, blocks); r > 0 {
				cells = append(cells, percentOf(r))
			} else {
				cells = append(cells, "none")
			}
		}
		table.Add(cells...)
	}
	return table.String()
}
