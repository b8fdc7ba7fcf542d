package main

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/handicap"
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
	pool      int
	testMode  bool
	anywhere  bool // test mode on other addresses than loopback
	token     string
	tlsCert   string
	tlsKey    string
	failures  int
	maxBody   int
	maxBatch  int64
	limits    transport.Limits
	logLevel  string
	handicap  string

	mutexFraction int // of runtime.SetMutexProfileFraction
	blockRate     int // of runtime.SetBlockProfileRate
}

func newServeCmd() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the built-in event store",
		Long: `Serve runs an event store that speaks EventoDB's wire protocol over SQLite or
PostgreSQL. It is what "eventobench run" measures, and a store in its own right.
Calls are JSON, or protobuf if their Content-Type says so.

The first line on stdout, "listening on URL", is printed once it accepts
connections; if a token was drawn for the default namespace, it follows. SIGTERM
and Ctrl-C let the requests in progress finish; the exit code is then 0.`,
		Example: `  # in memory, on fasthttp, for trying out: no token needed
  eventobench serve --transport=fasthttp --test-mode
  curl -d '["stream.write","account-1",{"type":"Opened","data":{"by":"me"}}]' http://127.0.0.1:8080/rpc

  # in a file
  eventobench serve --store=sqlite:events.db

  # where others can reach it, over TLS
  eventobench serve --store=sqlite:events.db --addr=:8443 --tls-cert=cert.pem --tls-key=key.pem

  # in a database that other servers may serve at the same time
  eventobench serve --store=postgres://me@127.0.0.1/events`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.serve(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.transport, "transport", string(transport.NetHTTP),
		"nethttp, fasthttp or fasthttp-adapter (the net/http handler through fasthttp's adapter)")
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on; port 0 takes a free one")
	f.StringVar(&o.store, "store", "sqlite::memory:",
		"sqlite::memory:, sqlite:FILE or postgres://USER@HOST/DATABASE")
	f.StringVar(&o.codec, "codec", string(server.CodecRaw),
		"raw keeps payloads as bytes; std, jsonv2 and segmentio pass requests and answers through a JSON library")
	f.StringVar(&o.sync, "sync", string(sqlite.SyncFull),
		"when a store in a file waits for the disk: full, at every commit; normal, at checkpoints; off, never")
	f.StringVar(&o.batch, "batch", "on",
		"on lets writes that wait at the same time share a commit, to a file or in PostgreSQL; off gives each its own")
	f.IntVar(&o.pool, "pool", 0,
		"connections to PostgreSQL, or that read a file; 0 for one per CPU, at least 4, "+
			"or for what the URL says (?pool_max_conns=16)")
	f.BoolVar(&o.testMode, "test-mode", false,
		"let requests in without a valid token, and create namespaces on first use; on loopback only")
	f.BoolVar(&o.anywhere, "test-mode-anywhere", false, "allow --test-mode on an address that others can reach")
	f.StringVar(&o.token, "token", "",
		"token of the default namespace of a new store; without it one is drawn and printed")
	f.StringVar(&o.tlsCert, "tls-cert", "", "speak TLS, with the certificates in this PEM file; SIGHUP reads it again")
	f.StringVar(&o.tlsKey, "tls-key", "", "PEM file of the certificate's private key")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.handicap, "handicap", "none",
		"make every call cost more, as a regression to find: cpu=5% of what it costs, cpu=5%/1.5 where spinning for 1% "+
			"makes a server use 1.5% more, alloc=200B, or two with a plus sign")
	o.addLimits(f)
	o.addProfiling(f)
	return cmd
}

func (o *serveOptions) addLimits(f *pflag.FlagSet) {
	d := transport.DefaultLimits()
	f.IntVar(&o.maxBody, "max-body", 1<<20,
		"bytes of a request's body; imports have no limit. One message has at most 16 MiB, whatever this is")
	f.Int64Var(&o.maxBatch, "max-batch", 10000, "messages in an answer, unless a call asks for no limit")
	f.IntVar(&o.failures, "max-failed-tokens", 10,
		"wrong tokens a second from one address; beyond ten seconds' worth only tokens in use are let in from there")
	f.IntVar(&o.limits.Header, "max-header", d.Header, "bytes of a request's line and header")
	f.IntVar(&o.limits.Connections, "max-connections", d.Connections,
		"connections open at the same time; further ones wait")
	f.DurationVar(&o.limits.Read, "read-timeout", d.Read, "time for a client to send a request, or a part of an import")
	f.DurationVar(&o.limits.Idle, "idle-timeout", d.Idle, "time between two requests on a connection")
	f.DurationVar(&o.limits.Send, "send-timeout", d.Send,
		"time for a client to take an answer, or a part of a stream, before it is cut off")
}

