package loadgen

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// link is a worker's way to the server. It connects when there is something to
// send.
type link interface {
	// exchange sends a request and reads the answer. The error is errAgain if the
	// connection rested and was lost before the first byte of an answer.
	exchange(ctx context.Context, deadline time.Time, req *Request, rested bool, a *Answer) error
	// connected reports whether there is a connection that a request may be sent on.
	connected() bool
	// interrupt makes an exchange fail that another goroutine waits for, and whose
	// context is canceled.
	interrupt()
	// fail ends the connection if an exchange that failed made it useless.
	fail()
	// close ends the connection.
	close()
}

// errAgain says that the server has left a request alone, so that it may be sent
// again: the connection ended while it rested, or the server said so.
var errAgain = errors.New("the server ended the connection before the request reached it")

// http1 is one connection at a time that speaks HTTP/1.1.
type http1 struct {
	dial dialer
	host string
	sent []byte // the request as it is sent

	mu    sync.Mutex // guards conn against interrupt; only the worker itself sets conn
	conn  net.Conn   // nil when not connected
	turns *turns     // of conn; nil if it has TLS
	until time.Time  // the deadline of conn

	answers answerReader
	header  func(name string) string // of the answers
}

func newHTTP1(dial dialer, host string) *http1 {
	l := &http1{dial: dial, host: host}
	l.header = l.answers.header
	return l
}

func (l *http1) connected() bool { return l.conn != nil }
func (l *http1) fail()           { l.close() }

func (l *http1) exchange(
	ctx context.Context, deadline time.Time, req *Request, rested bool, a *Answer,
) error {
	if l.conn == nil {
		if err := l.connect(ctx, deadline); err != nil {
			return err
		}
	}
	if err := l.limit(deadline, rested); err != nil {
		return err
	}
	l.sent = req.append(l.sent[:0], l.host)
	if l.turns != nil && !rested {
		return l.takeTurn(req, a)
	}
	if rested {
		if err := l.checkQuiet(); err != nil {
			return err
		}
	}
	if _, err := l.conn.Write(l.sent); err != nil {
		return l.answeredEarly(lostWhileResting(err, rested), req, a)
	}
	if rested {
		if _, err := l.answers.in.Peek(1); err != nil {
			return lostWhileResting(err, rested)
		}
	}
	return l.read(req, a)
}

// limit has an exchange fail that is not over at a deadline, up to an eighth of its time
// later: to set a deadline costs as much as to read an answer. So it is set for a while
// to come, and the worker refuses an answer that is late.
func (l *http1) limit(deadline time.Time, rested bool) error {
	if !rested && !deadline.After(l.until) {
		return nil
	}
	l.until = deadline.Add(time.Until(deadline) / 8)
	return l.conn.SetDeadline(l.until)
}

// takeTurn leaves it to the first read for the answer to send the request. A connection
// that rested must not be used so: its end may be there already, and is not waited for.
func (l *http1) takeTurn(req *Request, a *Answer) error {
	l.turns.out, l.turns.writeErr = l.sent, nil
	err := l.read(req, a)
	if failed := l.turns.writeErr; failed != nil {
		l.turns.writeErr = nil
		return l.answeredEarly(failed, req, a)
	}
	return err
}

func (l *http1) read(req *Request, a *Answer) error {
	a.header = l.header
	closed, err := l.answers.read(req.method(), a)
	if err == nil && closed {
		l.close()
	}
	return err
}

// answeredEarly reads the answer of a server that gave one before it had read the
// whole request, and closed the connection: a body that is too large for it. If there
// is none, sending failed with the given error.
func (l *http1) answeredEarly(err error, req *Request, a *Answer) error {
	if !isLost(err) || errors.Is(err, errAgain) || l.read(req, a) != nil {
		return err
	}
	l.close()
	return nil
}

// checkQuiet returns an error if the server sent something while the connection
// rested. It would be taken for the next answer.
func (l *http1) checkQuiet() error {
	var buf [64]byte
	sent := buf[:waiting(l.conn, buf[:])]
	switch {
	case len(sent) == 0:
		return nil
	case isFarewell(sent):
		return errAgain
	}
	return malformed("the server sent %s while nothing was asked of it", excerpt(sent))
}

// isFarewell reports whether an answer nobody asked for begins as that of a server
// that closes an idle connection.
func isFarewell(sent []byte) bool {
	const line = "HTTP/1.1 408"
	if len(sent) < len(line) {
		return false
	}
	_, status, ok := parseStatusLine(sent[:len(line)])
	return ok && status == 408
}

// waiting copies what has arrived on a connection and was not read yet, without
// waiting for it. On a connection with TLS, which has messages of its own, it
// finds nothing.
func waiting(conn net.Conn, buf []byte) (n int) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Read(func(fd uintptr) (done bool) {
		n, _, _ = syscall.Recvfrom(int(fd), buf, syscall.MSG_PEEK) // an error shows when the answer is read
		return true
	})
	return max(n, 0)
}

// lostWhileResting marks the loss of a rested connection as errAgain, and
// returns other errors as they are.
func lostWhileResting(err error, rested bool) error {
	if rested && isLost(err) {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return err
}

func (l *http1) connect(ctx context.Context, deadline time.Time) error {
	conn, err := l.dial(ctx, deadline)
	if err != nil {
		return err
	}
	var in io.Reader = conn
	if l.turns = newTurns(conn); l.turns != nil {
		in = l.turns
	}
	if l.answers.in == nil {
		l.answers.in = bufio.NewReader(in)
	}
	l.answers.in.Reset(in)
	l.until = time.Time{}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
	return ctx.Err() // an interrupt before the lock found no connection to close
}

func (l *http1) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if secure, ok := l.conn.(*tls.Conn); ok {
		_ = secure.NetConn().Close() // without a farewell, which could take its time
	} else if l.conn != nil {
		_ = l.conn.Close()
	}
}

func (l *http1) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close() // nothing depends on how a dropped connection ends
		l.conn = nil
	}
}
