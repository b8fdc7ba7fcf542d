package agent

import (
	"time"
)

// watch follows how evenly this process runs, until stop is called. That returns the
// longest time in which it should have run and did not: it was stopped, or nothing
// gave it a CPU. A generator of which that is so takes its own delay for the server's.
func watch() (stop func() time.Duration) {
	const interval = 10 * time.Millisecond
	done, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		var stall time.Duration
		look := func(last time.Time) time.Time {
			now := time.Now()
			stall = max(stall, now.Sub(last)-interval)
			return now
		}
		for last := time.Now(); ; {
			select {
			case <-ticker.C:
				last = look(last)
			case <-done:
				look(last)
				longest <- stall
				return
			}
		}
	}()
	return func() time.Duration {
		close(done)
		return <-longest
	}
}
