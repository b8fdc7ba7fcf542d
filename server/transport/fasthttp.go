package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/eventobench/eventobench/server"
)

type fastServer struct{ fasthttp.Server }

func (f face) newFastHTTP(handler fasthttp.RequestHandler) httpServer {
	return &fastServer{fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			handler(ctx)
			// For the answer, which is written now; streams extend it as they go on. It
			// is not a WriteTimeout, since what that leaves on an idle connection fails
			// the 100 Continue of a later request.
			_ = ctx.SetWriteDeadline(time.Now().Add(f.limits.Send))
		},
		ErrorHandler: fastError,
		// Many connections that are mostly idle: one goroutine each, given up after
		// IdleTimeout; a request must arrive within ReadTimeout. The listener limits
		// their number. Concurrency would refuse those beyond it, and counts one for a
		// moment after it was closed.
		Concurrency: max(fasthttp.DefaultConcurrency, 2*f.limits.Connections),
		ReadTimeout: f.limits.Read,
		IdleTimeout: f.limits.Idle,
		// The read buffer bounds the header: fasthttp answers 431 beyond it.
		ReadBufferSize: f.limits.Header,
		// Handlers get the body as a stream, so that an import is not held in memory;
		// this is how much of it is read ahead.
		StreamRequestBody:  true,
		MaxRequestBodySize: f.core.MaxBody(),
		HeaderReceived:     readAhead,
		// A body is JSON, whatever its header calls it.
		DisablePreParseMultipartForm: true,
		// Requests carry a few header fields and clients expect none in return: no
		// time is spent on what neither side looks at.
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		// Connections in use are closed when the server stops.
		CloseOnShutdown: true,
		Logger:          clientErrors(),
	}}
}

// readAhead has a request handled before its body is there, if that is an
// import: it may come slowly.
func readAhead(header *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if bytes.HasPrefix(header.RequestURI(), []byte("/import")) {
		c.MaxRequestBodySize = 1
	}
	return c
}

func (s *fastServer) shutdown(ctx context.Context) error { return s.ShutdownWithContext(ctx) }

// fastHandler is the store as a native fasthttp handler.
func (f face) fastHandler() fasthttp.RequestHandler {
	profiling := fasthttpadaptor.NewFastHTTPHandler(profilingHandler())
	return func(ctx *fasthttp.RequestCtx) {
		switch path := ctx.Path(); {
		case f.profiles && bytes.HasPrefix(path, []byte(pprofPrefix)):
			profiling(ctx)
		case string(path) == "/subscribe":
			f.fastSubscribe(ctx)
		case string(path) == "/import":
			f.fastImport(ctx)
		default:
			f.fastCall(ctx)
		}
	}
}

func (f face) fastCall(ctx *fasthttp.RequestCtx) {
	body, err := fastBody(f.core, ctx)
	if err != nil {
		status, answer := server.AppendMalformed(nil, err)
		fastAnswer(ctx, status, answer)
		return
	}
	request := server.Request{Method: text(ctx.Method()), Path: text(ctx.Path()), Credentials: fastCredentials(ctx), Body: body}
	out := answers.Get().(*[]byte)
	defer answers.Put(out)
	// The request's own context ends when the server is told to stop, which
	// requests in progress may outlive.
	status, answer, rest := f.core.Serve(context.Background(), request, (*out)[:0])
	if *out = answer; rest != nil {
		*out = nil // it is written after the handler has returned
		f.fastLong(ctx, answer, rest)
		return
	}
	fastAnswer(ctx, status, answer)
}

func (f face) fastLong(ctx *fasthttp.RequestCtx, first []byte, rest *server.Rest) {
	if !ctx.Request.Header.IsHTTP11() {
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(conn net.Conn) { f.sendUnframed(conn, first, rest) })
		return
	}
	ctx.SetBodyStream(&fastRest{first: first, rest: rest, ctx: ctx, timeout: f.limits.Send}, -1)
	ctx.Response.Header.SetContentType(jsonType)
}

// fastRest is a long answer on its way to the client, which has some time to
// take each part. An error of it makes fasthttp cut the connection, so that the
// answer cannot be taken for whole.
type fastRest struct {
	first   []byte
	rest    *server.Rest
	ctx     *fasthttp.RequestCtx
	timeout time.Duration
}

// Read makes it a body; fasthttp uses WriteTo where it can.
func (r *fastRest) Read(p []byte) (n int, err error) {
	if err := r.ctx.SetWriteDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	if len(r.first) == 0 {
		return r.rest.Read(p)
	}
	n = copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}

// SupportsBodyWriteTo tells fasthttp that WriteTo does as Read.
func (r *fastRest) SupportsBodyWriteTo() bool { return true }

func (r *fastRest) WriteTo(w io.Writer) (int64, error) {
	patient := patientWriter{w, r.timeout, r.ctx.SetWriteDeadline}
	n, err := patient.Write(r.first)
	if err != nil {
		return int64(n), err
	}
	more, err := r.rest.WriteTo(patient)
	return int64(n) + more, err
}

