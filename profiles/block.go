package profiles

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/host"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// instance is a subject's process in one block, with all that the block has
// captured of it so far.
type instance struct {
	run     *runfolder.Writer
	process *subject.Process
	driver  *loadgen.Driver
	pprof   *subject.PprofClient
	cpu     *subject.CpuProfile

	profileTime time.Duration

	block    runfolder.Block
	before   subject.MemStats
	samples  []runfolder.Slice
	lastCPU  time.Duration // the CPU clock when the latest slice began
	profiles map[string]*profile.Profile
}

// block records one block of all subjects, and adds it to their runs only if
// it is complete.
func (r *recorder) block(ctx context.Context, block int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := r.startAll(ctx, block)
	defer stopAll(in, cancel)
	if err != nil {
		return err
	}
	if err := r.warmUp(ctx, in); err != nil {
		return err
	}
	for _, step := range []step{(*instance).captureBefore, (*instance).startCPU, (*instance).countBefore} {
		if err := r.each(ctx, in, step); err != nil {
			return err
		}
	}
	if err := r.rounds(ctx, in, block); err != nil {
		return err
	}
	for _, step := range []step{(*instance).countAfter, (*instance).captureAfter} {
		if err := r.each(ctx, in, step); err != nil {
			return err
		}
	}
	for _, i := range in {
		if err := i.complete(); err != nil {
			return err
		}
	}
	return nil
}

// startAll starts a fresh process of every subject, in random order.
func (r *recorder) startAll(ctx context.Context, block int) ([]*instance, error) {
	seed := rand.NewPCG(r.Plan.Seed, uint64(block)+1).Uint64() // the same requests for every subject
	var in []*instance
	for order, s := range r.rng.Perm(len(r.Subjects)) {
		p, err := subject.StartProcess(ctx, r.Subjects[s], r.runs[s].Log)
		if err != nil {
			return in, err
		}
		in = append(in, &instance{
			run:     r.runs[s],
			process: p,
			driver:  loadgen.NewDriver(p.Url.Host, r.Workload, r.Load(), seed),
			pprof:   &subject.PprofClient{Base: p.Url},
			block:   runfolder.Block{Block: block, StartOrder: order},
			// The rounds take longer than their slices: outstanding requests are waited for.
			profileTime: r.window() + r.window()/10 + 300*time.Millisecond,
			profiles:    map[string]*profile.Profile{},
		})
	}
	return in, nil
}

// stopAll ends the processes, all at the same time, and waits for what still
// hangs on them.
func stopAll(in []*instance, cancel context.CancelFunc) {
	cancel()
	for _, i := range in {
		i.driver.Close()
		subject.TerminateGroup(i.process.Pid())
	}
	for _, i := range in {
		i.process.Stop()
		if i.cpu != nil {
			_, _ = i.cpu.Wait()
		}
		i.pprof.Http.CloseIdleConnections()
	}
}

// step is one of the things that are done once a block with every instance.
type step func(*instance, context.Context) error

// each does one step with every instance, in random order, and explains a
// failure by the death of the subject if it died.
func (r *recorder) each(ctx context.Context, in []*instance, do step) error {
	for _, i := range r.perm(in) {
		if err := do(i, ctx); err != nil {
			return i.explain(ctx, err)
		}
	}
	return nil
}

// warmUp loads the subjects one after the other, unmeasured.
func (r *recorder) warmUp(ctx context.Context, in []*instance) error {
	return r.each(ctx, in, func(i *instance, ctx context.Context) error {
		result := i.driver.Warmup(ctx, r.Plan.Warmup)
		i.block.WarmupOps = result.Ops()
		i.driver.TakeLatency()
		return i.checkResult(ctx, result)
	})
}

// captureBefore sets a garbage collection point and takes the profiles that
// the window starts from.
func (i *instance) captureBefore(ctx context.Context) error {
	return i.capture(ctx, runfolder.FileHeapBefore, runfolder.FileAllocsBefore)
}

// capture reads the heap after a garbage collection, and the allocations that
// the collection brought up to date.
func (i *instance) capture(ctx context.Context, heap, allocs string) (err error) {
	if i.profiles[heap], err = i.pprof.Profile(ctx, "heap?gc=1"); err != nil {
		return err
	}
	i.profiles[allocs], err = i.pprof.Profile(ctx, "allocs")
	return err
}

// startCPU begins a CPU profile of all rounds.
func (i *instance) startCPU(ctx context.Context) error {
	i.cpu = i.pprof.StartCPUProfile(ctx, i.profileTime)
	return nil
}

// countBefore reads the counters three times: once to get over what only a
// first reading costs, twice to learn what every reading adds to them. Each
// comes after a garbage collection: without, one that happens to fall between
// two readings empties the server's pools, and the next reading allocates
// buffers of a megabyte that the one before it did not.
func (i *instance) countBefore(ctx context.Context) error {
	var readings [3]subject.MemStats
	for n := range readings {
		var err error
		if readings[n], err = i.pprof.CountersAfterGC(ctx); err != nil {
			return err
		}
	}
	i.before = readings[2]
	i.block.Before = i.before.Counters(i.before.NumGC)
	cost := i.block.Before.Sub(readings[1].Counters(readings[1].NumGC))
	i.block.ReadCost = runfolder.Counters{TotalAlloc: cost.TotalAlloc, Mallocs: cost.Mallocs}
	return nil
}

