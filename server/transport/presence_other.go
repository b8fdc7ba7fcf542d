//go:build !linux

package transport

import (
	"net"
	"time"
)

// limitUnacknowledged leaves what is not acknowledged to the system's own limit.
func limitUnacknowledged(*net.TCPConn, time.Duration) error { return nil }
