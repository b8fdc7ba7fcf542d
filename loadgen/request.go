package loadgen

import (
	"fmt"
	"strconv"
	"strings"
)

// Request is what a worker sends next. Its fields may be used again for the
// request after it.
type Request struct {
	Method string // GET if empty
	Target string // what stands in the request line: path and query
	Host   string // value of the Host header; empty for the server's host and port
	Header Header // sent as it is, after Host
	Body   []byte

	// Number is set by the worker: it counts the requests of all workers from 0, in
	// the order in which they are due, separately for Warmup. That of a request that
	// was missed is left out. It is always 0 in a closed loop.
	Number int64
}

// Header is the header of a request, in the order and the letter case in which it
// is sent. If a request has a body and no Content-Length here, that follows at the
// end.
type Header []Field

// Field is one line of a header.
type Field struct{ Name, Value string }

// Get returns the value of the first field of a name, in any letter case, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// has reports whether there is a field of a name, in any letter case.
func (h Header) has(name string) bool {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// method is what stands in the request line.
func (r *Request) method() string {
	if r.Method == "" {
		return "GET"
	}
	return r.Method
}

// append appends the request as HTTP/1.1 sends it (RFC 9112, section 2.1). The
// host is that of a request that names none.
func (r *Request) append(b []byte, host string) []byte {
	if r.Host != "" {
		host = r.Host
	}
	b = append(b, r.method()...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\n"...)
	for _, f := range r.Header {
		b = append(b, f.Name...)
		b = append(b, ": "...)
		b = append(b, f.Value...)
		b = append(b, "\r\n"...)
	}
	if len(r.Body) > 0 && !r.Header.has("Content-Length") {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.Body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, r.Body...)
}

// Answer is a complete answer. It is valid until the next request is sent.
type Answer struct {
	Status int
	Body   []byte // without the coding of transfer, but with that of content
	header func(name string) string
}

// NewAnswer makes an answer as a worker gives it to Source.Check, for the tests of
// workloads. The header may be nil.
func NewAnswer(status int, header func(name string) string, body []byte) *Answer {
	return &Answer{Status: status, Body: body, header: header}
}

// Header returns the value of the first header field of a name, or "".
func (a *Answer) Header(name string) string {
	if a.header == nil {
		return ""
	}
	return a.header(name)
}

// CheckStatus returns an error if the status is 400 or above.
func (a *Answer) CheckStatus() error {
	if a.Status < 400 {
		return nil
	}
	return &StatusError{a.Status}
}

// StatusError says that a request was answered with a status that means failure.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return fmt.Sprintf("status %d", e.Status) }
