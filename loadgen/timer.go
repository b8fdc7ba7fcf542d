package loadgen

import (
	"sync"
	"time"
)

// timer puts one goroutine to sleep. A sleep may end early, or late by the time
// the system takes to wake a goroutine.
type timer interface {
	sleep(d time.Duration)
	close()
}

// runtimeTimer is time.Sleep: up to a millisecond late where the Go runtime
// waits for the network in whole milliseconds.
type runtimeTimer struct{}

func (runtimeTimer) sleep(d time.Duration) { time.Sleep(d) }
func (runtimeTimer) close()                {}

// timers puts any number of goroutines to sleep. Each takes a precise timer only for the
// end of its sleep, so that many that sleep long do not need as many of them, which are
// open files.
type timers struct {
	mu   sync.Mutex
	idle []timer
}

func newTimers() *timers { return &timers{} }

func (t *timers) sleep(d time.Duration) {
	const precise = 10 * time.Millisecond // more than what the runtime's timers are late
	if d > 2*precise {
		time.Sleep(d - precise)
		return
	}
	one := t.take()
	one.sleep(d)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = append(t.idle, one)
}

func (t *timers) take() timer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) == 0 {
		return newTimer()
	}
	one := t.idle[len(t.idle)-1]
	t.idle = t.idle[:len(t.idle)-1]
	return one
}

// close closes those that nobody sleeps on.
func (t *timers) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, one := range t.idle {
		one.close()
	}
	t.idle = nil
}

// clock tells the time since it was restarted for half of what time.Now costs, which
// reads the time of day too.
type clock struct{ start time.Time }

func (c *clock) restart() time.Time {
	c.start = time.Now()
	return c.start
}

func (c *clock) now() time.Time { return c.start.Add(time.Since(c.start)) }
