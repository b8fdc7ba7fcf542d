package loadgen

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Connect says how connections are made where that is no part of the load. The
// zero value is what most servers need.
type Connect struct {
	// TLS is the configuration for https. Nil means that the server's certificate
	// is verified against the authorities that the system trusts. The protocols it
	// names are replaced by that of the load.
	TLS *tls.Config

	// Allow refuses addresses (IP and port) before anything is sent to them, whatever
	// a name resolves to. Nil allows all.
	Allow func(address string) error
}

// dialer makes a connection that is ready for a request.
type dialer func(ctx context.Context, deadline time.Time) (net.Conn, error)

// newDialer returns the dialer for a server, which speaks a protocol as named in
// ALPN.
func newDialer(server *url.URL, c Connect, protocol string) dialer {
	switch server.Scheme {
	case "http":
		return dialTCP(address(server), c.Allow)
	case "https":
		return dialTLS(address(server), c.Allow, tlsConfig(server, c, protocol))
	}
	return func(context.Context, time.Time) (net.Conn, error) {
		return nil, fmt.Errorf("the server's URL %s: use http or https", server)
	}
}

// address is the host and the port of a server.
func address(server *url.URL) string {
	standard := map[string]string{"http": "80", "https": "443"}[server.Scheme]
	return net.JoinHostPort(server.Hostname(), cmp.Or(server.Port(), standard))
}

func dialTCP(addr string, allow func(address string) error) dialer {
	return func(ctx context.Context, deadline time.Time) (net.Conn, error) {
		d := net.Dialer{Deadline: deadline}
		if allow != nil {
			d.Control = func(_, address string, _ syscall.RawConn) error { return allow(address) }
		}
		conn, err := d.DialContext(ctx, "tcp", addr)
		if errors.Is(err, syscall.EMFILE) {
			const todo = "the load has more connections than the generator may have files open; raise ulimit -n above them"
			return nil, &failure{errorFiles, fmt.Errorf("%s: %w", todo, err)}
		}
		return conn, err
	}
}

func tlsConfig(server *url.URL, c Connect, protocol string) *tls.Config {
	config := &tls.Config{}
	if c.TLS != nil {
		config = c.TLS.Clone()
	}
	config.ServerName = cmp.Or(config.ServerName, server.Hostname())
	config.NextProtos = []string{protocol}
	return config
}

func dialTLS(addr string, allow func(address string) error, config *tls.Config) dialer {
	tcp := dialTCP(addr, allow)
	return func(ctx context.Context, deadline time.Time) (net.Conn, error) {
		raw, err := tcp(ctx, deadline)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, config)
		if err := handshake(ctx, deadline, conn); err != nil {
			_ = raw.Close()
			return nil, err
		}
		return conn, nil
	}
}

// handshake explains what is wrong with a server's TLS, and returns errors of the
// network as they are.
func handshake(ctx context.Context, deadline time.Time, conn *tls.Conn) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	err := conn.HandshakeContext(ctx)
	var untrusted *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &untrusted):
		const todo = "name its authority with --cacert, or skip the check with --insecure"
		return &failure{errorCertificate, fmt.Errorf("the server's certificate is not trusted; %s: %w", todo, err)}
	case errors.As(err, &record):
		return &failure{errorTLS, fmt.Errorf("the server does not speak TLS, so its URL begins with http: %w", err)}
	case strings.HasSuffix(err.Error(), noApplicationProtocol.Error()):
		return &failure{errorProtocol, errNoH2}
	case isLost(err), isTimeout(err), ctx.Err() != nil:
		return fmt.Errorf("TLS handshake: %w", err)
	}
	return &failure{errorTLS, fmt.Errorf("TLS handshake: %w", err)}
}

// noApplicationProtocol is the alert of a server that speaks no protocol named by
// ALPN (RFC 7301, section 3.2). Received ones are of a type that is not exported.
const noApplicationProtocol tls.AlertError = 120
