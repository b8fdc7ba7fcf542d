package transport

import (
	"net"
	"sync"
)

// limiter is a listener that has so many connections open at most. It is not
// netutil's because that one hides the connections that it wraps.
type limiter struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	close  func() error
}

func limitConnections(l net.Listener, n int) net.Listener {
	closed := make(chan struct{})
	return limiter{l, make(chan struct{}, n), closed, sync.OnceValue(func() error {
		close(closed)
		return l.Close()
	})}
}

func (l limiter) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &counted{conn, sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l limiter) Close() error { return l.close() }

// counted is a connection that leaves its place to another when it is closed.
// Servers keep connections in maps, so that it must be a pointer.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// NetConn is the connection below, as of a tls.Conn.
func (c *counted) NetConn() net.Conn { return c.Conn }
