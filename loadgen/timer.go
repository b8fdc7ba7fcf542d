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
