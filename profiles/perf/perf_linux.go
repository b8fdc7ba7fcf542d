package perf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Counter counts the instructions in user space of a process's threads from when it was
// opened, those of threads and processes that they start included.
type Counter struct{ files map[int]int } // descriptors by thread

// Open begins to count for a process.
func Open(pid int) (*Counter, error) {
	c := &Counter{files: map[int]int{}}
	for {
		fresh, err := c.addThreads(pid)
		if err != nil {
			c.Close()
			return nil, err
		}
		if !fresh {
			return c, nil
		}
	}
}

// addThreads counts the threads that are not counted yet, and reports whether there were
// any: those that one of them had started meanwhile are not.
func (c *Counter) addThreads(pid int) (fresh bool, err error) {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return false, err
	}
	for _, t := range threads {
		tid, _ := strconv.Atoi(t.Name()) // the kernel writes numbers
		if _, counted := c.files[tid]; counted {
			continue
		}
		fd, err := open(tid)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return false, explain(err, paranoid("/proc/sys/kernel/perf_event_paranoid"))
		}
		c.files[tid], fresh = fd, true
	}
	return fresh, nil
}

func open(tid int) (int, error) {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_INSTRUCTIONS,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
		Bits:        unix.PerfBitInherit | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}
	attr.Size = uint32(unsafe.Sizeof(attr))
	return unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
}

// Read is the number of instructions so far.
func (c *Counter) Read() (int64, error) {
	var sum int64
	buffer := make([]byte, 64)
	for tid, fd := range c.files {
		n, err := unix.Read(fd, buffer)
		var r reading
		if err == nil {
			r, err = decode(buffer[:n])
		}
		var count int64
		if err == nil {
			count, err = r.estimate()
		}
		if err != nil {
			return 0, fmt.Errorf("reading the instructions of thread %d: %w", tid, err)
		}
		sum += count
	}
	return sum, nil
}

// Close ends the counting.
func (c *Counter) Close() {
	for _, fd := range c.files {
		_ = unix.Close(fd)
	}
}

// Probe tries whether instructions can be counted: of this thread. paranoidFile is
// /proc/sys/kernel/perf_event_paranoid, or what stands for it.
func Probe(paranoidFile string) error {
	fd, err := open(0)
	if err != nil {
		return explain(err, paranoid(paranoidFile))
	}
	return unix.Close(fd)
}

// explain says what an error of perf_event_open(2) means.
func explain(err error, paranoid string) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("the CPU gives no hardware counters, as in most virtual machines (perf_event_open: %w)", err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("the kernel does not allow it, kernel.perf_event_paranoid is %s (perf_event_open: "+
			"%w)", paranoid, err)
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("the kernel was built without it, or a sandbox hides it (perf_event_open: %w)", err)
	}
	return fmt.Errorf("perf_event_open: %w", err)
}

func paranoid(file string) string {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "not there"
	}
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
