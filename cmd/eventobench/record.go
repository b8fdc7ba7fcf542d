package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/workload"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// recordOptions are the flags of every command that records experiments.
type recordOptions struct {
	workload     workloadOptions
	workers      int
	rate         string
	arrivals     string
	timeout      time.Duration
	connect      connectOptions
	agents       agentsOptions
	plan         planOptions
	profiles     []string
	out          string
	label        string
	probe        bool
	passing      bool // folders are kept only of an experiment that failed
	failed       bool // the last experiment did, and was not interrupted
	layouts      int  // blocks with the functions of subjects in other orders, if their time moved
	instructions instructionsFlag
}

func (o *recordOptions) addFlags(f *pflag.FlagSet) {
	theme(f, themeMeasure, o.workload.addFlags)
	theme(f, themeLoad, o.addLoadFlags)
	theme(f, themeAgents, o.agents.addFlags)
	theme(f, themeLength, o.plan.addFlags)
	theme(f, themeMeasure, o.instructions.addFlag)
	theme(f, themeOutput, o.addOutputFlags)
}

func (o *recordOptions) addLoadFlags(f *pflag.FlagSet) {
	f.IntVar(&o.workers, "workers", 10, "requests in flight, one connection each; with --rate at most so many")
	f.StringVar(&o.rate, "rate", "",
		"requests due per second or minute, such as 5000/s or 300/m; without it, as many as the server answers")
	f.StringVar(&o.arrivals, "arrivals", string(loadgen.Poisson),
		"with --rate: poisson, as of many independent users, or constant")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "time after which a request counts as failed, at most 1h")
	o.connect.addFlags(f)
}

func (o *recordOptions) addOutputFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.profiles, "profiles", nil,
		"profiles to record beside cpu, allocs, heap and goroutine: mutex, block, goroutineleak; or none at all: none")
	f.StringVar(&o.out, "out", "profiles", "folder that receives the run folders")
	f.StringVar(&o.label, "label", "", "a few words to find the run by")
}

// run records an experiment of the subjects, telling on stderr how far it is
// unless it is to be quiet, and returns its folders. Of an experiment that
// failed it tells where the folders are.
func (o *recordOptions) run(
	cmd *cobra.Command, subjects []subject.Target, c compare.Criteria, quiet bool,
) ([]string, error) {
	e, err := o.experiment(subjects, c, cmd.Flags().Changed)
	if err != nil {
		return nil, err
	}
	log := cmd.ErrOrStderr()
	if quiet {
		log = io.Discard
	}
	release, err := o.agents.gather(cmd.Context(), log)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := o.agents.elsewhere(&e); err != nil {
		return nil, err
	}
	p := newProgress(cmd.ErrOrStderr())
	if !quiet {
		e.Progress = p.show
		e.Begun = func() { fmt.Fprintln(cmd.ErrOrStderr(), describe(e, subjects)) }
	}
	dirs, err := e.Record(cmd.Context())
	p.clear()
	o.failed = err != nil && cmd.Context().Err() == nil
	if o.failed || err != nil && !o.passing {
		for _, dir := range dirs {
			fmt.Fprintln(cmd.ErrOrStderr(), "kept:", dir)
		}
	}
	return dirs, err
}

func (o *recordOptions) experiment(
	subjects []subject.Target, c compare.Criteria, given func(flag string) bool,
) (e profiles.Experiment, err error) {
	kinds, err := o.kinds(c, given)
	if err != nil {
		return e, err
	}
	sent, err := o.traffic(subjects, given)
	if err != nil {
		return e, err
	}
	probing, err := o.probing(sent)
	plan := o.planned(sent.load, len(subjects), c, given)
	return profiles.Experiment{
		Subjects:     targets(subjects, kinds),
		Load:         sent.load,
		NewGenerator: o.agents.drive(sent),
		Profiles:     kinds,
		Plan:         plan,
		Lengthen:     plan.Slice == runfolder.FineSlice && !given("slice"),
		Probing:      probing,
		Layouts:      layouts(subjects, kinds, c),
		Out:          o.out,
		Label:        o.label,
		Tool:         version(),
		MaxTime:      o.plan.maxTime,
		Decide:       decider(c, len(subjects)),
		Counting:     o.instructions.counting(sent, c),
	}, err
}

