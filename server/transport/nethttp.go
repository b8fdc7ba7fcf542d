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

	"github.com/eventobench/eventobench/server"
)

type netServer struct{ http.Server }

func newNetHTTP(core *server.Core) httpServer {
	return &netServer{http.Server{
		Handler:           netHandler(core),
		MaxHeaderBytes:    server.MaxHeader,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          clientErrors(),
		// No write timeout: a CPU profile takes as long as it was asked to.
	}}
}

func (s *netServer) shutdown(ctx context.Context) error { return s.Shutdown(ctx) }

// netHandler is the store as a net/http handler.
func netHandler(core *server.Core) http.Handler {
	profiling := profilingHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/debug/pprof/") {
			profiling.ServeHTTP(w, r)
			return
		}
		b := netBuffers.Get().(*netBuffer)
		defer netBuffers.Put(b)
		status, answer := b.answer(core, w, r)
		b.out = answer[:0]
		header := w.Header()
		header.Set("Content-Type", jsonType)
		header.Set("Content-Length", strconv.Itoa(len(answer)))
		w.WriteHeader(status)
		_, _ = w.Write(answer) // the client is gone: there is nobody to tell
	})
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
	cred := server.Credentials{Authorization: r.Header.Get("Authorization")}
	if r.URL.RawQuery != "" {
		cred.Token = r.URL.Query().Get("token")
	}
	return core.Serve(r.Context(), server.Request{Method: r.Method, Path: r.URL.Path, Credentials: cred, Body: b.body}, b.out)
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
