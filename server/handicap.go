package server

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Handicap makes every call cost more than it need, by a known amount: a
// regression to test a harness with.
type Handicap struct {
	CPU   float64 // percent of the CPU time that the process spends on a call without it
	Alloc int     // bytes a call; what the allocator counts is rounded up to its next size class
}

// Upper bounds of a handicap: more is a slip of the pen.
const (
	maxHandicapCPU   = 1000
	maxHandicapAlloc = 1 << 20
)

// ParseHandicap reads a list such as "cpu=5%+alloc=200B"; "" and "none" are no
// handicap.
func ParseHandicap(text string) (Handicap, error) {
	var h Handicap
	if text == "" || text == "none" {
		return h, nil
	}
	for part := range strings.SplitSeq(text, "+") {
		if !h.set(part) {
			return Handicap{}, fmt.Errorf("handicap %q: write cpu=5%% (up to %d%%), alloc=200B (up to %d), or both with a plus sign", text, maxHandicapCPU, maxHandicapAlloc)
		}
	}
	return h, nil
}

func (h *Handicap) set(part string) bool {
	name, amount, _ := strings.Cut(part, "=")
	switch name {
	case "cpu":
		percent, ok := strings.CutSuffix(amount, "%")
		v, err := strconv.ParseFloat(percent, 64)
		h.CPU = v
		return ok && err == nil && v > 0 && v <= maxHandicapCPU
	case "alloc":
		bytes, ok := strings.CutSuffix(amount, "B")
		v, err := strconv.Atoi(bytes)
		h.Alloc = v
		return ok && err == nil && v > 0 && v <= maxHandicapAlloc
	}
	return false
}

// handicap is a Handicap at work. Calls share no memory that they write, but for
// the few that are timed: processors that pass a cache line to and fro would
// make a call dearer than it shall be.
type handicap struct {
	Handicap
	sink  atomic.Pointer[byte]
	turns atomic.Int64  // of spin, a call
	clock time.Duration // that reading the time twice takes

	timed       atomic.Int64 // calls whose spinning was timed, ever
	kept, nanos atomic.Int64 // of those of this window that nothing interrupted: their number and time

	busy    atomic.Bool // somebody adjusts turns, and owns what follows
	cpu     int64       // of the process in nanoseconds, when turns was last set
	perTurn float64     // nanoseconds
}

// One call in handicapTimed, by chance, has its spinning timed, since a turn
// takes longer on a busy processor than it did at start; after handicapWindow of
// those the work of a call is measured anew.
const (
	handicapTimed  = 16
	handicapWindow = 64
)

// newHandicap returns nil for no handicap.
func newHandicap(h Handicap) *handicap {
	if h == (Handicap{}) {
		return nil
	}
	w := &handicap{Handicap: h}
	if h.CPU > 0 {
		const turns = 200_000
		w.clock = shortest(func() {})
		w.perTurn = float64(shortest(func() { spin(turns) })) / turns
	}
	return w
}

// burden does the additional work of one call.
func (h *handicap) burden() {
	if h.Alloc > 0 {
		h.sink.Store(&make([]byte, h.Alloc)[0])
	}
	switch {
	case h.CPU == 0:
	case rand.Uint32N(handicapTimed) == 0:
		h.spinTimed()
	default:
		spin(h.turns.Load())
	}
}

// spinTimed spins for one call, times it, and ends a window if it is due.
func (h *handicap) spinTimed() {
	const interrupted, spinsAtMost = 10 * time.Microsecond, 10.0 // beyond, in ns a turn, something else ran meanwhile
	turns := h.turns.Load()
	start := time.Now()
	spin(turns)
	took := time.Since(start) - h.clock
	if expected := time.Duration(spinsAtMost * float64(turns)); took < expected+interrupted {
		h.kept.Add(1)
		h.nanos.Add(int64(took))
	}
	if n := h.timed.Add(1); n%handicapWindow == 1 && h.busy.CompareAndSwap(false, true) {
		h.adjust(int64(processCPU()), n == 1)
		h.busy.Store(false)
	}
}

// adjust measures what a call of the last window cost besides spinning, and
// moves turns towards the wanted share of that; a window that saw other work,
// such as a profile being taken, so counts for little. The first window begins
// with the first timed call, so that starting up is not charged to it.
func (h *handicap) adjust(cpu int64, first bool) {
	const inertia, calls = 4, handicapWindow * handicapTimed
	spent, kept, nanos := float64(cpu-h.cpu), h.kept.Swap(0), h.nanos.Swap(0)
	h.cpu = cpu
	if first || kept == 0 {
		return
	}
	turns, spun := float64(h.turns.Load()), float64(nanos)/float64(kept)
	if turns > 0 {
		h.perTurn += (spun/turns - h.perTurn) / inertia
	} else {
		spun = 0 // what was timed is the clock's error
	}
	wanted := (spent/calls - spun) * h.CPU / 100
	h.turns.Store(max(0, int64(math.Round(turns+(wanted-spun)/h.perTurn/inertia))))
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
