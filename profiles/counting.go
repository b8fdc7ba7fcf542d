package profiles

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/cachegrind"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// Counting asks for the instructions of the subjects, by runs of their own under
// valgrind after the timed blocks, unless hardware counters told them.
type Counting struct {
	// NewGenerator is like that of Experiment, but what it makes has one connection.
	NewGenerator func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator
	// Unwanted says why the runs so far need no counts, or nothing. It may be nil.
	Unwanted func(runs []*runfolder.Run) string
	Blocks   int // each takes two starts of every subject
}

// CountBlocks suffice to find 1% more instructions in 95 of 100 cases, at an error rate of 1%
// (TestInstructionsErrorRates), and are counted within a minute.
const CountBlocks = 6

// unwanted says why the runs need no counts, or nothing.
func (c *Counting) unwanted(runs []*runfolder.Run) string {
	switch {
	case c == nil:
		return "not counted; --instructions counts them with valgrind"
	case c.Unwanted == nil:
		return ""
	}
	return c.Unwanted(runs)
}

// The shorter run of a block sends so many requests, or what the server answers in a second
// of CPU time if that is less; the longer one as many more as would take longTime if all took
// as long as those, whose code valgrind has still to translate. It is not the clock that
// decides: on a busy machine too few requests would be left.
const (
	shortRun  = 200
	shortTime = time.Second
	longTime  = 2 * time.Second
)

// further are the numbers of requests that a longer run may send more than the shorter one.
// They are few, so that two experiments with a server mostly count the same: what a request
// takes may depend on how many there were before.
var further = []int{3000, 1000, 300, 100}

// Valgrind takes so much more time to start a program and to end it than others.
const (
	countStartTimeout = 2 * time.Minute
	countStopTimeout  = 30 * time.Second
)

