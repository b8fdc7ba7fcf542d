package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/workload"
)

const (
	// mostStall is how long an agent may not run when it should: it would take its own
	// delay for the server's.
	mostStall = 250 * time.Millisecond
	// leastSkew is by how much agents may always begin apart. More than a quarter of a
	// slice is not one load.
	leastSkew = 10 * time.Millisecond
)

// Generator makes load on one server with all agents of a fleet. It has the methods
// of a loadgen.Driver, and is used like one.
type Generator struct {
	fleet    *Fleet
	workload []byte
	unfit    error // why the workload cannot be sent
	kinds    int
	prepare  prepare
	rate     float64 // of the slices to come; 0 for the load's
	joint    *joint  // nil before the first warm-up or slice
	clocks   []offset
	agents   []loadgen.Agent // since the latencies were last taken
	answered [][]int64       // since then, by agent and kind of request
	sliced   bool            // since then
}

// NewGenerator returns a generator for the server at a URL. Nothing is sent before
// Warmup or Slice is called.
func (f *Fleet) NewGenerator(
	server *url.URL, w loadgen.Workload, l loadgen.Load, t Trust, seed uint64,
) *Generator {
	g := &Generator{fleet: f, kinds: len(w.Kinds())}
	g.workload, g.unfit = workload.Encode(w)
	g.prepare = prepare{
		Driver: f.nextDriver(), URL: server.String(), Workload: HashOf(g.workload), Load: l, Trust: t, Seed: seed,
	}
	return g
}

// Warmup is like that of a loadgen.Driver. It begins anew with the agents that are
// left if one was lost before.
func (g *Generator) Warmup(ctx context.Context, requests int) loadgen.Result {
	j := func(*member, int) job { return job{Warmup: &warmup{Driver: g.prepare.Driver, Requests: requests}} }
	return g.run(ctx, task{job: j, most: int64(requests), patience: g.warmupTime(requests)})
}

// task is a job of all agents that has a result.
type task struct {
	job      func(*member, int) job
	most     int64         // requests of the whole load
	patience time.Duration // more than it takes
	skew     time.Duration // by which agents may begin apart, at most; 0 if they need not begin together
}

// warmupTime is more than a warm-up takes whose requests all take as long as they may, if
// that is less than a slice may.
func (g *Generator) warmupTime(requests int) time.Duration {
	rounds := time.Duration(requests/max(g.prepare.Load.Workers, 1) + 1)
	return AnswerTime + min(rounds, loadgen.MaxSlice/g.longestRequest()+1)*g.longestRequest()
}

// longestRequest is how long one may take that is sent again once, with what a worker
// waits after failures.
func (g *Generator) longestRequest() time.Duration {
	const rest = time.Second
	return 2*g.prepare.Load.Timeout + rest
}

// Slice is like that of a loadgen.Driver. All agents begin at the same moment.
func (g *Generator) Slice(ctx context.Context, length time.Duration) loadgen.Result {
	if err := g.begin(ctx); err != nil {
		return g.lost(ctx, err)
	}
	start := g.fleet.now() + g.guard()
	g.sliced = true
	j := func(_ *member, i int) job {
		at := int64(start + g.clocks[i].ahead)
		return job{Slice: &slice{Driver: g.prepare.Driver, Start: at, Length: length, Rate: g.rate}}
	}
	return g.run(ctx, task{
		job: j, most: mostRequests(length), patience: AnswerTime + length + g.longestRequest(),
		skew: max(length/4, leastSkew),
	})
}

// mostRequests is more than any load has in a slice.
func mostRequests(length time.Duration) int64 {
	return int64(loadgen.MaxRate * (length + time.Minute).Seconds())
}

// SetRate is like that of a loadgen.Driver. No rate may be above that of the load.
func (g *Generator) SetRate(perSecond float64) { g.rate = perSecond }

// guard is how long before its beginning a slice is announced: so that every agent
// knows it in time, with twice of what the clocks may be wrong by.
func (g *Generator) guard() time.Duration {
	const slack = time.Millisecond // for processes to be woken
	var trip, wrong time.Duration
	for _, c := range g.clocks {
		trip, wrong = max(trip, c.trip), max(wrong, c.wrong)
	}
	return min(trip+2*wrong+slack, maxLead/2)
}

