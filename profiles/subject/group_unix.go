//go:build unix

package subject

import "syscall"

// terminateGroup and killGroup signal a subject and all its descendants. An
// error means that there is nobody left to signal, which is what is wanted.
func terminateGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGTERM) }

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
