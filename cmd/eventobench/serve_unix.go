//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// ignoreFileSizeLimit makes a write beyond the process's file size limit an
// error, which the store answers, rather than the end of the process.
func ignoreFileSizeLimit() { signal.Ignore(syscall.SIGXFSZ) }
