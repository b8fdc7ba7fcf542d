package loadgen

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// http2Conn is one connection at a time that speaks HTTP/2. Several workers may
// share it.
type http2Conn struct {
	server    *url.URL
	transport *http.Transport

	mu   sync.Mutex
	conn *http.ClientConn // nil when not connected

	answered atomic.Bool // on this connection
	http1    atomic.Bool // the server answered in HTTP/1
}

func newHTTP2Conn(server *url.URL, dial dialer) *http2Conn {
	c := &http2Conn{server: server}
	secure := server.Scheme == "https"
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		deadline, _ := ctx.Deadline()
		conn, err := dial(ctx, deadline)
		switch {
		case err != nil:
			return nil, err
		case secure:
			return conn, checkHTTP2(conn)
		}
		return &firstBytes{Conn: conn, http1: &c.http1}, nil
	}
	c.transport = &http.Transport{
		DialContext: connect, DialTLSContext: connect, Protocols: &http.Protocols{},
		DisableCompression: true, MaxResponseHeaderBytes: maxHead,
	}
	c.transport.Protocols.SetHTTP2(secure)
	c.transport.Protocols.SetUnencryptedHTTP2(!secure)
	return c
}

// checkHTTP2 returns an error if a server with TLS did not agree to HTTP/2.
func checkHTTP2(conn net.Conn) error {
	secure, ok := conn.(*tls.Conn)
	if ok && secure.ConnectionState().NegotiatedProtocol != http2.NextProtoTLS {
		_ = conn.Close()
		return &failure{errorProtocol, errNoH2}
	}
	return nil
}

var errNoH2 = errors.New("the server does not offer HTTP/2 (h2) by ALPN")

// firstBytes is a connection that tells whether the server begins as HTTP/1 does. The
// library does not say why it gives up a connection before its first answer.
type firstBytes struct {
	net.Conn
	read  bool
	http1 *atomic.Bool
}

func (c *firstBytes) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.read && bytes.HasPrefix(b[:n], []byte("HTTP/1")) {
		c.http1.Store(true)
	}
	c.read = true
	return n, err
}

// get returns a connection that takes requests, a new one if there is none. If the
// old one is lost, it is forgotten, and if it rested the error is errAgain.
func (c *http2Conn) get(ctx context.Context, rested bool) (*http.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil && !usable(c.conn) {
		_ = c.conn.Close()
		c.conn = nil
		if rested {
			return nil, errAgain
		}
	}
	if c.conn == nil {
		conn, err := c.transport.NewClientConn(ctx, c.server.Scheme, address(c.server))
		if err != nil {
			return nil, err
		}
		c.conn = conn
		c.answered.Store(false)
	}
	return c.conn, nil
}

// usable reports whether a connection takes requests, now or when one of its
// streams ends. After a GOAWAY it takes none, which shows here once nothing is in
// flight.
func usable(conn *http.ClientConn) bool {
	return conn.Err() == nil && (conn.Available() > 0 || conn.InFlight() > 0)
}

func (c *http2Conn) forget(conn *http.ClientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == conn {
		c.conn = nil
	}
}

func (c *http2Conn) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

func (c *http2Conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close() // nothing depends on how a dropped connection ends
		c.conn = nil
	}
}

// http2Link is one worker's use of a connection.
type http2Link struct {
	*http2Conn
	body []byte // of the answer
}

func (l *http2Link) interrupt() {} // the context does it
func (l *http2Link) fail()      {} // what is lost has been forgotten, and other streams go on

func (l *http2Link) exchange(
	ctx context.Context, deadline time.Time, req *Request, rested bool, a *Answer,
) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := l.get(ctx, rested)
	if err != nil {
		return err
	}
	resp, err := l.roundTrip(ctx, conn, req)
	if err == nil {
		return l.read(ctx, conn, resp, a)
	}
	switch {
	case ctx.Err() != nil:
		return err
	case isUnprocessed(err):
		l.forget(conn)
		return fmt.Errorf("%w: %w", errAgain, err)
	case conn.Err() != nil:
		return l.lost(conn, err, rested)
	}
	return named(err)
}

// roundTrip sends a request once more if it was refused on a connection that has not
// answered anything yet: how many streams a server allows is known only once it has
// said so, and until then the workers that share a connection may send too many.
func (l *http2Link) roundTrip(ctx context.Context, conn *http.ClientConn, req *Request) (*http.Response, error) {
	early := !l.answered.Load()
	resp, err := conn.RoundTrip(l.request(ctx, req))
	var stream http2.StreamError
	if early && errors.As(err, &stream) && stream.Code == http2.ErrCodeRefusedStream {
		resp, err = conn.RoundTrip(l.request(ctx, req))
	}
	if err == nil {
		l.answered.Store(true)
	}
	return resp, err
}

// isUnprocessed reports whether the server has left (GOAWAY), and says that it
// leaves this request alone or had said so before it was sent. The library has no
// exported error for that; TestGoAway holds that its texts are as they were.
func isUnprocessed(err error) bool {
	return strings.Contains(err.Error(), "graceful shutdown GOAWAY") ||
		strings.Contains(err.Error(), "client conn not usable")
}

// request translates a request. Fields that belong to an HTTP/1.1 connection have
// no place in HTTP/2 (RFC 9113, section 8.2.2), which has names in lower case and
// the order only of fields of the same name. The body is copied: after a failure
// the connection may read it longer than the source keeps it.
func (l *http2Link) request(ctx context.Context, req *Request) *http.Request {
	header := http.Header{"User-Agent": {""}} // none unless the request names one
	for _, f := range req.Header {
		if http.CanonicalHeaderKey(f.Name) == "User-Agent" {
			header.Set(f.Name, f.Value)
		} else if !ofConnection(f.Name) {
			header.Add(f.Name, f.Value)
		}
	}
	host := cmp.Or(req.Host, l.server.Host)
	target := &url.URL{Scheme: l.server.Scheme, Host: l.server.Host, Opaque: req.Target}
	if strings.HasPrefix(req.Target, "//") { // which url.URL would take for a host
		target.Opaque = "//" + host + req.Target
	}
	r := &http.Request{Method: req.method(), URL: target, Host: host, Header: header}
	if len(req.Body) > 0 {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(bytes.Clone(req.Body))), int64(len(req.Body))
	}
	return r.WithContext(ctx)
}

// ofConnection reports whether a header field is about the connection and not
// about the request.
func ofConnection(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

func (l *http2Link) read(ctx context.Context, conn *http.ClientConn, resp *http.Response, a *Answer) error {
	defer resp.Body.Close()
	l.body = l.body[:0]
	err := appendAll(&l.body, resp.Body, isEventStream([]byte(resp.Header.Get("Content-Type"))))
	a.Status, a.Body, a.header = resp.StatusCode, l.body, resp.Header.Get
	if err != nil && ctx.Err() == nil && conn.Err() != nil {
		return l.lost(conn, err, false)
	}
	return named(err)
}

// lost forgets a connection and explains its end.
func (l *http2Link) lost(conn *http.ClientConn, err error, rested bool) error {
	l.forget(conn)
	switch {
	case l.http1.Load():
		return &failure{errorProtocol, fmt.Errorf("the server answers in HTTP/1.1 "+
			"when HTTP/2 is spoken to it: %w", err)}
	case rested:
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return &failure{errorLost, err}
}

// named names the kind of what happened to one stream.
func named(err error) error {
	var stream http2.StreamError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stream):
		return &failure{errorReset, err}
	case strings.Contains(err.Error(), "GOAWAY"): // with an error, to the first request
		return &failure{errorLost, err}
	}
	return err
}
