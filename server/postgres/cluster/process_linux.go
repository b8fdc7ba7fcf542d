package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
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
		s, err := readStat(pid)
		if err == nil && s.parent == parent {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// CPU returns the CPU time that all processes of the cluster have used since it
// was started, those that have ended included. Its resolution is 10 ms per
// process.
func (c *Cluster) CPU() (time.Duration, error) {
	pids, err := c.PIDs()
	if err != nil {
		return 0, err
	}
	var ticks int64
	for i, pid := range pids {
		s, err := readStat(pid)
		if errors.Is(err, fs.ErrNotExist) && i > 0 {
			continue // it has just ended, and counts with its parent from now on
		}
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of the PostgreSQL cluster: %w", err)
		}
		ticks += s.own
		if i == 0 {
			ticks += s.ended
		}
	}
	return time.Duration(ticks) * (time.Second / ticksPerSecond), nil
}

// ticksPerSecond is the unit of times in /proc, on all of Linux.
const ticksPerSecond = 100

// stat is what /proc says of a process.
type stat struct {
	parent int
	own    int64 // ticks of CPU time
	ended  int64 // those of its children that have ended
}

func readStat(pid int) (s stat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, err
	}
	// The name in parentheses may hold anything; what follows has no parentheses.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return s, fmt.Errorf("/proc/%d/stat has %d fields behind the name", pid, len(fields))
	}
	number := func(i int) (n int64) {
		n, parseErr := strconv.ParseInt(string(fields[i]), 10, 64)
		err = errors.Join(err, parseErr)
		return n
	}
	s = stat{parent: int(number(1)), own: number(11) + number(12), ended: number(13) + number(14)}
	return s, err
}
