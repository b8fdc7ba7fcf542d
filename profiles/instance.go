package profiles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// instance is a subject in one block, with all that the block has captured of
// it so far.
type instance struct {
	subject.Instance
	recorder  *recorder
	run       *runfolder.Writer
	kinds     []runfolder.ProfileKind // to capture
	generator Generator
	pages     *subject.Pages
	database  *database // that it uses; nil if there is none

	block       runfolder.Block
	before      subject.Before
	slices      []runfolder.Slice
	latency     loadgen.Latency               // of them
	requestTime time.Duration                 // mean of the warm-up, rather too long; 0 if there was none
	agents      time.Duration                 // CPU time of agents on the machine of the subjects in them
	lastCPU     time.Duration                 // the CPU clock when the latest slice began
	recordings  map[string]*subject.Recording // that the server is taking, by kind
	captured    map[string]runfolder.Captured
	failure     string // the first failed request, in detail
}

// stop ends the instance and everything that hangs on it.
func (i *instance) stop() {
	i.generator.Close()
	i.Stop()
	for _, r := range i.recordings {
		_, _ = r.Wait()
	}
	i.pages.Close()
}

// has reports whether the subject has a source of figures.
func (i *instance) has(s runfolder.Source) bool {
	_, missing := i.run.Manifest.Unavailable[s]
	return !missing
}

// first reports whether this is the subject's first block, which decides what
// can be had of it.
func (i *instance) first() bool { return i.block.Block == 0 }

// lacks notes, in the first block, that the subject does not have a source. It
// returns the errors that are none of that kind, and all of later blocks.
func (i *instance) lacks(s runfolder.Source, needs string, err error) error {
	var notServed *subject.NotServedError
	if !errors.As(err, &notServed) {
		return err
	}
	if !i.first() {
		return fmt.Errorf("subject %s had a page in earlier blocks that it now lacks: %w", i.name(), err)
	}
	i.unavailable(s, needs, err)
	return nil
}

// unavailable notes that the subject does not have a source, and why.
func (i *instance) unavailable(s runfolder.Source, needs string, err error) {
	i.run.Manifest.Unavailable[s] = err.Error() + "; " + needs
}

// What makes a Go server serve the pages that are no profiles.
const (
	needsCounters   = `a Go server serves runtime.MemStats with import _ "expvar" or _ "net/http/pprof"`
	needsGoroutines = `a Go server serves it with import _ "net/http/pprof"`
)

// findSources finds out what can be had of the subject, and what it is.
func (i *instance) findSources(ctx context.Context) (err error) {
	if !i.first() {
		return nil
	}
	m := &i.run.Manifest
	maps.Copy(m.Unavailable, i.Missing())
	if why := i.recorder.databases.missing(i.database); why != "" {
		m.Unavailable[runfolder.SourceDatabaseCPU] = why
	}
	if m.Subject.Binary, err = i.Binary(); err != nil {
		return fmt.Errorf("subject %s: %w", i.name(), err)
	}
	i.probePprof(ctx)
	m.Capture.Counters, err = i.pages.CountersPage(ctx)
	if err != nil {
		m.Capture.Counters = ""
		i.unavailable(runfolder.SourceMemStats, needsCounters, err)
	}
	return ctx.Err()
}

// probePprof finds out whether the pages of net/http/pprof can be read at all, and
// which kinds of profiles are sampled. A server may answer unknown paths with
// whatever it likes, or speak something else: no failure of a probe is the run's.
func (i *instance) probePprof(ctx context.Context) {
	var notServed *subject.NotServedError
	_, failure := i.pages.Goroutines(ctx)
	if errors.As(failure, &notServed) {
		failure = nil // each kind may have a page nevertheless
	}
	if failure != nil {
		i.unavailable(runfolder.SourceGoroutines, needsGoroutines, failure)
	}
	for _, k := range i.kinds {
		err := failure
		if err == nil {
			err = i.pages.CheckSampling(ctx, k)
		}
		if err != nil {
			i.unavailable(k.Source(), k.Needs, err)
		}
	}
}

// warmUp loads the instance, unmeasured.
func (i *instance) warmUp(ctx context.Context) error {
	result := i.generator.Warmup(ctx, i.recorder.Plan.Warmup)
	i.block.WarmupOps = result.Ops()
	if i.block.WarmupOps > 0 {
		i.requestTime = result.Duration * time.Duration(i.recorder.Load.Workers) / time.Duration(i.block.WarmupOps)
	}
	if err := i.checkResult(ctx, result); err != nil {
		return err
	}
	return i.generator.TakeLatency().Lost
}

// takeLatency takes the latencies of all slices, and with them what several agents did
// if they made the load.
func (i *instance) takeLatency(context.Context) error {
	i.latency = i.generator.TakeLatency()
	i.block.Agents = i.latency.Agents
	return i.latency.Lost
}

// captureBefore takes the profiles that the window starts from. That of the
// heap comes with a garbage collection, which brings the one of allocations up
// to date.
func (i *instance) captureBefore(ctx context.Context) (err error) {
	atStart := func(k runfolder.ProfileKind) bool { return k.Window == runfolder.WindowDifference || k.AtStart }
	err = i.capture(ctx, atStart, func(c *runfolder.Captured, p *profile.Profile) { c.Before = p })
	if err == nil {
		i.block.GoroutinesBefore, err = i.countGoroutines(ctx)
	}
	return err
}

// captureAfter takes the profiles at the end of the window.
func (i *instance) captureAfter(ctx context.Context) (err error) {
	if i.has(runfolder.SourceRSS) {
		i.block.RSSPeak, err = i.RSSPeak()
	}
	if err != nil {
		return err
	}
	atEnd := func(k runfolder.ProfileKind) bool { return k.Window != runfolder.WindowTaken }
	err = i.capture(ctx, atEnd, func(c *runfolder.Captured, p *profile.Profile) { c.After = p })
	if err == nil {
		i.block.Goroutines, err = i.countGoroutines(ctx)
	}
	return err
}

