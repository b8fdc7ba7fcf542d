package loadgen

import (
	"context"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Driver puts a load on one server through a fixed set of workers, each with
// one connection and at most one request in flight. Its methods must not be
// called at the same time.
type Driver struct {
	workers  []*worker
	kinds    int
	timeline *timeline // of an open loop
}

// NewDriver prepares workers for the server at addr (host:port). Nothing is
// sent before Warmup or Slice. The load must be valid.
func NewDriver(addr string, w Workload, l Load, seed uint64) *Driver {
	d := &Driver{kinds: len(w.Kinds())}
	if l.Open() {
		d.timeline = newTimeline(l, seed)
	}
	for i := range l.Workers {
		d.workers = append(d.workers, newWorker(addr, w.Source(seed, i), d.kinds, l))
	}
	return d
}

// Result is what the workers did in one call of Warmup or Slice.
type Result struct {
	Start    time.Time
	Duration time.Duration // until the last outstanding request was answered
	Kinds    []KindResult  // one for each kind of request of the workload
	Errors   Errors

	// CPU is the CPU time that this process used meanwhile: what generating the
	// load cost, if the process does nothing else.
	CPU time.Duration

	// Reopened counts connections that rested since the call before, were closed
	// by the server meanwhile, and were opened again for their first request.
	Reopened int64

	// Of an open loop:
	Late    int64         // requests sent more than LateAfter after they were due
	MaxLate time.Duration // how long after it was due a request was sent, at most
	Missed  int64         // requests that were due and never sent
}

// LateAfter is from when on a request counts as sent late: well beyond what
// waking a worker takes on a system that is not overloaded.
const LateAfter = time.Millisecond

// KindResult counts the finished requests of one kind.
type KindResult struct {
	Ops     int64
	Latency time.Duration // sum over Ops, each from when it was due
}

// Ops is the number of finished requests of all kinds.
func (r Result) Ops() int64 {
	var n int64
	for _, k := range r.Kinds {
		n += k.Ops
	}
	return n
}

// backlogTime is how long after its end a slice of an open loop goes on
// sending what was due in it: a server that stands still for less than this
// shows all of it in the latencies, and one that cannot keep up does not delay
// the experiment forever.
const backlogTime = time.Second

// Slice loads the server for the given time: then no new request starts and
// the outstanding ones are waited for and counted. In an open loop, requests
// that were due and found no free worker are sent up to a second after the end,
// and what is left then is counted as missed. A worker stops at its first
// failed request. Cancelling ctx aborts outstanding requests, uncounted.
func (d *Driver) Slice(ctx context.Context, length time.Duration) Result {
	start := time.Now()
	end := start.Add(length)
	if d.timeline == nil {
		return d.run(ctx, start, closedLoop{end: end}, end)
	}
	s := &schedule{start: start, due: d.timeline.slice(length), end: end.Add(backlogTime)}
	r := d.run(ctx, start, s, end)
	r.Missed = s.missed()
	return r
}

// Warmup sends the given number of requests as a closed loop.
func (d *Driver) Warmup(ctx context.Context, requests int) Result {
	n := &fixedNumber{}
	n.left.Store(int64(requests))
	now := time.Now()
	return d.run(ctx, now, n, now)
}

// run has every worker send as the pacer says, waits for them and for the end,
// and adds up their work.
func (d *Driver) run(ctx context.Context, start time.Time, p Pacer, end time.Time) Result {
	cpu := OwnCPU()
	var wg sync.WaitGroup
	for _, w := range d.workers {
		wg.Go(func() { w.run(ctx, p) })
	}
	wg.Wait()
	r := Result{Start: start, Kinds: make([]KindResult, d.kinds)}
	for _, w := range d.workers {
		w.addTo(&r)
	}
	if r.Errors.Total() == 0 {
		d.workers[0].wait(ctx, end) // the last requests may have been answered before
	}
	r.Duration = time.Since(start)
	r.CPU = OwnCPU() - cpu
	return r
}

// Latency holds a histogram for each kind of request.
type Latency struct {
	Due  []*hdrhistogram.Histogram // from when a request was due to its complete answer
	Sent []*hdrhistogram.Histogram // from when it was sent; nil for a closed loop, where that is the same
}

// TakeLatency returns the latencies of all calls since the last TakeLatency,
// and starts new histograms.
func (d *Driver) TakeLatency() Latency {
	l := Latency{Due: d.take(func(w *worker) []*hdrhistogram.Histogram { return w.due })}
	if d.timeline != nil {
		l.Sent = d.take(func(w *worker) []*hdrhistogram.Histogram { return w.sent })
	}
	return l
}

// take merges and empties the workers' histograms of each kind.
func (d *Driver) take(of func(*worker) []*hdrhistogram.Histogram) []*hdrhistogram.Histogram {
	all := newHistograms(d.kinds)
	for _, w := range d.workers {
		for kind, h := range of(w) {
			all[kind].Merge(h)
			h.Reset()
		}
	}
	return all
}

// Close closes the connections.
func (d *Driver) Close() {
	for _, w := range d.workers {
		w.close()
	}
}