// kinds are the profiles to record. Of times there are none by themselves where counts
// alone are judged: they explain no count, and take a second in every block.
func (o *recordOptions) kinds(c compare.Criteria, given func(flag string) bool) ([]runfolder.ProfileKind, error) {
	kinds, err := runfolder.ParseKinds(o.profiles)
	if c.CountsOnly() && !given("profiles") {
		kinds = slices.DeleteFunc(kinds, runfolder.ProfileKind.Timing)
	}
	return kinds, err
}

func (o *recordOptions) planned(
	l loadgen.Load, subjects int, c compare.Criteria, given func(flag string) bool,
) runfolder.Plan {
	coarse := l.Open() || o.agents.agents > 0 || o.agents.subjectAgent != ""
	plan := o.plan.plan(subjects, c.CountsOnly(), coarse, given)
	if !c.CountsOnly() { // which no layout changes
		plan.Layouts, plan.LayoutLook = o.layouts, min(o.layouts, runfolder.FirstLook)
	}
	return plan
}

func (o *recordOptions) traffic(
	subjects []subject.Target, given func(flag string) bool,
) (t traffic, err error) {
	if t.workload, err = o.workload.workload(subjects); err != nil {
		return t, err
	}
	if t.load, err = o.load(t.workload, given("arrivals")); err != nil {
		return t, err
	}
	return t, t.reach(subjects, &o.connect, &o.agents)
}

// load is a closed loop, or an open one if a rate is given or the workload has times.
func (o *recordOptions) load(w loadgen.Workload, arrivals bool) (l loadgen.Load, err error) {
	l = loadgen.Load{Workload: w.Name(), Kinds: w.Kinds(), Workers: o.workers, Timeout: o.timeout}
	if err := o.connect.apply(&l); err != nil {
		return l, err
	}
	if p, ok := w.(*workload.Replay); ok {
		l.Rate, l.Arrivals = p.Rate(), loadgen.Replay
		if o.rate != "" || arrivals {
			return l, errors.New("--replay sends requests at their own times; leave out --rate and --arrivals")
		}
		return l, nil
	}
	if o.rate == "" {
		if arrivals {
			return l, errors.New("--arrivals spreads the requests of a rate; give --rate too")
		}
		return l, nil
	}
	l.Rate, err = loadgen.ParseRate(o.rate)
	l.Arrivals = loadgen.Arrivals(o.arrivals)
	if l.Arrivals == loadgen.Replay {
		return l, errors.New("--arrivals=replay: give --replay instead of a rate")
	}
	return l, err
}

// decider judges the experiment at its looks, if there is anything to compare.
func decider(c compare.Criteria, subjects int) func([]*runfolder.Run) runfolder.Look {
	if subjects < 2 {
		return nil
	}
	return func(runs []*runfolder.Run) runfolder.Look { return compare.Decide(runs, c) }
}

func describe(e profiles.Experiment, subjects []subject.Target) string {
	var names []string
	for _, s := range subjects {
		names = append(names, fmt.Sprint(s))
	}
	longer := ""
	if e.Lengthen {
		longer = " (longer for slow requests)"
	}
	return fmt.Sprintf("measuring %s: %s of %d rounds of %v slices%s, %s, seed %d",
		strings.Join(names, ", "), blocks(e.Plan), e.Plan.Rounds, e.Plan.Slice, longer, e.Load.Pacing(), e.Plan.Seed)
}

// blocks says how many blocks a plan has.
func blocks(p runfolder.Plan) string {
	if looks := p.Looks(); len(looks) > 1 {
		return fmt.Sprintf("%d to %d blocks", looks[0], p.Blocks)
	}
	return texttab.Count(p.Blocks, "block")
}
