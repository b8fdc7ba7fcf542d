package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// selftest is what the experiments have shown so far.
type selftest struct {
	criteria  compare.Criteria
	pool      *compare.Resampler // of experiments without a handicap
	resamples int
	trials    []compare.Trial
	gain      float64 // of handicaps with a share of CPU time; 0 before it is measured
}

func newSelftest(resamples int) *selftest {
	c := compare.DefaultCriteria()
	return &selftest{criteria: c, pool: compare.NewResampler(c), resamples: resamples}
}

// readAll takes in what was recorded: folders that hold run folders, which are judged
// again, and files of trials. log is told of lines that are cut off.
func (t *selftest) readAll(paths []string, log io.Writer) error {
	for _, path := range paths {
		read := t.readFolder
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			read = func(path string, log io.Writer) error {
				trials, err := readTrials(path, log)
				t.trials = append(t.trials, trials...)
				return err
			}
		}
		if err := read(path, log); err != nil {
			return err
		}
	}
	return nil
}

// readFolder judges the experiments of a folder again. log is told of those that did not come
// to their end, and tell nothing.
func (t *selftest) readFolder(folder string, log io.Writer) error {
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
		if s := e.Manifest.State; s != runfolder.StateComplete {
			fmt.Fprintf(log, "warning: %s is %s, and is left out\n", e.Dir, s)
			continue
		}
		id := e.Manifest.Experiment
		if pairs[id] = append(pairs[id], e.Dir); len(pairs[id]) == 2 {
			order = append(order, id)
		}
	}
	for _, id := range order {
		runs, err := openPair(pairs[id])
		if err != nil {
			return err
		}
		if handicapOf(runs[0]) != compare.NothingPlanted {
			runs[0], runs[1] = runs[1], runs[0]
		}
		t.add(runs)
	}
	return nil
}

