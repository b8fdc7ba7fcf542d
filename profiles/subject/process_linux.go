package subject

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processAttributes puts a subject into a process group of its own, so that
// Ctrl-C reaches only the recorder, which then ends the subjects in order, and
// has the kernel kill the subject if the recorder itself is killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// processCPU reads the CPU clock of a process: user and system time of all its
// threads, in nanoseconds rather than scheduler ticks.
func ProcessCPU(pid int) (time.Duration, error) {
	// The clock id of a process is ~pid<<3 with CPUCLOCK_SCHED (2); see
	// clock_getcpuclockid(3) and the kernel's posix-timers.h.
	id := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// processRSSPeak reads the peak resident set size of a process in bytes.
func ProcessRSSPeak(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the peak memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("reading the peak memory of process %d: the kernel does not report it", pid)
}