// fastBody is the body, or so much of it that the core will refuse it. What is
// left of it then cannot be told from a next request: the connection is closed.
func fastBody(core *server.Core, ctx *fasthttp.RequestCtx) ([]byte, error) {
	if bodyFits(core, ctx) {
		return ctx.PostBody(), nil
	}
	ctx.SetConnectionClose()
	return io.ReadAll(io.LimitReader(ctx.RequestBodyStream(), int64(core.ReadBody())))
}

// bodyFits tells whether the header announces a body within the limit. One in
// chunks announces nothing (-1).
func bodyFits(core *server.Core, ctx *fasthttp.RequestCtx) bool {
	length := ctx.Request.Header.ContentLength()
	return length != -1 && length <= core.MaxBody()
}

func fastAnswer(ctx *fasthttp.RequestCtx, status int, answer []byte) {
	ctx.Response.SetBody(answer) // a copy: fasthttp writes it after the handler has returned
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType(jsonType)
}

func fastCredentials(ctx *fasthttp.RequestCtx) server.Credentials {
	return server.Credentials{
		Authorization: text(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)),
		Token:         text(ctx.QueryArgs().Peek("token")),
	}
}

func (f face) fastSubscribe(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsPost() {
		status, answer := server.AppendNotAllowed(nil, "GET", "/subscribe")
		fastAnswer(ctx, status, answer)
		return
	}
	sub, err := f.core.Subscribe(context.Background(), fastCredentials(ctx), func(name string) string { return text(ctx.QueryArgs().Peek(name)) })
	if err != nil {
		status, answer := server.AppendError(nil, err)
		fastAnswer(ctx, status, answer)
		return
	}
	conn := ctx.Conn()
	ctx.Response.Header.SetContentType(eventType)
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.Response.Header.Set("Access-Control-Allow-Origin", "*") // browsers send the token in the query
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		logStream(sub.Run(f.stop, fastEvents{w, conn, f.limits.Send}))
		_ = conn.SetWriteDeadline(time.Now().Add(f.limits.Send)) // for the end of the stream
	})
}

func (f face) fastImport(ctx *fasthttp.RequestCtx) {
	ctx.SetConnectionClose() // a part of the body may be left
	body := ctx.RequestBodyStream()
	if body == nil {
		body = bytes.NewReader(ctx.PostBody())
	}
	if !ctx.IsPost() {
		status, answer := server.AppendNotAllowed(nil, "POST", "/import")
		f.fastRefuse(ctx, body, status, answer)
		return
	}
	conn := ctx.Conn()
	im, err := f.core.Import(context.Background(), fastCredentials(ctx), string(ctx.QueryArgs().Peek("force")), patientReader{body, f.limits.Read, conn.SetReadDeadline})
	if err != nil {
		status, answer := server.AppendError(nil, err)
		f.fastRefuse(ctx, body, status, answer)
		return
	}
	ctx.Response.Header.SetContentType(eventType)
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) { logImport(im.Run(context.Background(), fastEvents{w, conn, f.limits.Send})) })
}

// fastRefuse answers without having used the body. So much of it is read as
// for a call: what is left unread resets the connection, and the client may lose
// the answer.
func (f face) fastRefuse(ctx *fasthttp.RequestCtx, body io.Reader, status int, answer []byte) {
	_, _ = io.CopyN(io.Discard, body, int64(f.core.ReadBody()))
	fastAnswer(ctx, status, answer)
}

// fastEvents sends events through fasthttp.
type fastEvents struct {
	w       *bufio.Writer
	conn    net.Conn
	timeout time.Duration
}

func (e fastEvents) Send(frames []byte) error {
	if err := e.conn.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil {
		return err
	}
	if _, err := e.w.Write(frames); err != nil {
		return err
	}
	return e.w.Flush()
}

// answers are buffers for answers that are being built.
var answers = sync.Pool{New: func() any { return new([]byte) }}

// text views bytes as a string without a copy. fasthttp reuses the bytes after
// the handler has returned, and the core keeps nothing of a request.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// adaptedHandler is the net/http handler behind fasthttp's adapter. The adapter
// gathers bodies whole: imports, which are streams, go past it, and a body that
// is too large does not get to it.
func (f face) adaptedHandler() fasthttp.RequestHandler {
	adapted := fasthttpadaptor.NewFastHTTPHandler(f.netHandler())
	return func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/import" {
			f.fastImport(ctx)
			return
		}
		if bodyFits(f.core, ctx) {
			adapted(ctx)
			return
		}
		switch body, err := fastBody(f.core, ctx); {
		case err != nil:
			status, answer := server.AppendMalformed(nil, err)
			fastAnswer(ctx, status, answer)
		case len(body) > f.core.MaxBody():
			status, answer := f.core.AppendBodyTooLarge(nil)
			fastAnswer(ctx, status, answer)
		default:
			ctx.Request.SetBodyRaw(body)
			adapted(ctx)
		}
	}
}

// fastError answers what fasthttp could not make a request of.
func fastError(ctx *fasthttp.RequestCtx, err error) {
	var status int
	var answer []byte
	var small *fasthttp.ErrSmallBuffer
	if errors.As(err, &small) {
		status, answer = server.AppendHeaderTooLarge(nil)
	} else {
		status, answer = server.AppendMalformed(nil, err)
	}
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType(jsonType)
	ctx.Response.SetBodyRaw(answer)
}
