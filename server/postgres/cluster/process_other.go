//go:build !linux

package cluster

import (
	"errors"
	"syscall"
)

var errNoProc = errors.New("the processes of a PostgreSQL cluster can be looked into on Linux only")

// processAttributes has no means to make a program die with this process; the
// janitor sees to it.
func processAttributes(a *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// PIDs returns the ids of the cluster's processes.
func (c *Cluster) PIDs() ([]int, error) { return nil, errNoProc }
