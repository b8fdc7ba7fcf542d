//go:build !linux

package transport

import (
	"net"
	"time"
)

// limitUnacknowledged leaves what is not acknowledged to the system's own limit. It has
// the system ask the other side whether it is there when it is silent.
func limitUnacknowledged(conn *net.TCPConn, _ time.Duration) error {
	const every = 5 * time.Second
	return conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: every, Interval: every, Count: 2})
}
