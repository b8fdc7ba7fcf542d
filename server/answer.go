package server

import (
	"context"
	"errors"
	"net"
	"time"
)

// Request is what a transport knows of an HTTP request. The core keeps none
// of it.
type Request struct {
	Method string
	Path   string
	Credentials
	Protocol Protocol // that the Content-Type names
	Body     []byte
}

// Answer is the answer to a request: a JSON value or a protobuf message, or the
// beginning of a long one.
type Answer struct {
	Status   int // of HTTP
	Protocol Protocol
	Body     []byte // appended to what the caller gave
	Tail     *Tail  // what follows the body; nil if that is all

	RetryAfter int // seconds that the client is told to wait; 0 for none
}

// Serve answers every request that is answered with one value, and appends the
// value to dst. Requests of routes that are not Short are for the
// transport; here they find nothing.
func (c *Core) Serve(ctx context.Context, r Request, dst []byte) Answer {
	route := FindRoute(r.Path)
	switch {
	case len(r.Body) > c.maxBody:
		return c.AppendBodyTooLarge(dst, r.Protocol)
	case !route.Allows(r.Method):
		return r.Protocol.AppendNotAllowed(dst, route)
	case route.Kind != Short:
		route = &notFound
	}
	return route.answer(ctx, c, r, dst)
}

// MaxBody is the limit of a request's body in bytes.
func (c *Core) MaxBody() int { return c.maxBody }

// ReadBody is how much of a body a transport reads to be able to refuse it with
// an answer. A client whose larger body is cut off may see its connection reset
// before it reads why.
func (c *Core) ReadBody() int { return 8 * c.maxBody }

// AppendError appends the answer that is an error.
func (p Protocol) AppendError(dst []byte, err error) Answer {
	e := asError(err)
	body, encodeErr := new(Core).encoder(p).failure(dst, e)
	if encodeErr != nil {
		const text = `{"error":{"code":"BACKEND_ERROR","message":"The error could not be encoded"}}`
		return Answer{Status: 500, Body: append(dst, text...)}
	}
	wait := (e.retryAfter + time.Second - 1) / time.Second
	return Answer{Status: e.status(), Protocol: p, Body: body, RetryAfter: int(wait)}
}

// appendInvalid appends an INVALID_REQUEST error that has a status of its own.
func (p Protocol) appendInvalid(dst []byte, status int, format string, args ...any) Answer {
	a := p.AppendError(dst, invalid(format, args...))
	a.Status = status
	return a
}

// AppendNotAllowed appends the answer to a request with a method that its route
// does not allow.
func (p Protocol) AppendNotAllowed(dst []byte, route *Route) Answer {
	return p.appendInvalid(dst, 405, "Only %s is allowed on %s", route.Methods[0], route.Path)
}

// AppendBodyTooLarge appends the answer to a request whose body is over
// MaxBody.
func (c *Core) AppendBodyTooLarge(dst []byte, p Protocol) Answer {
	return p.appendInvalid(dst, 413, "The body is larger than %d bytes", c.maxBody)
}

// AppendHeaderTooLarge appends the answer to a request whose line and header
// are over the transport's limit. It is JSON, since the header is not read.
func AppendHeaderTooLarge(dst []byte) Answer {
	return JSON.appendInvalid(dst, 431, "The request line and header are too large")
}

// AppendMalformed appends the answer to what could not be read as an HTTP
// request.
func (p Protocol) AppendMalformed(dst []byte, err error) Answer {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return p.appendInvalid(dst, 408, "The request did not arrive in time")
	}
	return p.AppendError(dst, invalidText("This is not an HTTP request", err))
}
