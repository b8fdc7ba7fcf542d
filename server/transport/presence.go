package transport

import (
	"context"
	"net"
	"time"
)

// attentive is a listener whose connections break when the machine at their other
// end is gone without a word. Whatever was sent to it is given up when nothing has
// acknowledged it for that long.
type attentive struct {
	net.Listener
	patience time.Duration
}

func (l attentive) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	expect(conn, l.patience)
	return conn, nil
}

// expect has the system break a connection when nothing of what was sent has been
// acknowledged for as long as patience. It fails only if the connection is broken
// already, which its first use shows.
func expect(conn net.Conn, patience time.Duration) {
	if tcp, ok := innermost(conn).(*net.TCPConn); ok {
		_ = limitUnacknowledged(tcp, patience)
	}
}

// attend has a subscriber that is gone without a word noticed within a heartbeat, of
// which three fifths have passed when it is sent something.
func attend(conn net.Conn, heartbeat, send time.Duration) {
	expect(conn, min(send, heartbeat*2/5))
}

// innermost is the connection that others are wrapped around.
func innermost(conn net.Conn) net.Conn {
	for {
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = outer.NetConn()
	}
}

// untilGone returns a context that also ends when the client closes its
// connection, or the connection breaks: by a read, since what is sent to a client
// that is gone is lost without an error at first. What the client sends meanwhile
// is dropped, so the connection must be closed afterwards. The caller must call
// stop, which waits until nothing reads from the connection any more.
func untilGone(ctx context.Context, conn net.Conn) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	_ = conn.SetReadDeadline(time.Time{}) // that of the request is over
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer cancel()
		drop(conn)
	}()
	return ctx, func() {
		_ = conn.SetReadDeadline(time.Now())
		<-ended
	}
}

// drop reads until there is an error. Its memory is small, since there is one for
// each subscriber.
func drop(conn net.Conn) {
	var b [64]byte
	for {
		if _, err := conn.Read(b[:]); err != nil {
			return
		}
	}
}
