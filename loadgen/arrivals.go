package loadgen

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Arrivals says how the requests of an open loop are spread over time.
type Arrivals string

// The arrivals. Poisson is what many users who know nothing of each other
// make: requests come in clumps, as they do in production, and a queue shows.
// Constant spaces them evenly: what is left of the latency's spread is the
// server's own.
const (
	Poisson  Arrivals = "poisson"
	Constant Arrivals = "constant"
)

// Pacer tells the workers of a driver when to send. All workers of a slice
// share one, so that the next free worker takes the next due request.
type Pacer interface {
	// Next is asked by a worker that is free at now. It returns when the
	// worker's next request is due, the zero time if at once, or false if there
	// is none.
	Next(now time.Time) (due time.Time, ok bool)
}

// closedLoop has free workers send at once, until a time.
type closedLoop struct{ end time.Time }

func (l closedLoop) Next(now time.Time) (time.Time, bool) { return time.Time{}, now.Before(l.end) }

// fixedNumber has free workers send at once, so many requests in all.
type fixedNumber struct{ left atomic.Int64 }

func (n *fixedNumber) Next(time.Time) (time.Time, bool) { return time.Time{}, n.left.Add(-1) >= 0 }

// schedule has each request sent when it is due, or as soon as a worker is free
// after that, up to a time.
type schedule struct {
	start time.Time
	due   []time.Duration // since start, ascending
	end   time.Time
	taken atomic.Int64
}

func (s *schedule) Next(now time.Time) (time.Time, bool) {
	if !now.Before(s.end) {
		return time.Time{}, false
	}
	n := s.taken.Add(1) - 1
	if n >= int64(len(s.due)) {
		return time.Time{}, false
	}
	return s.start.Add(s.due[n]), true
}

// missed is how many requests no worker has taken.
func (s *schedule) missed() int64 { return max(0, int64(len(s.due))-s.taken.Load()) }

// timeline lays requests out over slices that follow each other as if nothing
// were between them, so that the rate holds however short a slice is. Equal
// seeds give equal timelines.
type timeline struct {
	gap  func() float64 // ns from one request to the next
	next float64        // ns from the start of the next slice to its first request
	due  []time.Duration
}

func newTimeline(l Load, seed uint64) *timeline {
	mean := float64(time.Second) / l.Rate
	if l.Arrivals == Constant {
		return &timeline{gap: func() float64 { return mean }, next: mean / 2}
	}
	rng := rand.New(rand.NewPCG(seed, math.MaxUint64)) // a stream that no worker's source has
	gap := func() float64 { return rng.ExpFloat64() * mean }
	return &timeline{gap: gap, next: gap()}
}

// slice returns when the requests of the next slice are due, since its start.
// The result is good until the next call.
func (t *timeline) slice(length time.Duration) []time.Duration {
	t.due = t.due[:0]
	for ; t.next < float64(length); t.next += t.gap() {
		t.due = append(t.due, time.Duration(t.next))
	}
	t.next -= float64(length)
	return t.due
}
