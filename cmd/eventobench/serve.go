package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/postgres"
	"github.com/eventobench/eventobench/server/sqlite"
	"github.com/eventobench/eventobench/server/transport"
)

type serveOptions struct {
	transport string
	addr      string
	store     string
	codec     string
	sync      string
	batch     string
	testMode  bool
	anywhere  bool // test mode on other addresses than loopback
	token     string
	maxBody   int
	maxBatch  int64
	limits    transport.Limits
	logLevel  string
	handicap  string
}

func newServeCmd() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the built-in event store",
		Long: `Serve runs an event store that speaks EventoDB's wire protocol over SQLite or
PostgreSQL. It is what "eventobench run" measures, and a store in its own right.

The first line on stdout, "listening on URL", is printed once it accepts
connections; if a token was drawn for the default namespace, it follows. SIGTERM
and Ctrl-C let the requests in progress finish; the exit code is then 0.`,
		Example: `  # in memory, on fasthttp, for trying out: no token needed
  eventobench serve --transport=fasthttp --test-mode
  curl -d '["stream.write","account-1",{"type":"Opened","data":{"by":"me"}}]' http://127.0.0.1:8080/rpc

  # in a file
  eventobench serve --store=sqlite:events.db

  # in a database that other servers may serve at the same time
  eventobench serve --store=postgres://me@127.0.0.1/events`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.serve(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.transport, "transport", string(transport.NetHTTP), "nethttp, fasthttp or fasthttp-adapter (the net/http handler through fasthttp's adapter)")
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on; port 0 takes a free one")
	f.StringVar(&o.store, "store", "sqlite::memory:", "sqlite::memory:, sqlite:FILE or postgres://USER@HOST/DATABASE")
	f.StringVar(&o.codec, "codec", string(server.CodecRaw), "raw keeps payloads as bytes; std passes requests and answers through encoding/json")
	f.StringVar(&o.sync, "sync", string(sqlite.SyncFull), "when a store in a file waits for the disk: full, at every commit; normal, at checkpoints; off, never")
	f.StringVar(&o.batch, "batch", "on", "on lets writes that wait at the same time share a commit to a file; off gives each its own")
	f.BoolVar(&o.testMode, "test-mode", false, "let requests in without a valid token, and create namespaces on first use; on loopback only")
	f.BoolVar(&o.anywhere, "test-mode-anywhere", false, "allow --test-mode on an address that others can reach")
	f.StringVar(&o.token, "token", "", "token of the default namespace of a new store; without it one is drawn and printed")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.handicap, "handicap", "none", "make every call cost more, as a regression to find: cpu=5% of what it costs, alloc=200B, or both with a plus sign")
	o.addLimits(f)
	return cmd
}

func (o *serveOptions) addLimits(f *pflag.FlagSet) {
	d := transport.DefaultLimits()
	f.IntVar(&o.maxBody, "max-body", 1<<20, "bytes of a request's body; imports have no limit")
	f.Int64Var(&o.maxBatch, "max-batch", 10000, "messages in an answer, unless a call asks for no limit")
	f.IntVar(&o.limits.Header, "max-header", d.Header, "bytes of a request's line and header")
	f.IntVar(&o.limits.Connections, "max-connections", d.Connections, "connections open at the same time; further ones wait")
	f.DurationVar(&o.limits.Read, "read-timeout", d.Read, "time for a client to send a request, or a part of an import")
	f.DurationVar(&o.limits.Idle, "idle-timeout", d.Idle, "time between two requests on a connection")
	f.DurationVar(&o.limits.Send, "send-timeout", d.Send, "time for a client to take an answer, or a part of a stream, before it is cut off")
	f.BoolVar(&o.limits.PprofAnywhere, "pprof-anywhere", false, "serve /debug/pprof/, which asks for no token, on an address that others can reach")
}

