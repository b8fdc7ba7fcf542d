package transport

import (
	"context"
	"errors"
	"expvar"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/eventobench/eventobench/server"
)

type netServer struct{ http.Server }

func (s site) newNetHTTP() httpServer {
	return &netServer{http.Server{
		Handler: s.netHandler(),
		// net/http answers what is over its limit in plain text: up to a larger one
		// the handler does it.
		MaxHeaderBytes:    8 * s.limits.Header,
		ReadHeaderTimeout: s.limits.Read,
		ReadTimeout:       s.limits.Read,
		IdleTimeout:       s.limits.Idle,
		ConnContext:       withConn,
		ErrorLog:          clientErrors(),
		// This counts from the end of the header: a body may take its time before the
		// answer. Streams extend it as they go on, and profiles by their length.
		WriteTimeout: s.limits.Read + s.limits.Send,
	}}
}

func (s *netServer) shutdown(ctx context.Context) error { return s.Shutdown(ctx) }

// netHandler is the store as a net/http handler.
func (s site) netHandler() http.Handler {
	debug := debugHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = cleanPath(r.URL.Path)
		if len(r.TransferEncoding) > 0 {
			// net/http does not tell whether there was a Content-Length too, after which
			// RFC 9112, section 6.3, wants the connection closed: a proxy may have gone by it.
			w.Header().Set("Connection", "close")
		}
		if headerSize(r) > s.limits.Header {
			netAnswer(w, server.AppendHeaderTooLarge(nil))
			return
		}
		route := server.FindRoute(r.URL.Path)
		switch {
		case route.Kind == server.Debug && s.debug:
			debug.ServeHTTP(w, r)
		case route.Kind == server.Subscriptions && route.Allows(r.Method):
			s.netSubscribe(w, r)
		case route.Kind == server.Imports && route.Allows(r.Method):
			s.netImport(w, r)
		default:
			s.netCall(w, r)
		}
	})
}

// cleanPath folds slashes and dots as fasthttp does. A slash at the end stays.
func cleanPath(p string) string {
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") {
		return p
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// headerSize is about the number of bytes of the request's line and header.
func headerSize(r *http.Request) int {
	const perField = len(": \r\n")
	size := len(r.Method) + len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + perField
		}
	}
	return size
}

func (s site) netCall(w http.ResponseWriter, r *http.Request) {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	a := b.netServe(s.core, w, r)
	b.out = a.Body[:0]
	if a.Tail != nil {
		s.netLong(w, r, a)
		return
	}
	netAnswer(w, a)
}

// netTypes are the Content-Types of answers, as headers have them.
var netTypes = [...][]string{
	server.JSON:     {server.JSON.ContentType()},
	server.Protobuf: {server.Protobuf.ContentType()},
}

// selfCounted is up to how many bytes net/http finds out the length of an answer by
// itself, without memory: "under a few KB", says http.ResponseWriter.
const selfCounted = 1 << 10

func netAnswer(w http.ResponseWriter, a server.Answer) {
	header := w.Header()
	header["Content-Type"] = netTypes[a.Protocol]
	if len(a.Body) > selfCounted {
		header["Content-Length"] = []string{strconv.Itoa(len(a.Body))}
	}
	if a.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(a.RetryAfter))
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // if the client is gone there is nobody to tell
}

