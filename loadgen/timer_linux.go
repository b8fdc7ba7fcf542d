package loadgen

import (
	"cmp"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fileTimer is a timerfd(2), which the Go runtime waits for as it does for a
// connection. It wakes within tens of microseconds, where time.Sleep is half a
// millisecond late on average (BenchmarkTimer), and without spinning.
type fileTimer struct {
	file *os.File
	raw  syscall.RawConn
	step func(fd uintptr) (done bool) // is set, made once

	left time.Duration // until the timer shall go off; 0 once it is set
	err  error
}

// newTimer returns the most precise timer available.
func newTimer() timer {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return runtimeTimer{}
	}
	t := &fileTimer{file: os.NewFile(uintptr(fd), "timer")}
	if t.raw, err = t.file.SyscallConn(); err != nil {
		t.close()
		return runtimeTimer{}
	}
	t.step = t.set
	return t
}

// sleep does not read the number of expirations, which setting the timer resets.
func (t *fileTimer) sleep(d time.Duration) {
	t.left = d
	if err := cmp.Or(t.raw.Read(t.step), t.err); err != nil {
		time.Sleep(d)
	}
}

// set sets the timer, and then is done.
func (t *fileTimer) set(fd uintptr) (done bool) {
	if t.left == 0 {
		return true
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(t.left))}
	t.left, t.err = 0, unix.TimerfdSettime(int(fd), 0, &spec, nil)
	return t.err != nil
}

func (t *fileTimer) close() { _ = t.file.Close() }
