package loadgen

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Driver loads one server through a fixed set of workers, each with one
// connection (or a stream of one, see Load.H2Streams) and at most one request in
// flight. Its methods must not be called concurrently.
type Driver struct {
	workers     []*worker
	latencies   []*latencies // each of some workers
	timer       timer        // of all workers
	kinds       int
	allowErrors bool
	timeline    *timeline // nil for a closed loop
	part        Part      // of the load
	limit       float64   // of requests per second; 0 for none
}

// NewDriver creates the workers for the server at a URL, of which scheme (http or
// https), host and port count. Nothing is sent before Warmup or Slice is called.
// The load must be valid. Equal workloads, loads, and seeds give equal requests.
func NewDriver(server *url.URL, w Workload, l Load, c Connect, seed uint64) *Driver {
	return NewPart(server, w, l, c, seed, Part{}, 0)
}

// newLinks returns one way to the server per worker.
func newLinks(server *url.URL, l Load, c Connect) []link {
	links := make([]link, l.Workers)
	if l.Protocol != ProtocolH2 {
		dial := newDialer(server, c, "http/1.1")
		for i := range links {
			links[i] = newHTTP1(dial, server.Host)
		}
		return links
	}
	dial := newDialer(server, c, ProtocolH2)
	var conn *http2Conn
	for i := range links {
		if i%max(l.H2Streams, 1) == 0 {
			conn = newHTTP2Conn(server, dial)
		}
		links[i] = &http2Link{http2Conn: conn}
	}
	return links
}

// Result is what the workers did in one call of Warmup or Slice. It is plain
// data.
type Result struct {
	Start    time.Time
	Duration time.Duration // until the last outstanding request was answered
	Kinds    []KindResult  // one per kind of request, in the order of Workload.Kinds
	Errors   Errors

	// Setup counts the workers that could not be prepared (Preparer) and sent nothing
	// else: the load was not what was asked for, whatever share of errors it bears.
	Setup Errors

	// CPU is the CPU time (user and system) that this process used during the
	// call. That is what the load cost the generator if the process did nothing
	// else. It is always known: the package builds only where OwnCPU exists. If agents
	// made the load it is the sum of theirs.
	CPU time.Duration
	// AgentsHere is the part of CPU of other processes on the machine of the subjects.
	AgentsHere time.Duration

	// Reopened counts the connections that the server had closed while they
	// were idle between two calls. The first request of the call was sent again
	// on a new connection, once, and its latency includes both attempts. Any
	// other lost connection is a failure. A connection that the server ends with
	// notice ("Connection: close", or GOAWAY after the answer) is neither. With
	// HTTP/2 it counts the requests that were sent again: also those that the server
	// said, by GOAWAY, that it leaves alone.
	Reopened int64

	// For an open loop only:
	Late    int64         // requests sent more than LateAfter after they were due, failed ones included
	MaxLate time.Duration // the longest time from when a request was due until it was sent
	Missed  int64         // requests that were due but never sent

	// Limited says that the generator was not allowed to send as many requests as the
	// load asks for (NewPart). Lost is set if a part of the generator was lost: it is a
	// *LostError, and the rest means nothing. A Driver never loses anything.
	Limited bool
	Lost    error
}

// LateAfter is the delay beyond which a request counts as sent late. It is well
// above what waking a worker takes on a system that is not overloaded.
const LateAfter = time.Millisecond

// KindResult sums up the answered requests of one kind.
type KindResult struct {
	Ops      int64         // requests that were answered without an error
	Latency  time.Duration // the sum of their latencies, each counted from when it was due
	Bytes    int64         // the sum of the sizes of their bodies
	Errors   int64         // requests that failed
	Statuses map[int]int64 // complete answers by status, those that failed included
}

func newKindResults(kinds int) []KindResult {
	all := make([]KindResult, kinds)
	for kind := range all {
		all[kind].Statuses = map[int]int64{}
	}
	return all
}

func (k *KindResult) add(other KindResult) {
	k.Ops += other.Ops
	k.Latency += other.Latency
	k.Bytes += other.Bytes
	k.Errors += other.Errors
	for status, n := range other.Statuses {
		k.Statuses[status] += n
	}
}

