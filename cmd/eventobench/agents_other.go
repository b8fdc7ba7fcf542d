//go:build unix && !linux

package main

import "syscall"

// childAttributes leave Ctrl-C to this process.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
