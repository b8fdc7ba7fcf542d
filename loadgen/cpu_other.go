//go:build unix && !linux

package loadgen

import (
	"syscall"
	"time"
)

// OwnCPU returns the CPU time that this process has used so far: the user and
// system time of all its threads, as accurate as getrusage(2).
func OwnCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // its arguments are constant and valid
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
