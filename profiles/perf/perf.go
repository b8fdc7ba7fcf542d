// Package perf counts instructions with the hardware counters of the CPU.
package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// reading is what perf_event_open(2) lets read of a counter with the formats of both times,
// in the byte order of the machine.
type reading struct {
	count            uint64
	enabled, running uint64 // ns; less time was counted than asked for where counters are shared
}

func decode(b []byte) (reading, error) {
	const size = 3 * 8
	if len(b) != size {
		return reading{}, fmt.Errorf("a hardware counter gave %d bytes, not %d", len(b), size)
	}
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(b[8*i:]) }
	return reading{count: word(0), enabled: word(1), running: word(2)}, nil
}

// estimate is the count in all of the time: what was counted in a part of it, scaled.
func (r reading) estimate() (int64, error) {
	switch {
	case r.enabled == 0 || r.running == r.enabled:
		return int64(r.count), nil
	case r.running == 0:
		return 0, errors.New("others use all hardware counters")
	}
	return int64(math.Round(float64(r.count) * float64(r.enabled) / float64(r.running))), nil
}
