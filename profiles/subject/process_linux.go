package subject

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// processAttributes puts a subject into a process group of its own, so that
// Ctrl-C reaches only the recorder, which then ends the subjects in order, and
// has the kernel kill the subject if the recorder itself is killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// cpuClock reads the CPU clock of a process: user and system time of all its
// threads, in nanoseconds rather than scheduler ticks.
func cpuClock(pid int) (time.Duration, error) {
	// The clock id of a process is ~pid<<3 with CPUCLOCK_SCHED (2); see
	// clock_getcpuclockid(3) and the kernel's posix-timers.h.
	id := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

func rssPeak(pid int) (int64, error) {
	status, err := readStatus(pid)
	if err == nil && status.VmHWM == 0 {
		err = errors.New("the kernel does not report it")
	}
	if err != nil {
		return 0, fmt.Errorf("reading the peak memory of process %d: %w", pid, err)
	}
	return int64(status.VmHWM), nil
}

func readStatus(pid int) (procfs.ProcStatus, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return procfs.ProcStatus{}, err
	}
	return p.NewStatus()
}

// addSwitches adds up the context switches of all threads of a process.
func addSwitches(pid int, c *runfolder.ProcessCounters) error {
	threads, err := procfs.AllThreads(pid)
	if err != nil {
		return fmt.Errorf("reading the context switches of process %d: %w", pid, err)
	}
	for _, thread := range threads {
		status, err := thread.NewStatus()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return fmt.Errorf("reading the context switches of process %d: %w", pid, err)
		}
		c.VoluntarySwitches += int64(status.VoluntaryCtxtSwitches)
		c.InvoluntarySwitches += int64(status.NonVoluntaryCtxtSwitches)
	}
	return nil
}

// addIO adds the bytes that a process has read and written.
func addIO(pid int, c *runfolder.ProcessCounters) error {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return err
	}
	io, err := p.IO()
	if err != nil {
		return fmt.Errorf("reading what process %d has read and written: %w", pid, err)
	}
	c.ReadBytes += int64(io.RChar)
	c.WrittenBytes += int64(io.WChar)
	return nil
}

// executable is the program file of a process, even if it has been replaced.
func executable(pid int) string { return fmt.Sprintf("/proc/%d/exe", pid) }
