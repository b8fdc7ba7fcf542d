package loadgen

import (
	"net/url"
	"runtime"
	"sync/atomic"
	"time"
)

// Part is one of several equal parts of a load. The parts together have the workers
// of the whole and send its requests, each once. The zero value is the whole.
type Part struct {
	Index int // from 0
	Of    int // how many there are; 0 is 1
}

// of is how many parts there are.
func (p Part) of() int { return max(p.Of, 1) }

// workers are the workers of a part, by their numbers in the whole.
func (p Part) workers(all int) (from, to int) {
	return p.Index * all / p.of(), (p.Index + 1) * all / p.of()
}

// Workers is how many of the workers a part has.
func (p Part) Workers(all int) int {
	from, to := p.workers(all)
	return to - from
}

// first is the first of a part's request numbers that is not below n. They are
// Part.Of apart.
func (p Part) first(n int64) int64 {
	behind := (int64(p.Index) - n) % int64(p.of())
	if behind < 0 {
		behind += int64(p.of())
	}
	return n + behind
}

// share keeps of the requests that are due from a number on those of the part, and
// returns the number of the first.
func (p Part) share(due []time.Duration, first int64) ([]time.Duration, int64) {
	if p.of() == 1 {
		return due, first
	}
	own := p.first(first)
	kept := due[:0]
	for i := own - first; i < int64(len(due)); i += int64(p.of()) {
		kept = append(kept, due[i])
	}
	return kept, own
}

// NewPart is like NewDriver, but makes only a part of the load, which needs a worker
// at least. A rate of more than limit requests per second is not exceeded for longer
// than some hundredths of a second: Result.Limited tells if it was held down in a slice, so
// that the result is not that of the load. A warm-up takes longer then.
func NewPart(
	server *url.URL, w Workload, l Load, c Connect, seed uint64, part Part, limit float64,
) *Driver {
	d := &Driver{kinds: len(w.Kinds()), allowErrors: l.AllowErrors > 0, part: part, limit: limit, timer: runtimeTimer{}}
	if l.Open() {
		d.timeline, d.timer = newTimeline(w, l, seed), newTimers()
	}
	from, to := part.workers(l.Workers)
	l.Workers = to - from
	for range min(l.Workers, runtime.GOMAXPROCS(0)) {
		d.latencies = append(d.latencies, newLatencies(d.kinds, l.Open()))
	}
	for i, to := range newLinks(server, l, c) {
		shared := d.latencies[i%len(d.latencies)]
		d.workers = append(d.workers, newWorker(to, w.Source(seed, from+i), d.kinds, l, d.timer, shared))
	}
	return d
}

// ceiling ends or slows down a run that would send more than a number of requests per
// second. A nil one does nothing.
type ceiling struct {
	start    time.Time
	perS     float64
	taken    atomic.Int64
	exceeded atomic.Bool
}

// burst is how long a run may send all at once what is allowed for that time.
const burst = 50 * time.Millisecond

// allows counts a request, and reports whether it may be sent.
func (c *ceiling) allows(now time.Time) bool {
	if c == nil {
		return true
	}
	n := float64(c.taken.Add(1))
	if n <= 1+c.perS*(max(now.Sub(c.start), 0)+burst).Seconds() {
		return true
	}
	c.exceeded.Store(true)
	return false
}

// pace counts a request, and returns when it may be sent, with the zero time meaning at
// once.
func (c *ceiling) pace(now time.Time) time.Time {
	if c == nil {
		return time.Time{}
	}
	before := float64(c.taken.Add(1) - 1)
	due := c.start.Add(time.Duration(before/c.perS*float64(time.Second)) - burst)
	if due.After(now) {
		return due
	}
	return time.Time{}
}

func (c *ceiling) isExceeded() bool { return c != nil && c.exceeded.Load() }

// SleepUntil returns at a time, as precisely as the system allows without spinning.
func SleepUntil(t time.Time) {
	precise := newTimer()
	defer precise.close()
	for left := time.Until(t); left > 0; left = time.Until(t) {
		precise.sleep(left)
	}
}
