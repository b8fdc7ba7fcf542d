package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	rate       string
	arrivals   string
	timeout    time.Duration
	plan       profiles.Plan
	quick      bool
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

  # latency at a fixed rate, as users see it
  eventobench run --transport=nethttp,fasthttp --rate=5000/s --workers=50

  # on disk: what shared commits are worth
  eventobench run --transport=fasthttp --batch=off,on --store=sqlite:/var/tmp/bench.db`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *runOptions) addFlags(cmd *cobra.Command) {
	plan := profiles.DefaultPlan()
	f := cmd.Flags()
	f.StringSliceVar(&o.transports, "transport", []string{"nethttp"}, "transport to measure, a subject each: nethttp, fasthttp or fasthttp-adapter; repeatable, the same one twice measures the noise")
	f.StringSliceVar(&o.codecs, "codec", []string{"raw"}, "codec of the store: raw or std; several are measured side by side")
	f.StringSliceVar(&o.syncs, "sync", []string{"full"}, "when a store in a file waits for the disk: full, normal or off; several are measured side by side")
	f.StringSliceVar(&o.batches, "batch", []string{"on"}, "whether writes to a file share commits: on or off; several are measured side by side")
	f.StringVar(&o.store, "store", "sqlite::memory:", "sqlite::memory:, or sqlite:FILE for fresh files beside FILE, removed after each block")
	f.IntVar(&o.plan.Blocks, "blocks", plan.Blocks, "fresh processes a subject")
	f.IntVar(&o.plan.Rounds, "rounds", plan.Rounds, "slices a subject and block")
	f.DurationVar(&o.plan.Slice, "slice", plan.Slice, "length of a slice")
	f.IntVar(&o.plan.Warmup, "warmup", plan.Warmup, "unmeasured requests before the first slice of a block")
	f.IntVar(&o.workers, "workers", 10, "requests in flight, one connection each; with --rate at most so many")
	f.StringVar(&o.rate, "rate", "", "requests due in a second or minute, such as 5000/s or 300/m; without it, as many as the server answers")
	f.StringVar(&o.arrivals, "arrivals", string(loadgen.Poisson), "with --rate: poisson, as of many independent users, or constant")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "time after which a request counts as failed")
	f.Uint64Var(&o.plan.Seed, "seed", 0, "seed of all random order and data; 0 draws one, the manifest keeps it")
	f.StringVar(&o.out, "out", "profiles", "folder that receives the run folders")
	f.StringVar(&o.label, "label", "", "a few words to find the run by")
	f.BoolVar(&o.quick, "quick", false, "3 blocks of 10 rounds: a smoke run, too short for a verdict")
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
	e := profiles.Experiment{
		Subjects: subjects,
		Workload: loadgen.EventMix{Token: benchToken, Streams: loadgen.DefaultStreams},
		Workers:  o.workers,
		Timeout:  o.timeout,
		Plan:     o.effectivePlan(cmd.Flags().Changed),
		Out:      o.out,
		Label:    o.label,
		Tool:     version(),
	}
	return e, o.addRate(&e, cmd.Flags().Changed("arrivals"))
}

// addRate makes the load an open loop if a rate is given.
func (o *runOptions) addRate(e *profiles.Experiment, arrivals bool) (err error) {
	if o.rate == "" {
		if arrivals {
			return errors.New("--arrivals spreads the requests of a rate; give --rate too")
		}
		return nil
	}
	e.Rate, err = loadgen.ParseRate(o.rate)
	e.Arrivals = loadgen.Arrivals(o.arrivals)
	return err
}

// effectivePlan is the plan of the flags; with --quick, flags that were not
// given take the quick plan's values.
func (o *runOptions) effectivePlan(given func(flag string) bool) profiles.Plan {
	plan := o.plan
	if quick := profiles.QuickPlan(); o.quick {
		for flag, field := range map[string][2]*int{
			"blocks": {&plan.Blocks, &quick.Blocks},
			"rounds": {&plan.Rounds, &quick.Rounds},
			"warmup": {&plan.Warmup, &quick.Warmup},
		} {
			if !given(flag) {
				*field[0] = *field[1]
			}
		}
	}
	if plan.Seed == 0 {
		plan.Seed = rand.Uint64()
	}
	return plan
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
	return fmt.Sprintf("measuring %s: %d blocks of %d rounds of %v slices, %s, seed %d",
		strings.Join(names, ", "), e.Plan.Blocks, e.Plan.Rounds, e.Plan.Slice, e.Load().Pacing(), e.Plan.Seed)
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
	columns := []string{"subject", "ops/s", "mean ms", "p99 ms", "CPU us/op", "B/op", "allocs/op", "errors"}
	if o.rate != "" {
		columns = append(columns, "late", "missed")
	}
	table := compare.NewTable(columns...)
	for _, dir := range dirs {
		run, err := profiles.Open(dir)
		if err != nil {
			return err
		}
		t := run.Totals()
		cells := []string{run.Manifest.Subject.Name, compare.Number(t.OpsPerSec, 0), compare.Number(t.AvgLatencyMs, 3), compare.Number(t.P99Ms, 3),
			compare.Optional(t.CPUPerOp, 1), compare.Optional(t.AllocBytesPerOp, 0), compare.Optional(t.AllocsPerOp, 1), strconv.FormatInt(t.Errors, 10)}
		if t.OpenLoop != nil {
			cells = append(cells, strconv.FormatInt(t.OpenLoop.Late, 10), strconv.FormatInt(t.OpenLoop.Missed, 10))
		}
		table.Add(cells...)
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
