package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// processAttributes makes a program die with the thread that starts it.
func processAttributes(a *account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGQUIT}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// PIDs returns the ids of the cluster's processes: first that of the server that
// starts the others, then those that it has now.
func (c *Cluster) PIDs() ([]int, error) {
	parent := c.server.cmd.Process.Pid
	pids := []int{parent}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, dir := range all {
		pid, _ := strconv.Atoi(filepath.Base(dir)) // the pattern lets numbers through, and what no process is called
		if parentOf(pid) == parent {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// parentOf is the parent of a process, 0 if it has ended.
func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything; what follows has no parentheses.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1])) // the kernel writes numbers
	return parent
}
