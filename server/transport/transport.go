// Package transport carries the event store's core over HTTP: on net/http, on
// fasthttp natively, and on fasthttp through its net/http adapter. A transport
// only moves bytes; what they mean is the core's business.
package transport

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"time"

	"github.com/eventobench/eventobench/server"
)

// Kind names a transport.
type Kind string

// The transports.
const (
	NetHTTP         Kind = "nethttp"
	FastHTTP        Kind = "fasthttp"
	FastHTTPAdapter Kind = "fasthttp-adapter" // the net/http handler through fasthttpadaptor: it shows what an adapter costs
)

// Parse returns the transport of a name; net/http is a spelling of nethttp.
func Parse(name string) (Kind, error) {
	switch kind := Kind(name); kind {
	case "net/http":
		return NetHTTP, nil
	case NetHTTP, FastHTTP, FastHTTPAdapter:
		return kind, nil
	}
	return "", fmt.Errorf("unknown transport %q; use %s, %s or %s", name, NetHTTP, FastHTTP, FastHTTPAdapter)
}

const (
	jsonType  = "application/json"
	eventType = "text/event-stream"

	// A client gets this long to send one request: one that sends a byte now and
	// then must not hold its connection for ever.
	readTimeout = 30 * time.Second
	idleTimeout = 120 * time.Second

	// A subscriber that takes no bytes for this long is too slow: it is cut off,
	// and can come back at the position it has come to.
	sendTimeout = 10 * time.Second

	drainTimeout = 10 * time.Second // for requests in progress at the end
)

// Serve answers requests on the listener until ctx is cancelled; then it lets
// those in progress finish and returns nil. It closes the listener.
func Serve(ctx context.Context, kind Kind, core *server.Core, listener net.Listener) error {
	var s httpServer
	switch kind {
	case NetHTTP:
		s = newNetHTTP(ctx, core)
	case FastHTTP:
		s = newFastHTTP(fastHandler(ctx, core))
	default:
		s = newFastHTTP(adaptedHandler(ctx, core))
	}
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

// logStream logs why a stream of events failed. Its client sees only its end.
func logStream(err error) {
	if err != nil {
		slog.Error("a stream of events ended", "error", err)
	}
}

func logImport(err error) {
	if err != nil {
		slog.Warn("the client of an import is gone", "error", err)
	}
}

// patientReader reads a body that may take as long as it comes: each read has
// the time that a whole request has elsewhere.
type patientReader struct {
	io.Reader
	setDeadline func(time.Time) error
}

func (r patientReader) Read(b []byte) (int, error) {
	if err := r.setDeadline(time.Now().Add(readTimeout)); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// httpServer is what the libraries' servers have in common.
type httpServer interface {
	Serve(net.Listener) error
	shutdown(context.Context) error
}
