package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// limitUnacknowledged breaks a connection when what was sent on it has not been
// acknowledged for so long; the system's own limit is a quarter of an hour.
//
// It is not probed while it is silent. Where thousands of subscribers were told of a message
// at the same time, they would be probed at the same time, and the system drops what
// its queues do not hold (net.core.netdev_max_backlog is 1000). With this limit the
// first probe that is lost breaks the connection; what was sent is sent again.
func limitUnacknowledged(conn *net.TCPConn, patience time.Duration) error {
	if err := conn.SetKeepAlive(false); err != nil {
		return err
	}
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