// rounds gives every subject its slices, and follows the machine meanwhile.
func (r *recorder) rounds(ctx context.Context, in []*instance, block int) error {
	window := host.OpenWindow(host.MachineRoot)
	for round := range r.Plan.Rounds {
		window.Look()
		for order, i := range r.perm(in) {
			if err := i.slice(ctx, r, runfolder.Slice{Block: block, Round: round, Order: order}); err != nil {
				return i.explain(ctx, err)
			}
		}
		r.report(round + 1)
	}
	for _, i := range in {
		i.block.Start = i.samples[0].Start
		if err := i.chargeCPU(); err != nil {
			return i.explain(ctx, err)
		}
	}
	machine := window.Close(serverCPU(in))
	for _, i := range in {
		i.block.Machine = machine
	}
	return nil
}

// serverCPU is what all subjects of a block used in its slices, or nil if that
// is not known.
func serverCPU(in []*instance) *time.Duration {
	var sum time.Duration
	for _, i := range in {
		if _, missing := i.run.Manifest.Unavailable[runfolder.SourceCPUClock]; missing {
			return nil
		}
		for _, s := range i.samples {
			sum += s.ServerCPU
		}
	}
	return &sum
}

// slice loads one instance for one slice and completes the sample.
func (i *instance) slice(ctx context.Context, r *recorder, s runfolder.Slice) error {
	if err := i.chargeCPU(); err != nil {
		return err
	}
	result := i.driver.Slice(ctx, r.Plan.Slice)
	s.GeneratorCPU, s.Reopened = result.CPU, result.Reopened
	s.Start, s.Duration, s.Errors = result.Start.Sub(r.start), result.Duration, result.Errors.Total()
	s.Late, s.Missed, s.MaxLate = result.Late, result.Missed, result.MaxLate
	for _, k := range result.Kinds {
		s.Kinds = append(s.Kinds, runfolder.KindSlice(k))
	}
	i.samples = append(i.samples, s)
	return i.checkResult(ctx, result)
}

// chargeCPU reads the CPU clock and charges what was used since the latest
// slice began to that slice: work that requests leave behind, such as a
// garbage collection, is theirs although it goes on while the subject idles.
func (i *instance) chargeCPU() error {
	if _, missing := i.run.Manifest.Unavailable[runfolder.SourceCPUClock]; missing {
		return nil
	}
	now, err := subject.ProcessCPU(i.process.Pid())
	if err != nil {
		return err
	}
	if n := len(i.samples); n > 0 {
		i.samples[n-1].ServerCPU = now - i.lastCPU
	}
	i.lastCPU = now
	return nil
}

func (i *instance) countAfter(ctx context.Context) error {
	after, err := i.pprof.Counters(ctx)
	if err != nil {
		return err
	}
	i.block.After = after.Counters(i.before.NumGC)
	return nil
}

// captureAfter waits for the CPU profile and takes the profiles at the end of
// the window.
func (i *instance) captureAfter(ctx context.Context) (err error) {
	if i.profiles[runfolder.FileCPU], err = i.cpu.Wait(); err != nil {
		return err
	}
	if err := i.capture(ctx, runfolder.FileHeapAfter, runfolder.FileAllocsAfter); err != nil {
		return err
	}
	if i.profiles[runfolder.FileGoroutine], err = i.pprof.Profile(ctx, "goroutine"); err != nil {
		return err
	}
	i.block.Goroutines = runfolder.SampleSum(i.profiles[runfolder.FileGoroutine])
	if _, missing := i.run.Manifest.Unavailable[runfolder.SourceRSS]; !missing {
		i.block.RSSPeak, err = subject.ProcessRSSPeak(i.process.Pid())
	}
	return err
}

// complete adds the block to the run.
func (i *instance) complete() error {
	var ops int64
	for _, s := range i.samples {
		ops += s.Ops()
	}
	if ops == 0 {
		return fmt.Errorf("subject %s answered no request in a whole block", i.process.Subject.Name)
	}
	if err := i.process.Out.Err(); err != nil {
		return fmt.Errorf("writing %s: %w", runfolder.FileServerLog, err)
	}
	return i.run.Add(i.block, i.samples, i.driver.TakeLatency(), i.profiles)
}

// checkResult objects to failed requests and to a load that got nothing done.
func (i *instance) checkResult(ctx context.Context, result loadgen.Result) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	i.run.CountErrors(result.Errors)
	if n := result.Errors.Total(); n > 0 {
		return fmt.Errorf("subject %s failed %d of %d requests: %s", i.process.Subject.Name, n, n+result.Ops(), result.Errors.First)
	}
	return nil
}

// explain prefers the death of the subject as the reason for an error: a
// killed server shows first as lost connections.
func (i *instance) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	const noticed = time.Second // for the death to show after the connections went
	select {
	case <-i.process.Exited:
		return i.process.Death("while it was measured")
	case <-time.After(noticed):
		return err
	}
}
