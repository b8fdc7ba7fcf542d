package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/eventobench/eventobench/server"
)

type fastServer struct{ fasthttp.Server }

func (s site) newFastHTTP(handler fasthttp.RequestHandler) httpServer {
	return &fastServer{fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			handler(ctx)
			// For the answer, which is written now; streams extend it as they go on. It
			// is not a WriteTimeout, since what that leaves on an idle connection fails
			// the 100 Continue of a later request.
			_ = ctx.SetWriteDeadline(time.Now().Add(s.limits.Send))
		},
		ErrorHandler: fastError,
		// Many connections that are mostly idle: one goroutine each, given up after
		// IdleTimeout; a request must arrive within ReadTimeout. The listener limits
		// their number. Concurrency would refuse those beyond it, and counts one for a
		// moment after it was closed.
		Concurrency: max(fasthttp.DefaultConcurrency, 2*s.limits.Connections),
		ReadTimeout: s.limits.Read,
		IdleTimeout: s.limits.Idle,
		// The read buffer bounds the header: fasthttp answers 431 beyond it.
		ReadBufferSize: s.limits.Header,
		// Handlers get the body as a stream, so that an import is not held in memory;
		// this is how much of it is read ahead.
		StreamRequestBody:  true,
		MaxRequestBodySize: s.core.MaxBody(),
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
		// Errors go into the log and into answers without the header, which may hold a token.
		SecureErrorLogMessage: true,
	}}
}

// readAhead has a request handled before its body is there, if that is an
// import: it may come slowly.
func readAhead(header *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if bytes.HasPrefix(header.RequestURI(), []byte(server.ImportPath)) {
		c.MaxRequestBodySize = 1
	}
	return c
}

func (s *fastServer) shutdown(ctx context.Context) error { return s.ShutdownWithContext(ctx) }

// fastHandler is the store as a native fasthttp handler.
func (s site) fastHandler() fasthttp.RequestHandler {
	debug := fasthttpadaptor.NewFastHTTPHandler(debugHandler())
	return func(ctx *fasthttp.RequestCtx) {
		route := server.FindRoute(text(ctx.Path()))
		switch {
		case route.Kind == server.Debug && s.debug:
			debug(ctx)
		case route.Kind == server.Subscriptions && route.Allows(text(ctx.Method())):
			s.fastSubscribe(ctx)
		case route.Kind == server.Imports:
			s.fastImport(ctx, route)
		default:
			s.fastCall(ctx)
		}
	}
}

func (s site) fastCall(ctx *fasthttp.RequestCtx) {
	protocol := fastProtocol(ctx)
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	body, err := b.fastBody(s.core, ctx)
	if err != nil {
		fastAnswer(ctx, protocol.AppendMalformed(nil, err))
		return
	}
	request := server.Request{
		Method: text(ctx.Method()), Path: text(ctx.Path()), Credentials: fastCredentials(ctx),
		Protocol: protocol, Body: body,
	}
	// The request's own context ends when the server is told to stop, which
	// requests in progress may outlive.
	a := s.core.Serve(context.Background(), request, b.out)
	if a.Tail != nil {
		b.out = nil // it is written after the handler has returned
		s.fastLong(ctx, a)
		return
	}
	b.out = a.Body[:0]
	fastAnswer(ctx, a)
}

func (s site) fastLong(ctx *fasthttp.RequestCtx, a server.Answer) {
	if !ctx.Request.Header.IsHTTP11() {
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(conn net.Conn) { s.sendUnframed(conn, a) })
		return
	}
	ctx.SetBodyStream(&fastLongAnswer{first: a.Body, tail: a.Tail, ctx: ctx, timeout: s.limits.Send}, -1)
	ctx.Response.Header.SetContentType(a.Protocol.ContentType())
}

// fastLongAnswer is a long answer on its way to the client, which has some time to
// take each part. An error of it makes fasthttp cut the connection, so that the
// answer cannot be taken for whole.
type fastLongAnswer struct {
	first   []byte
	tail    *server.Tail
	ctx     *fasthttp.RequestCtx
	timeout time.Duration
}

// Read makes it a body; fasthttp uses WriteTo where it can.
func (r *fastLongAnswer) Read(p []byte) (n int, err error) {
	if err := r.ctx.SetWriteDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	if len(r.first) == 0 {
		return r.tail.Read(p)
	}
	n = copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}

// SupportsBodyWriteTo tells fasthttp that WriteTo does as Read.
func (r *fastLongAnswer) SupportsBodyWriteTo() bool { return true }

func (r *fastLongAnswer) WriteTo(w io.Writer) (int64, error) {
	patient := patientWriter{w, r.timeout, r.ctx.SetWriteDeadline}
	n, err := patient.Write(r.first)
	if err != nil {
		return int64(n), err
	}
	more, err := r.tail.WriteTo(patient)
	return int64(n) + more, err
}

