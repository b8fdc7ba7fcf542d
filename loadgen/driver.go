package loadgen

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Driver puts a load on one server through a fixed set of workers, each with
// one connection and at most one request in flight (a closed loop). Its
// methods must not be called at the same time.
type Driver struct {
	workers []*worker
	kinds   int
}

// NewDriver prepares workers for the server at addr (host:port). Nothing is
// sent before Warmup or Slice.
func NewDriver(addr string, w Workload, l Load, seed uint64) *Driver {
	d := &Driver{kinds: len(w.Kinds())}
	for i := range l.Workers {
		d.workers = append(d.workers, newWorker(addr, w.Source(seed, i), d.kinds, l.Timeout))
	}
	return d
}

// Result is what the workers did in one call of Warmup or Slice.
type Result struct {
	Start    time.Time
	Duration time.Duration // until the last outstanding request was answered
	Kinds    []KindResult  // one for each kind of request of the workload
	Errors   Errors
}

// KindResult counts the finished requests of one kind.
type KindResult struct {
	Ops     int64
	Latency time.Duration // sum over Ops
}

// Ops is the number of finished requests of all kinds.
func (r Result) Ops() int64 {
	var n int64
	for _, k := range r.Kinds {
		n += k.Ops
	}
	return n
}

// Slice loads the server for the given time: then no new request starts and
// the outstanding ones are waited for and counted. A worker stops at its first
// failed request. Cancelling ctx aborts outstanding requests, uncounted.
func (d *Driver) Slice(ctx context.Context, length time.Duration) Result {
	end := time.Now().Add(length)
	return d.run(ctx, func(now time.Time) bool { return now.Before(end) })
}

// Warmup sends the given number of requests, as Slice does for a time.
func (d *Driver) Warmup(ctx context.Context, requests int) Result {
	var sent atomic.Int64
	return d.run(ctx, func(time.Time) bool { return sent.Add(1) <= int64(requests) })
}

// run keeps every worker sending while more says so, and adds up their work.
func (d *Driver) run(ctx context.Context, more func(now time.Time) bool) Result {
	var wg sync.WaitGroup
	start := time.Now()
	for _, w := range d.workers {
		wg.Go(func() { w.run(ctx, more) })
	}
	wg.Wait()
	r := Result{Start: start, Duration: time.Since(start), Kinds: make([]KindResult, d.kinds)}
	for _, w := range d.workers {
		w.addTo(&r)
	}
	return r
}

// TakeLatency returns a latency histogram for each kind of request over all
// calls since the last TakeLatency, and starts new ones.
func (d *Driver) TakeLatency() []*hdrhistogram.Histogram {
	all := make([]*hdrhistogram.Histogram, d.kinds)
	for kind := range all {
		all[kind] = NewHistogram()
		for _, w := range d.workers {
			all[kind].Merge(w.latency[kind])
			w.latency[kind].Reset()
		}
	}
	return all
}

// Close closes the connections.
func (d *Driver) Close() {
	for _, w := range d.workers {
		w.disconnect()
	}
}
