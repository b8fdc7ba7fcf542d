package handicap

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Handicap is a known amount that every call is to cost more: a regression to
// test a harness with. Wrap adds it to a core.
type Handicap struct {
	CPU   float64 // percent of the CPU time that the process spends on a call without it
	Gain  float64 // percent that the process spends more for each that a call spins; 0 for 1
	Alloc int     // bytes per call; the allocator rounds them up to its next size class
}

// Bounds of a handicap: more, or less of a gain, is a mistake.
const (
	maxCPU           = 1000
	minGain, maxGain = 0.1, 10
	maxAlloc         = 1 << 20
)

// none is how no handicap is written.
const none = "none"

// spun is the percentage that a call is to spin.
func (h Handicap) spun() float64 {
	if h.Gain == 0 {
		return h.CPU
	}
	return h.CPU / h.Gain
}

// String is what Parse reads.
func (h Handicap) String() string {
	var parts []string
	if h.CPU > 0 {
		parts = append(parts, fmt.Sprintf("cpu=%v%%", h.CPU))
	}
	if h.CPU > 0 && h.Gain > 0 {
		parts[0] += fmt.Sprintf("/%v", h.Gain)
	}
	if h.Alloc > 0 {
		parts = append(parts, fmt.Sprintf("alloc=%dB", h.Alloc))
	}
	return cmp.Or(strings.Join(parts, "+"), none)
}

// Parse reads a list such as "cpu=5%+alloc=200B", or "cpu=5%/1.5" with a gain; "" and
// "none" are no handicap.
func Parse(text string) (Handicap, error) {
	var h Handicap
	if text == "" || text == none {
		return h, nil
	}
	for part := range strings.SplitSeq(text, "+") {
		if !h.set(part) {
			return Handicap{}, fmt.Errorf("handicap %q: write cpu=5%% (up to %d%%), cpu=5%%/1.5 with a gain (%v to %d), "+
				"alloc=200B (up to %d), or both with a plus sign", text, maxCPU, minGain, maxGain, maxAlloc)
		}
	}
	return h, nil
}

func (h *Handicap) set(part string) bool {
	name, amount, _ := strings.Cut(part, "=")
	switch name {
	case "cpu":
		amount, gain, measured := strings.Cut(amount, "/")
		percent, ok := strings.CutSuffix(amount, "%")
		v, err := strconv.ParseFloat(percent, 64)
		h.CPU = v
		return ok && err == nil && v > 0 && v <= maxCPU && (!measured || h.setGain(gain))
	case "alloc":
		bytes, ok := strings.CutSuffix(amount, "B")
		v, err := strconv.Atoi(bytes)
		h.Alloc = v
		return ok && err == nil && v > 0 && v <= maxAlloc
	}
	return false
}

func (h *Handicap) setGain(text string) bool {
	v, err := strconv.ParseFloat(text, 64)
	h.Gain = v
	return err == nil && CheckGain(v) == nil
}

// CheckGain returns an error if a gain is none that a handicap can have.
func CheckGain(gain float64) error {
	if !(gain >= minGain && gain <= maxGain) {
		return fmt.Errorf("a gain of %v is not between %v and %d", gain, minGain, maxGain)
	}
	return nil
}
