package loadgen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/valyala/fasthttp"
)

// Errors counts failed requests. The zero value counts none.
type Errors struct {
	Kinds map[string]int64 // by kind: "status 503", "timeout", "refused", …
	First string           // the first failure in detail, with what the server answered
}

// Total returns the number of failed requests.
func (e Errors) Total() int64 {
	var n int64
	for _, count := range e.Kinds {
		n += count
	}
	return n
}

func (e *Errors) add(err error) {
	e.merge(Errors{Kinds: map[string]int64{errorKind(err): 1}, First: err.Error()})
}

func (e *Errors) merge(f Errors) {
	if len(f.Kinds) == 0 {
		return
	}
	if e.Kinds == nil {
		e.Kinds = map[string]int64{}
		e.First = f.First
	}
	for kind, n := range f.Kinds {
		e.Kinds[kind] += n
	}
}

// answerError is a complete answer that counts as a failure.
type answerError struct{ kind, text string }

func (e answerError) Error() string { return e.text }

// newAnswerError explains why an answer is a failure.
func newAnswerError(req *Request, a *Answer, err error) error {
	var status *StatusError
	if errors.As(err, &status) {
		return answerError{
			kind: status.Error(),
			text: fmt.Sprintf("%s %s was answered with status %d: %s",
				req.method(), req.Target, a.Status, excerpt(a.Body)),
		}
	}
	return answerError{
		kind: "bad answer",
		text: fmt.Sprintf("%s %s: %v in the answer: %s", req.method(), req.Target, err, excerpt(a.Body)),
	}
}

// excerpt returns the part of a body that is worth showing in a one-line message.
func excerpt(body []byte) string {
	const most = 200
	if len(body) == 0 {
		return "(empty body)"
	}
	if len(body) > most {
		return fmt.Sprintf("%.*q…", most, body)
	}
	return fmt.Sprintf("%q", body)
}

// The kinds of failed requests that got no complete answer.
const (
	errorRefused = "refused"
	errorLost    = "connection lost"
	errorTimeout = "timeout"
	errorOther   = "other"
)

// isLost reports whether an error says that the peer closed the connection.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func errorKind(err error) string {
	var answer answerError
	var network net.Error
	switch {
	case errors.As(err, &answer):
		return answer.kind
	case errors.Is(err, syscall.ECONNREFUSED):
		return errorRefused
	case isLost(err):
		return errorLost
	case errors.Is(err, fasthttp.ErrTimeout), errors.As(err, &network) && network.Timeout():
		return errorTimeout
	default:
		return errorOther
	}
}
