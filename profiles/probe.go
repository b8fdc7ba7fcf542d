package profiles

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// Probing is a short probe of what holds the throughput, before the first block: every
// subject under its load and under more workers, and the generator against a server that
// does nothing, in interleaved slices. It is for closed loops.
type Probing struct {
	Workers int // more than the load has
	// More makes what Experiment.NewGenerator makes, with so many workers.
	More func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator

	Null    subject.Target // the server that does nothing; nil if there is a reason in NoNull
	NoNull  string
	Ceiling func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator // for it
}

// probeRounds is how many slices of each kind a probe has.
const probeRounds = 20

// probeArm is one condition of a probe.
type probeArm struct {
	subject.Instance
	generator Generator
	rates     runfolder.ProbeRates
}

// probe probes, and notes the result in every run. It is no part of the time that blocks
// take.
func (r *recorder) probe(ctx context.Context) error {
	if r.Probing == nil {
		return nil
	}
	err := r.apart(func() error {
		_, err := repeated(ctx, func() error { return r.probeOnce(ctx) })
		return err
	})
	if err != nil {
		return fmt.Errorf("probing what holds the throughput: %w", err)
	}
	return nil
}

func (r *recorder) probeOnce(ctx context.Context) (err error) {
	p := prober{recorder: r, rng: rand.New(rand.NewPCG(r.Plan.Seed, math.MaxUint64))}
	defer p.stop()
	usual, more := make([]*probeArm, len(r.Subjects)), make([]*probeArm, len(r.Subjects))
	for _, s := range p.rng.Perm(len(r.Subjects)) {
		started, err := p.start(ctx, r.Subjects[s], r.runs[s].Log())
		if err != nil {
			return err
		}
		usual[s] = p.arm(started, r.NewGenerator, r.infos[s], r.Load.Workers)
		more[s] = p.arm(started, r.Probing.More, r.infos[s], r.Probing.Workers)
	}
	var ceiling *runfolder.ProbeRates
	if r.Probing.Null != nil {
		started, err := p.start(ctx, r.Probing.Null, io.Discard)
		if err != nil {
			return err
		}
		ceiling = &p.arm(started, r.Probing.Ceiling, r.infos[0], r.Load.Workers).rates
	}
	if err := p.rounds(ctx); err != nil {
		return err
	}
	for s, run := range r.runs {
		run.Manifest.Probe = &runfolder.Probe{
			Slice: r.probeSlice(), Usual: usual[s].rates, More: more[s].rates, Ceiling: ceiling, NoCeiling: r.Probing.NoNull,
		}
	}
	return nil
}

// probeSlice is coarse unless slices have a length of their own: it comes before the block
// that tells how long requests take.
func (r *recorder) probeSlice() time.Duration {
	if r.Lengthen {
		return runfolder.CoarseSlice
	}
	return r.Plan.Slice
}

// prober is a probe in progress.
type prober struct {
	*recorder
	rng     *rand.Rand
	started []subject.Instance
	arms    []*probeArm
}

func (p *prober) start(ctx context.Context, t subject.Target, log io.Writer) (subject.Instance, error) {
	started, err := t.Start(ctx, log)
	if err == nil {
		p.started = append(p.started, started)
	}
	return started, err
}

func (p *prober) arm(
	of subject.Instance, newGenerator func(runfolder.SubjectInfo, *url.URL, uint64) Generator,
	info runfolder.SubjectInfo, workers int,
) *probeArm {
	a := &probeArm{
		Instance: of, generator: newGenerator(info, of.URL(), p.Plan.Seed), rates: runfolder.ProbeRates{Workers: workers},
	}
	p.arms = append(p.arms, a)
	return a
}

func (p *prober) stop() {
	for _, a := range p.arms {
		a.generator.Close()
	}
	for _, s := range p.started {
		s.Stop()
	}
}

// rounds warms all arms up and gives each its slices, in random order.
func (p *prober) rounds(ctx context.Context) error {
	for round := range probeRounds + 1 {
		for _, n := range p.rng.Perm(len(p.arms)) {
			a := p.arms[n]
			var result loadgen.Result
			if round == 0 {
				result = a.generator.Warmup(ctx, p.Plan.Warmup)
			} else {
				result = a.generator.Slice(ctx, p.probeSlice())
				a.rates.PerSec = append(a.rates.PerSec, float64(result.Ops())/result.Duration.Seconds())
			}
			if err := a.check(ctx, result, p.Load.AllowErrors > 0 || round == 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// check is an error if a slice tells no rate.
func (a *probeArm) check(ctx context.Context, result loadgen.Result, mayFail bool) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case result.Lost != nil:
		return result.Lost
	case result.SetupErr() != nil:
		return explained(a.Instance, result.SetupErr())
	case result.Errors.Total() > 0 && !(mayFail && result.Ops() > 0):
		return explained(a.Instance, fmt.Errorf("a request failed: %s", result.Errors.First))
	}
	return nil
}