// run has all agents do a task, and puts together what came of it. A skew of more than
// is allowed, if any is given, is a loss.
func (g *Generator) run(ctx context.Context, t task) loadgen.Result {
	if err := g.begin(ctx); err != nil {
		return g.lost(ctx, err)
	}
	results := make([]result, len(g.joint.members))
	err := g.joint.each(func(i int, m *member) error {
		asked := g.fleet.now()
		reply, err := m.do(ctx, t.job(m, i), t.patience)
		if err != nil {
			return err
		}
		if err := g.checkResult(reply.Result, t, i, asked); err != nil {
			return &loadgen.LostError{Reason: fmt.Sprintf("agent %s tells what cannot be: %v", m.Name, err)}
		}
		results[i] = *reply.Result
		return nil
	})
	if err == nil && t.skew > 0 {
		err = g.keep(results, t.skew)
	}
	if err != nil {
		return g.lost(ctx, err)
	}
	for i, r := range results {
		for kind, k := range r.Kinds {
			g.answered[i][kind] += k.Ops
		}
	}
	return g.merge(results)
}

// checkResult refuses a result that a task cannot have which an agent was asked for at
// some time and has just answered.
func (g *Generator) checkResult(r *result, t task, i int, asked time.Duration) error {
	const slack = time.Second // for clocks that drift
	if r == nil || len(r.Kinds) != g.kinds {
		return errors.New("nothing, or of other kinds of requests")
	}
	began := time.Duration(r.Start) - g.clocks[i].ahead
	ended := began + r.Duration
	switch now := g.fleet.now(); {
	case began < asked-slack || ended > now+slack:
		return fmt.Errorf("it made load from %v after it was asked until %v before it answered", began-asked, now-ended)
	case r.made() > t.most:
		return fmt.Errorf("it made %d requests of %d", r.made(), t.most)
	}
	return r.agrees()
}

// begin makes the drivers of the agents that are there, before the first job.
func (g *Generator) begin(ctx context.Context) error {
	if g.unfit != nil {
		return &loadgen.LostError{Reason: g.unfit.Error()}
	}
	if g.joint != nil {
		return context.Cause(g.joint.ctx)
	}
	j, err := g.fleet.ready(ctx)
	if err != nil {
		return err
	}
	g.joint, g.clocks = j, make([]offset, len(j.members))
	if err := j.send(ctx, g.prepare.Workload, g.workload); err != nil {
		return err
	}
	err = j.each(func(i int, m *member) (err error) {
		p := g.prepare
		p.Index, p.Of = i, len(j.members)
		if _, err = m.do(ctx, job{Prepare: &p}, AnswerTime); err == nil {
			g.clocks[i], err = m.clock(ctx)
		}
		return err
	})
	g.reset()
	return err
}

// send sends a workload to all agents, once in a session.
func (j *joint) send(ctx context.Context, hash string, data []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.sent[hash] {
		return nil
	}
	err := j.each(func(_ int, m *member) error {
		for p := range Pieces(hash, data) {
			if _, err := m.do(ctx, job{Workload: &p}, AnswerTime); err != nil {
				return err
			}
		}
		return nil
	})
	j.sent[hash] = err == nil
	return err
}

// reset begins the figures of the agents anew.
func (g *Generator) reset() {
	g.agents, g.sliced = make([]loadgen.Agent, len(g.joint.members)), false
	g.answered = make([][]int64, len(g.agents))
	for i, m := range g.joint.members {
		g.answered[i] = make([]int64, g.kinds)
		part := loadgen.Part{Index: i, Of: len(g.agents)}
		g.agents[i] = loadgen.Agent{
			Name: m.Name, Version: m.Version, Cores: m.Cores, Elsewhere: m.Machine != g.fleet.machine,
			Workers: part.Workers(g.prepare.Load.Workers),
		}
	}
}

// epoch is when the clock of an agent began, on the recorder's.
func (g *Generator) epoch(i int) time.Time { return g.fleet.epoch.Add(-g.clocks[i].ahead) }

// merge puts the results of all agents together, on the recorder's clock.
func (g *Generator) merge(results []result) loadgen.Result {
	var parts []loadgen.Result
	for i, r := range results {
		part := r.result(g.epoch(i))
		if !g.agents[i].Elsewhere {
			part.AgentsHere = part.CPU
		}
		parts = append(parts, part)
	}
	return loadgen.Merge(g.kinds, parts)
}

