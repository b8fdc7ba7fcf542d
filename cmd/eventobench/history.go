package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/render"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

const defaultHistory = "benchmarks/history.jsonl"

// historyFlag is --record of the commands that compare: the history to add the
// result to, if any.
type historyFlag string

func (h *historyFlag) addFlag(f *pflag.FlagSet) {
	f.StringVar((*string)(h), "record", "",
		"history to add the result to, a line per comparison, such as "+defaultHistory+"; "+
			"\"eventobench history\" shows it")
}

// check is an error if nothing can be added, before anything is measured.
func (h historyFlag) check() error {
	if h == "" {
		return nil
	}
	return history.Check(string(h))
}

func (h historyFlag) add(records []history.Record) error {
	if h == "" {
		return nil
	}
	_, err := history.Append(string(h), records)
	return err
}

// addFolders adds the run folders of one experiment, the first of which is the
// base.
func (h historyFlag) addFolders(dirs []string) error {
	if h == "" {
		return nil
	}
	records, err := recordsOf(dirs)
	if err != nil {
		return err
	}
	return h.add(records)
}

// recordsOf are the records of the run folders of one experiment.
func recordsOf(dirs []string) ([]history.Record, error) {
	if len(dirs) == 1 {
		v, _, err := compare.Open(dirs[0])
		return []history.Record{history.FromVariant(v)}, err
	}
	report, err := compare.Compare(dirs, compare.Options{Criteria: compare.DefaultCriteria()})
	if err != nil {
		return nil, err
	}
	return history.FromReport(report), nil
}

func newHistoryCmd() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "history [FILE]",
		Short: "Show each metric over commits, and between which commits it changed",
		Long: `History shows what "gate --record" and "run --record" added to a file, a line per
comparison: each metric over the runs, and where its level changed. FILE is
` + defaultHistory + ` unless it is named.

Allocations are compared as they are, on whatever machine they were counted. Timing
is compared only through bases: heads of one base on one kind of machine with each
other, and a base that was a head itself with its own first heads. A change is
marked between the last run surely before it and the first surely after it. A
history without any change shows one with a probability of at most 0.5%.

Record against a base that stays (a release): then a change of 2% shows within a
few commits. Against the commit before, each change has but one run to show itself.

Exit codes: 0 shown; 2 the history is missing or damaged.`,
		Example: `  # in CI, after each merge: the head against the last release
  eventobench gate --base=fasthttp,binary=./release/eventobench --head=fasthttp --record=benchmarks/history.jsonl

  eventobench history
  eventobench history --format=html --out=history.html benchmarks/history.jsonl
  eventobench history --format=svg --out=history.svg    # for a README
  eventobench history add profiles/20261124_120000-nethttp profiles/20261124_120000-fasthttp`,
		Args: needs(0, 1, "at most one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return showHistory(cmd, cmp.Or(strings.Join(args, ""), defaultHistory), format, out)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", strings.Join(render.HistoryFormats, ", "))
	cmd.Flags().StringVar(&out, "out", "", "file to write to, instead of stdout; compressed if it ends in .gz")
	cmd.AddCommand(newHistoryAddCmd(), newBisectCmd())
	return cmd
}

func showHistory(cmd *cobra.Command, path, format, out string) error {
	if !slices.Contains(render.HistoryFormats, format) {
		return render.UnknownFormat(format, render.HistoryFormats)
	}
	records, err := history.Read(path)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("history %s is empty; \"gate --record=%s\" adds to it", path, path)
	}
	curves := history.Curves(records)
	return writeOutput(cmd, out, func(w io.Writer) error { return render.History(w, curves, format) })
}

func newHistoryAddCmd() *cobra.Command {
	path := historyFlag(defaultHistory)
	cmd := &cobra.Command{
		Use:   "add DIR...",
		Short: "Add run folders to a history",
		Long: `Add compares run folders as "run --record" would have and adds the results, oldest
first. Of folders that were recorded together, the others are compared with the
first subject of the run that is among them; one by itself adds its allocations.
What the history has already is left out.

Exit codes: 0 added, be it none; 2 a folder or the history cannot be read.`,
		Example: `  eventobench history add profiles/*
  eventobench history add --record=docs/history.jsonl profiles/20261124_120000-*`,
		Args: needs(1, anyNumber, "run folders"),
		RunE: func(cmd *cobra.Command, dirs []string) error { return addToHistory(cmd, string(path), dirs) },
	}
	path.addFlag(cmd.Flags())
	cmd.Flags().Lookup("record").DefValue = defaultHistory
	cmd.Flags().Lookup("record").Value.Set(defaultHistory)
	return cmd
}

func addToHistory(cmd *cobra.Command, path string, dirs []string) error {
	experiments, err := byExperiment(dirs)
	if err != nil {
		return err
	}
	var records []history.Record
	for _, e := range experiments {
		of, err := recordsOf(e)
		if err != nil {
			return err
		}
		records = append(records, of...)
	}
	slices.SortStableFunc(records, func(a, b history.Record) int { return a.Time.Compare(b.Time) })
	added, err := history.Append(path, records)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d added, %d there already\n", path, added, len(records)-added)
	return err
}

// byExperiment puts run folders together that were recorded together, in the
// order in which their subjects were named then: the base is the first.
func byExperiment(dirs []string) ([][]string, error) {
	var experiments [][]string
	place, order := map[string]int{}, map[string]int{}
	for _, dir := range dirs {
		m, err := runfolder.OpenManifest(dir)
		if err != nil {
			return nil, err
		}
		order[dir] = slices.Index(m.Folders, m.Experiment+"-"+m.Subject.Name) // whatever it is called now
		i, known := place[m.Experiment]
		if !known {
			i = len(experiments)
			place[m.Experiment] = i
			experiments = append(experiments, nil)
		}
		experiments[i] = append(experiments[i], dir)
	}
	for _, e := range experiments {
		slices.SortStableFunc(e, func(a, b string) int { return cmp.Compare(order[a], order[b]) })
	}
	return experiments, nil
}