// Ops returns the number of answered requests of all kinds.
func (r Result) Ops() int64 {
	var n int64
	for _, k := range r.Kinds {
		n += k.Ops
	}
	return n
}

// SetupErr is an error if a worker could not be prepared, or nil.
func (r Result) SetupErr() error {
	if n := r.Setup.Total(); n > 0 {
		return fmt.Errorf("%d of the workers could not begin: %s", n, r.Setup.First)
	}
	return nil
}

// backlogTime is how long a slice of an open loop goes on sending overdue
// requests after its end. A server that freezes for less than this shows all of
// the freeze in its latencies, and one that cannot keep up does not delay the
// experiment forever.
const backlogTime = time.Second

// Slice loads the server for the given time, at most MaxSlice, with one request
// or more. After that no new request starts, and outstanding ones are waited for
// and counted. In an open loop, requests that were due but found no free worker are
// sent until a second after the end; the remaining ones are counted as missed. A
// worker stops at its first failed request unless the load allows errors. Canceling
// ctx aborts outstanding requests, which are then not counted.
func (d *Driver) Slice(ctx context.Context, length time.Duration) Result {
	start := time.Now()
	end := start.Add(length)
	if d.timeline == nil {
		most := d.ceiling(start)
		r := d.run(ctx, start, &closedLoop{end: end, most: most}, end)
		r.Limited = most.isExceeded()
		return r
	}
	due, first := d.part.share(d.timeline.slice(length))
	s := &schedule{
		first: first, part: d.part, start: start, due: due, end: end.Add(backlogTime),
	}
	if d.timeline.mean == 0 { // a recording, whose rate is one on average
		s.most = d.ceiling(start)
	}
	r := d.run(ctx, start, s, end)
	r.Missed, r.Limited = s.missed(), s.most.isExceeded()
	return r
}

// SetRate changes the rate of an open loop that has one for the slices that follow.
func (d *Driver) SetRate(perSecond float64) { d.timeline.setRate(perSecond) }

// Warmup sends the given number of requests in a closed loop, whatever the load
// is. Otherwise it is like Slice.
func (d *Driver) Warmup(ctx context.Context, requests int) Result {
	now := time.Now()
	n := &fixedNumber{requests: int64(requests), part: d.part, most: d.ceiling(now)}
	return d.run(ctx, now, n, now)
}

// ceiling is what holds the rate of a run down, or nil.
func (d *Driver) ceiling(start time.Time) *ceiling {
	if d.limit == 0 {
		return nil
	}
	return &ceiling{start: start, perS: d.limit}
}

// run makes every worker send as the pacer decides, waits for them and until
// end, and adds up their results.
func (d *Driver) run(ctx context.Context, start time.Time, p Pacer, end time.Time) Result {
	cpu := OwnCPU()
	var wg sync.WaitGroup
	for _, w := range d.workers {
		wg.Go(func() { w.run(ctx, p) })
	}
	wg.Wait()
	r := Result{Start: start, Kinds: newKindResults(d.kinds)}
	for _, w := range d.workers {
		w.addTo(&r)
	}
	if r.SetupErr() == nil && (r.Errors.Total() == 0 || d.allowErrors) {
		d.workers[0].wait(ctx, end) // the last requests may have been answered earlier
	}
	r.Duration = time.Since(start)
	r.CPU = OwnCPU() - cpu
	return r
}

// Latency holds one histogram per kind of request, in the order of
// Workload.Kinds, of times in nanoseconds until the answer was complete.
type Latency struct {
	Due  []*hdrhistogram.Histogram // counted from when a request was due
	Sent []*hdrhistogram.Histogram // counted from when it was sent; nil for a closed loop, as it equals Due

	Agents []Agent // that made the load meanwhile; nil for this process alone
	Lost   error   // as in Result
}

// TakeLatency returns the latencies of all requests answered since the last
// call of TakeLatency, and starts over. The caller owns the histograms.
func (d *Driver) TakeLatency() Latency {
	l := Latency{Due: newHistograms(d.kinds)}
	if d.timeline != nil {
		l.Sent = newHistograms(d.kinds)
	}
	for _, some := range d.latencies {
		some.moveTo(l)
	}
	return l
}

// Close closes the connections. The driver must not be used afterward.
func (d *Driver) Close() {
	for _, w := range d.workers {
		w.link.close()
	}
	d.timer.close()
}
