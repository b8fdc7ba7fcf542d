//go:build unix

package subject

import "syscall"

// signal is what a process is told.
type signal = syscall.Signal

const (
	terminate = syscall.SIGTERM
	kill      = syscall.SIGKILL
)

// signalGroup and signalProcess send a signal to all processes of a group, and
// to one. An error means that there is nobody left, which is what is wanted.
func signalGroup(leader int, s signal) { _ = syscall.Kill(-leader, s) }
func signalProcess(pid int, s signal)  { _ = syscall.Kill(pid, s) }

// reap collects the processes among the given ones that have become children of
// this one.
func reap(pids []int) {
	for _, pid := range pids {
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // others are not for us
	}
}
