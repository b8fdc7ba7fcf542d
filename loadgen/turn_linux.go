//go:build !race

package loadgen

import (
	"syscall"
	"unsafe"
)

// readNow is read(2) of a file that does not block. It does not tell the scheduler, as
// syscall.Read does: that takes the processor away from a goroutine whose call lasts as
// long as one of a busy connection does, and wakes a thread for it. A request then costs
// a tenth more.
func readNow(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(
		syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), err
}

// writeNow is write(2), likewise.
func writeNow(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(
		syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), err
}
