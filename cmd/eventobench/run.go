package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/server/sqlite"
	"github.com/eventobench/eventobench/server/transport"
)

// benchToken is the default namespace's token while the built-in store is
// measured: clients authenticate, so what that costs is part of the figures.
// The store it opens lives on loopback for the time of a block.
const benchToken = "ns_ZGVmYXVsdA_" + "e7e27b0be27b0bec0de0123456789abcdeffedcba9876543210edceb0b72eb7e"

type runOptions struct {
	transports []string
	codecs     []string
	syncs      []string
	batches    []string
	store      string
	workers    int
	timeout    time.Duration
	plan       planOptions
	out        string
	label      string
	quiet      bool
}

func newRunCmd() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Measure the built-in event store and record run folders",
		Long: `Run starts the built-in event store on each named transport, loads the subjects
in short alternating slices, and records one run folder a subject.

An experiment is made of blocks. In each block every subject is a fresh process:
it is warmed up and then gets its slices, one a round, in random order. The block
is what the statistics count; slices keep the machine's drift out of the ratio.

With two or more subjects, each is judged against the first when 60%, 80% and all
of --max-blocks are complete; the experiment ends as soon as throughput, CPU,
allocated bytes and allocations have a verdict. --blocks asks for a fixed number.

Exit codes: 0 recorded; 2 bad input, or an experiment with failed requests or a
dead subject (its folders are kept, marked failed); 130 interrupted (its folders
are kept, marked interrupted).`,
		Example: `  # the story: three transports side by side, in about two minutes
  eventobench run --transport=nethttp --transport=fasthttp --transport=fasthttp-adapter

  # does it work at all? a few seconds
  eventobench run --quick --transport=fasthttp

  # with encoding/json on both sides
  eventobench run --transport=nethttp,fasthttp --codec=std

  # on disk: what shared commits are worth
  eventobench run --transport=fasthttp --batch=off,on --store=sqlite:/var/tmp/bench.db`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *runOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&o.transports, "transport", []string{"nethttp"}, "transport to measure, a subject each: nethttp, fasthttp or fasthttp-adapter; repeatable, the same one twice measures the noise")
	f.StringSliceVar(&o.codecs, "codec", []string{"raw"}, "codec of the store: raw or std; several are measured side by side")
	f.StringSliceVar(&o.syncs, "sync", []string{"full"}, "when a store in a file waits for the disk: full, normal or off; several are measured side by side")
	f.StringSliceVar(&o.batches, "batch", []string{"on"}, "whether writes to a file share commits: on or off; several are measured side by side")
	f.StringVar(&o.store, "store", "sqlite::memory:", "sqlite::memory:, or sqlite:FILE for fresh files beside FILE, removed after each block")
	f.IntVar(&o.workers, "workers", 10, "requests in flight, one connection each")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "time after which a request counts as failed")
	o.plan.addFlags(f)
	f.StringVar(&o.out, "out", "profiles", "folder that receives the run folders")
	f.StringVar(&o.label, "label", "", "a few words to find the run by")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print nothing but the folder paths")
}

func (o *runOptions) run(cmd *cobra.Command) error {
	e, err := o.experiment(cmd)
	if err != nil {
		return err
	}
	p := newProgress(cmd.ErrOrStderr())
	if !o.quiet {
		e.Progress = p.show
		fmt.Fprintln(cmd.ErrOrStderr(), describe(e))
	}
	dirs, err := e.Record(cmd.Context())
	p.clear()
	if err != nil {
		return o.failure(cmd, dirs, err)
	}
	return o.printResults(cmd.OutOrStdout(), dirs)
}

func (o *runOptions) experiment(cmd *cobra.Command) (profiles.Experiment, error) {
	subjects, err := o.subjects()
	if err != nil {
		return profiles.Experiment{}, err
	}
	return profiles.Experiment{
		Subjects: subjects,
		Workload: loadgen.EventMix{Token: benchToken, Streams: loadgen.DefaultStreams},
		Workers:  o.workers,
		Timeout:  o.timeout,
		Plan:     o.plan.plan(len(subjects), cmd.Flags().Changed),
		Out:      o.out,
		Label:    o.label,
		Tool:     version(),
		MaxTime:  o.plan.maxTime,
		Decide:   decider(compare.DefaultCriteria(), len(subjects)),
	}, nil
}

// decider judges the experiment at its looks, if there is anything to compare.
func decider(c compare.Criteria, subjects int) func([]*profiles.Run) profiles.Look {
	if subjects < 2 {
		return nil
	}
	return func(runs []*profiles.Run) profiles.Look { return compare.Decide(runs, c) }
}

// factor is a choice of the subjects. One with several values is part of their
// names.
type factor struct {
	name   string
	values []string
}

