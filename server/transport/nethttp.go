package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/eventobench/eventobench/server"
)

type netServer struct{ http.Server }

func (f face) newNetHTTP() httpServer {
	return &netServer{http.Server{
		Handler: f.netHandler(),
		// net/http answers what is over its limit in plain text: up to a larger one
		// the handler does it.
		MaxHeaderBytes:    8 * f.limits.Header,
		ReadHeaderTimeout: f.limits.Read,
		ReadTimeout:       f.limits.Read,
		IdleTimeout:       f.limits.Idle,
		ErrorLog:          clientErrors(),
		// This counts from the end of the header: a body may take its time before the
		// answer. Streams extend it as they go on, and profiles by their length.
		WriteTimeout: f.limits.Read + f.limits.Send,
	}}
}

func (s *netServer) shutdown(ctx context.Context) error { return s.Shutdown(ctx) }

// netHandler is the store as a net/http handler.
func (f face) netHandler() http.Handler {
	profiling := profilingHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = cleanPath(r.URL.Path)
		switch {
		case headerSize(r) > f.limits.Header:
			status, answer := server.AppendHeaderTooLarge(nil)
			netAnswer(w, status, answer)
		case f.profiles && strings.HasPrefix(r.URL.Path, pprofPrefix):
			profiling.ServeHTTP(w, r)
		case r.URL.Path == "/subscribe":
			f.netSubscribe(w, r)
		case r.URL.Path == "/import":
			f.netImport(w, r)
		default:
			f.netCall(w, r)
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

func (f face) netCall(w http.ResponseWriter, r *http.Request) {
	b := netBuffers.Get().(*netBuffer)
	defer netBuffers.Put(b)
	status, answer, rest := b.answer(f.core, w, r)
	b.out = answer[:0]
	if rest != nil {
		f.netRest(w, r, answer, rest)
		return
	}
	netAnswer(w, status, answer)
}

func netAnswer(w http.ResponseWriter, status int, answer []byte) {
	header := w.Header()
	header.Set("Content-Type", jsonType)
	header.Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	_, _ = w.Write(answer) // if the client is gone there is nobody to tell
}

// netRest sends a long answer. If it fails the connection is cut, so that the
// answer cannot be taken for whole.
func (f face) netRest(w http.ResponseWriter, r *http.Request, first []byte, rest *server.Rest) {
	conn := http.NewResponseController(w)
	if !r.ProtoAtLeast(1, 1) {
		if raw, _, err := conn.Hijack(); err == nil {
			f.sendUnframed(raw, first, rest)
			return
		}
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(http.StatusOK)
	patient := patientWriter{w, f.limits.Send, conn.SetWriteDeadline}
	_, err := patient.Write(first)
	if err == nil {
		err = conn.Flush() // tells fasthttp's adapter not to gather what follows
	}
	if err == nil {
		_, err = rest.WriteTo(patient)
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func netCredentials(r *http.Request) server.Credentials {
	cred := server.Credentials{Authorization: r.Header.Get("Authorization")}
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

func (f face) netSubscribe(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		status, answer := server.AppendNotAllowed(nil, "GET", r.URL.Path)
		netAnswer(w, status, answer)
		return
	}
	sub, err := f.core.Subscribe(r.Context(), netCredentials(r), netQuery(r))
	if err != nil {
		status, answer := server.AppendError(nil, err)
		netAnswer(w, status, answer)
		return
	}
	// The request's own context is not for streams: fasthttp's adapter reuses it
	// once they have begun. That a client has left shows when something is sent.
	w.Header().Set("Content-Type", eventType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Access-Control-Allow-Origin", "*") // browsers send the token in the query
	w.WriteHeader(http.StatusOK)
	conn := http.NewResponseController(w)
	logStream(sub.Run(f.stop, netEvents{w, conn, f.limits.Send}))
	_ = conn.SetWriteDeadline(time.Now().Add(f.limits.Send)) // for the end of the stream
}

func (f face) netImport(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		status, answer := server.AppendNotAllowed(nil, "POST", r.URL.Path)
		netAnswer(w, status, answer)
		return
	}
	conn := http.NewResponseController(w)
	im, err := f.core.Import(r.Context(), netCredentials(r), netQuery(r)("force"), patientReader{r.Body, f.limits.Read, conn.SetReadDeadline})
	if err != nil {
		status, answer := server.AppendError(nil, err)
		netAnswer(w, status, answer)
		return
	}
	_ = conn.EnableFullDuplex() // frames are sent while the body is read; HTTP/2 always does
	w.Header().Set("Content-Type", eventType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Connection", "close") // a part of the body may be left
	w.WriteHeader(http.StatusOK)
	logImport(im.Run(r.Context(), netEvents{w, conn, f.limits.Send}))
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

// netBuffer is the memory of one request and its answer.
type netBuffer struct{ body, out []byte }

var netBuffers = sync.Pool{New: func() any { return new(netBuffer) }}

func (b *netBuffer) answer(core *server.Core, w http.ResponseWriter, r *http.Request) (status int, answer []byte, rest *server.Rest) {
	var err error
	if b.body, err = readAll(b.body[:0], http.MaxBytesReader(w, r.Body, int64(core.ReadBody()))); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			status, answer = core.AppendBodyTooLarge(b.out)
			return status, answer, nil
		}
		w.Header().Set("Connection", "close") // what is left of the body cannot be told from a next request
		status, answer = server.AppendMalformed(b.out, err)
		return status, answer, nil
	}
	// The request's own context is not used: with fasthttp's adapter it ends when
	// the server is told to stop, which requests in progress may outlive.
	return core.Serve(context.Background(), server.Request{Method: r.Method, Path: r.URL.Path, Credentials: netCredentials(r), Body: b.body}, b.out)
}

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

// profilingHandler has Go's profiling pages. It is made here rather than
// imported for effect, so that nothing else is on the same mux.
func profilingHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