// netLong sends a long answer. If it fails the connection is cut, so that the
// answer cannot be taken for whole.
func (s site) netLong(w http.ResponseWriter, r *http.Request, a server.Answer) {
	conn := http.NewResponseController(w)
	if !r.ProtoAtLeast(1, 1) {
		if raw, _, err := conn.Hijack(); err == nil {
			s.sendUnframed(raw, a)
			return
		}
	}
	w.Header().Set("Content-Type", a.Protocol.ContentType())
	w.WriteHeader(http.StatusOK)
	patient := patientWriter{w, s.limits.Send, conn.SetWriteDeadline}
	_, err := patient.Write(a.Body)
	if err == nil {
		err = conn.Flush() // tells fasthttp's adapter not to gather what follows
	}
	if err == nil {
		_, err = a.Tail.WriteTo(patient)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// connKey is where a request's context has its connection.
type connKey struct{}

func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// connOf is the connection that a request came on.
func connOf(r *http.Request) net.Conn {
	if ctx, ok := r.Context().(*fasthttp.RequestCtx); ok { // through the adapter
		return ctx.Conn()
	}
	return r.Context().Value(connKey{}).(net.Conn)
}

func netCredentials(r *http.Request) server.Credentials {
	cred := server.Credentials{Authorization: r.Header.Get("Authorization"), Remote: connOf(r).RemoteAddr()}
	if r.URL.RawQuery != "" {
		cred.Token = netQuery(r)("token")
	}
	return cred
}

// netQuery returns what finds the parameters of the query. It reads it as
// fasthttp does: net/url drops a parameter with a ";" or a lone "%", which
// clients send that do not encode names.
func netQuery(r *http.Request) func(name string) string {
	var query fasthttp.Args
	query.Parse(r.URL.RawQuery)
	return func(name string) string { return string(query.Peek(name)) }
}

func (s site) netSubscribe(w http.ResponseWriter, r *http.Request) {
	sub, err := s.core.Subscribe(r.Context(), netCredentials(r), netQuery(r))
	if err != nil {
		netAnswer(w, server.JSON.AppendError(nil, err))
		return
	}
	// The request's own context is not for streams: fasthttp's adapter reuses it
	// once they have begun.
	raw := connOf(r)
	w.Header().Set("Connection", "close") // untilGone asks for it
	w.Header().Set("Content-Type", eventType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Access-Control-Allow-Origin", "*") // browsers send the token in the query
	w.WriteHeader(http.StatusOK)
	conn := http.NewResponseController(w)
	s.stream(sub, raw, netEvents{w, conn, s.limits.Send})
}

func (s site) netImport(w http.ResponseWriter, r *http.Request) {
	conn := http.NewResponseController(w)
	body := patientReader{r.Body, s.limits.Read, conn.SetReadDeadline}
	im, err := s.core.Import(r.Context(), netCredentials(r), netQuery(r)("force"), body)
	if err != nil {
		netAnswer(w, server.JSON.AppendError(nil, err))
		return
	}
	_ = conn.EnableFullDuplex() // frames are sent while the body is read; HTTP/2 always does
	w.Header().Set("Content-Type", eventType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Connection", "close") // a part of the body may be left
	w.WriteHeader(http.StatusOK)
	ctx := context.WithoutCancel(r.Context()) // which ends with the client's half of the connection, as the body does
	logImport(im.Run(ctx, netEvents{w, conn, s.limits.Send}))
}

// netEvents sends events through net/http.
type netEvents struct {
	w       http.ResponseWriter
	conn    *http.ResponseController
	timeout time.Duration
}

func (e netEvents) Send(frames []byte) error {
	if err := e.conn.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil {
		return err
	}
	if _, err := e.w.Write(frames); err != nil {
		return err
	}
	return e.conn.Flush()
}

func (b *buffer) netServe(core Core, w http.ResponseWriter, r *http.Request) server.Answer {
	protocol := server.ProtocolOf(r.Header.Get("Content-Type"))
	var err error
	b.body, err = readAll(b.body[:0], bounded(w, r, int64(core.ReadBody())))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return core.AppendBodyTooLarge(b.out, protocol)
	}
	if err != nil {
		w.Header().Set("Connection", "close") // what is left of the body cannot be told from a next request
		return protocol.AppendMalformed(b.out, err)
	}
	// The request's own context is not used: with fasthttp's adapter it ends when
	// the server is told to stop, which requests in progress may outlive.
	request := server.Request{
		Method: r.Method, Path: r.URL.Path, Credentials: netCredentials(r), Protocol: protocol, Body: b.body,
	}
	return core.Serve(context.Background(), request, b.out)
}

// bounded is the body, up to a limit. One that is announced to be within it is as
// it is.
func bounded(w http.ResponseWriter, r *http.Request, limit int64) io.Reader {
	if 0 <= r.ContentLength && r.ContentLength <= limit {
		return r.Body
	}
	return http.MaxBytesReader(w, r.Body, limit)
}

// debugHandler has Go's own pages: profiles, and the variables with
// runtime.MemStats among them. It is made here rather than imported for effect,
// so that nothing else is on the same mux.
func debugHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.Handle("/debug/vars", expvar.Handler())
	return mux
}
