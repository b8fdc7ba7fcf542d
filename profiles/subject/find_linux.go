package subject

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// adoptOrphans makes this process the parent of all descendants whose own parent
// has ended, so that a server which puts itself into the background is found.
var adoptOrphans = sync.OnceFunc(func() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // without, the marker is left
})

// awaitEnd waits for the end of a process that need not be a child.
func awaitEnd(pid int, _ <-chan struct{}) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return
		}
	}
}

// relation is the place of a process among others.
type relation struct{ pid, parent, group int }

// relations are all processes that run; those that have ended and are not yet
// collected do not.
func relations() []relation {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil
	}
	var found []relation
	for _, p := range all {
		stat, err := p.Stat()
		if err == nil && stat.State != "Z" && stat.State != "X" {
			found = append(found, relation{p.PID, stat.PPID, stat.PGRP})
		}
	}
	return found
}

// withDescendants adds to some processes those that they have started.
func withDescendants(all []relation, some map[int]bool) []int {
	for grown := true; grown; {
		grown = false
		for _, r := range all {
			if some[r.parent] && !some[r.pid] {
				some[r.pid], grown = true, true
			}
		}
	}
	var pids []int
	for _, r := range all {
		if some[r.pid] {
			pids = append(pids, r.pid)
		}
	}
	return pids
}

// members are the processes that came of the command: those with the marker or
// in its group, the one that listens, and all that these have started.
func (p *process) members() []int {
	all, self := relations(), os.Getpid()
	own := map[int]bool{}
	for _, r := range all {
		if r.group == p.cmd.Process.Pid || hasMarker(r.pid, p.marker) || (r.pid == p.server && r.parent == self) {
			own[r.pid] = true
		}
	}
	return withDescendants(all, own)
}

func hasMarker(pid int, marker string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains("\x00"+string(environ), "\x00"+marker+"\x00")
}

// listener finds the process that listens where the server is: a member, or one
// that has cast off all that it could be known by, but that this process has
// adopted.
func (p *process) listener() (int, error) {
	among := map[int]bool{}
	for _, pid := range p.members() {
		among[pid] = true
	}
	for _, pid := range withDescendants(relations(), map[int]bool{os.Getpid(): true}) {
		if pid != os.Getpid() {
			among[pid] = true
		}
	}
	return listenerAmong(portOf(p.url), func(pid int) bool { return among[pid] })
}

// checkPages rejects debug pages of their own port that another process serves
// than those of the subject. Of a server whose process cannot be seen, such as
// one in a container, nothing is known about that of the pages either.
func (p *process) checkPages() error {
	pages := p.debug.Pprof
	if !p.debug.apart || CheckLoopback(pages) != nil {
		return nil
	}
	anyone := func(int) bool { return true }
	owners := listenersOn(portOf(pages), anyone)
	if len(owners) == 0 && p.server == 0 {
		return nil
	}
	own := append(p.members(), listenersOn(portOf(p.url), anyone)...)
	if slices.ContainsFunc(owners, func(pid int) bool { return slices.Contains(own, pid) }) {
		return nil
	}
	return fmt.Errorf("subject %s: the profiling pages at %s belong to another process; "+
		"give each subject its own port with %s", p.Name, pages, SecondPort)
}

// listenerAmong finds the only process that listens on a port, of those that
// come into question. A process may for a moment share the port with one that it
// is about to start.
func listenerAmong(port string, of func(pid int) bool) (int, error) {
	const tries = 5
	var found []int
	for range tries {
		if found = listenersOn(port, of); len(found) == 1 {
			return found[0], nil
		}
		time.Sleep(pollInterval)
	}
	if len(found) > 1 {
		return 0, fmt.Errorf("%d processes listen on port %s, and the figures of one would miss the work of the others",
			len(found), port)
	}
	return 0, fmt.Errorf("the process that listens on port %s was not found: it is another user's, "+
		"in a container, or was not started by the command", port)
}

func listenersOn(port string, of func(pid int) bool) (pids []int) {
	sockets := map[string]bool{}
	for socket, address := range listeningSockets() {
		if strings.HasSuffix(address, ":"+port) {
			sockets[socket] = true
		}
	}
	for _, r := range relations() {
		if of(r.pid) && len(socketsOf(r.pid, sockets)) > 0 {
			pids = append(pids, r.pid)
		}
	}
	return pids
}

// openPorts are the addresses on which members listen.
func (p *process) openPorts() ([]string, error) {
	open := listeningSockets()
	known := map[string]bool{}
	for socket := range open {
		known[socket] = true
	}
	var addresses []string
	for _, pid := range p.members() {
		for _, socket := range socketsOf(pid, known) {
			addresses = append(addresses, p.reached(open[socket]))
		}
	}
	sort.Strings(addresses)
	return slices.Compact(addresses), nil
}

// reached is by which address a socket is reached that listens on one, or on all.
func (p *process) reached(address string) string {
	host, port, _ := net.SplitHostPort(address) // as decodeAddress joined them
	if net.ParseIP(host).IsUnspecified() {
		return net.JoinHostPort(p.host(), port)
	}
	return address
}

// socketsOf are those of the given sockets that a process has open.
func socketsOf(pid int, sockets map[string]bool) []string {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return nil
	}
	targets, _ := p.FileDescriptorTargets() // a file that is closed meanwhile is none
	return slices.DeleteFunc(targets, func(t string) bool { return !sockets[t] })
}

// listeningSockets are the addresses of all TCP sockets that listen, by what the
// targets of file descriptors in /proc are called.
func listeningSockets() map[string]string {
	const localAddress, state, inode, listening = 1, 3, 9, "0A"
	sockets := map[string]string{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := os.ReadFile(file) // a system may have one protocol only
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > inode && f[state] == listening {
				sockets["socket:["+f[inode]+"]"] = decodeAddress(f[localAddress])
			}
		}
	}
	return sockets
}

// decodeAddress reads an address of /proc/net/tcp: words of 32 bits, each in the
// byte order of the machine, and the port.
func decodeAddress(text string) string {
	digits, portDigits, _ := strings.Cut(text, ":")
	port, _ := strconv.ParseUint(portDigits, 16, 16) // the kernel writes numbers
	var ip net.IP
	for ; len(digits) >= 8; digits = digits[8:] {
		word, _ := strconv.ParseUint(digits[:8], 16, 32)
		ip = binary.NativeEndian.AppendUint32(ip, uint32(word))
	}
	return net.JoinHostPort(ip.String(), strconv.FormatUint(port, 10))
}
