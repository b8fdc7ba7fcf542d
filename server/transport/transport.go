// Package transport carries the event store's core over HTTP: on net/http, on
// fasthttp natively, and on fasthttp through its net/http adapter. A transport
// only moves bytes; what they mean is the core's business.
package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/eventobench/eventobench/server"
)

// Kind names a transport.
type Kind string

// The transports.
const (
	NetHTTP         Kind = "nethttp"
	FastHTTP        Kind = "fasthttp"
	FastHTTPAdapter Kind = "fasthttp-adapter" // the net/http handler through fasthttpadaptor: what an adapter costs
)

var kinds = []Kind{NetHTTP, FastHTTP, FastHTTPAdapter}

// Kinds are all transports.
func Kinds() []Kind { return slices.Clone(kinds) }

// Parse returns the transport of a name; net/http is a spelling of nethttp.
func Parse(name string) (Kind, error) {
	kind := Kind(name)
	if kind == "net/http" {
		kind = NetHTTP
	}
	return kind, kind.check()
}

// check returns an error if there is no such transport.
func (k Kind) check() error {
	if slices.Contains(kinds, k) {
		return nil
	}
	return fmt.Errorf("unknown transport %q; use %s, %s or %s", k, NetHTTP, FastHTTP, FastHTTPAdapter)
}

const (
	eventType = "text/event-stream"

	drainTimeout = 10 * time.Second // for requests in progress at the end
)

// Limits bound what one client can take. A field that is 0 has the default.
type Limits struct {
	Header      int           // bytes of a request's line and header; 16 KiB
	Connections int           // open at the same time, further ones wait; 10000
	Read        time.Duration // for a client to send a request, or a part of an import; 30 s
	Idle        time.Duration // between two requests on a connection; 120 s
	Send        time.Duration // for a client to take an answer, or a part of a stream; 10 s

	PprofAnywhere bool // serve /debug, which asks for no token, on other addresses than loopback
}

// DefaultLimits are those of the zero value.
func DefaultLimits() Limits { return Limits{}.orDefault() }

func (l Limits) orDefault() Limits {
	l.Header = cmp.Or(l.Header, 16<<10)
	l.Connections = cmp.Or(l.Connections, 10_000)
	l.Read = cmp.Or(l.Read, 30*time.Second)
	l.Idle = cmp.Or(l.Idle, 120*time.Second)
	l.Send = cmp.Or(l.Send, 10*time.Second)
	return l
}

// Core is what a transport carries: a *server.Core, or what wraps one.
type Core interface {
	Serve(ctx context.Context, r server.Request, dst []byte) server.Answer
	Subscribe(ctx context.Context, cred server.Credentials, param func(name string) string) (*server.Subscription, error)
	Import(ctx context.Context, cred server.Credentials, force string, body io.Reader) (*server.Import, error)
	MaxBody() int
	ReadBody() int
	AppendBodyTooLarge(dst []byte, p server.Protocol) server.Answer
}

// site is what the handlers of a transport share.
type site struct {
	core   Core
	limits Limits
	debug  bool            // serve Go's own pages
	stop   context.Context // ends streams
}

// Serve answers requests on the listener until ctx is cancelled; then it lets
// those in progress finish and returns nil. It closes the listener.
func Serve(ctx context.Context, kind Kind, core Core, listener net.Listener, limits Limits) error {
	s := site{core: core, limits: limits.orDefault(), stop: ctx, debug: limits.PprofAnywhere || onLoopback(listener)}
	h, err := s.newServer(kind)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return serve(ctx, h, limitConnections(attentive{listener, s.limits.Send}, s.limits.Connections))
}

func onLoopback(listener net.Listener) bool {
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func (s site) newServer(kind Kind) (httpServer, error) {
	switch kind {
	case NetHTTP:
		return s.newNetHTTP(), nil
	case FastHTTP:
		return s.newFastHTTP(s.fastHandler()), nil
	case FastHTTPAdapter:
		return s.newFastHTTP(s.adaptedHandler()), nil
	}
	return nil, kind.check()
}

func serve(ctx context.Context, s httpServer, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := s.shutdown(drain); err != nil {
		return fmt.Errorf("waiting for the requests in progress: %w", err)
	}
	<-served
	return nil
}

// clientErrors is the log for what clients do wrong on a connection, which
// matters only to who looks for it.
func clientErrors() *log.Logger {
	return slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug)
}

// stream runs a subscription until its client is gone, or the server stops. Why
// it failed is logged: its client sees only the end. That the client has left, in the
// middle of a reading, is no failure.
func (s site) stream(sub *server.Subscription, conn net.Conn, w server.EventWriter) {
	attend(conn, sub.Heartbeat(), s.limits.Send)
	ctx, stop := untilGone(s.stop, conn)
	defer stop()
	if err := sub.Run(ctx, w); err != nil && ctx.Err() == nil {
		slog.Error("a stream of events ended", "error", err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(s.limits.Send)) // for the end of the stream
}

func logImport(err error) {
	if err != nil {
		slog.Warn("the client of an import is gone", "error", err)
	}
}

// buffer is the memory of one request and its answer.
type buffer struct{ body, out []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// readAll is io.ReadAll into memory there is already.
func readAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// patientReader reads a body that may take as long as it comes: each read has
// the time that a whole request has elsewhere.
type patientReader struct {
	io.Reader
	patience    time.Duration
	setDeadline func(time.Time) error
}

func (r patientReader) Read(b []byte) (int, error) {
	if err := r.setDeadline(time.Now().Add(r.patience)); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// patientWriter writes an answer that may take as long as it comes: each part
// has some time.
type patientWriter struct {
	io.Writer
	patience    time.Duration
	setDeadline func(time.Time) error
}

func (w patientWriter) Write(b []byte) (int, error) {
	if err := w.setDeadline(time.Now().Add(w.patience)); err != nil {
		return 0, err
	}
	return w.Writer.Write(b)
}

// sendUnframed sends a long answer over a connection taken over from the server
// and closes it. It is for clients of HTTP/1.0, which know no chunks: the end of
// the connection is that of the answer.
func (s site) sendUnframed(conn net.Conn, a server.Answer) {
	patient := patientWriter{conn, s.limits.Send, conn.SetWriteDeadline}
	header := "HTTP/1.1 200 OK\r\nContent-Type: " + a.Protocol.ContentType() + "\r\nConnection: close\r\n\r\n"
	if _, err := patient.Write(append([]byte(header), a.Body...)); err == nil {
		_, _ = a.Tail.WriteTo(patient) // there is no other way to tell the client than to end
	}
	_ = conn.Close()
}

// httpServer is what the libraries' servers have in common.
type httpServer interface {
	Serve(net.Listener) error
	shutdown(context.Context) error
}
