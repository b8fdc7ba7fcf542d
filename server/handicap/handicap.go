// Package handicap makes a core cost more, by a known amount: a regression that
// a harness is to find.
package handicap

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

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
// the few that are counted: processors that pass a cache line back and forth would
// add a cost that nobody asked for.
type load struct {
	Handicap
	sink    atomic.Pointer[byte]
	turns   atomic.Int64 // of spin, per call
	counted atomic.Int64 // calls, ever

	busy    atomic.Bool // somebody adjusts turns, and owns what follows
	cpu     int64       // of the process in nanoseconds, when turns was last set; 0 before
	perTurn float64     // nanoseconds
	own     float64     // turns' worth that a call costs beyond its turns
	lump    lump        // of this window
	lumps   int         // that were timed
	costs   []float64   // nanoseconds of a call besides the handicap, in each of the last windows
}

// lump is a part of a window's turns that one call does at once, so that they can be
// timed: the clock of a thread takes too long to read for the turns of a call.
type lump struct {
	turns int64
	nanos float64
}

// One call in countedEvery, by chance, is counted, and after a window of these the work of
// a call is measured again. How many calls a window has is known to 8%, by that chance; the
// more were counted, the better, and the more of them would wait for one cache line. A lump
// has at most mostLump turns.
const (
	countedEvery = 8
	window       = 128
	calls        = window * countedEvery
	mostLump     = 40_000
)

func newLoad(h Handicap) *load {
	l := &load{Handicap: h, lump: lump{turns: mostLump}}
	if h.CPU > 0 {
		l.calibrate()
	}
	return l
}

// calibrate measures what a turn takes, and what a call costs beyond its turns: to decide,
// and to count. Of a small handicap that is not little.
func (l *load) calibrate() {
	const turns, tries = 200_000, 2000
	l.perTurn = float64(shortest(func() { spin(turns) })) / turns
	idle := &load{Handicap: l.Handicap}
	idle.busy.Store(true) // so that there are no turns
	took := shortest(func() {
		for range tries {
			idle.add()
		}
	})
	l.own = float64(took) / tries / l.perTurn
}

// add does the additional work of one call.
func (l *load) add() {
	if l.Alloc > 0 {
		l.sink.Store(&make([]byte, l.Alloc)[0])
	}
	if l.CPU == 0 {
		return
	}
	spin(l.turns.Load())
	if rand.Uint32()%countedEvery == 0 {
		l.count()
	}
}

// count counts a call, and ends a window if it is due.
func (l *load) count() {
	if n := l.counted.Add(1); n%window == 1 && l.busy.CompareAndSwap(false, true) {
		l.adjust(int64(processCPU()))
		l.learn(timeSpin(l.lump.turns))
		l.busy.Store(false)
	}
}

// adjust measures what a call of the last window cost besides the handicap, and sets turns
// to the wanted share of the median of the last windows: the first calls of a process cost
// more, and so does a window that saw other work, such as the profiles and counters that a
// recorder reads before it measures. The first window begins with the first counted call,
// so that starting up is not charged to it.
func (l *load) adjust(cpu int64) {
	spent, first := float64(cpu-l.cpu), l.cpu == 0
	l.cpu = cpu
	if first {
		return
	}
	cost := max(0, (spent-l.lump.nanos)/calls-(l.own+float64(l.turns.Load()))*l.perTurn)
	wanted := l.typical(cost) * l.spun() / 100 / l.perTurn
	l.lump.turns = min(mostLump, int64(wanted*calls/2))
	l.turns.Store(max(0, int64(math.Round(wanted-l.own-float64(l.lump.turns)/calls))))
}

// learn takes in how long a lump took. What is charged to a process, such as interrupts, is
// charged to a lump in proportion; so it is left in, and the mean of many lumps counts.
func (l *load) learn(nanos float64) {
	const memory = 16 // lumps
	l.lump.nanos = nanos
	if l.lump.turns == 0 {
		return
	}
	l.lumps = min(l.lumps+1, memory)
	l.perTurn += (nanos/float64(l.lump.turns) - l.perTurn) / float64(l.lumps)
}

// timeSpin spins, and returns the nanoseconds of CPU time that it took.
func timeSpin(turns int64) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadCPU()
	start := threadCPU() // reading the clock takes time too
	spin(turns)
	return float64(max(0, threadCPU()-start-(start-before)))
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

// spin computes without touching memory; the compiler cannot tell its result. It is the
// same code for all who call it, wherever copies of it would lie.
//
//go:noinline
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

// threadCPU is the CPU time of this thread.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// processCPU is the CPU time of this process, user and system.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
