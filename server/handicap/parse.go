package handicap

import (
	"fmt"
	"strconv"
	"strings"
)

// Handicap is a known amount that every call is to cost more: a regression to
// test a harness with. Wrap adds it to a core.
type Handicap struct {
	CPU   float64 // percent of the CPU time that the process spends on a call without it
	Alloc int     // bytes per call; the allocator rounds them up to its next size class
}

// Upper bounds of a handicap: more is a mistake.
const (
	maxCPU   = 1000
	maxAlloc = 1 << 20
)

// Parse reads a list such as "cpu=5%+alloc=200B"; "" and "none" are no
// handicap.
func Parse(text string) (Handicap, error) {
	var h Handicap
	if text == "" || text == "none" {
		return h, nil
	}
	for part := range strings.SplitSeq(text, "+") {
		if !h.set(part) {
			return Handicap{}, fmt.Errorf("handicap %q: write cpu=5%% (up to %d%%), alloc=200B (up to %d), "+
				"or both with a plus sign", text, maxCPU, maxAlloc)
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
		return ok && err == nil && v > 0 && v <= maxCPU
	case "alloc":
		bytes, ok := strings.CutSuffix(amount, "B")
		v, err := strconv.Atoi(bytes)
		h.Alloc = v
		return ok && err == nil && v > 0 && v <= maxAlloc
	}
	return false
}
