package profiles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/internal/ratefit"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// RateGenerator is a Generator of an open loop whose rate may change between slices, up to
// that of its load. A loadgen.Driver is one.
type RateGenerator interface {
	Generator
	SetRate(perSecond float64)
}

// CapacityExperiment looks for the highest rate at which subjects stay within limits.
// It has blocks and rounds as an Experiment has them; a slice is a trial of its
// subject at a rate that follows from the trials before it (ratefit.Search).
type CapacityExperiment struct {
	Subjects []subject.Target
	Load     loadgen.Load // of an open loop; its rate does not matter
	Limits   runfolder.Limits
	Plan     runfolder.Plan
	MaxRate  float64
	Out      string
	Label    string
	Tool     string
	MaxTime  time.Duration // no block begins that would probably end later; 0 for no limit
	Progress func(CapacityProgress)

	// NewGenerator is as that of an Experiment. What it makes must be RateGenerators.
	NewGenerator func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator

	// Machine and SubjectAgent are as those of an Experiment.
	Machine      Machine
	SubjectAgent *runfolder.SubjectAgent
}

// CapacityProgress tells how far the search has come.
type CapacityProgress struct {
	Done, Blocks int
	Name         string // of the subject that was tried last, with
	Trial        runfolder.Trial
}

// Record runs the experiment and returns the file that holds it. If it fails or ctx is
// canceled, the file holds the blocks that were complete by then and says so; only if
// it cannot be written there is none.
func (e CapacityExperiment) Record(ctx context.Context) (path string, err error) {
	infos, err := e.validate()
	if err != nil {
		return "", err
	}
	if e.Machine == nil {
		e.Machine = here{}
	}
	r := &capacityRecorder{
		CapacityExperiment: e, start: time.Now(), rng: rand.New(rand.NewPCG(e.Plan.Seed, 0)),
		databases: databasesOf(e.Subjects), allowed: e.Limits.Allowed(),
	}
	if err := r.create(ctx, infos); err != nil {
		return "", err
	}
	err = r.databases.start(ctx)
	if err == nil {
		err = r.record(ctx)
	}
	return r.finish(ctx, errors.Join(err, r.databases.stop()))
}

func (e CapacityExperiment) validate() ([]runfolder.SubjectInfo, error) {
	shared := Experiment{Subjects: e.Subjects, Load: e.Load, Plan: e.Plan}
	shared.Load.Rate = 0
	shared.Load.Arrivals = ""
	infos, err := shared.validate()
	switch {
	case err != nil:
		return nil, err
	case e.Load.Arrivals != loadgen.Poisson && e.Load.Arrivals != loadgen.Constant:
		return nil, fmt.Errorf("a search for the highest rate cannot use arrivals %q", e.Load.Arrivals)
	case !(e.MaxRate > e.lowestRate() && e.MaxRate <= loadgen.MaxRate):
		return nil, fmt.Errorf("the highest rate to try must be above %.4g/s, of which a slice has %d requests, "+
			"and at most %.0f/s",
			e.lowestRate(), fewestRequests, loadgen.MaxRate)
	case len(e.Limits.Latencies) == 0:
		return nil, errors.New("a search for the highest rate needs a limit of latency")
	}
	return infos, nil
}

// fewestRequests are those of a slice at the lowest rate that is tried.
const fewestRequests = 10

func (e CapacityExperiment) lowestRate() float64 { return fewestRequests / e.Plan.Slice.Seconds() }

type capacityRecorder struct {
	CapacityExperiment
	start     time.Time
	rng       *rand.Rand
	databases databases
	allowed   ratefit.Allowed
	searches  []*ratefit.Search // one per subject
	file      *runfolder.CapacityFile
	done      int
	early     string
}

func (r *capacityRecorder) create(ctx context.Context, infos []runfolder.SubjectInfo) error {
	machine, _, err := r.Machine.Describe(ctx)
	if err != nil {
		return err
	}
	c := runfolder.Capacity{
		Tool: r.Tool, Label: r.Label, Host: machine, SubjectAgent: r.SubjectAgent, RecorderCPUs: runtime.GOMAXPROCS(0),
		Load: r.Load, Limits: r.Limits, Plan: r.Plan,
		MaxRate: r.MaxRate, Start: r.start.UTC(), Unavailable: map[string]string{},
	}
	for n, info := range infos {
		c.Subjects = append(c.Subjects, runfolder.CapacityRun{Subject: info, Blocks: []runfolder.CapacityBlock{}})
		random := rand.New(rand.NewPCG(r.Plan.Seed, uint64(n)+1))
		r.searches = append(r.searches, ratefit.NewSearch(r.allowed, r.lowestRate(), r.MaxRate, random))
	}
	r.file, err = runfolder.CreateCapacity(r.Out, c)
	return err
}

