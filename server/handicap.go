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
	nanos float64      // a turn takes
	sink  atomic.Pointer[[]byte]

	cpu  atomic.Int64 // of the process in nanoseconds, when turns was last set
	busy atomic.Bool  // somebody is setting turns
}

// handicapWindow is after how many calls the work of one is measured anew.
const handicapWindow = 1024

// newHandicap returns nil for no handicap.
func newHandicap(h Handicap) *handicap {
	if h == (Handicap{}) {
		return nil
	}
	w := &handicap{Handicap: h}
	if h.CPU > 0 {
		w.nanos = nanosPerTurn()
	}
	return w
}

// burden does the additional work of one call.
func (h *handicap) burden() {
	if h.Alloc > 0 {
		waste := make([]byte, h.Alloc)
		h.sink.Store(&waste)
	}
	if h.CPU > 0 {
		spin(h.turns.Load())
		h.count()
	}
}

// count adjusts the turns after every window of calls. The first window begins
// with the first call, so that starting up is not charged to it.
func (h *handicap) count() {
	switch n := h.calls.Add(1); {
	case n == 1:
		h.cpu.Store(int64(processCPU()))
	case n%handicapWindow == 0 && h.busy.CompareAndSwap(false, true):
		h.adjust()
		h.busy.Store(false)
	}
}

// adjust measures what a call of the last window cost besides spinning, and
// moves turns towards the wanted share of that; a window that saw other work,
// such as a profile being taken, so counts for little.
func (h *handicap) adjust() {
	const inertia = 4
	now := int64(processCPU())
	turns := h.turns.Load()
	own := float64(now-h.cpu.Swap(now))/handicapWindow - float64(turns)*h.nanos
	wanted := max(0, own*h.CPU/100/h.nanos)
	if turns == 0 {
		h.turns.Store(int64(wanted))
		return
	}
	h.turns.Store(turns + int64(math.Round((wanted-float64(turns))/inertia)))
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

// nanosPerTurn measures spin; the shortest of several tries is the one that
// nothing interrupted.
func nanosPerTurn() float64 {
	const turns, tries = 200_000, 10
	shortest := time.Duration(math.MaxInt64)
	for range tries {
		start := time.Now()
		spin(turns)
		shortest = min(shortest, time.Since(start))
	}
	return float64(shortest) / turns
}

// processCPU is the CPU time of this process, user and system.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
