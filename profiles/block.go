package profiles

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// block records one block of all subjects in a layout, and adds it to their runs only if
// it is complete. Every step is done with all instances before the next step
// begins.
func (r *recorder) block(ctx context.Context, block int, l layout) error {
	r.stopping.Wait()
	ctx, cancel := context.WithCancel(ctx)
	var in []*instance
	defer func() {
		cancel()
		r.stopping.Go(func() { stopAll(in) }) // while the block is judged and saved
	}()
	in, err := r.startAll(ctx, block, l)
	if err != nil {
		return err
	}
	// What the subjects have is found out in the first block.
	if err := r.steps(ctx, in, (*instance).findSources, (*instance).warmUp); err != nil {
		return err
	}
	if block == 0 {
		r.fitSlices(in)
	}
	if err := r.steps(ctx, in, (*instance).captureBefore, (*instance).beginRecordings, (*instance).countBefore); err != nil {
		return err
	}
	if err := r.rounds(ctx, in); err != nil {
		return err
	}
	err = r.steps(ctx, in,
		(*instance).countAfter, (*instance).endRecordings, (*instance).captureAfter, (*instance).takeLatency)
	if err != nil {
		return err
	}
	for _, i := range in {
		if err := i.complete(); err != nil {
			return err
		}
	}
	return nil
}

// fitSlices lengthens the slices of the plan if they may be, and requests take long
// against them: those with which a slice begins and ends are to be few of it.
func (r *recorder) fitSlices(in []*instance) {
	const requests = 10 // after each other, in a slice
	if !r.Lengthen {
		return
	}
	var need time.Duration
	for _, i := range in {
		need = max(need, requests*i.requestTime)
	}
	slice := runfolder.CoarseSlice
	if need <= runfolder.FineSlice {
		slice = runfolder.FineSlice
	} else if need <= runfolder.MiddleSlice {
		slice = runfolder.MiddleSlice
	}
	r.Plan = r.Plan.WithSlices(slice)
	for _, run := range r.runs {
		run.Manifest.Plan = r.Plan
	}
}

// step is one of the things that are done once per block with every instance.
type step func(*instance, context.Context) error

// steps does one step after the other, each with every instance, in random order, and
// explains a failure by the death of the subject if it died.
func (r *recorder) steps(ctx context.Context, in []*instance, all ...step) error {
	for _, do := range all {
		for _, i := range r.shuffled(in) {
			if err := do(i, ctx); err != nil {
				return i.explain(ctx, err)
			}
		}
	}
	return nil
}

// startAll starts a fresh instance of every subject, in random order. All get
// the same requests.
func (r *recorder) startAll(ctx context.Context, block int, l layout) ([]*instance, error) {
	seed := rand.NewPCG(r.Plan.Seed, uint64(block)+1).Uint64()
	var in []*instance
	for order, s := range r.rng.Perm(len(r.Subjects)) {
		started, err := l.subjects[s].Start(ctx, r.runs[s].Log())
		if err != nil {
			return in, err
		}
		in = append(in, &instance{
			Instance:   started,
			recorder:   r,
			run:        r.runs[s],
			kinds:      r.kindsOf(l),
			generator:  r.NewGenerator(r.infos[s], started.URL(), seed),
			pages:      subject.NewPages(started.Debug()),
			block:      runfolder.Block{Block: block, Layout: l.seed, Program: l.programs[s], StartOrder: order},
			database:   r.databases.of(r.Subjects[s]),
			recordings: map[string]*subject.Recording{},
			captured:   map[string]runfolder.Captured{},
		})
	}
	return in, nil
}

// kindsOf are the profiles of blocks of a layout. They are of the program as built.
func (r *recorder) kindsOf(l layout) []runfolder.ProfileKind {
	if l.seed != 0 {
		return nil
	}
	return r.Profiles
}

// stopAll ends the instances, all at the same time, and waits for what still
// hangs on them. The context of what they do is cancelled.
func stopAll(in []*instance) {
	var wg sync.WaitGroup
	for _, i := range in {
		wg.Go(i.stop)
	}
	wg.Wait()
}

