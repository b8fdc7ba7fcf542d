package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
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

// failure is an error whose kind is known where it arises.
type failure struct {
	kind string
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// newAnswerError explains why a complete answer is a failure.
func newAnswerError(req *Request, a *Answer, err error) error {
	var status *StatusError
	if errors.As(err, &status) {
		return &failure{status.Error(), fmt.Errorf("%s %s was answered with status %d: %s",
			req.method(), req.Target, a.Status, excerpt(a.Body))}
	}
	return &failure{errorAnswer, fmt.Errorf("%s %s: %w in the answer: %s",
		req.method(), req.Target, err, excerpt(a.Body))}
}

// newExchangeError names the request that got no complete answer. An end of the
// connection is not what a reader would call EOF.
func newExchangeError(req *Request, err error) error {
	if isLost(err) {
		return fmt.Errorf("%s %s: the connection ended before the answer did: %w", req.method(), req.Target, err)
	}
	return fmt.Errorf("%s %s: %w", req.method(), req.Target, err)
}

// malformed says what is wrong with the bytes that a server sent.
func malformed(format string, args ...any) error {
	return &failure{errorMalformed, fmt.Errorf("malformed answer: "+format, args...)}
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

// The kinds of failed requests. That of an answer with a status that means
// failure names the status.
const (
	errorAnswer      = "bad answer"
	errorMalformed   = "malformed answer"
	errorTooLarge    = "answer too large"
	errorRefused     = "refused"
	errorFiles       = "too many open files"
	errorLost        = "connection lost"
	errorReset       = "stream reset"
	errorTimeout     = "timeout"
	errorCertificate = "certificate"
	errorTLS         = "TLS"
	errorProtocol    = "no HTTP/2"
	errorOther       = "other"
)

// isLost reports whether an error says that the peer closed the connection.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

func errorKind(err error) string {
	var known *failure
	switch {
	case errors.As(err, &known):
		return known.kind
	case errors.Is(err, syscall.ECONNREFUSED):
		return errorRefused
	case isLost(err):
		return errorLost
	case isTimeout(err):
		return errorTimeout
	default:
		return errorOther
	}
}
