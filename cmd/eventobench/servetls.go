package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// certificate is what a server shows over TLS, and where it is read from.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

// openCertificate reads a certificate. Without files there is none, and the
// server speaks plain HTTP.
func openCertificate(certFile, keyFile string) (*certificate, error) {
	if certFile == "" && keyFile == "" {
		return nil, nil
	}
	if certFile == "" || keyFile == "" {
		return nil, errors.New("--tls-cert and --tls-key belong together: give both, or none for plain HTTP")
	}
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

// load reads the files. After an error the certificate is what it was.
func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("reading the certificate in %s with its key in %s (both must be PEM): %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	return nil
}

// secure makes a listener speak TLS, if there is a certificate, and only HTTP/1.1:
// what all transports speak.
func (c *certificate) secure(listener net.Listener) net.Listener {
	if c == nil {
		return listener
	}
	return tls.NewListener(listener, &tls.Config{
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	})
}

// scheme is that of the server's address.
func (c *certificate) scheme() string {
	if c == nil {
		return "http"
	}
	return "https"
}

// watch reads the files again at each SIGHUP until ctx is cancelled. Without a
// certificate SIGHUP ends the process, as it does by default.
func (c *certificate) watch(ctx context.Context) {
	if c == nil {
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-hangups:
				c.reload()
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (c *certificate) reload() {
	if err := c.load(); err != nil {
		slog.Error("the certificate stays what it was", "error", err)
		return
	}
	slog.Info("the certificate was read again", "file", c.certFile, "expires", c.current.Load().Leaf.NotAfter)
}
