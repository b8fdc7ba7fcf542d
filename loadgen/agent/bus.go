package agent

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Login says where a NATS server is and how to get in.
type Login struct {
	URL   string
	Token string // empty for none
	Creds string // file of credentials, or of an nkey's seed; empty for none
	CA    string // file of the authorities that its certificate is verified by; empty for the system's
}

// patience is how long a NATS server may take to answer, or to start.
const patience = 5 * time.Second

// Connect connects to a NATS server, and again whenever the connection is lost. If it
// is to be patient, the server need not be there yet. Log is told what happens.
func (l Login) Connect(name string, patient bool, log func(text string)) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(name), nats.Timeout(patience), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.RetryOnFailedConnect(patient), nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log("NATS is gone: " + err.Error())
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log("connected again") }),
		nats.ReconnectErrHandler(onceEach(log)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log("NATS: " + err.Error()) }),
	}
	if patient {
		options = append(options, nats.ConnectHandler(func(*nats.Conn) { log("connected") }))
	}
	if l.Token != "" {
		options = append(options, nats.Token(l.Token))
	}
	if l.Creds != "" {
		option, err := l.credentials()
		if err != nil {
			return nil, err
		}
		options = append(options, option)
	}
	if l.CA != "" {
		options = append(options, nats.RootCAs(l.CA))
	}
	nc, err := nats.Connect(l.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS at %s: %w", l.URL, err)
	}
	return nc, nil
}

// onceEach tells why connecting fails, until that changes: it is tried twice a second.
func onceEach(log func(text string)) nats.ConnErrHandler {
	var last string
	return func(_ *nats.Conn, err error) {
		if text := err.Error(); text != last {
			last = text
			log("not connected to NATS: " + text)
		}
	}
}

// credentials tells the two kinds of files apart: a seed is a line of its own.
func (l Login) credentials() (nats.Option, error) {
	f, err := os.Open(l.Creds)
	if err != nil {
		return nil, fmt.Errorf("credentials for NATS: %w", err)
	}
	defer f.Close()
	first, _ := bufio.NewReader(f).ReadString('\n') // an empty file is no credentials, as is found out next
	if strings.HasPrefix(first, "SU") {
		return nats.NkeyOptionFromSeed(l.Creds)
	}
	return nats.UserCredentials(l.Creds), nil
}

// Server is a NATS server in this process, for messages alone.
type Server struct {
	Login
	server *server.Server
}

// StartServer starts a NATS server that listens on HOST:PORT, where port 0 is any free
// one, and lets those in who know the token. With a certificate it speaks TLS only.
func StartServer(address, token, certFile, keyFile string) (*Server, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address for NATS: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return nil, fmt.Errorf("address for NATS: %q is not a port", portText)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	options := &server.Options{
		ServerName: "eventobench", Host: host, Port: port, Authorization: token,
		NoLog: true, NoSigs: true, MaxControlLine: 4096,
	}
	if certFile != "" {
		tls, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: certFile, KeyFile: keyFile})
		if err != nil {
			return nil, fmt.Errorf("TLS for NATS: %w", err)
		}
		options.TLSConfig, options.TLS = tls, true
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("starting NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		s.Shutdown()
		return nil, cmp.Or(portTaken(address), errors.New("starting NATS: it does not listen"))
	}
	scheme := "nats"
	if certFile != "" {
		scheme = "tls"
	}
	url := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(s.Addr().(*net.TCPAddr).Port))
	return &Server{Login{URL: url, Token: token}, s}, nil
}

// portTaken explains why a server cannot listen on an address, if it cannot.
func portTaken(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("starting NATS: %w", err)
	}
	_ = l.Close()
	return nil
}

// Stop ends the server.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
