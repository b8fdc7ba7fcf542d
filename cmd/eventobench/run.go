package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

type runOptions struct {
	specs    []string // subjects of --subject
	subjects subjectOptions
	factors  factorOptions
	record   recordOptions
	history  historyFlag
	quiet    bool
	config   string
}

func newRunCmd() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Measure servers side by side and record run folders",
		Long: `Run starts servers, loads them in short alternating slices, and records one run
folder per subject. A subject is what --subject names, repeatable:
   exec:COMMAND                  any server; {addr} is where it shall listen
   go:PACKAGE                    the working tree, built for the occasion
   git:REF or git:REF:PACKAGE    a commit
   url:http://127.0.0.1:8080     a server that is running
   builtin:fasthttp,codec=std    the built-in store
with NAME= before it if you like; docs/subjects.md explains them. Without --subject
they are those of eventobench.yaml, or else the built-in event store on each named
transport.

An experiment is made of blocks. In each block every subject is a fresh process:
it is warmed up and then gets its slices, one per round, in random order. The block
is what the statistics count; slices keep the machine's drift out of the ratio.

With two or more subjects, each is judged against the first after every block from
the third on; the experiment ends as soon as throughput, CPU, allocated bytes and
allocations have a verdict, or would hardly have one after --max-blocks. --blocks
asks for a fixed number.

Without --rate the load is a closed loop: each worker sends a request when the one
before is answered, so the server sets the pace. With --rate it is an open loop:
requests are due at times of their own, latency counts from then, and requests
sent late or never are counted. A server that stands still shows it only so.

With --agents other processes make the load, on this machine (--spawn) or on others,
and the line that starts one there is printed; with --subject-agent one of another
machine starts and measures the servers: docs/agents.md.

What limited the throughput is said at the end. With --probe it is measured before the
first block: with twice the workers, and by a server that does nothing.

Exit codes: 0 recorded; 2 bad input, or an experiment with failed requests or a
dead subject (its folders are kept, marked failed); 130 interrupted (its folders
are kept, marked interrupted).`,
		Example: `  # your server before and after a change, with its profiling pages on a port of their own
  eventobench run --subject='before=exec:./old -listen {addr}' --subject='after=exec:./new -listen {addr}' \
    --env=LOG=off --pprof='127.0.0.1:{port2}' --env='PPROF_ADDR=127.0.0.1:{port2}'

  # the story: three transports side by side, in half a minute to two
  eventobench run --transport=nethttp --transport=fasthttp --transport=fasthttp-adapter

  # does it work at all? a few seconds
  eventobench run --quick --transport=fasthttp

  # with encoding/json on both sides
  eventobench run --transport=nethttp,fasthttp --codec=std

  # what JSON costs: the same calls in protobuf
  eventobench run --transport=fasthttp --protocol=json,protobuf

  # which JSON library: none against three
  eventobench run --transport=fasthttp --codec=raw,std,jsonv2,segmentio

  # the same store on SQLite and on PostgreSQL, which is started for the time of the run
  eventobench run --transport=fasthttp --store=sqlite:/var/tmp/bench.db,postgres:/var/tmp

  # with profiles of waiting for locks, and of blocking
  eventobench run --transport=nethttp,fasthttp --profiles=mutex,block

  # instructions per operation, by function, under valgrind
  eventobench run --transport=nethttp,fasthttp --instructions

  # latency at a fixed rate, as users see it
  eventobench run --transport=nethttp,fasthttp --rate=5000/s --workers=50

  # with two processes that make the load between them, or with other machines
  eventobench run --agents=2 --spawn --transport=nethttp,fasthttp
  eventobench run --agents=2 --nats-listen=10.0.0.1:0 --allow-remote --subject=url:http://10.0.0.1:8080

  # is it the server that limits the throughput?
  eventobench run --probe --transport=nethttp,fasthttp

  # with the servers on another machine, where "eventobench agent --name=box --subjects" runs
  eventobench run --subject-agent=box --nats-listen=10.0.0.1:4222 --allow-remote --transport=nethttp,fasthttp

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
	theme(cmd.Flags(), themeMeasure, o.addSubjectFlags)
	theme(cmd.Flags(), themeJudge, o.record.addProbe)
	o.record.addFlags(cmd.Flags())
	theme(cmd.Flags(), themeOutput, o.history.addFlag)
	cmd.Flags().StringVar(&o.config, "config", "", configUsage)
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "print nothing but the folder paths")
}

func (o *runOptions) addSubjectFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.specs, "subject", nil,
		"server to measure, SPEC or NAME=SPEC with SPEC exec:COMMAND, url:URL, go:PACKAGE, git:REF or builtin:…; repeatable")
	o.subjects.addFlags(f)
	o.factors.addFlags(f)
}

func (o *runOptions) run(cmd *cobra.Command) error {
	if err := o.history.check(); err != nil {
		return err
	}
	if err := o.applyConfig(cmd.Flags()); err != nil {
		return err
	}
	subjects, err := o.targets(cmd)
	if err != nil {
		return err
	}
	dirs, err := o.record.run(cmd, subjects, compare.DefaultCriteria(), o.quiet)
	if err != nil {
		return err
	}
	if err := o.history.addFolders(dirs); err != nil {
		return err
	}
	return o.printResults(cmd.OutOrStdout(), dirs)
}

// applyConfig takes from the project's configuration what no flag says. Flags that
// choose the built-in store choose it instead of the project's subjects.
func (o *runOptions) applyConfig(f *pflag.FlagSet) error {
	project, err := readProject(o.config)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(factorFlags, f.Changed) {
		project.Workload = nil // it is that of the project's subjects
	} else if len(o.specs) == 0 {
		o.specs = project.Subjects
	}
	return project.setFlags(f)
}

// targets are the subjects of --subject, or else the built-in store's.
func (o *runOptions) targets(cmd *cobra.Command) ([]subject.Target, error) {
	if len(o.specs) == 0 {
		stores, err := o.factors.subjects()
		if err != nil {
			return nil, err
		}
		return o.subjects.stores(stores)
	}
	for _, flag := range factorFlags {
		if cmd.Flags().Changed(flag) {
			return nil, fmt.Errorf("--%s and --subject cannot be used together; write --subject=builtin:fasthttp,codec=std", flag)
		}
	}
	log := cmd.ErrOrStderr()
	if o.quiet {
		log = nil
	}
	return o.subjects.targets(cmd.Context(), o.specs, log)
}

func (o *runOptions) printResults(w io.Writer, dirs []string) error {
	if o.quiet {
		_, err := fmt.Fprintln(w, strings.Join(dirs, "\n"))
		return err
	}
	columns := []string{"subject", "ops/s", "mean ms", "p99 ms", "CPU us/op", "B/op", "allocs/op", "errors"}
	if o.record.rate != "" || o.record.workload.replay {
		columns = append(columns, "late", "missed")
	}
	table := texttab.New(columns...)
	var missing, held []string
	ended := ""
	for _, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			return err
		}
		m := run.Manifest
		if m.Reason != "" {
			ended = m.Reason + "\n"
		}
		missing = append(missing, whyMissing(m))
		held = append(held, fmt.Sprintf("throughput of %s was limited by: %s\n", m.Subject.Name, compare.HeldBy(run)))
		table.Add(resultCells(m.Subject.Name, run.Totals())...)
	}
	_, err := fmt.Fprintf(w, "\n%s%s%s\n%s%s\n\nnext: %s\n",
		table, strings.Join(missing, ""), strings.Join(held, ""), ended, strings.Join(dirs, "\n"), nextCommand(dirs))
	return err
}

// resultCells are a run's row of the table of results.
func resultCells(name string, t runfolder.Totals) []string {
	cells := []string{
		name,
		texttab.Number(t.OpsPerSec, 0),
		texttab.Number(t.AvgLatencyMs, 3),
		texttab.Number(t.P99Ms, 3),
		texttab.Optional(t.CPUPerOp, 1),
		texttab.Optional(t.AllocBytesPerOp, 0),
		texttab.Optional(t.AllocsPerOp, 1),
		strconv.FormatInt(t.Errors, 10),
	}
	if t.OpenLoop != nil {
		cells = append(cells, strconv.FormatInt(t.OpenLoop.Late, 10), strconv.FormatInt(t.OpenLoop.Missed, 10))
	}
	return cells
}

// whyMissing explains the figures that a run's row does not have.
func whyMissing(m runfolder.Manifest) string {
	text := ""
	for _, source := range []runfolder.Source{runfolder.SourceCPUClock, runfolder.SourceMemStats} {
		if reason, missing := m.Unavailable[source]; missing {
			text += fmt.Sprintf("%s of %s: unavailable, %s\n", source, m.Subject.Name, reason)
		}
	}
	return text
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
