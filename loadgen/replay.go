package loadgen

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Recording is a workload whose requests have times of their own, for a load whose
// arrivals are Replay. Its sources give the request that Request.Number counts; the
// first of the recording follows the last.
type Recording interface {
	Workload
	// Times returns when the requests are due from the start of the recording, in
	// order, and how long the recording is. That is more than the last of them.
	Times() (due []time.Duration, length time.Duration)
}

// newReplay returns the timeline of a recording, which begins at a time of it that
// is drawn from the seed: blocks are shorter than most recordings, and so they
// see different parts.
func newReplay(r Recording, seed uint64) *timeline {
	due, length := r.Times()
	rng := rand.New(rand.NewPCG(seed, math.MaxUint64))
	start := time.Duration(rng.Int64N(int64(length)))
	next, _ := slices.BinarySearch(due, start)
	t := &timeline{next: float64(until(due, length, next) - start), number: int64(next)}
	t.gap = func() float64 {
		next++
		return float64(until(due, length, next) - until(due, length, next-1))
	}
	return t
}

// until returns when the nth request is due if the recording begins again when it
// ends.
func until(due []time.Duration, length time.Duration, n int) time.Duration {
	return time.Duration(n/len(due))*length + due[n%len(due)]
}
