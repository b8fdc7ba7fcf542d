package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// limitUnacknowledged breaks a connection when what was sent on it has not been
// acknowledged for so long; the system's own limit is a quarter of an hour.
func limitUnacknowledged(conn *net.TCPConn, patience time.Duration) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(max(patience.Milliseconds(), 1)))
	})
	if err != nil {
		return err
	}
	return set
}