func (r *capacityRecorder) record(ctx context.Context) error {
	for block := range r.Plan.Blocks {
		spent := time.Since(r.start)
		if r.MaxTime > 0 && block > 0 && spent+spent/time.Duration(block) > r.MaxTime {
			r.early = fmt.Sprintf("the time limit of %v ended it after %d of %d blocks", r.MaxTime, block, r.Plan.Blocks)
			return nil
		}
		lost, err := repeated(ctx, func() error { return r.block(ctx, block) })
		for _, why := range lost {
			r.file.Repeated = append(r.file.Repeated, runfolder.Repeated{Block: block, Reason: why})
		}
		if err != nil {
			return fmt.Errorf("block %d of %d: %w", block+1, r.Plan.Blocks, err)
		}
		r.done++
		if err := r.file.Save(); err != nil {
			return err
		}
	}
	return nil
}

// finish says in the file how the search ended.
func (r *capacityRecorder) finish(ctx context.Context, err error) (string, error) {
	c := &r.file.Capacity
	c.End, c.State, c.Reason = time.Now().UTC(), runfolder.StateComplete, r.early
	switch {
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("interrupted after %d of %d blocks", r.done, r.Plan.Blocks)
		c.State, c.Reason = runfolder.StateInterrupted, err.Error()
	case err != nil:
		c.State, c.Reason = runfolder.StateFailed, err.Error()
	}
	if saveErr := r.file.Save(); saveErr != nil {
		return "", errors.Join(err, saveErr)
	}
	return r.file.Path(), err
}

// contender is a subject in one block.
type contender struct {
	subject.Instance
	name      string
	generator RateGenerator
	search    ratefit.Search // with what the block has shown so far
	clock     bool           // its CPU time is known
	database  bool           // it uses a database server
	block     runfolder.CapacityBlock
	fitted    int           // trials that count
	agents    time.Duration // CPU time of agents on the subjects' machine in all trials
}

// block records one block of all subjects, and keeps it only if it is complete.
func (r *capacityRecorder) block(ctx context.Context, block int) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	all := make([]*contender, len(r.Subjects))
	defer func() {
		cancel()
		for _, c := range all {
			if c != nil {
				c.generator.Close()
				c.Stop()
			}
		}
	}()
	seed := rand.NewPCG(r.Plan.Seed, uint64(block)+1).Uint64()
	for _, s := range r.rng.Perm(len(r.Subjects)) {
		if all[s], err = r.begin(ctx, s, seed); err != nil {
			return err
		}
	}
	for _, s := range r.rng.Perm(len(all)) {
		if err := r.warmUp(ctx, all[s]); err != nil {
			return explainDeath(ctx, all[s], err)
		}
	}
	if err := r.rounds(ctx, all); err != nil {
		return err
	}
	for s, c := range all {
		r.file.Subjects[s].Blocks = append(r.file.Subjects[s].Blocks, c.block)
		r.searches[s] = &c.search
	}
	return nil
}

func (r *capacityRecorder) begin(ctx context.Context, s int, seed uint64) (*contender, error) {
	run := &r.file.Subjects[s]
	started, err := r.Subjects[s].Start(ctx, io.Discard)
	if err != nil {
		return nil, err
	}
	generator, able := r.NewGenerator(run.Subject, started.URL(), seed).(RateGenerator)
	if !able {
		started.Stop()
		return nil, errors.New("this generator cannot change its rate")
	}
	missing, unknown := started.Missing()[runfolder.SourceCPUClock]
	if unknown {
		r.file.Unavailable[run.Subject.Name] = missing
	}
	c := &contender{
		Instance: started, name: run.Subject.Name, generator: generator, search: *r.searches[s], clock: !unknown,
		database: r.databases.of(r.Subjects[s]) != nil,
	}
	if len(run.Blocks) == 0 { // as of a run: the program that answers, which may not be the one that was started
		run.Subject.Binary, err = started.Binary()
	}
	return c, err
}

// warmUp loads a subject in a closed loop. Its rate is where the first search begins,
// a little lower.
func (r *capacityRecorder) warmUp(ctx context.Context, c *contender) error {
	const lower = 0.7
	result := c.generator.Warmup(ctx, r.Plan.Warmup)
	latency := c.generator.TakeLatency()
	if err := c.lostLoad(ctx, result, latency); err != nil {
		return err
	}
	if result.Ops() == 0 && r.Plan.Warmup > 0 {
		return fmt.Errorf("subject %s answered no request of the warm-up: %s", c.name, result.Errors.First)
	}
	c.block.WarmupRate = float64(result.Ops()) / result.Duration.Seconds()
	c.search.Begin(max(lower*c.block.WarmupRate, r.lowestRate()))
	return nil
}