// checkLimits objects to limits that nothing could meet.
func (o *serveOptions) checkLimits() error {
	for _, limit := range []struct {
		flag         string
		value, least int64
	}{
		{"max-body", int64(o.maxBody), 1},
		{"max-batch", o.maxBatch, 1},
		{"max-header", int64(o.limits.Header), 1024},
		{"max-connections", int64(o.limits.Connections), 1},
	} {
		if limit.value < limit.least {
			return fmt.Errorf("--%s=%d is too small; give at least %d", limit.flag, limit.value, limit.least)
		}
	}
	for flag, timeout := range map[string]time.Duration{"read-timeout": o.limits.Read, "idle-timeout": o.limits.Idle, "send-timeout": o.limits.Send} {
		if timeout <= 0 {
			return fmt.Errorf("--%s=%v leaves no time; give a duration like 30s", flag, timeout)
		}
	}
	return nil
}

func (o *serveOptions) serve(cmd *cobra.Command) (err error) {
	if err := o.checkLimits(); err != nil {
		return err
	}
	ctx := cmd.Context()
	kind, err := transport.Parse(o.transport)
	if err != nil {
		return err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return fmt.Errorf("unknown log level %q; use debug, info, warn or error", o.logLevel)
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	slog.SetDefault(log) // for the transports' libraries
	if o.batch != "on" && o.batch != "off" {
		return fmt.Errorf("unknown batch %q; use on or off", o.batch)
	}
	handicap, err := server.ParseHandicap(o.handicap)
	if err != nil {
		return err
	}
	store, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	core, drawn, err := server.NewCore(ctx, store, server.Options{
		Codec: server.Codec(o.codec), TestMode: o.testMode, Token: o.token, Version: version(), MaxBody: o.maxBody, MaxBatch: o.maxBatch,
		Handicap: handicap,
	})
	if err != nil {
		return fmt.Errorf("opening the event store: %w", err)
	}
	listener, err := o.listen()
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "listening on http://%s\n", listener.Addr())
	if drawn != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "token of namespace %s, shown this once: %s\n", server.DefaultNamespace, drawn)
	}
	log.Info("serving", "transport", kind, "addr", listener.Addr().String(), "store", storeName(o.store), "codec", o.codec, "test_mode", o.testMode, "pid", os.Getpid())
	err = transport.Serve(ctx, kind, core, listener, o.limits)
	log.Info("stopped", "reason", context.Cause(ctx))
	return err
}

// openStore opens the store that --store names.
func (o *serveOptions) openStore(ctx context.Context) (server.Store, error) {
	if isPostgres(o.store) {
		return postgres.Open(ctx, o.store)
	}
	path, err := storePath(o.store)
	if err != nil {
		return nil, fmt.Errorf("%w, or postgres://USER@HOST/DATABASE", err)
	}
	ignoreFileSizeLimit()
	return sqlite.Open(path, sqlite.Options{Sync: sqlite.Sync(o.sync), NoBatch: o.batch == "off"})
}

// isPostgres reports whether a --store flag names a PostgreSQL database.
func isPostgres(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// storeName is the store as a log may show it: without a password.
func storeName(store string) string {
	if !isPostgres(store) {
		return store
	}
	parsed, err := url.Parse(store)
	if err != nil {
		return "postgres"
	}
	query := parsed.Query()
	query.Del("password")
	parsed.RawQuery = query.Encode()
	return parsed.Redacted()
}

// storePath is where the store that a --store flag names is kept.
func storePath(name string) (string, error) {
	path, ok := strings.CutPrefix(name, "sqlite:")
	if !ok || path == "" {
		return "", fmt.Errorf("unknown store %q; use sqlite::memory: or sqlite:FILE", name)
	}
	return path, nil
}

func (o *serveOptions) listen() (net.Listener, error) {
	listener, err := listenOn(o.addr)
	if err != nil {
		return nil, err
	}
	if o.testMode && !o.anywhere && !onLoopback(listener) {
		return nil, errors.Join(fmt.Errorf("test mode lets everyone in: it listens on loopback only, not on %s (--test-mode-anywhere allows it)", o.addr), listener.Close())
	}
	return listener, nil
}

func listenOn(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listening on %s: the port is in use; stop what uses it, or choose another with --addr (port 0 takes a free one)", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	return listener, nil
}

// onLoopback tells whether only this machine can reach a listener.
func onLoopback(listener net.Listener) bool {
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
