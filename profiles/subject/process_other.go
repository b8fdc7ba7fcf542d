//go:build unix && !linux

package subject

import (
	"errors"
	"syscall"
	"time"
)

func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func ProcessCPU(int) (time.Duration, error) {
	return 0, errors.New("the CPU clock of another process can be read on Linux only")
}

func ProcessRSSPeak(int) (int64, error) {
	return 0, errors.New("the peak memory of another process is read on Linux only")
}