// rounds tries every subject until each has as many trials that count as there are
// rounds.
func (r *capacityRecorder) rounds(ctx context.Context, all []*contender) error {
	window, err := r.Machine.Follow(ctx)
	if err != nil {
		return err
	}
	for left := true; left; {
		left = false
		if err := window.Look(); err != nil {
			return err
		}
		for _, s := range r.rng.Perm(len(all)) {
			c := all[s]
			if c.fitted == r.Plan.Rounds {
				continue
			}
			left = true
			if err := r.try(ctx, c); err != nil {
				return explainDeath(ctx, c, err)
			}
		}
	}
	machine, err := window.Close(usedBy(all))
	if err != nil {
		return err
	}
	for _, c := range all {
		c.block.Machine = machine
	}
	return nil
}

// usedBy is what all servers, and agents on their machine, used in their trials, or nil if
// that is not known. A database's time is not in it.
func usedBy(all []*contender) *time.Duration {
	var sum time.Duration
	for _, c := range all {
		if !c.clock || c.database {
			return nil
		}
		for _, t := range c.block.Trials {
			sum += t.Server
		}
		sum += c.agents
	}
	return &sum
}

// try makes one trial.
func (r *capacityRecorder) try(ctx context.Context, c *contender) error {
	rate := min(c.search.Rate(), r.MaxRate) // which the rounding of logarithms may exceed
	before, err := c.cpu()
	if err != nil {
		return err
	}
	c.generator.SetRate(rate)
	result := c.generator.Slice(ctx, r.Plan.Slice)
	latency := c.generator.TakeLatency()
	if err := c.lostLoad(ctx, result, latency); err != nil {
		return err
	}
	after, err := c.cpu()
	if err != nil {
		return err
	}
	select {
	case <-c.Exited():
		return c.Death("while it was measured")
	default:
	}
	t := r.trial(rate, result, latency)
	t.Server, t.Counts = after-before, c.search.Fitting()
	if len(latency.Agents) > 0 {
		t.Generator = result.AgentsHere
		c.agents += result.AgentsHere
		c.addAgents(latency.Agents)
	}
	c.add(t)
	if t.Answered == 0 && t.Due() > 0 {
		return fmt.Errorf("subject %s answered none of %d requests: %s", c.name, t.Due(), result.Errors.First)
	}
	if r.Progress != nil {
		r.Progress(CapacityProgress{Done: r.done, Blocks: r.Plan.Blocks, Name: c.name, Trial: t})
	}
	return nil
}

// add takes in a trial, from which the next rate follows.
func (c *contender) add(t runfolder.Trial) {
	c.search.Add(t.Fitted())
	if t.Counts {
		c.fitted++
	}
	c.block.Trials = append(c.block.Trials, t)
}

// lostLoad is why nothing of a slice counts, or nil.
func (c *contender) lostLoad(ctx context.Context, r loadgen.Result, l loadgen.Latency) error {
	if err := cmp.Or(ctx.Err(), r.Lost, l.Lost); err != nil {
		return err
	}
	if err := r.SetupErr(); err != nil {
		return fmt.Errorf("subject %s: %w", c.name, err)
	}
	return nil
}

// addAgents adds what the agents did in a trial. They are the same ones throughout a
// block, in one order.
func (c *contender) addAgents(all []loadgen.Agent) {
	if c.block.Agents == nil {
		c.block.Agents = all
		return
	}
	for i, a := range all {
		c.block.Agents[i].Add(a)
	}
}

func (c *contender) cpu() (time.Duration, error) {
	if !c.clock {
		return 0, nil
	}
	return c.CPU()
}

// trial sums up what came of a slice.
func (r *capacityRecorder) trial(rate float64, result loadgen.Result, latency loadgen.Latency) runfolder.Trial {
	due, sent := loadgen.Merged(latency.Due), loadgen.Merged(latency.Sent)
	t := runfolder.Trial{
		Rate: rate, Start: result.Start.Sub(r.start), Duration: result.Duration,
		Answered: result.Ops(), Failed: result.Errors.Total(), Missed: result.Missed, MaxLate: result.MaxLate,
		InFlight:  sent.Mean() * float64(sent.TotalCount()) / float64(result.Duration),
		Generator: result.CPU,
		P50:       time.Duration(due.ValueAtQuantile(50)),
		P99:       time.Duration(due.ValueAtQuantile(99)),
		P999:      time.Duration(due.ValueAtQuantile(99.9)),
	}
	for _, limit := range r.Limits.Latencies {
		t.Over = append(t.Over, above(due, limit.Limit))
		t.OverSent = append(t.OverSent, above(sent, limit.Limit))
	}
	t.Met = r.allowed.Met(t.Fitted())
	return t
}

// above is how many values are above a limit, to the precision of the histogram.
func above(h *hdrhistogram.Histogram, limit time.Duration) int64 {
	var n int64
	for _, bar := range h.Distribution() {
		if bar.From > int64(limit) {
			n += bar.Count
		}
	}
	return n
}

// explainDeath prefers the death of a subject as the reason for an error.
func explainDeath(ctx context.Context, c *contender, err error) error {
	var lost *loadgen.LostError
	if ctx.Err() != nil || errors.As(err, &lost) {
		return err
	}
	return explained(c.Instance, err)
}
