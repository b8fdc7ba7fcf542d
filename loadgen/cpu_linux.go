package loadgen

import (
	"time"

	"golang.org/x/sys/unix"
)

// OwnCPU returns the CPU time that this process has used so far: the user and
// system time of all its threads, to the nanosecond.
func OwnCPU() time.Duration {
	var ts unix.Timespec
	// A process can always read its own clock.
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}