func (o *serveOptions) addProfiling(f *pflag.FlagSet) {
	f.BoolVar(&o.limits.PprofAnywhere, "pprof-anywhere", false,
		"serve /debug/pprof/ and /debug/vars, which ask for no token, on an address that others can reach")
	f.IntVar(&o.mutexFraction, "mutex-profile-fraction", 0,
		"report one in N contentions for a mutex in /debug/pprof/mutex; 1 for all, 0 for none")
	f.IntVar(&o.blockRate, "block-profile-rate", 0,
		"report one blocking event per N ns of blocking in /debug/pprof/block; 1 for all, 0 for none")
}

// checkLimits returns an error if nothing could meet a limit.
func (o *serveOptions) checkLimits() error {
	for _, limit := range []struct {
		flag         string
		value, least int64
	}{
		{"max-body", int64(o.maxBody), 1},
		{"max-batch", o.maxBatch, 1},
		{"max-failed-tokens", int64(o.failures), 1},
		{"max-header", int64(o.limits.Header), 1024},
		{"max-connections", int64(o.limits.Connections), 1},
		{"mutex-profile-fraction", int64(o.mutexFraction), 0},
		{"block-profile-rate", int64(o.blockRate), 0},
		{"pool", int64(o.pool), 0},
	} {
		if limit.value < limit.least {
			return fmt.Errorf("--%s=%d is too small; give at least %d", limit.flag, limit.value, limit.least)
		}
	}
	return o.checkTimeouts()
}

func (o *serveOptions) checkTimeouts() error {
	for _, timeout := range []struct {
		flag  string
		value time.Duration
	}{
		{"read-timeout", o.limits.Read},
		{"idle-timeout", o.limits.Idle},
		{"send-timeout", o.limits.Send},
	} {
		if timeout.value <= 0 {
			return fmt.Errorf("--%s=%v leaves no time; give a duration like 30s", timeout.flag, timeout.value)
		}
	}
	return nil
}

// serveSettings are what the texts of flags mean.
type serveSettings struct {
	kind     transport.Kind
	level    slog.Level
	batch    bool
	handicap handicap.Handicap
	path     string // of a store in SQLite
	cert     *certificate
}

// settings reads the flags and returns an error if one of them is wrong.
func (o *serveOptions) settings() (set serveSettings, err error) {
	if err := o.checkLimits(); err != nil {
		return set, err
	}
	if set.kind, err = transport.Parse(o.transport); err != nil {
		return set, err
	}
	if err := set.level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return set, fmt.Errorf("unknown log level %q; use debug, info, warn or error", o.logLevel)
	}
	if o.batch != "on" && o.batch != "off" {
		return set, fmt.Errorf("unknown batch %q; use on or off", o.batch)
	}
	set.batch = o.batch == "on"
	if set.handicap, err = handicap.Parse(o.handicap); err != nil {
		return set, err
	}
	if set.cert, err = openCertificate(o.tlsCert, o.tlsKey); err != nil {
		return set, err
	}
	if isPostgres(o.store) {
		return set, checkPostgresSync(o.sync)
	}
	if set.path, err = storePath(o.store); err != nil {
		return set, fmt.Errorf("%w, or postgres://USER@HOST/DATABASE", err)
	}
	return set, checkMemoryPool(set.path, o.pool)
}

// checkPostgresSync returns an error if PostgreSQL shall wait for the disk in
// another way than it is set to.
func checkPostgresSync(sync string) error {
	if sync == "" || sync == string(sqlite.SyncFull) {
		return nil
	}
	return fmt.Errorf("--sync=%s is of a store in a file; when PostgreSQL waits for the disk is a setting of its own "+
		"(synchronous_commit)", sync)
}