// count counts the instructions of every subject, if that is asked for. That they cannot be
// counted is no failure: the runs say why.
func (r *recorder) count(ctx context.Context) error {
	if r.countedByHardware() {
		return nil
	}
	why := r.Counting.unwanted(r.views())
	if why == "" {
		if err := r.countByValgrind(ctx); err != nil {
			why = err.Error()
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, run := range r.runs {
		run.LackInstructions(why)
	}
	return r.save()
}

func (r *recorder) countedByHardware() bool {
	return !slices.ContainsFunc(r.runs, func(run *runfolder.Writer) bool {
		_, missing := run.Manifest.Unavailable[runfolder.SourceInstructions]
		return missing
	})
}

// views are the runs so far.
func (r *recorder) views() []*runfolder.Run {
	var runs []*runfolder.Run
	for _, run := range r.runs {
		runs = append(runs, run.View())
	}
	return runs
}

func (r *recorder) countByValgrind(ctx context.Context) error {
	tool, err := cachegrind.Find(ctx)
	if err != nil {
		return err
	}
	c := &counter{recorder: r, tool: tool, processors: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if err := c.checkSubjects(); err != nil {
		return err
	}
	if err := c.chooseRequests(ctx); err != nil {
		return err
	}
	counts := make([][]cachegrind.Counts, len(r.Subjects))
	for b := range r.Counting.Blocks {
		r.reportCounting(b)
		block, err := c.block(ctx, b)
		if err != nil {
			return fmt.Errorf("counting instructions, block %d of %d: %w", b+1, r.Counting.Blocks, err)
		}
		for s := range counts {
			counts[s] = append(counts[s], block[s])
		}
	}
	return c.keep(counts)
}

// counter counts the instructions of all subjects.
type counter struct {
	*recorder
	tool       cachegrind.Tool
	from, to   int                 // requests of the two runs of a block
	pilots     []cachegrind.Counts // of each subject, the shorter run of the first block; nil if they were not alike
	processors chan struct{}       // one place for each: counts do not depend on what else runs, only their time does
}

func (c *counter) checkSubjects() error {
	for s, t := range c.Subjects {
		if _, started := t.(subject.Exec); !started {
			why := "was running already"
			if c.SubjectAgent != nil {
				why = "was started by agent " + c.SubjectAgent.Name
			}
			return fmt.Errorf("valgrind counts servers that it starts, and %s %s", c.infos[s].Name, why)
		}
	}
	return nil
}

// chooseRequests finds out how many requests fit into the CPU time of a run, of the slowest
// subject.
func (c *counter) chooseRequests(ctx context.Context) error {
	sent := make([]int, len(c.Subjects))
	took := make([]time.Duration, len(c.Subjects))
	c.pilots = make([]cachegrind.Counts, len(c.Subjects))
	err := c.each(func(s int) (err error) {
		c.pilots[s], err = c.run(ctx, s, func(i subject.Instance, g Generator) (err error) {
			sent[s], took[s], err = c.pilot(ctx, s, i, g)
			return err
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("counting instructions: %w", err)
	}
	c.from = slices.Min(sent)
	c.to = c.from + furtherWithin(longTime, slices.Max(took))
	if slices.Max(sent) != c.from {
		c.pilots = nil
	}
	return nil
}

// furtherWithin is how many further requests a longer run sends if one takes so long.
func furtherWithin(all, one time.Duration) int {
	for _, n := range further {
		if time.Duration(n)*one <= all {
			return n
		}
	}
	return further[len(further)-1]
}

// pilot sends requests for a time, and returns how many and what one of them took.
func (c *counter) pilot(ctx context.Context, s int, i subject.Instance, g Generator) (
	sent int, took time.Duration, err error,
) {
	const step = 10
	start, err := i.CPU()
	for spent := time.Duration(0); err == nil && sent < shortRun && spent < shortTime; sent += step {
		if err = c.send(ctx, s, g, step); err == nil {
			spent, err = i.CPU()
			spent -= start
			took = spent / time.Duration(sent+step)
		}
	}
	return sent, took, err
}

// block returns what each subject does for the requests by which its two runs differ.
func (c *counter) block(ctx context.Context, block int) ([]cachegrind.Counts, error) {
	counts := make([]cachegrind.Counts, len(c.Subjects))
	err := c.each(func(s int) error {
		short, err := c.short(ctx, s, block)
		if err != nil {
			return err
		}
		long, err := c.run(ctx, s, c.sender(ctx, s, c.to))
		if err != nil {
			return err
		}
		counts[s] = long.Less(short)
		return nil
	})
	return counts, err
}

// short counts the shorter run of a block: most of what it takes is the start, so that the
// first block has the one that found out its length.
func (c *counter) short(ctx context.Context, s, block int) (cachegrind.Counts, error) {
	if block == 0 && c.pilots != nil {
		return c.pilots[s], nil
	}
	return c.run(ctx, s, c.sender(ctx, s, c.from))
}

// each does something with every subject, as many at a time as there are processors.
func (c *counter) each(do func(s int) error) error {
	errs := make([]error, len(c.Subjects))
	var wg sync.WaitGroup
	for s := range c.Subjects {
		wg.Go(func() {
			c.processors <- struct{}{}
			defer func() { <-c.processors }()
			errs[s] = do(s)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// load is what one run puts on an instance.
type load func(subject.Instance, Generator) error

func (c *counter) sender(ctx context.Context, s, requests int) load {
	return func(_ subject.Instance, g Generator) error { return c.send(ctx, s, g, requests) }
}

// run counts the instructions of a process from its start to its end, with a load. All runs
// of all subjects get the same requests.
func (c *counter) run(ctx context.Context, s int, load load) (cachegrind.Counts, error) {
	folder, err := c.runs[s].Scratch()
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	instance, err := c.counted(s, folder).Start(ctx, c.runs[s].Log())
	if err != nil {
		return nil, err
	}
	generator := c.Counting.NewGenerator(c.infos[s], instance.URL(), c.Plan.Seed)
	err = load(instance, generator)
	generator.Close()
	instance.Stop()
	if err != nil {
		return nil, err
	}
	counts, err := cachegrind.Read(folder, instance.Process())
	if err != nil {
		return nil, fmt.Errorf("subject %s: %w", c.infos[s].Name, err)
	}
	return counts, nil
}

// steady has Go's runtime leave less to the clock and to chance. Collections are counted, but
// stop the world: how much a server that goes on meanwhile has to help with depends on the
// clock. So does which goroutines are interrupted, and which allocations are sampled for the heap
// profile is drawn by lot.
const steady = "gcstoptheworld=2,asyncpreemptoff=1,memprofilerate=0"

// counted is a subject under valgrind, which runs one thread at a time: with more, those
// of Go's runtime that have nothing to do would take turns with those that have. What the
// subject's environment says of GODEBUG and GOMAXPROCS counts for more than this.
func (c *counter) counted(s int, folder string) subject.Exec {
	e := c.Subjects[s].(subject.Exec)
	e.Under = c.tool.Command(folder)
	debug := valueOf("GODEBUG", slices.Concat(os.Environ(), e.Env))
	e.Env = slices.Concat([]string{"GOMAXPROCS=1"}, e.Env, []string{"GODEBUG=" + strings.TrimSuffix(steady+","+debug, ",")})
	e.Timeout = max(e.Timeout, countStartTimeout)
	e.Ending = countStopTimeout
	return e
}

// valueOf is the value of a variable in an environment, of which the last one counts.
func valueOf(name string, env []string) (value string) {
	for _, v := range env {
		if text, ok := strings.CutPrefix(v, name+"="); ok {
			value = text
		}
	}
	return value
}

// send sends requests, none of which may fail unless the load allows it.
func (c *counter) send(ctx context.Context, s int, g Generator, requests int) error {
	result := g.Warmup(ctx, requests)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if result.Lost != nil {
		return result.Lost
	}
	if err := result.SetupErr(); err != nil {
		return fmt.Errorf("subject %s under valgrind: %w", c.infos[s].Name, err)
	}
	n := result.Errors.Total()
	if n > 0 && c.Load.AllowErrors == 0 || result.Ops() == 0 {
		return fmt.Errorf("subject %s failed %d of %d requests under valgrind: %s",
			c.infos[s].Name, n, n+result.Ops(), result.Errors.First)
	}
	return nil
}

// keep adds the counts of all blocks, by subject, to the runs.
func (c *counter) keep(counts [][]cachegrind.Counts) error {
	for s, run := range c.runs {
		i := runfolder.Instructions{Tool: c.tool.Version, From: c.from, To: c.to}
		var profiles []*profile.Profile
		for _, all := range counts[s] {
			work, waited := all.Split()
			i.Blocks = append(i.Blocks, runfolder.InstructionBlock{Counted: work.Total(), Waiting: waited.Total()})
			profiles = append(profiles, work.Profile())
		}
		if err := run.AddInstructions(i, profiles); err != nil {
			return err
		}
	}
	return nil
}

// reportCounting tells how many blocks are counted.
func (r *recorder) reportCounting(done int) {
	if r.Progress != nil {
		r.Progress(Progress{Done: r.done, Blocks: r.planned, Counted: done, Counting: r.Counting.Blocks})
	}
}
