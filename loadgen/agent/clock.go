package agent

import "time"

// reading is one look at another clock: what it showed at some moment between two
// of the own clock.
type reading struct {
	asked, answered time.Duration // on the own clock
	shown           time.Duration // by the other
}

// offset is how far another clock is ahead of the own one, and by how much that may
// be wrong.
type offset struct {
	ahead time.Duration
	wrong time.Duration
	trip  time.Duration // to the other clock and back
}

// offsetOf takes the offset from the reading with the shortest round trip: the clock
// was read somewhere in it, so half of it is the most that the middle can be wrong by.
func offsetOf(readings []reading) offset {
	best := readings[0]
	for _, r := range readings[1:] {
		if r.answered-r.asked < best.answered-best.asked {
			best = r
		}
	}
	trip := best.answered - best.asked
	return offset{ahead: best.shown - (best.asked + trip/2), wrong: (trip + 1) / 2, trip: trip}
}

// until is an offset that was measured before, with what it may have been wrong by
// up to a later one: clocks do not run equally fast.
func (o offset) until(later offset) offset {
	drift := (later.ahead - o.ahead).Abs()
	o.wrong = max(o.wrong, later.wrong) + drift
	o.trip = min(o.trip, later.trip)
	return o
}
