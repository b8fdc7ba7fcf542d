package server

import (
	"fmt"
	"math"
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

// handicap is a Handicap at work.
type handicap struct {
	Handicap
	calls atomic.Int64
	turns atomic.Int64 // of spin, a call
	sink  atomic.Pointer[byte]
	clock time.Duration // that reading the time twice takes

	timedTurns, timedNanos atomic.Int64 // of the calls of this window whose spinning was timed

	busy  atomic.Bool // somebody adjusts turns, and owns what follows
	cpu   int64       // of the process in nanoseconds, when turns was last set
	nanos float64     // that a turn takes
}

// After how many calls the work of one is measured anew, and which of them time
// their spinning: a turn takes longer on a busy processor than it did at start.
const (
	handicapWindow = 1024
	handicapTimed  = 16
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
		w.nanos = float64(shortest(func() { spin(turns) })) / turns
	}
	return w
}

// burden does the additional work of one call.
func (h *handicap) burden() {
	if h.Alloc > 0 {
		h.sink.Store(&make([]byte, h.Alloc)[0])
	}
	if h.CPU > 0 {
		n := h.calls.Add(1)
		h.spin(n%handicapTimed == 0)
		if n%handicapWindow == 1 && h.busy.CompareAndSwap(false, true) {
			h.adjust(int64(processCPU()), n == 1)
			h.busy.Store(false)
		}
	}
}

// spin spins for one call.
func (h *handicap) spin(timed bool) {
	turns := h.turns.Load()
	if !timed {
		spin(turns)
		return
	}
	const interrupted = 10 // times as long as it ought to: something else ran meanwhile
	start := time.Now()
	spin(turns)
	if took := time.Since(start) - h.clock; took < time.Duration(float64(turns)*minNanosPerTurn*interrupted) {
		h.timedTurns.Add(turns)
		h.timedNanos.Add(int64(took))
	}
}

// minNanosPerTurn is what a turn takes at least: a multiplication and an
// addition that wait for each other, on a processor of 4 GHz.
const minNanosPerTurn = 1.0

// adjust measures what a call of the last window cost besides spinning, and
// moves turns towards the wanted share of that; a window that saw other work,
// such as a profile being taken, so counts for little. The first window begins
// with the first call, so that starting up is not charged to it.
func (h *handicap) adjust(cpu int64, first bool) {
	const inertia = 4
	spent := float64(cpu - h.cpu)
	h.cpu = cpu
	if first {
		return
	}
	if turns := h.timedTurns.Swap(0); turns > 0 {
		h.nanos += (float64(h.timedNanos.Swap(0))/float64(turns) - h.nanos) / inertia
	}
	turns := float64(h.turns.Load())
	own := spent/handicapWindow - turns*h.nanos
	wanted := max(0, own*h.CPU/100/h.nanos)
	if turns > 0 {
		wanted = turns + (wanted-turns)/inertia
	}
	h.turns.Store(int64(math.Round(wanted)))
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
