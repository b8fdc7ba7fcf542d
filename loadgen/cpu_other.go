//go:build unix && !linux

package loadgen

import (
	"syscall"
	"time"
)

// OwnCPU is the CPU time of this process, to the accuracy of getrusage(2).
func OwnCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // its arguments are constant and valid
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