// fastBody is the body, or so much of it that the core will refuse it. What is
// left of it then cannot be told from a next request: the connection is closed.
// fasthttp would gather the body too, but composes a warning each time.
func (b *buffer) fastBody(core Core, ctx *fasthttp.RequestCtx) (body []byte, err error) {
	stream := ctx.RequestBodyStream()
	switch {
	case !bodyFits(core, ctx):
		ctx.SetConnectionClose()
		stream = io.LimitReader(stream, int64(core.ReadBody()))
	case stream == nil:
		return ctx.PostBody(), nil
	default:
		b.body = slices.Grow(b.body[:0], ctx.Request.Header.ContentLength()+1)
	}
	b.body, err = readAll(b.body[:0], stream)
	return b.body, err
}

// bodyFits reports whether the header announces a body within the limit. One in
// chunks announces nothing (-1).
func bodyFits(core Core, ctx *fasthttp.RequestCtx) bool {
	length := ctx.Request.Header.ContentLength()
	return length != -1 && length <= core.MaxBody()
}

func fastAnswer(ctx *fasthttp.RequestCtx, a server.Answer) {
	ctx.Response.SetBody(a.Body) // a copy: fasthttp writes it after the handler has returned
	ctx.Response.SetStatusCode(a.Status)
	ctx.Response.Header.SetContentType(a.Protocol.ContentType())
	if a.RetryAfter > 0 {
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(a.RetryAfter))
	}
}

func fastProtocol(ctx *fasthttp.RequestCtx) server.Protocol {
	return server.ProtocolOf(text(ctx.Request.Header.ContentType()))
}

func fastCredentials(ctx *fasthttp.RequestCtx) server.Credentials {
	return server.Credentials{
		Authorization: text(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)),
		Token:         text(ctx.QueryArgs().Peek("token")),
		Remote:        ctx.RemoteAddr(),
	}
}

func (s site) fastSubscribe(ctx *fasthttp.RequestCtx) {
	param := func(name string) string { return text(ctx.QueryArgs().Peek(name)) }
	sub, err := s.core.Subscribe(context.Background(), fastCredentials(ctx), param)
	if err != nil {
		fastAnswer(ctx, server.JSON.AppendError(nil, err))
		return
	}
	conn := ctx.Conn()
	ctx.SetConnectionClose() // untilGone asks for it
	ctx.Response.Header.SetContentType(eventType)
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.Response.Header.Set("Access-Control-Allow-Origin", "*") // browsers send the token in the query
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) { s.stream(sub, conn, fastEvents{w, conn, s.limits.Send}) })
}

func (s site) fastImport(ctx *fasthttp.RequestCtx, route *server.Route) {
	ctx.SetConnectionClose() // a part of the body may be left
	body := ctx.RequestBodyStream()
	if body == nil {
		body = bytes.NewReader(ctx.PostBody())
	}
	if !route.Allows(text(ctx.Method())) {
		s.fastRefuse(ctx, body, fastProtocol(ctx).AppendNotAllowed(nil, route))
		return
	}
	conn := ctx.Conn()
	lines := patientReader{body, s.limits.Read, conn.SetReadDeadline}
	im, err := s.core.Import(context.Background(), fastCredentials(ctx), text(ctx.QueryArgs().Peek("force")), lines)
	if err != nil {
		s.fastRefuse(ctx, body, server.JSON.AppendError(nil, err))
		return
	}
	ctx.Response.Header.SetContentType(eventType)
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		logImport(im.Run(context.Background(), fastEvents{w, conn, s.limits.Send}))
	})
}

// fastRefuse answers without having used the body. So much of it is read as
// for a call: what is left unread resets the connection, and the client may lose
// the answer.
func (s site) fastRefuse(ctx *fasthttp.RequestCtx, body io.Reader, a server.Answer) {
	_, _ = io.CopyN(io.Discard, body, int64(s.core.ReadBody()))
	fastAnswer(ctx, a)
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

// text views bytes as a string without a copy. fasthttp reuses the bytes after
// the handler has returned, and the core keeps nothing of a request.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// adaptedHandler is the net/http handler behind fasthttp's adapter. The adapter
// gathers bodies whole: imports, which are streams, go past it, and a body that
// is too large does not get to it.
func (s site) adaptedHandler() fasthttp.RequestHandler {
	adapted := fasthttpadaptor.NewFastHTTPHandler(s.netHandler())
	return func(ctx *fasthttp.RequestCtx) {
		if route := server.FindRoute(text(ctx.Path())); route.Kind == server.Imports {
			s.fastImport(ctx, route)
			return
		}
		if bodyFits(s.core, ctx) {
			adapted(ctx)
			return
		}
		switch body, err := new(buffer).fastBody(s.core, ctx); {
		case err != nil:
			fastAnswer(ctx, fastProtocol(ctx).AppendMalformed(nil, err))
		case len(body) > s.core.MaxBody():
			fastAnswer(ctx, s.core.AppendBodyTooLarge(nil, fastProtocol(ctx)))
		default:
			ctx.Request.SetBodyRaw(body)
			adapted(ctx)
		}
	}
}

// fastError answers what fasthttp could not make a request of.
func fastError(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	if errors.As(err, &small) {
		fastAnswer(ctx, server.AppendHeaderTooLarge(nil))
		return
	}
	fastAnswer(ctx, server.JSON.AppendMalformed(nil, err))
}
