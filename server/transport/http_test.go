package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// TestHTTP sends requests as text and looks at the beginning and the end of all
// that comes back. Each last request asks to close the connection.
func TestHTTP(t *testing.T) {
	const version = `["sys.version"]`
	post := func(more string) string {
		return fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s", len(version), more, version)
	}
	last := post("Connection: close\r\n")
	tests := []struct{ name, request, begin, end string }{
		{"pipelined", post("") + post("") + last, "HTTP/1.1 200 OK\r\n", "\r\n\r\n\"1.2.3\""},
		{"HTTP/1.0", fmt.Sprintf("POST /rpc HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(version), version), "HTTP/1.", "\r\n\r\n\"1.2.3\""},
		{"chunked", "POST /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[\"sys\r\na\r\n.version\"]\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n\"1.2.3\""},
		{"100-continue", post("Connection: close\r\nExpect: 100-continue\r\n"), "HTTP/1.1 100 Continue\r\n", "\r\n\r\n\"1.2.3\""},
		{"HEAD", "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n"},
		{"HEAD of a stream", "HEAD /subscribe?all=true HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", "\r\n\r\n"},
		{"multipart", post("Content-Type: multipart/form-data; boundary=x\r\nConnection: close\r\n"), "HTTP/1.1 200 OK\r\n", "\r\n\r\n\"1.2.3\""},
		{"gzip", post("Content-Encoding: gzip\r\nContent-Type: text/x-unknown\r\nConnection: close\r\n"), "HTTP/1.1 200 OK\r\n", "\r\n\r\n\"1.2.3\""},
	}
	limited(t, server.Options{Version: "1.2.3"}, Limits{}, func(t *testing.T, s store) {
		for _, tt := range tests {
			answer, err := io.ReadAll(s.dial(t, tt.request))
			if err != nil || !strings.HasPrefix(string(answer), tt.begin) || !strings.HasSuffix(string(answer), tt.end) {
				t.Errorf("%s: %q (%v)", tt.name, answer, err)
			}
			if want := strings.Count(tt.request, " HTTP/1."); strings.Count(string(answer), " 200 OK")+strings.Count(string(answer), " 405 ") != want {
				t.Errorf("%s: not %d answers: %q", tt.name, want, answer)
			}
		}
	})
}

// TestTricklingRequestsAreCut sends a header that never ends, a byte at a time:
// a client that is never silent is cut off all the same.
func TestTricklingRequestsAreCut(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{}, Limits{Read: 50 * time.Millisecond}, func(t *testing.T, s store) {
		conn := s.dial(t, "POST /rpc HTTP/1.1\r\nHost: x\r\nX-A: ")
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for range 10_000 { // within the limit of a header
			<-tick.C
			if _, err := io.WriteString(conn, "a"); err != nil {
				return
			}
		}
		t.Error("it is still open")
	})
}

// TestStalledClientsAreCut asks for short answers, many at once, and reads none.
func TestStalledClientsAreCut(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{}, Limits{Send: 50 * time.Millisecond, Read: 50 * time.Millisecond}, func(t *testing.T, s store) {
		s.fill(t, 40, 1000)
		call := `["category.get","a"]`
		request := fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(call), call)
		conn := s.dial(t, "")
		go func() { _, _ = io.WriteString(conn, strings.Repeat(request, 1000)) }() // ends with the connection
		for addr := range s.closed {
			if addr == conn.LocalAddr().String() {
				return
			}
		}
	})
}

// TestRequestsOutliveTheStop stops a server while it answers: the answer is
// complete, and Serve returns when it is.
func TestRequestsOutliveTheStop(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			entered, leave := make(chan struct{}), make(chan struct{})
			s := startWith(t, ctx, kind, func(db server.Store) server.Store {
				return hookedStore{db, func(ctx context.Context) error {
					close(entered)
					<-leave
					return ctx.Err()
				}}
			})
			answer := make(chan string)
			go func() {
				_, text := s.do(t, http.MethodPost, "/rpc", "", []byte(`["stream.version","a-1"]`))
				answer <- text
			}()
			<-entered
			stop()
			for { // until it accepts no more
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
				if err != nil {
					break
				}
				_ = conn.Close()
			}
			close(leave)
			if got := <-answer; got != "null" {
				t.Errorf("answer %s", got)
			}
		})
	}
}

// TestPanicsAreAnswers holds that a fault in one request ends neither the
// process nor the requests after it.
func TestPanicsAreAnswers(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := startWith(t, t.Context(), kind, func(db server.Store) server.Store {
				return hookedStore{db, func(context.Context) error { panic("a fault") }}
			})
			for range 2 {
				status, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["stream.version","a-1"]`))
				if status != 500 || !strings.HasPrefix(answer, `{"error":{"code":"INTERNAL_ERROR",`) || strings.Contains(answer, "a fault") {
					t.Errorf("%d %s", status, answer)
				}
			}
		})
	}
}

// hookedStore runs a hook in each Version.
type hookedStore struct {
	server.Store
	hook func(context.Context) error
}

func (s hookedStore) Version(ctx context.Context, namespace, stream string) (int64, error) {
	if err := s.hook(ctx); err != nil {
		return 0, err
	}
	return s.Store.Version(ctx, namespace, stream)
}

// TestDebugPagesStayAtHome listens where others could reach it.
func TestDebugPagesStayAtHome(t *testing.T) {
	const refused = `{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}`
	for _, anywhere := range []bool{false, true} {
		for _, kind := range kinds {
			listener, err := net.Listen("tcp", "0.0.0.0:0")
			if err != nil {
				t.Fatal(err)
			}
			o := server.Options{Codec: server.CodecRaw, Token: defaultToken}
			s := serveOn(t, t.Context(), kind, openStore(t, sqlite.Memory), o, Limits{PprofAnywhere: anywhere}, listener)
			s.url = fmt.Sprintf("http://127.0.0.1:%d", listener.Addr().(*net.TCPAddr).Port)
			for _, page := range debugPages {
				status, text := s.get(t, page.path)
				if anywhere && status != 200 || !anywhere && (status != 404 || text != refused) {
					t.Errorf("%s, anywhere=%v, %s: %d %.200q", kind, anywhere, page.path, status, text)
				}
			}
		}
	}
}

// TestUnknownKind holds that there is no transport of another name, and that
// the listener is closed.
func TestUnknownKind(t *testing.T) {
	listener := listen(t)
	core, _, err := server.NewCore(t.Context(), openStore(t, sqlite.Memory), server.Options{Codec: server.CodecRaw})
	if err != nil {
		t.Fatal(err)
	}
	const want = `unknown transport "gopher"; use nethttp, fasthttp or fasthttp-adapter`
	if err := Serve(t.Context(), "gopher", core, listener, Limits{}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener still accepts (%v)", err)
	}
}