// keep adds a slice to the figures of the agents. A slice that was not made as it
// ought to be is a loss.
func (g *Generator) keep(results []result, mostSkew time.Duration) error {
	first := g.epoch(0).Add(time.Duration(results[0].Start))
	for i, r := range results {
		if at := g.epoch(i).Add(time.Duration(r.Start)); at.Before(first) {
			first = at
		}
	}
	for i, r := range results {
		a := &g.agents[i]
		skew := g.epoch(i).Add(time.Duration(r.Start)).Sub(first)
		switch {
		case r.Limited:
			return &loadgen.LostError{Reason: fmt.Sprintf(
				"agent %s may not send as many requests as the load asks for; raise its --max-rate", a.Name)}
		case r.Stall > mostStall:
			return g.joint.stalled("agent %s stood still for %v", a.Name, r.Stall.Round(time.Millisecond))
		case skew > mostSkew:
			return g.joint.stalled("agent %s began a slice %v late", a.Name, skew.Round(time.Millisecond))
		}
		addTo(a, r, skew)
	}
	return nil
}

// addTo adds a slice to the figures of an agent.
func addTo(a *loadgen.Agent, r result, skew time.Duration) {
	for _, k := range r.Kinds {
		a.Ops += k.Ops
		a.Latency += k.Latency
		a.Errors += k.Errors
	}
	a.Late += r.Late
	a.Missed += r.Missed
	a.Busy += r.Duration
	a.CPU += r.CPU
	a.Skews = append(a.Skews, skew)
	a.MaxStall = max(a.MaxStall, r.Stall)
}

// stalled ends the session since an agent made no proper load.
func (j *joint) stalled(format string, args ...any) error {
	j.lose(format, args...)
	return context.Cause(j.ctx)
}

// lost is a result that means nothing, because of an error.
func (g *Generator) lost(ctx context.Context, err error) loadgen.Result {
	var lost *loadgen.LostError
	if ctx.Err() == nil && !errors.As(err, &lost) {
		lost = &loadgen.LostError{Reason: err.Error()}
	}
	r := loadgen.Merge(g.kinds, nil)
	if r.Start = time.Now(); lost != nil {
		r.Lost = lost
	}
	return r
}

// TakeLatency is like that of a loadgen.Driver, and tells what each agent did.
func (g *Generator) TakeLatency() loadgen.Latency {
	if g.joint == nil {
		return loadgen.MergeLatency(g.kinds, g.prepare.Load.Open(), nil)
	}
	ctx := context.Background() // the session ends if an agent does not answer
	parts := make([]loadgen.Latency, len(g.joint.members))
	err := g.joint.each(func(i int, m *member) (err error) {
		if g.sliced {
			err = g.lookAgain(ctx, i, m)
		}
		if err == nil {
			parts[i], err = g.latencies(ctx, i, m)
		}
		return err
	})
	all := loadgen.MergeLatency(g.kinds, g.prepare.Load.Open(), parts)
	all.Agents = g.agents
	if err != nil {
		all.Lost = g.lost(ctx, err).Lost
	}
	g.reset()
	return all
}

// lookAgain measures the clock of an agent after its slices.
func (g *Generator) lookAgain(ctx context.Context, i int, m *member) error {
	later, err := m.clock(ctx)
	if err != nil {
		return err
	}
	over := g.clocks[i].until(later)
	g.agents[i].ClockError, g.agents[i].RoundTrip = over.wrong, over.trip
	g.clocks[i] = later
	return nil
}

// latencies are those of one agent: as many as it has told of answers.
func (g *Generator) latencies(ctx context.Context, i int, m *member) (loadgen.Latency, error) {
	var l loadgen.Latency
	take := func(kind int, sent bool) (*hdrhistogram.Histogram, error) {
		reply, err := m.do(ctx, job{Latency: &latency{Driver: g.prepare.Driver, Kind: kind, Sent: sent}}, AnswerTime)
		if err != nil {
			return nil, err
		}
		h, err := histogram(reply.Buckets)
		if err == nil && h.TotalCount() != g.answered[i][kind] {
			err = fmt.Errorf("%d latencies of %d answers of kind %d", h.TotalCount(), g.answered[i][kind], kind)
		}
		if err != nil {
			err = &loadgen.LostError{Reason: fmt.Sprintf("agent %s: %v", m.Name, err)}
		}
		return h, err
	}
	for kind := range g.kinds {
		h, err := take(kind, false)
		if err != nil {
			return l, err
		}
		l.Due = append(l.Due, h)
	}
	for kind := 0; g.prepare.Load.Open() && kind < g.kinds; kind++ {
		h, err := take(kind, true)
		if err != nil {
			return l, err
		}
		l.Sent = append(l.Sent, h)
	}
	return l, nil
}

// Close closes the agents' connections.
func (g *Generator) Close() {
	if g.joint == nil {
		return
	}
	for _, m := range g.joint.members {
		j := job{Session: g.joint.id, Close: &closeJob{Driver: g.prepare.Driver}}
		_ = g.fleet.nc.Publish(subjectOf(m.id, jobEndpoint), encode(j))
	}
}
