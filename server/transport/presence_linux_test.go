package transport

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eventobench/eventobench/server"
)

// TestSilentlyGoneSubscribers has a client whose system takes no segment any more,
// as if its cable were pulled: nothing tells the server so, and what it was sent
// may stay for an hour but for the heartbeats.
func TestSilentlyGoneSubscribers(t *testing.T) {
	t.Parallel()
	limits := Limits{Send: time.Hour}
	limited(t, server.Options{Heartbeat: 50 * time.Millisecond}, limits, func(t *testing.T, s store) {
		conn := s.dial(t, "GET /subscribe?all=true HTTP/1.1\r\nHost: x\r\n\r\n")
		s.awaitSubscriptions(t, "1")
		deafen(t, conn.(*net.TCPConn))
		s.awaitSubscriptions(t, "0")
	})
}

// deafen has the system drop all that comes in for a connection.
func deafen(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K} // keep 0 bytes
	err = raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop}); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
