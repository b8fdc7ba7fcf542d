package loadgen

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// TestFirstEvent holds where the first event of a stream ends.
func TestFirstEvent(t *testing.T) {
	for _, tt := range []struct {
		stream, event string
		whole         bool
	}{
		{"data: x\n\nmore", "data: x\n\n", true},
		{"event: poke\r\ndata: {}\r\ndata: y\r\n\r\n", "event: poke\r\ndata: {}\r\ndata: y\r\n\r\n", true},
		{": a comment\n\nretry: 5\n\ndata\n\n", ": a comment\n\nretry: 5\n\ndata\n\n", true},
		{"data: x\n", "", false},
		{"data: x", "", false},
		{": ready\n\n", "", false},
		{"", "", false},
	} {
		event, whole := firstEvent([]byte(tt.stream))
		if string(event) != tt.event || whole != tt.whole {
			t.Errorf("%q: %q, %v", tt.stream, event, whole)
		}
	}
}

// TestEventStreams asks for streams that never end: the answer is the first event,
// over every protocol, and each request has a connection or a stream of its own.
func TestEventStreams(t *testing.T) {
	for _, protocol := range []string{"", ProtocolH2} {
		left := make(chan struct{}, 3)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = io.WriteString(w, ": ready\n\n")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "data: 1\n\ndata: 2\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			left <- struct{}{}
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		u, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		w := newAsking("GET")
		load := Load{Workers: 1, Timeout: testTimeout, Protocol: protocol}
		d := NewDriver(u, w, load, Connect{TLS: &tls.Config{InsecureSkipVerify: true}}, 1)
		r := d.Warmup(t.Context(), 3)
		if r.Ops() != 3 || r.Errors.Total() != 0 || r.Reopened != 0 {
			t.Fatalf("%q: %d answered, %d reopened, errors %+v", protocol, r.Ops(), r.Reopened, r.Errors)
		}
		for _, a := range *w.answers {
			if string(a.Body) != ": ready\n\ndata: 1\n\n" {
				t.Errorf("%q: the answer %q", protocol, a.Body)
			}
		}
		for range 3 {
			<-left // the server sees that nobody listens any more
		}
		d.Close()
		server.Close()
	}
}
