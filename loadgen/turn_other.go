//go:build !linux || race

package loadgen

import (
	"errors"
	"syscall"
)

// readNow is read(2). The race detector knows of what goes through a connection only by
// this call.
func readNow(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), b)
	return n, errno(err)
}

// writeNow is write(2).
func writeNow(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Write(int(fd), b)
	return n, errno(err)
}

func errno(err error) (no syscall.Errno) {
	errors.As(err, &no)
	return no
}
