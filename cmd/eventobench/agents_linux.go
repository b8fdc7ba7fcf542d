package main

import "syscall"

// childAttributes make a child end with this process, and leave Ctrl-C to this process.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
