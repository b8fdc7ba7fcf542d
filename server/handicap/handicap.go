// Package handicap makes a core cost more, by a known amount: a regression that
// a harness is to find.
package handicap

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/eventobench/eventobench/server"
)

// Core is a core whose calls cost more than those of the one it wraps.
type Core struct {
	*server.Core
	load *load
}

// Wrap returns a core with a handicap. One of zero would cost what asking for it
// does: leave the core unwrapped then.
func Wrap(core *server.Core, h Handicap) *Core {
	return &Core{Core: core, load: newLoad(h)}
}

// Serve is that of the core it wraps, after the additional work if the request
// is a call.
func (c *Core) Serve(ctx context.Context, r server.Request, dst []byte) server.Answer {
	if r.Path == server.CallPath {
		c.load.add()
	}
	return c.Core.Serve(ctx, r, dst)
}

// load is a handicap at work. Calls share no memory that they write, except for
// the few that are timed: processors that pass a cache line back and forth would
// add a cost that nobody asked for.
type load struct {
	Handicap
	sink  atomic.Pointer[byte]
	turns atomic.Int64 // of spin, per call

	timed       atomic.Int64 // calls whose spinning was timed, ever
	kept, nanos atomic.Int64 // of those of this window that nothing interrupted: their number and time

	busy    atomic.Bool // somebody adjusts turns, and owns what follows
	cpu     int64       // of the process in nanoseconds, when turns was last set
	perTurn float64     // nanoseconds
	costs   []float64   // nanoseconds of a call besides spinning, in each of the last windows
}

// One call in timedEvery, by chance, has its spinning timed, since a turn takes
// longer on a busy processor than it did at the start. After a window of timed
// calls the work of a call is measured again.
const (
	timedEvery = 16
	window     = 64
)

func newLoad(h Handicap) *load {
	l := &load{Handicap: h}
	if h.CPU > 0 {
		const turns = 200_000
		l.perTurn = float64(shortest(func() { spin(turns) })) / turns
	}
	return l
}

// add does the additional work of one call.
func (l *load) add() {
	if l.Alloc > 0 {
		l.sink.Store(&make([]byte, l.Alloc)[0])
	}
	switch {
	case l.CPU == 0:
	case rand.Uint32N(timedEvery) == 0:
		l.spinTimed()
	default:
		spin(l.turns.Load())
	}
}

// spinTimed spins for one call, times it, and ends a window if it is due.
func (l *load) spinTimed() {
	// Beyond the second, in ns per turn, plus the first, something else ran.
	const interrupted, slowest = time.Microsecond, 10.0
	turns := l.turns.Load()
	before := time.Now()
	start := time.Now() // reading the time takes longer on a busy processor too
	spin(turns)
	end := time.Now()
	clock := start.Sub(before)
	took := end.Sub(start) - clock
	if expected := time.Duration(slowest * float64(turns)); clock < interrupted && took < expected+interrupted {
		l.kept.Add(1)
		l.nanos.Add(int64(took))
	}
	if n := l.timed.Add(1); n%window == 1 && l.busy.CompareAndSwap(false, true) {
		l.adjust(int64(processCPU()), n == 1)
		l.busy.Store(false)
	}
}

// adjust measures what a call of the last window cost besides spinning, and sets turns to
// the wanted share of the median of the last windows: the first calls of a process cost
// more, and so does a window that saw other work, such as the profiles and counters that a
// recorder reads before it measures. The first window begins with the first timed call, so
// that starting up is not charged to it.
func (l *load) adjust(cpu int64, first bool) {
	const calls = window * timedEvery
	spent, kept, nanos := float64(cpu-l.cpu), l.kept.Swap(0), l.nanos.Swap(0)
	l.cpu = cpu
	if first || kept == 0 {
		return
	}
	turns, spun := float64(l.turns.Load()), float64(nanos)/float64(kept)
	if turns > 0 {
		l.perTurn += (spun/turns - l.perTurn) / 4
	} else {
		spun = 0 // what was timed is the clock's error
	}
	wanted := l.typical(max(0, spent/calls-spun)) * l.CPU / 100
	l.turns.Store(int64(math.Round(wanted / l.perTurn)))
}

// typical takes in what a call of a window cost, and returns the median of the last ones.
func (l *load) typical(cost float64) float64 {
	const most = 7
	l.costs = append(l.costs, cost)
	if len(l.costs) > most {
		l.costs = l.costs[1:]
	}
	sorted := slices.Sorted(slices.Values(l.costs))
	return (sorted[len(sorted)/2] + sorted[(len(sorted)-1)/2]) / 2
}

// spin computes without touching memory; the compiler cannot tell its result.
func spin(turns int64) {
	x := uint64(turns)
	for range turns {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 42 {
		spinResult.Store(x)
	}
}

var spinResult atomic.Uint64

// shortest is the shortest of several tries, the one that nothing interrupted.
func shortest(do func()) time.Duration {
	const tries = 10
	least := time.Duration(math.MaxInt64)
	for range tries {
		start := time.Now()
		do()
		least = min(least, time.Since(start))
	}
	return least
}

// processCPU is the CPU time of this process, user and system.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