// readTrials reads a file of trials, and tells which of its lines are cut off.
func readTrials(path string, log io.Writer) ([]compare.Trial, error) {
	trials, cut, err := compare.ReadTrials(path)
	for _, line := range cut {
		fmt.Fprintf(log, "warning: line %d of %s is cut off, and is left out\n", line, path)
	}
	return trials, err
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

func handicapOf(r *runfolder.Run) string { return r.Manifest.Subject.Options["handicap"] }

// add judges one experiment, base first, of which the head has the handicap.
func (t *selftest) add(runs []*runfolder.Run) compare.Trial {
	planted, gain := cutGain(handicapOf(runs[1]))
	trial := compare.NewTrial(runs, t.criteria, planted)
	trial.Gain = stat.Rounded(gain)
	if trial.Case == compare.NothingPlanted {
		t.pool.Add(runs[0], runs[1])
	}
	t.trials = append(t.trials, trial)
	return trial
}

// describeTrial is a trial in a line.
func describeTrial(t compare.Trial) string {
	var parts []string
	for _, m := range t.Metrics {
		parts = append(parts, fmt.Sprintf("%s %s %+.2f%% [%+.2f, %+.2f]", m.Metric, m.Verdict, m.Percent, m.Low, m.High))
	}
	return fmt.Sprintf("%s: %s; %d blocks, %.0f s", t.Case, strings.Join(parts, "; "), t.Blocks, t.Seconds)
}

// print writes the tables. Drawing experiments takes a while, and is left out if ctx is
// cancelled.
func (t *selftest) print(ctx context.Context, w io.Writer) error {
	if len(t.trials) == 0 {
		_, err := fmt.Fprintln(w, "no experiment was recorded")
		return err
	}
	tallies := compare.TallyTrials(t.trials)
	_, err := fmt.Fprintf(w, "\nExperiments, by the handicap of one side\n\n%s(of metrics the median change +- half the width of its interval)\n\nHow often that was wrong\n\n%s\n%s",
		t.outcomes(tallies), errorRates(tallies), t.drawn(ctx))
	return errors.Join(err, ctx.Err())
}

// gatedMetrics are those that a selftest shows.
func gatedMetrics() []compare.Metric {
	return slices.DeleteFunc(slices.Clone(compare.Metrics), func(m compare.Metric) bool { return !m.Gated })
}

func (t *selftest) outcomes(tallies []compare.Tally) *texttab.Table {
	verdicts := []compare.Verdict{compare.Regressed, compare.Improved, compare.Equivalent, compare.Inconclusive}
	header := []string{"handicap", "experiments"}
	for _, v := range verdicts {
		header = append(header, string(v))
	}
	for _, m := range gatedMetrics() {
		header = append(header, m.Unit)
	}
	table := texttab.New(append(header, "median s", "longest s")...)
	for _, tally := range tallies {
		of := t.trialsOf(tally.Case)
		cells := []string{tally.Case, strconv.Itoa(tally.Trials)}
		for _, v := range verdicts {
			cells = append(cells, strconv.Itoa(countVerdict(of, v)))
		}
		for _, m := range gatedMetrics() {
			cells = append(cells, medianChange(of, m.ID))
		}
		var seconds []float64
		for _, trial := range of {
			seconds = append(seconds, float64(trial.Seconds))
		}
		table.Add(append(cells, texttab.Number(stat.Median(seconds), 0), texttab.Number(slices.Max(seconds), 0))...)
	}
	return table
}

func (t *selftest) trialsOf(planted string) []compare.Trial {
	return slices.DeleteFunc(slices.Clone(t.trials), func(trial compare.Trial) bool { return trial.Case != planted })
}

func countVerdict(trials []compare.Trial, v compare.Verdict) (n int) {
	for _, t := range trials {
		if t.Verdict == v {
			n++
		}
	}
	return n
}

// medianChange is by how much a metric changed, and half the width of its interval: the median
// of each.
func medianChange(trials []compare.Trial, id compare.MetricID) string {
	var changes, widths []float64
	for _, t := range trials {
		for _, m := range t.Metrics {
			if m.Metric == id {
				changes, widths = append(changes, float64(m.Percent)), append(widths, float64(m.High-m.Low)/2)
			}
		}
	}
	if len(changes) == 0 {
		return "none"
	}
	return fmt.Sprintf("%+.2f%% +-%.2f", stat.Median(changes), stat.Median(widths))
}

// errorRates is a table of the rates with their bounds.
func errorRates(tallies []compare.Tally) string {
	table := texttab.New("handicap", "wrong is", "counted")
	for _, tally := range tallies {
		table.Add(tally.Case, tally.What(), tally.String())
	}
	return fmt.Sprintf("%s(%s)\n", table, compare.TallyBound)
}

// drawn is what experiments show that are drawn from the blocks without a handicap, as
// far as there are folders of them.
func (t *selftest) drawn(ctx context.Context) string {
	if t.pool.Blocks() == 0 {
		return ""
	}
	return t.falseAlarms(ctx) + "\n" + t.resolution(ctx)
}

// falseAlarms draws experiments from the blocks without a handicap.
func (t *selftest) falseAlarms(ctx context.Context) string {
	plan := runfolder.DefaultPlan()
	if need := plan.Blocks; t.pool.Blocks() < need {
		return fmt.Sprintf("Too few blocks without a handicap to draw experiments from: %d, and %d are needed.\n",
			t.pool.Blocks(), need)
	}
	rng := rand.New(rand.NewPCG(1, uint64(t.pool.Blocks())))
	alarms, inconclusive := 0, 0
	for range t.resamples {
		if ctx.Err() != nil {
			return ""
		}
		verdicts, _ := t.pool.Resample(rng, plan)
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
	return fmt.Sprintf("%d experiments drawn from %d blocks without a handicap: "+
		"%.2f%% call something improved or regressed, %.2f%% are inconclusive.\n",
		t.resamples, t.pool.Blocks(), percentage(alarms, t.resamples), percentage(inconclusive, t.resamples))
}

func percentage(part, whole int) float64 { return float64(part) / float64(whole) * 100 }

// secondsPerBlock is the mean over all experiments.
func (t *selftest) secondsPerBlock() float64 {
	seconds, blocks := 0.0, 0
	for _, trial := range t.trials {
		seconds, blocks = seconds+float64(trial.Seconds), blocks+trial.Blocks
	}
	return seconds / float64(blocks)
}

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
	perBlock := t.secondsPerBlock()
	for _, minutes := range []int{1, 2, 5} {
		blocks := min(most, int(float64(minutes)*60/perBlock))
		cells := []string{fmt.Sprintf("in %d min", minutes), strconv.Itoa(blocks)}
		for _, m := range gatedMetrics() {
			if ctx.Err() != nil {
				return ""
			}
			if r := t.pool.Resolution(rng, m.ID, blocks); r > 0 {
				cells = append(cells, fmt.Sprintf("%.2f%%", r))
			} else {
				cells = append(cells, "none")
			}
		}
		table.Add(cells...)
	}
	return table.String()
}