// checkMemoryPool returns an error if a store in memory shall have a pool.
func checkMemoryPool(path string, pool int) error {
	if path == sqlite.Memory && pool != 0 {
		return fmt.Errorf("--pool=%d is of a store in a file or in PostgreSQL; one in memory has one connection", pool)
	}
	return nil
}

func (o *serveOptions) serve(cmd *cobra.Command) (err error) {
	set, err := o.settings()
	if err != nil {
		return err
	}
	o.prepareProcess(cmd.ErrOrStderr(), set.level)
	store, err := o.openStore(cmd.Context(), set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := o.listen() // before a token is drawn, which is shown once
	if err != nil {
		return err
	}
	core, drawn, err := o.openCore(cmd.Context(), store)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	set.cert.watch(cmd.Context())
	announce(cmd.OutOrStdout(), set.cert.scheme(), listener, drawn)
	return o.run(cmd.Context(), set, core, set.cert.secure(listener))
}

// prepareProcess sets what belongs to the process and not to the store: its log,
// which the transports' libraries use too, what its profiles and its command line
// show, and how it takes a file that cannot grow.
func (o *serveOptions) prepareProcess(log io.Writer, level slog.Level) {
	slog.SetDefault(newLog(log, level))
	hideArguments()
	runtime.SetMutexProfileFraction(o.mutexFraction)
	runtime.SetBlockProfileRate(o.blockRate)
	ignoreFileSizeLimit()
}

// openCore opens the core of a store and returns the default namespace's token
// if it has just been drawn.
func (o *serveOptions) openCore(ctx context.Context, store server.Store) (core *server.Core, drawn string, err error) {
	core, drawn, err = server.NewCore(ctx, store, server.Options{
		Codec: server.Codec(o.codec), TestMode: o.testMode, Token: o.token, Version: version(),
		MaxBody: o.maxBody, MaxBatch: o.maxBatch, Failures: o.failures,
	})
	if err != nil {
		return nil, "", fmt.Errorf("opening the event store: %w", err)
	}
	return core, drawn, nil
}

// announce prints where the store listens, and its token if that is new.
func announce(w io.Writer, scheme string, listener net.Listener, drawn string) {
	fmt.Fprintf(w, "listening on %s://%s\n", scheme, listener.Addr())
	if drawn != "" {
		fmt.Fprintf(w, "token of namespace %s, shown this once: %s\n", server.DefaultNamespace, drawn)
	}
}

// run answers requests until ctx is cancelled.
func (o *serveOptions) run(ctx context.Context, set serveSettings, core *server.Core, listener net.Listener) error {
	slog.Info("serving", "transport", set.kind, "addr", listener.Addr().String(), "store", storeName(o.store),
		"codec", o.codec, "test_mode", o.testMode, "pid", os.Getpid())
	var carried transport.Core = core
	if set.handicap != (handicap.Handicap{}) {
		carried = handicap.Wrap(core, set.handicap)
	}
	err := transport.Serve(ctx, set.kind, carried, listener, o.limits)
	slog.Info("stopped", "reason", context.Cause(ctx))
	return err
}

// openStore opens the store that --store names.
func (o *serveOptions) openStore(ctx context.Context, set serveSettings) (server.Store, error) {
	if isPostgres(o.store) {
		return postgres.Open(ctx, o.store, postgres.Options{NoBatch: !set.batch, Pool: o.pool})
	}
	store, err := sqlite.Open(set.path, sqlite.Options{Sync: sqlite.Sync(o.sync), NoBatch: !set.batch, Pool: o.pool})
	if err == nil {
		expvar.Publish(runfolder.VarUnsynced, expvar.Func(func() any { return store.MaxUnsynced() }))
	}
	return store, err
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
		err := fmt.Errorf("test mode lets everyone in: it listens on loopback only, not on %s "+
			"(--test-mode-anywhere allows it)", o.addr)
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

func listenOn(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listening on %s: the port is in use; stop what uses it, "+
			"or choose another with --addr (port 0 takes a free one)", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	return listener, nil
}

// onLoopback reports whether only this machine can reach a listener.
func onLoopback(listener net.Listener) bool {
	tcp, ok := listener.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
