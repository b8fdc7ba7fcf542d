package server

import (
	"context"
	"errors"
	"net"
)

// Request is what a transport knows of an HTTP request. The core keeps none
// of it.
type Request struct {
	Method string
	Path   string
	Credentials
	Body []byte
}

// Serve answers every request that is answered with one JSON value, and
// appends the value to dst. What follows a long one is rest, as with Call.
func (c *Core) Serve(ctx context.Context, r Request, dst []byte) (status int, answer []byte, rest *Rest) {
	if r.Path == "/rpc" && r.Method == "POST" && len(r.Body) <= c.maxBody {
		return c.Call(ctx, r.Credentials, r.Body, dst)
	}
	status, answer = c.serveShort(r, dst)
	return status, answer, nil
}

// serveShort answers what is not a call.
func (c *Core) serveShort(r Request, dst []byte) (status int, answer []byte) {
	if len(r.Body) > c.maxBody {
		return c.AppendBodyTooLarge(dst)
	}
	switch r.Path {
	case "/rpc":
		return AppendNotAllowed(dst, "POST", r.Path)
	case "/health":
		return 200, append(dst, `{"status":"ok"}`...)
	case "/version":
		answer, err := appendJSON(dst, map[string]string{"version": c.version})
		if err != nil {
			return AppendError(dst, err)
		}
		return 200, answer
	default:
		return AppendError(dst, &Error{Code: CodeNotFound, Message: "Endpoint not found"})
	}
}

// AppendNotAllowed appends the answer to a request with a method that a path
// does not know, and returns its status.
func AppendNotAllowed(dst []byte, method, path string) (status int, answer []byte) {
	_, answer = AppendError(dst, invalid("Only %s is allowed on %s", method, path))
	return 405, answer
}

// MaxBody is the limit of a request's body in bytes.
func (c *Core) MaxBody() int { return c.maxBody }

// ReadBody is how much of a body a transport reads to be able to refuse it with
// an answer. A client whose larger body is cut off may see its connection reset
// before it reads why.
func (c *Core) ReadBody() int { return 8 * c.maxBody }

// AppendBodyTooLarge appends the answer to a request whose body is over
// MaxBody, and returns its status.
func (c *Core) AppendBodyTooLarge(dst []byte) (status int, answer []byte) {
	_, answer = AppendError(dst, invalid("The body is larger than %d bytes", c.maxBody))
	return 413, answer
}

// AppendMalformed appends the answer to what could not be read as an HTTP
// request, and returns its status.
func AppendMalformed(dst []byte, err error) (status int, answer []byte) {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		_, answer = AppendError(dst, invalid("The request did not arrive in time"))
		return 408, answer
	}
	return AppendError(dst, invalidText("This is not an HTTP request", err))
}

// AppendHeaderTooLarge appends the answer to a request whose line and header
// are over the transport's limit, and returns its status.
func AppendHeaderTooLarge(dst []byte) (status int, answer []byte) {
	_, answer = AppendError(dst, invalid("The request line and header are too large"))
	return 431, answer
}