// rounds gives every subject its slices, and follows the machine meanwhile.
func (r *recorder) rounds(ctx context.Context, in []*instance) error {
	window, err := r.Machine.Follow(ctx)
	if err != nil {
		return err
	}
	for round := range r.Plan.Rounds {
		if err := window.Look(); err != nil {
			return err
		}
		for order, i := range r.shuffled(in) {
			if err := i.slice(ctx, round, order); err != nil {
				return i.explain(ctx, err)
			}
		}
		r.report(round + 1)
	}
	for _, i := range in {
		if err := i.chargeCPU(); err != nil {
			return i.explain(ctx, err)
		}
		if err := i.database.charge(nil); err != nil {
			return err
		}
	}
	machine, err := window.Close(ours(in))
	if err != nil {
		return err
	}
	for _, i := range in {
		i.block.Machine = machine
	}
	return nil
}

// ours is what all subjects of a block, their databases and agents on their machine used
// in its slices, or nil if that is not known.
func ours(in []*instance) *time.Duration {
	var sum time.Duration
	for _, i := range in {
		sum += i.agents
		if !i.has(runfolder.SourceCPUClock) {
			return nil
		}
		for _, s := range i.slices {
			sum += s.ServerCPU
		}
		if i.database == nil {
			continue
		}
		if i.block.DatabaseCPU == nil {
			return nil
		}
		sum += *i.block.DatabaseCPU
	}
	return &sum
}

// window is the planned length of all slices of a block.
func (r *recorder) window() time.Duration {
	return time.Duration(r.Plan.Rounds*len(r.Subjects)) * r.Plan.Slice
}

// recordingLength is for profiles that a server takes over all rounds, whose requests
// take so long in the mean, 0 if that is not known. Rounds take longer than their
// slices, because outstanding requests are waited for. A server counts whole seconds,
// and the block waits for the last: what is left of it is lost.
func (r *recorder) recordingLength(request time.Duration) time.Duration {
	const slow = 2 // as many times the mean, of the slowest of those that are outstanding
	if request == 0 {
		return r.window() + r.window()/10 + 300*time.Millisecond
	}
	slices := time.Duration(r.Plan.Rounds * len(r.Subjects))
	return r.window() + r.window()/50 + slices*slow*request + 50*time.Millisecond
}

// explain prefers the death of the subject as the reason for an error: a
// killed server shows first as lost connections.
func (i *instance) explain(ctx context.Context, err error) error {
	var lost *loadgen.LostError
	if ctx.Err() != nil || errors.As(err, &lost) {
		return err
	}
	return explained(i.Instance, err)
}

// explained is the death of an instance if it dies, and else the error.
func explained(i subject.Instance, err error) error {
	const noticed = time.Second // for the death to show after the connections went
	select {
	case <-i.Exited():
		return i.Death("while it was measured")
	case <-time.After(noticed):
		return err
	}
}

// name is the subject's.
func (i *instance) name() string { return i.run.Manifest.Subject.Name }

// answers sums up the answers of all slices, by kind of request.
func (i *instance) answers() []runfolder.Answers {
	all := make([]runfolder.Answers, len(i.recorder.Load.Kinds))
	for kind := range all {
		all[kind].Statuses = map[int]int64{}
	}
	for _, s := range i.slices {
		for kind, k := range s.Kinds {
			all[kind].Failed += k.Errors
			all[kind].Bytes += k.Bytes
			for status, n := range k.Statuses {
				all[kind].Statuses[status] += n
			}
		}
	}
	return all
}

// complete adds the block to the run.
func (i *instance) complete() error {
	var ops, failed int64
	for _, s := range i.slices {
		ops += s.Ops()
		failed += s.Errors
	}
	if ops == 0 {
		return fmt.Errorf("subject %s answered no request in a whole block", i.name())
	}
	if allowed := i.recorder.Load.AllowErrors; float64(failed) > allowed*float64(ops+failed) {
		return fmt.Errorf("subject %s failed %d of %d requests of a block, more than the allowed %.4g%%: %s",
			i.name(), failed, ops+failed, allowed*100, i.failure)
	}
	i.block.Answers = i.answers()
	i.block.Start = i.slices[0].Start
	return i.run.Add(i.block, i.slices, i.latency, i.captured)
}
