package server

import (
	"context"
)

// Limits of what a transport accepts.
const (
	MaxBody   = 1 << 20  // bytes of a request's body; larger ones are refused
	MaxHeader = 16 << 10 // bytes of a request's line and header fields

	// ReadBody is how much of a body a transport reads to be able to refuse it
	// with an answer. A client whose larger body is cut off may see its
	// connection reset before it reads why.
	ReadBody = 8 * MaxBody
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
// appends the value to dst.
func (c *Core) Serve(ctx context.Context, r Request, dst []byte) (status int, answer []byte) {
	if len(r.Body) > MaxBody {
		return AppendBodyTooLarge(dst)
	}
	switch r.Path {
	case "/rpc":
		if r.Method != "POST" {
			_, answer = AppendError(dst, invalid("Only POST is allowed on /rpc"))
			return 405, answer
		}
		return c.Call(ctx, r.Credentials, r.Body, dst)
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

// AppendBodyTooLarge appends the answer to a request whose body is over
// MaxBody, and returns its status.
func AppendBodyTooLarge(dst []byte) (status int, answer []byte) {
	_, answer = AppendError(dst, invalid("The body is larger than %d bytes", MaxBody))
	return 413, answer
}

// AppendMalformed appends the answer to what is not an HTTP request.
func AppendMalformed(dst []byte, err error) (status int, answer []byte) {
	return AppendError(dst, invalidText("This is not an HTTP request", err))
}

// AppendHeaderTooLarge appends the answer to a request whose header is over
// MaxHeader, and returns its status.
func AppendHeaderTooLarge(dst []byte) (status int, answer []byte) {
	_, answer = AppendError(dst, invalid("The request line and header are larger than %d bytes", MaxHeader))
	return 431, answer
}
