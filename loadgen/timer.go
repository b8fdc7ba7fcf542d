package loadgen

import "time"

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

// clock tells the time since it was restarted for half of what time.Now costs, which
// reads the time of day too.
type clock struct{ start time.Time }

func (c *clock) restart() time.Time {
	c.start = time.Now()
	return c.start
}

func (c *clock) now() time.Time { return c.start.Add(time.Since(c.start)) }
