package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

type runOptions struct {
	factors factorOptions
	record  recordOptions
	quiet   bool
}

func newRunCmd() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Measure the built-in event store and record run folders",
		Long: `Run starts the built-in event store on each named transport, loads the subjects
in short alternating slices, and records one run folder per subject.

An experiment is made of blocks. In each block every subject is a fresh process:
it is warmed up and then gets its slices, one per round, in random order. The block
is what the statistics count; slices keep the machine's drift out of the ratio.

With two or more subjects, each is judged against the first when 60%, 80% and all
of --max-blocks are complete; the experiment ends as soon as throughput, CPU,
allocated bytes and allocations have a verdict. --blocks asks for a fixed number.

Without --rate the load is a closed loop: each worker sends a request when the one
before is answered, so the server sets the pace. With --rate it is an open loop:
requests are due at times of their own, latency counts from then, and requests
sent late or never are counted. A server that stands still shows it only so.

Exit codes: 0 recorded; 2 bad input, or an experiment with failed requests or a
dead subject (its folders are kept, marked failed); 130 interrupted (its folders
are kept, marked interrupted).`,
		Example: `  # the story: three transports side by side, in about two minutes
  eventobench run --transport=nethttp --transport=fasthttp --transport=fasthttp-adapter

  # does it work at all? a few seconds
  eventobench run --quick --transport=fasthttp

  # with encoding/json on both sides
  eventobench run --transport=nethttp,fasthttp --codec=std

  # what JSON costs: the same calls in protobuf
  eventobench run --transport=fasthttp --protocol=json,protobuf

  # which JSON library: none against three
  eventobench run --transport=fasthttp --codec=raw,std,jsonv2,segmentio

  # with profiles of waiting for locks, and of blocking
  eventobench run --transport=nethttp,fasthttp --profiles=mutex,block

  # latency at a fixed rate, as users see it
  eventobench run --transport=nethttp,fasthttp --rate=5000/s --workers=50

  # with requests of your own, in vegeta's format or in YAML (docs/workloads.md)
  eventobench run --transport=nethttp,fasthttp --targets=targets.txt
  eventobench run --transport=nethttp,fasthttp --workload=visitors.yaml

  # on disk: what shared commits are worth
  eventobench run --transport=fasthttp --batch=off,on --store=sqlite:/var/tmp/bench.db`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *runOptions) addFlags(cmd *cobra.Command) {
	o.factors.addFlags(cmd.Flags())
	o.record.addFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "print nothing but the folder paths")
}

func (o *runOptions) run(cmd *cobra.Command) error {
	subjects, err := o.factors.subjects()
	if err != nil {
		return err
	}
	dirs, err := o.record.run(cmd, subjects, compare.DefaultCriteria(), o.quiet)
	if err != nil {
		return err
	}
	return o.printResults(cmd.OutOrStdout(), dirs)
}

func (o *runOptions) printResults(w io.Writer, dirs []string) error {
	if o.quiet {
		_, err := fmt.Fprintln(w, strings.Join(dirs, "\n"))
		return err
	}
	ended := ""
	columns := []string{"subject", "ops/s", "mean ms", "p99 ms", "CPU us/op", "B/op", "allocs/op", "errors"}
	if o.record.rate != "" || o.record.workload.replay {
		columns = append(columns, "late", "missed")
	}
	table := texttab.New(columns...)
	for _, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			return err
		}
		if run.Manifest.Reason != "" {
			ended = run.Manifest.Reason + "\n"
		}
		t := run.Totals()
		cells := []string{
			run.Manifest.Subject.Name,
			texttab.Number(t.OpsPerSec, 0), texttab.Number(t.AvgLatencyMs, 3), texttab.Number(t.P99Ms, 3),
			texttab.Optional(t.CPUPerOp, 1), texttab.Optional(t.AllocBytesPerOp, 0), texttab.Optional(t.AllocsPerOp, 1),
			strconv.FormatInt(t.Errors, 10),
		}
		if t.OpenLoop != nil {
			cells = append(cells, strconv.FormatInt(t.OpenLoop.Late, 10), strconv.FormatInt(t.OpenLoop.Missed, 10))
		}
		table.Add(cells...)
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s%s\n\nnext: %s\n", table, ended, strings.Join(dirs, "\n"), nextCommand(dirs))
	return err
}

// nextCommand is what a user will want to type after a run.
func nextCommand(dirs []string) string {
	if len(dirs) == 1 {
		return programName() + " show " + dirs[0]
	}
	return strings.Join(slices.Concat([]string{programName(), "compare"}, dirs), " ")
}

// programName is how the user called this program.
func programName() string {
	if program, err := os.Executable(); err == nil && strings.Contains(program, "go-build") {
		return "go run ./cmd/eventobench"
	}
	return os.Args[0]
}
