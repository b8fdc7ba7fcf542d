package loadgen

import (
	"io"
	"net"
	"os"
	"syscall"
)

// turns reads from a connection, and sends what is to be sent when it is about to wait
// for the answer. A request then costs two calls of the system, the write and the read.
// conn.Read would make a third in vain: it looks for the answer before it waits for it.
//
// It relies on the runtime's poller, which tells of what arrives after a wait began to be
// prepared (RawConn.Read): that is before the write.
type turns struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	step func(fd uintptr) (done bool) // is turn, made once

	out      []byte // to be sent by the next Read
	writeErr error  // of what was sent last
	in       []byte
	n        int
	readErr  error
}

// newTurns returns nil for a connection that is not plain TCP.
func newTurns(conn net.Conn) *turns {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	t := &turns{conn: tcp, raw: raw}
	t.step = t.turn
	return t
}

// Read sends what is to be sent, and then reads as the connection would. What failed to
// be sent is in writeErr.
func (t *turns) Read(in []byte) (int, error) {
	t.in, t.n, t.readErr = in, 0, nil
	err := t.raw.Read(t.step)
	switch {
	case t.writeErr != nil:
		return 0, t.writeErr
	case err != nil:
		return 0, asRead(err)
	case t.readErr != nil:
		return 0, &net.OpError{
			Op: "read", Net: "tcp", Source: t.conn.LocalAddr(), Addr: t.conn.RemoteAddr(),
			Err: os.NewSyscallError("read", t.readErr),
		}
	case t.n == 0:
		return 0, io.EOF
	}
	return t.n, nil
}

// turn is false if there is something to wait for.
func (t *turns) turn(fd uintptr) (done bool) {
	if len(t.out) > 0 {
		t.send(fd)
		return t.writeErr != nil
	}
	n, err := readNow(fd, t.in)
	switch err {
	case 0:
		t.n = n
	case syscall.EAGAIN, syscall.EINTR:
		return false
	default:
		t.readErr = err
	}
	return true
}

// send sends what is to be sent. What does not fit into the system's buffer at once, or
// fails, is left to the connection.
func (t *turns) send(fd uintptr) {
	n, err := writeNow(fd, t.out)
	if err != 0 {
		n = 0
	}
	rest := t.out[n:]
	t.out = nil
	if len(rest) > 0 {
		_, t.writeErr = t.conn.Write(rest)
	}
}

// asRead calls an error of RawConn.Read that of a read, which it is.
func asRead(err error) error {
	if op, ok := err.(*net.OpError); ok {
		op.Op = "read"
	}
	return err
}