// variants returns all combinations of the factors' values, the last factor
// changing fastest.
func variants(factors []factor) [][]string {
	all := [][]string{{}}
	for _, f := range factors {
		var longer [][]string
		for _, v := range all {
			for _, value := range f.values {
				longer = append(longer, append(slices.Clone(v), value))
			}
		}
		all = longer
	}
	return all
}

// subjects makes a subject of each combination of transport, codec, sync and
// batch. One that is asked for again gets a number.
func (o *runOptions) subjects() ([]profiles.Subject, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the program to start subjects with: %w", err)
	}
	store, scratch, err := freshStore(o.store)
	if err != nil {
		return nil, err
	}
	transports, err := o.parseTransports()
	if err != nil {
		return nil, err
	}
	factors := []factor{{"transport", transports}, {"codec", o.codecs}, {"sync", o.syncs}, {"batch", o.batches}}
	var subjects []profiles.Subject
	count := map[string]int{}
	for _, values := range variants(factors) {
		s := profiles.Subject{
			Kind:    "built-in",
			Command: []string{program, "serve", "--addr=127.0.0.1:0", "--store=" + store, "--token=" + benchToken, "--log-level=warn"},
			Options: map[string]string{"store": o.store},
			Health:  "/health",
			Scratch: scratch,
		}
		for i, f := range factors {
			s.Command = append(s.Command, "--"+f.name+"="+values[i])
			s.Options[f.name] = values[i]
		}
		s.Name = subjectName(factors, values)
		if count[s.Name]++; count[s.Name] > 1 {
			s.Name += "-" + strconv.Itoa(count[s.Name])
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 {
		return nil, errors.New("there is nothing to measure; name a transport, codec, sync and batch")
	}
	return subjects, nil
}

// parseTransports gives every transport its proper name.
func (o *runOptions) parseTransports() ([]string, error) {
	var names []string
	for _, text := range o.transports {
		kind, err := transport.Parse(text)
		if err != nil {
			return nil, err
		}
		names = append(names, string(kind))
	}
	return names, nil
}

// subjectName is the transport and the value of every other factor that has
// several, such as fasthttp-batch-off.
func subjectName(factors []factor, values []string) string {
	name := values[0]
	for i, f := range factors[1:] {
		if len(f.values) > 1 {
			name += "-" + f.name + "-" + values[i+1]
		}
	}
	return name
}

// freshStore turns a store that is a file into one of the same name in a
// scratch folder of each process, on the same file system.
func freshStore(store string) (fresh, scratch string, err error) {
	file, err := storePath(store)
	if err != nil || file == sqlite.Memory {
		return store, "", err
	}
	scratch, err = filepath.Abs(filepath.Dir(file))
	return "sqlite:" + filepath.Join(profiles.ScratchFolder, filepath.Base(file)), scratch, err
}

func describe(e profiles.Experiment) string {
	var names []string
	for _, s := range e.Subjects {
		names = append(names, s.Name)
	}
	return fmt.Sprintf("measuring %s: %s of %d rounds of %v slices, %d workers, seed %d",
		strings.Join(names, ", "), blocks(e.Plan), e.Plan.Rounds, e.Plan.Slice, e.Workers, e.Plan.Seed)
}

// blocks says how many blocks a plan has.
func blocks(p profiles.Plan) string {
	if looks := p.Looks(); len(looks) > 1 {
		return fmt.Sprintf("%d to %d blocks", looks[0], p.Blocks)
	}
	return fmt.Sprintf("%d blocks", p.Blocks)
}

// failure adds to an error where the folders of the failed run are.
func (o *runOptions) failure(cmd *cobra.Command, dirs []string, err error) error {
	for _, dir := range dirs {
		fmt.Fprintln(cmd.ErrOrStderr(), "kept:", dir)
	}
	return err
}

func (o *runOptions) printResults(w io.Writer, dirs []string) error {
	if o.quiet {
		_, err := fmt.Fprintln(w, strings.Join(dirs, "\n"))
		return err
	}
	table := compare.NewTable("subject", "ops/s", "mean ms", "p99 ms", "CPU us/op", "B/op", "allocs/op", "errors")
	for _, dir := range dirs {
		run, err := profiles.Open(dir)
		if err != nil {
			return err
		}
		t := run.Totals()
		table.Add(run.Manifest.Subject.Name, compare.Number(t.OpsPerSec, 0), compare.Number(t.AvgLatencyMs, 3), compare.Number(t.P99Ms, 3),
			compare.Optional(t.CPUPerOp, 1), compare.Optional(t.AllocBytesPerOp, 0), compare.Optional(t.AllocsPerOp, 1), strconv.FormatInt(t.Errors, 10))
	}
	_, err := fmt.Fprintf(w, "\n%s\n%s\n\nnext: %s\n", table, strings.Join(dirs, "\n"), nextCommand(dirs))
	return err
}

// nextCommand is what a user will want to type after a run.
func nextCommand(dirs []string) string {
	if len(dirs) == 1 {
		return "go tool pprof -top " + filepath.Join(dirs[0], profiles.FileCPU)
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
