package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eventobench/eventobench/server"
)

type netServer struct{ http.Server }

func newNetHTTP(ctx context.Context, core *server.Core) httpServer {
	return &netServer{http.Server{
		Handler:           netHandler(ctx, core),
		MaxHeaderBytes:    server.MaxHeader,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          clientErrors(),
		// No write timeout: a CPU profile takes as long as it was asked to.
	}}
}

func (s *netServer) shutdown(ctx context.Context) error { return s.Shutdown(ctx) }

// netHandler is the store as a net/http handler. Streams end with stop.
func netHandler(stop context.Context, core *server.Core) http.Handler {
	profiling := profilingHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/debug/pprof/"):
			profiling.ServeHTTP(w, r)
		case r.URL.Path == "/subscribe":
			netSubscribe(stop, core, w, r)
		case r.URL.Path == "/import":
			netImport(core, w, r)
		default:
			netCall(core, w, r)
		}
	})
}

func netCall(core *server.Core, w http.ResponseWriter, r *http.Request) {
	b := netBuffers.Get().(*netBuffer)
	defer netBuffers.Put(b)
	status, answer := b.answer(core, w, r)
	b.out = answer[:0]
	netAnswer(w, status, answer)
}

func netAnswer(w http.ResponseWriter, status int, answer []byte) {
	header := w.Header()
	header.Set("Content-Type", jsonType)
	header.Set("Content-Length", strconv.Itoa(len(answer)))
	w.WriteHeader(status)
	_, _ = w.Write(answer) // if the client is gone there is nobody to tell
}

func netCredentials(r *http.Request) server.Credentials {
	cred := server.Credentials{Authorization: r.Header.Get("Authorization")}
	if r.URL.RawQuery != "" {
		cred.Token = r.URL.Query().Get("token")
	}
	return cred
}

func netSubscribe(stop context.Context, core *server.Core, w http.ResponseWriter, r *http.Request) {
	sub, err := core.Subscribe(r.Context(), netCredentials(r), r.URL.Query().Get)
	if err != nil {
		status, answer := server.AppendError(nil, err)
		netAnswer(w, status, answer)
		return
	}
	// The request's own context is not for streams: fasthttp's adapter reuses it
	// once they have begun. That a client has left shows when something is sent.
	w.Header().Set("Content-Type", eventType)
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	events := netEvents{w, http.NewResponseController(w)}
	logStream(sub.Run(stop, events))
	_ = events.conn.SetWriteDeadline(time.Time{}) // for the next request on the connection
}

func netImport(core *server.Core, w http.ResponseWriter, r *http.Request) {
	conn := http.NewResponseController(w)
	im, err := core.Import(r.Context(), netCredentials(r), r.URL.Query().Get("force"), patientReader{r.Body, conn.SetReadDeadline})
	if err != nil {
		status, answer := server.AppendError(nil, err)
		netAnswer(w, status, answer)
		return
	}
	_ = conn.EnableFullDuplex() // frames are sent while the body is read; HTTP/2 always does
	w.Header().Set("Content-Type", eventType)
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	logImport(im.Run(r.Context(), netEvents{w, conn}))
	_ = conn.SetWriteDeadline(time.Time{}) // for the next request on the connection
}

// netEvents sends events through net/http.
type netEvents struct {
	w    http.ResponseWriter
	conn *http.ResponseController
}

func (e netEvents) Send(frames []byte) error {
	// fasthttp's adapter knows no deadlines: there a slow client is cut off by the
	// connection's own.
	if err := e.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
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

func (b *netBuffer) answer(core *server.Core, w http.ResponseWriter, r *http.Request) (int, []byte) {
	var err error
	if b.body, err = readAll(b.body[:0], http.MaxBytesReader(w, r.Body, server.ReadBody)); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return server.AppendBodyTooLarge(b.out)
		}
		return server.AppendMalformed(b.out, err)
	}
	return core.Serve(r.Context(), server.Request{Method: r.Method, Path: r.URL.Path, Credentials: netCredentials(r), Body: b.body}, b.out)
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
