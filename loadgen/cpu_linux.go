package loadgen

import (
	"time"

	"golang.org/x/sys/unix"
)

// OwnCPU is the CPU time of this process: user and system time of all its
// threads.
func OwnCPU() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) // a process can always read its own clock
	return time.Duration(ts.Nano())
}
