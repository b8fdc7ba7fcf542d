package workload

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/eventobench/eventobench/loadgen"
)

// anyHost stands for the server under test while a request is made.
const anyHost = "subject.invalid"

// request returns the target as net/http's client sends it, and with that vegeta.
// The host of the URL is left out: every subject has an address of its own. A Host
// in the header is kept.
func (t Target) request() (loadgen.Request, error) {
	req, err := t.clientRequest()
	if err != nil {
		return loadgen.Request{}, err
	}
	var wire bytes.Buffer
	if err := req.Write(&wire); err != nil {
		return loadgen.Request{}, err
	}
	head, body, _ := strings.Cut(wire.String(), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	r := loadgen.Request{Method: t.Method, Target: req.URL.RequestURI(), Body: []byte(body)}
	if host := strings.TrimPrefix(lines[1], "Host: "); host != anyHost {
		r.Host = host
	}
	for _, line := range lines[2:] { // after the request line and Host
		name, value, _ := strings.Cut(line, ": ")
		r.Header = append(r.Header, loadgen.Field{Name: name, Value: value})
	}
	if asksForGzip(req) {
		r.Header = append(r.Header, loadgen.Field{Name: "Accept-Encoding", Value: "gzip"})
	}
	return r, nil
}

// clientRequest returns the target as a request of net/http, checked as its
// transport does.
func (t Target) clientRequest() (*http.Request, error) {
	u, err := parseURL(t.URL)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if len(t.Body) > 0 {
		body = bytes.NewReader(t.Body)
	}
	req, err := http.NewRequest(t.Method, "http://"+anyHost, body)
	if err != nil {
		return nil, err
	}
	if user := u.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	u.Scheme, u.Host, u.User = "http", anyHost, nil
	req.URL = u
	for name, values := range t.Header {
		if err := checkField(name, values); err != nil {
			return nil, err
		}
		switch {
		case strings.EqualFold(name, "Host"):
			req.Host = values[0]
		case framing(name): // follows from the body
		default:
			req.Header[name] = values
		}
	}
	return req, nil
}

// parseURL reads a URL, or a path and query. It refuses what cannot stand in a
// request line.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("bad URL %q: %w", text, err.(*url.Error).Err)
	}
	isPath := u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/")
	isURL := (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
	if !isPath && !isURL {
		return nil, fmt.Errorf("bad URL %q: write http://HOST/PATH, or /PATH", text)
	}
	if strings.ContainsAny(u.RequestURI(), " \t") {
		return nil, fmt.Errorf("bad URL %q: write %%20 for a space", text)
	}
	return u, nil
}

// checkField refuses fields that net/http's transport does not send.
func checkField(name string, values []string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("bad name of a header field: %q", name)
	}
	if len(values) == 0 {
		return fmt.Errorf("header field %s has no value", name)
	}
	for _, value := range values {
		if !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("bad value of header field %s: %q", name, value)
		}
	}
	return nil
}

// framing reports whether a field says where the body ends, which is for whoever
// sends it to say.
func framing(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// asksForGzip reports whether net/http's transport asks for a compressed answer.
func asksForGzip(req *http.Request) bool {
	return req.Header.Get("Accept-Encoding") == "" && req.Header.Get("Range") == "" &&
		req.Method != http.MethodHead
}
