package loadgen

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Arrivals is the distribution over time of an open loop's requests.
type Arrivals string

// The distributions. Poisson models many independent users: requests come in
// clumps, as in production, and queues build up. Constant spaces requests
// evenly, so that the spread of the latencies is the server's own. Replay keeps to
// the times of a Recording.
const (
	Poisson  Arrivals = "poisson"
	Constant Arrivals = "constant"
	Replay   Arrivals = "replay"
)

// Pacer decides when the workers of a driver send. All workers share one during
// a slice, so that the next free worker takes the next due request. Its methods
// may be called concurrently.
type Pacer interface {
	// Next is called by a worker that is free at now. It returns when the
	// worker's next request is due, with the zero time meaning at once, and its
	// Request.Number. It returns false when there are no more requests.
	Next(now time.Time) (due time.Time, number int64, ok bool)
}

// closedLoop makes free workers send at once until end. The first request is sent
// even if the workers get to run only after that, as on a machine that is busy
// with something else: a slice is never empty.
type closedLoop struct {
	end   time.Time
	begun atomic.Bool
	most  *ceiling
}

func (l *closedLoop) Next(now time.Time) (time.Time, int64, bool) {
	first := !l.begun.Load() && l.begun.CompareAndSwap(false, true)
	return time.Time{}, 0, (first || now.Before(l.end)) && l.most.allows(now)
}

// fixedNumber makes free workers send at once, a part of a given number of requests. They
// wait where that would be more than the ceiling allows: the number counts.
type fixedNumber struct {
	requests int64
	part     Part
	taken    atomic.Int64
	most     *ceiling
}

func (f *fixedNumber) Next(now time.Time) (time.Time, int64, bool) {
	n := int64(f.part.Index) + (f.taken.Add(1)-1)*int64(f.part.of())
	if n >= f.requests {
		return time.Time{}, 0, false
	}
	return f.most.pace(now), n, true
}

// schedule makes each request go out when it is due or, if no worker is free
// then, as soon as one is. Nothing is handed out after end.
type schedule struct {
	first int64 // the Request.Number of the first
	part  Part  // whose requests are due; numbers in between are those of others
	start time.Time
	due   []time.Duration // since start, ascending
	end   time.Time
	taken atomic.Int64
	most  *ceiling
}

func (s *schedule) Next(now time.Time) (time.Time, int64, bool) {
	if !now.Before(s.end) {
		return time.Time{}, 0, false
	}
	n := s.taken.Add(1) - 1
	if n >= int64(len(s.due)) {
		return time.Time{}, 0, false
	}
	due := s.start.Add(s.due[n])
	if s.most != nil && !s.most.allows(later(due, now)) {
		return time.Time{}, 0, false
	}
	return due, s.first + n*int64(s.part.of()), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// missed returns the number of requests that no worker has taken.
func (s *schedule) missed() int64 { return max(0, int64(len(s.due))-s.taken.Load()) }

// timeline lays out requests over consecutive slices as if there were no pauses
// between them, so that the rate is kept however short a slice is. Equal seeds
// give equal timelines.
type timeline struct {
	gap    func() float64 // ns from one request to the next
	mean   float64        // ns between requests; of a rate, 0 of a recording
	next   float64        // ns from the start of the next slice to its first request
	number int64          // the Request.Number of that
	due    []time.Duration
}

func newTimeline(w Workload, l Load, seed uint64) *timeline {
	if r, ok := w.(Recording); ok && l.Arrivals == Replay {
		return newReplay(r, seed)
	}
	t := &timeline{mean: float64(time.Second) / l.Rate}
	if l.Arrivals == Constant {
		t.gap, t.next = func() float64 { return t.mean }, t.mean/2
		return t
	}
	rng := rand.New(rand.NewPCG(seed, math.MaxUint64)) // a stream that no worker's source uses
	t.gap = func() float64 { return rng.ExpFloat64() * t.mean }
	t.next = t.gap()
	return t
}

// setRate stretches the time from now on, so that the requests that are due are the
// same ones at another rate.
func (t *timeline) setRate(perSecond float64) {
	mean := float64(time.Second) / perSecond
	t.next *= mean / t.mean
	t.mean = mean
}

// slice returns when the requests of the next slice are due, relative to its
// start, and the number of the first. The times are valid until the next call.
func (t *timeline) slice(length time.Duration) (due []time.Duration, first int64) {
	first, t.due = t.number, t.due[:0]
	for ; t.next < float64(length); t.next += t.gap() {
		t.due = append(t.due, time.Duration(t.next))
	}
	t.next -= float64(length)
	t.number += int64(len(t.due))
	return t.due, first
}
