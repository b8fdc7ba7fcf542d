package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"sync"
	"time"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/workload"
)

// session is what an agent does for one recorder, as long as that renews its lease.
type session struct {
	agent *Agent
	id    string
	ctx   context.Context // canceled when the session ends
	stop  context.CancelCauseFunc
	lease *time.Timer
	last  *time.Timer // ends the session in any case

	mu        sync.Mutex // of the jobs, which are done one after another
	received  Assembly   // of the next workload
	workloads map[string]loadgen.Workload
	held      int // bytes that the workloads came in
	drivers   map[int]*driver
	host      Host // nil of an agent that makes load
}

// driver makes the agent's part of the load on one server.
type driver struct {
	*loadgen.Driver
	workers int
	counted int             // histograms that its latencies are counted in at most
	rate    float64         // of the whole load, at most; 0 for a closed loop
	latency loadgen.Latency // that was taken last
}

func newSession(a *Agent, id string) *session {
	s := &session{agent: a, id: id, workloads: map[string]loadgen.Workload{}, drivers: map[int]*driver{}}
	if a.Host != nil {
		s.host = a.Host()
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.lease = time.AfterFunc(LeaseTime, func() { s.end("the recorder is silent") })
	s.last = time.AfterFunc(a.MaxTime, func() {
		a.tire(id)
		s.end(fmt.Sprintf("it serves nobody for longer than %v (--max-time)", a.MaxTime))
	})
	return s
}

// renew notes that the recorder is there. It reports whether the session is, too.
func (s *session) renew() bool {
	s.lease.Reset(LeaseTime)
	return s.ctx.Err() == nil
}

// end cancels what is being done, waits for that, closes all connections, and ends
// all subjects.
func (s *session) end(why string) {
	s.stop(errors.New(why))
	s.lease.Stop()
	s.last.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.drivers {
		s.close(id)
	}
	if s.host != nil {
		s.host.Close()
	}
	s.agent.forget(s, why)
}

func (s *session) close(id int) {
	if d := s.drivers[id]; d != nil {
		d.Close()
		delete(s.drivers, id)
	}
}

// do does a job. Of a session that ends meanwhile nothing counts.
func (s *session) do(j job) (reply jobReply, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil {
		reply, err = s.doLocked(j)
	}
	if s.ctx.Err() != nil {
		return jobReply{}, context.Cause(s.ctx)
	}
	return reply, err
}

func (s *session) doLocked(j job) (jobReply, error) {
	switch {
	case j.Subject != nil && s.host != nil:
		return jobReply{Subject: s.host.Do(s.ctx, j.Subject)}, nil
	case j.Subject != nil:
		return jobReply{}, fmt.Errorf("agent %s makes load and starts no subjects (--subjects)", s.agent.Name)
	case s.host != nil:
		return jobReply{}, fmt.Errorf("agent %s starts subjects and makes no load", s.agent.Name)
	case j.Workload != nil:
		return jobReply{}, s.receive(*j.Workload)
	case j.Prepare != nil:
		return jobReply{}, s.prepare(*j.Prepare)
	case j.Warmup != nil:
		return s.load(j.Warmup.Driver, s.agent.now(), func(d *driver) loadgen.Result {
			return d.Warmup(s.ctx, j.Warmup.Requests)
		})
	case j.Slice != nil:
		if err := s.setRate(*j.Slice); err != nil {
			return jobReply{}, err
		}
		return s.load(j.Slice.Driver, j.Slice.Start, func(d *driver) loadgen.Result {
			return d.Slice(s.ctx, j.Slice.Length)
		})
	case j.Latency != nil:
		return s.latency(*j.Latency)
	}
	s.close(j.Close.Driver)
	return jobReply{}, nil
}

// receive puts a workload together.
func (s *session) receive(p Piece) error {
	data, complete, err := s.received.Add(p, maxWorkload)
	switch {
	case errors.Is(err, ErrTooLarge):
		return fmt.Errorf("agent %s takes workloads of up to %d MiB", s.agent.Name, maxWorkload>>20)
	case err != nil:
		return fmt.Errorf("a workload arrived %w", err)
	case !complete:
		return nil
	}
	return s.keep(p.Hash, data)
}

// keep keeps a workload until the session ends, unless it is there or is too much.
func (s *session) keep(hash string, data []byte) error {
	if s.workloads[hash] != nil {
		return nil
	}
	if s.held+len(data) > maxWorkloads {
		return fmt.Errorf("agent %s takes workloads of %d MiB in one session", s.agent.Name, maxWorkloads>>20)
	}
	w, err := workload.Decode(data)
	switch {
	case err != nil:
		return err
	case len(w.Kinds()) > maxKinds:
		return fmt.Errorf("a workload of %d kinds of requests, more than %d", len(w.Kinds()), maxKinds)
	}
	s.workloads[hash] = w
	s.held += len(data)
	return nil
}

// prepare makes a driver, unless that would overstep what the agent may do.
func (s *session) prepare(p prepare) error {
	a, w := s.agent, s.workloads[p.Workload]
	if w == nil {
		return errors.New("the workload was not sent before")
	}
	if s.drivers[p.Driver] != nil {
		return fmt.Errorf("driver %d is there already", p.Driver)
	}
	server, err := url.Parse(p.URL)
	if err != nil {
		return err
	}
	connect, err := a.Allow.connect(s.ctx, server)
	if err == nil {
		connect.TLS, err = p.Trust.Config()
	}
	if err != nil {
		return fmt.Errorf("agent %s: %w", a.Name, err)
	}
	if err := checkReplay(p.Load, w); err != nil {
		return err
	}
	if rate := p.Load.Rate / float64(p.Of); rate > a.MaxRate {
		return fmt.Errorf("agent %s sends at most %.0f requests per second (--max-rate), not %.0f",
			a.Name, a.MaxRate, rate)
	}
	part := loadgen.Part{Index: p.Index, Of: p.Of}
	workers := part.Workers(p.Load.Workers)
	connections, counted := workers, histogramsOf(w, p.Load, workers)
	own := counted
	for _, d := range s.drivers {
		connections += d.workers
		counted += d.counted
	}
	switch {
	case connections > a.MaxConnections:
		return fmt.Errorf("agent %s makes at most %d connections (--max-connections), not %d",
			a.Name, a.MaxConnections, connections)
	case counted > maxHistograms():
		return fmt.Errorf("agent %s counts latencies in at most %d histograms, not %d: make fewer kinds of requests",
			a.Name, maxHistograms(), counted)
	}
	s.drivers[p.Driver] = &driver{
		Driver:  loadgen.NewPart(server, w, p.Load, connect, p.Seed, part, a.MaxRate),
		workers: workers, counted: own, rate: p.Load.Rate,
	}
	return nil
}

// checkReplay holds that the rate of a load is that of its recording, if it has one:
// requests are sent at the recording's times, and the rate is what is allowed.
func checkReplay(l loadgen.Load, w loadgen.Workload) error {
	if l.Arrivals != loadgen.Replay {
		return nil
	}
	r, ok := w.(*workload.Replay)
	if !ok || r.Rate() != l.Rate {
		return fmt.Errorf("a rate of %v/s is not that of the recording", l.Rate)
	}
	return nil
}

// histogramsOf is how many histograms a driver of so many workers has at most, with those
// that were taken last.
func histogramsOf(w loadgen.Workload, l loadgen.Load, workers int) int {
	n := len(w.Kinds())
	if l.Open() {
		n *= 2
	}
	return n * (min(workers, runtime.GOMAXPROCS(0)) + 1)
}

// Config is nil if the system's authorities are trusted.
func (t Trust) Config() (*tls.Config, error) {
	switch {
	case t.Insecure:
		return &tls.Config{InsecureSkipVerify: true}, nil
	case len(t.Authorities) == 0:
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(t.Authorities) {
		return nil, errors.New("there is no certificate among the authorities")
	}
	return &tls.Config{RootCAs: pool}, nil
}

func (s *session) driver(id int) (*driver, error) {
	d := s.drivers[id]
	if d == nil {
		return nil, fmt.Errorf("there is no driver %d", id)
	}
	return d, nil
}

// setRate changes the rate of an open loop, up to the one that it was prepared for: that
// is what the agent has agreed to.
func (s *session) setRate(j slice) error {
	d, err := s.driver(j.Driver)
	switch {
	case err != nil:
		return err
	case j.Rate > d.rate:
		return fmt.Errorf("a slice of %v requests per second, of a load of %v", j.Rate, d.rate)
	case d.rate*j.Length.Seconds() > maxDue:
		return fmt.Errorf("agent %s makes slices of up to %d requests, not %.0f; make them shorter",
			s.agent.Name, maxDue, d.rate*j.Length.Seconds())
	}
	if j.Rate > 0 {
		d.SetRate(j.Rate)
	}
	return nil
}

// load waits until a moment on the agent's clock and makes load.
func (s *session) load(id int, start int64, run func(*driver) loadgen.Result) (jobReply, error) {
	d, err := s.driver(id)
	if err != nil {
		return jobReply{}, err
	}
	if ahead := time.Duration(start - s.agent.now()); ahead > maxLead {
		return jobReply{}, fmt.Errorf("a slice that begins in %v", ahead)
	}
	stalled := watch()
	loadgen.SleepUntil(s.agent.epoch.Add(time.Duration(start)))
	r := run(d)
	return jobReply{Result: resultOf(r, s.agent.epoch, stalled())}, nil
}

// latency returns the histogram of a kind of request. The first takes all.
func (s *session) latency(l latency) (jobReply, error) {
	d, err := s.driver(l.Driver)
	if err != nil {
		return jobReply{}, err
	}
	if l.Kind == 0 && !l.Sent {
		d.latency = d.TakeLatency()
	}
	all := d.latency.Due
	if l.Sent {
		all = d.latency.Sent
	}
	if l.Kind >= len(all) {
		return jobReply{}, fmt.Errorf("there is no kind %d of %d", l.Kind, len(all))
	}
	return jobReply{Buckets: bucketsOf(all[l.Kind])}, nil
}