// capture reads the wanted kinds of profiles, levels first: a garbage
// collection that one of them makes must come before the others are read.
func (i *instance) capture(ctx context.Context, want func(runfolder.ProfileKind) bool,
	keep func(*runfolder.Captured, *profile.Profile)) error {
	for _, level := range []bool{true, false} {
		for _, k := range i.kinds {
			if !want(k) || !i.has(k.Source()) || level != (k.Window == runfolder.WindowLevel) {
				continue
			}
			p, err := i.pages.Profile(ctx, k)
			if err != nil {
				if err = i.lacks(k.Source(), k.Needs, err); err != nil {
					return err
				}
				continue
			}
			c := i.captured[k.Name]
			keep(&c, p)
			i.captured[k.Name] = c
		}
	}
	return nil
}

func (i *instance) countGoroutines(ctx context.Context) (int64, error) {
	if !i.has(runfolder.SourceGoroutines) {
		return 0, nil
	}
	n, err := i.pages.Goroutines(ctx)
	if err != nil {
		err = i.lacks(runfolder.SourceGoroutines, needsGoroutines, err)
	}
	return n, err
}

// beginRecordings asks for the profiles of all rounds, and sees them begin.
func (i *instance) beginRecordings(ctx context.Context) error {
	for _, k := range i.kinds {
		if k.Window != runfolder.WindowTaken || !i.has(k.Source()) {
			continue
		}
		recording := i.pages.Record(ctx, k, i.recorder.recordingLength(i.requestTime))
		i.recordings[k.Name] = recording
		recording.AwaitBegin(ctx, i.pages, k)
	}
	return nil
}

// endRecordings waits for the profiles of all rounds.
func (i *instance) endRecordings(ctx context.Context) error {
	for _, k := range i.kinds {
		recording := i.recordings[k.Name]
		if recording == nil {
			continue
		}
		p, err := recording.Wait()
		if err == nil {
			i.captured[k.Name] = runfolder.Captured{After: p}
		} else if err = i.lacks(k.Source(), k.Needs, err); err != nil {
			return err
		}
	}
	return nil
}

// countBefore reads the counters, the server's own first: reading them makes it
// work.
func (i *instance) countBefore(ctx context.Context) (err error) {
	if i.has(runfolder.SourceMemStats) {
		i.before, err = i.pages.CountersBefore(ctx, i.run.Manifest.Capture.Counters)
	}
	if err != nil {
		return err
	}
	i.block.Before, i.block.ReadCost = i.before.Counters, i.before.ReadCost
	i.block.ProcessBefore, err = i.Counters()
	return err
}

// countAfter reads the counters in the opposite order.
func (i *instance) countAfter(ctx context.Context) (err error) {
	i.block.ProcessAfter, err = i.Counters()
	if err == nil && i.has(runfolder.SourceMemStats) {
		i.block.After, err = i.pages.CountersAfter(ctx, i.before)
	}
	if err == nil && i.run.Manifest.Capture.Counters == subject.VarsPage {
		i.block.MaxUnsynced, err = i.pages.MaxUnsynced(ctx)
	}
	return err
}

// slice loads the instance for one slice and keeps what came of it, but for its
// CPU time: that is known when the next slice begins.
func (i *instance) slice(ctx context.Context, round, order int) error {
	if err := i.chargeCPU(); err != nil {
		return err
	}
	if err := i.database.charge(&i.block); err != nil {
		return err
	}
	result := i.generator.Slice(ctx, i.recorder.Plan.Slice)
	s := runfolder.Slice{
		Block: i.block.Block, Round: round, Order: order,
		Start: result.Start.Sub(i.recorder.start), Duration: result.Duration,
		Errors: result.Errors.Total(), Reopened: result.Reopened, GeneratorCPU: result.CPU,
		Late: result.Late, Missed: result.Missed, MaxLate: result.MaxLate,
		Kinds: result.Kinds,
	}
	i.slices = append(i.slices, s)
	i.agents += result.AgentsHere
	return i.checkResult(ctx, result)
}

// chargeCPU ends the CPU time of the slice before and begins that of the next:
// it is called when a slice begins and after the last. A slice is charged up to
// the beginning of the next one because work that requests leave behind, such
// as a garbage collection, is theirs although it goes on while the subject
// idles.
func (i *instance) chargeCPU() error {
	if !i.has(runfolder.SourceCPUClock) {
		return nil
	}
	now, err := i.CPU()
	if err != nil {
		return err
	}
	if n := len(i.slices); n > 0 {
		i.slices[n-1].ServerCPU = now - i.lastCPU
	}
	i.lastCPU = now
	return nil
}

// checkResult rejects failed requests, as far as the load does not allow them, and a
// failed setup.
func (i *instance) checkResult(ctx context.Context, result loadgen.Result) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if result.Lost != nil {
		return result.Lost
	}
	if err := result.SetupErr(); err != nil {
		return fmt.Errorf("subject %s: %w", i.name(), err)
	}
	i.run.CountErrors(result.Errors)
	n := result.Errors.Total()
	if n == 0 {
		return nil
	}
	if i.failure == "" {
		i.failure = result.Errors.First
	}
	if i.recorder.Load.AllowErrors > 0 && result.Ops() > 0 {
		return nil // whether they are too many shows at the end of the block
	}
	return fmt.Errorf("subject %s failed %d of %d requests: %s", i.name(), n, n+result.Ops(), result.Errors.First)
}
