//go:build unix && !linux

package profiles

import (
	"errors"
	"syscall"
	"time"
)

func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func processCPU(int) (time.Duration, error) {
	return 0, errors.New("the CPU clock of another process can be read on Linux only")
}

func processRSSPeak(int) (int64, error) {
	return 0, errors.New("the peak memory of another process is read on Linux only")
}

// ownCPU is the CPU time of this process, to the accuracy of getrusage(2).
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // its arguments are constant and valid
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
