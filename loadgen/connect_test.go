package loadgen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

// startServer starts a server that speaks HTTP/1.1 and HTTP/2, with TLS or without.
func startServer(t *testing.T, secure bool, h http.HandlerFunc, change ...func(*httptest.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.DisableGeneralOptionsHandler = true
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.EnableHTTP2 = true
	for _, c := range change {
		c(s)
	}
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// trust is how to connect to a server with a certificate of its own.
func trust(s *httptest.Server) Connect {
	if s.Certificate() == nil {
		return Connect{}
	}
	authorities := x509.NewCertPool()
	authorities.AddCert(s.Certificate())
	return Connect{TLS: &tls.Config{RootCAs: authorities}}
}

// ways are all combinations of protocol and encryption.
var ways = []struct {
	name, protocol, seen string
	secure               bool
}{
	{"http", "", "HTTP/1.1", false},
	{"https", "", "HTTP/1.1", true},
	{"h2c", ProtocolH2, "HTTP/2.0", false},
	{"h2", ProtocolH2, "HTTP/2.0", true},
}

// fixed sends one request again and again.
type fixed struct{ Request }

func (fixed) Name() string                 { return "fixed" }
func (fixed) Kinds() []string              { return []string{"it"} }
func (f fixed) Source(uint64, int) Source  { return f }
func (f fixed) Next(req *Request) int      { *req = f.Request; return 0 }
func (fixed) Check(_ int, a *Answer) error { return a.CheckStatus() }

// TestRequestReachesTheServer: whatever the protocol, the server gets the method,
// the target, the host, the header and the body of the workload.
func TestRequestReachesTheServer(t *testing.T) {
	requests := []Request{
		{Target: "/page?a=1&b=%20#"},
		{Target: "//two//slashes?x"},
		{Target: "/a%2Fb;c/../d"},
		{Method: "OPTIONS", Target: "*"},
		{Method: "DELETE", Target: "/thing", Host: "other.example:99"},
		{Method: "POST", Target: "/write", Body: []byte("a body"), Header: Header{
			{"user-agent", "tester"}, {"X-Two", "1"}, {"x-two", "2"}, {"Content-Type", "text/x"},
			{"Connection", "keep-alive"},
		}},
		{Method: "PUT", Target: "/long", Body: []byte(strings.Repeat("x", 300000)),
			Header: Header{{"Content-Length", "300000"}}},
	}
	for _, way := range ways {
		for _, want := range requests {
			t.Run(way.name+" "+want.Target, func(t *testing.T) {
				var got http.Request
				var body []byte
				server := startServer(t, way.secure, func(_ http.ResponseWriter, r *http.Request) {
					got = *r
					body, _ = io.ReadAll(r.Body)
				})
				load := Load{Workers: 1, Timeout: testTimeout, Protocol: way.protocol}
				d := NewDriver(at(server.URL), fixed{want}, load, trust(server), 1)
				defer d.Close()
				if r := d.Warmup(t.Context(), 1); r.Ops() != 1 {
					t.Fatalf("errors %+v", r.Errors)
				}
				host := want.Host
				if host == "" {
					host = at(server.URL).Host
				}
				if got.Proto != way.seen || got.Method != want.method() || got.RequestURI != want.Target ||
					got.Host != host {
					t.Errorf("%s: %s %s for %s", got.Proto, got.Method, got.RequestURI, got.Host)
				}
				if string(body) != string(want.Body) || got.ContentLength != int64(len(want.Body)) {
					t.Errorf("%d bytes of body, length %d, want %d", len(body), got.ContentLength, len(want.Body))
				}
				checkHeader(t, got.Header, want.Header)
			})
		}
	}
}

// checkHeader expects what was to be sent and nothing else, but for what belongs to
// the connection or counts the body.
func checkHeader(t *testing.T, got http.Header, sent Header) {
	t.Helper()
	want := http.Header{}
	for _, f := range sent {
		want.Add(f.Name, f.Value)
	}
	for _, h := range []http.Header{got, want} {
		h.Del("Connection")
		h.Del("Content-Length")
	}
	for name := range want {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s: %q, want %q", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("header %q, want %q", got, want)
	}
}

// TestAnswersOfEveryProtocol: status, header and body come back, of every size, and
// are counted alike.
func TestAnswersOfEveryProtocol(t *testing.T) {
	for _, way := range ways {
		for _, size := range []int{0, 4, 300000} {
			t.Run(fmt.Sprintf("%s %d", way.name, size), func(t *testing.T) {
				server := startServer(t, way.secure, func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusEarlyHints)
					w.Header().Set("Content-Type", "text/x")
					w.WriteHeader(http.StatusCreated)
					_, _ = io.WriteString(w, strings.Repeat("x", size))
				})
				w := newAsking("GET")
				load := Load{Workers: 1, Timeout: testTimeout, Protocol: way.protocol}
				d := NewDriver(at(server.URL), w, load, trust(server), 1)
				defer d.Close()
				r := d.Warmup(t.Context(), 3)
				if k := r.Kinds[0]; k.Ops != 3 || k.Bytes != int64(3*size) || k.Statuses[201] != 3 {
					t.Fatalf("%+v; errors %+v", k, r.Errors)
				}
				for i, a := range *w.answers {
					if a.Status != 201 || len(a.Body) != size || (*w.types)[i] != "text/x" {
						t.Errorf("status %d, %d bytes, type %q", a.Status, len(a.Body), (*w.types)[i])
					}
				}
				if n := total(d.TakeLatency().Due); n != 3 {
					t.Errorf("%d latencies", n)
				}
			})
		}
	}
}

// TestConnections: each worker has a connection of its own, or shares one with as
// many as the load says.
func TestConnections(t *testing.T) {
	for _, tt := range []struct {
		secure   bool
		protocol string
		streams  int
		want     int64
	}{
		{false, "", 0, 6}, {true, "", 0, 6}, {false, ProtocolH2, 0, 6}, {true, ProtocolH2, 1, 6},
		{false, ProtocolH2, 4, 2}, {true, ProtocolH2, 3, 2}, {false, ProtocolH2, 99, 1},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			var opened atomic.Int64
			var all sync.WaitGroup
			all.Add(6)
			together := func(http.ResponseWriter, *http.Request) {
				all.Done()
				all.Wait() // so that every worker has a request in flight
			}
			server := startServer(t, tt.secure, together, func(s *httptest.Server) {
				s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						opened.Add(1)
					}
				}
			})
			load := Load{Workers: 6, Timeout: testTimeout, Protocol: tt.protocol, H2Streams: tt.streams}
			d := NewDriver(at(server.URL), fixed{Request{Target: "/"}}, load, trust(server), 1)
			defer d.Close()
			if r := d.Warmup(t.Context(), 6); r.Ops() != 6 || opened.Load() != tt.want {
				t.Errorf("%d answered over %d connections; errors %+v", r.Ops(), opened.Load(), r.Errors)
			}
		})
	}
}

// TestFewStreams: a server may allow fewer streams than workers share a connection. It says
// so before its first answer.
func TestFewStreams(t *testing.T) {
	for _, secure := range []bool{false, true} {
		server := startServer(t, secure, fine, func(s *httptest.Server) {
			s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2}
		})
		load := Load{Workers: 20, Timeout: testTimeout, Protocol: ProtocolH2, H2Streams: 20}
		d := NewDriver(at(server.URL), pages{}, load, trust(server), 1)
		if r := d.Warmup(t.Context(), 1); r.Ops() != 1 {
			t.Errorf("TLS %v: %d answered, errors %+v", secure, r.Ops(), r.Errors)
		}
		if r := d.Warmup(t.Context(), 200); r.Ops() != 200 || r.Errors.Total() != 0 || r.Reopened != 0 {
			t.Errorf("TLS %v: %d answered, %d reopened, errors %+v", secure, r.Ops(), r.Reopened, r.Errors)
		}
		d.Close()
	}
}

// TestAnswerBeforeTheBody: a server that rejects a body that is too large for it is
// heard, although the rest of the body cannot be sent.
func TestAnswerBeforeTheBody(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			server := startServer(t, way.secure, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10)); err != nil {
					http.Error(w, "too large", http.StatusRequestEntityTooLarge)
				}
			})
			large := fixed{Request{Method: "POST", Target: "/it", Body: make([]byte, 16<<20)}}
			load := Load{Workers: 1, Timeout: testTimeout, Protocol: way.protocol, AllowErrors: 0.9}
			d := NewDriver(at(server.URL), large, load, trust(server), 1)
			defer d.Close()
			r := d.Warmup(t.Context(), 1)
			if r.Errors.Kinds["status 413"] != 1 || r.Errors.Total() != 1 || r.Kinds[0].Statuses[413] != 1 {
				t.Errorf("errors %+v", r.Errors)
			}
		})
	}
}

// TestFailuresOfEveryProtocol: a failure is of the same kind whatever the protocol,
// and the worker goes on after it.
func TestFailuresOfEveryProtocol(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "9")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	fail := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) }
	for _, way := range ways {
		lost := errorLost
		if way.protocol == ProtocolH2 {
			lost = errorReset // of the stream alone
		}
		for _, tt := range []struct {
			name    string
			handler http.HandlerFunc
			kind    string
		}{{"status", fail, "status 418"}, {"hang", hang, errorTimeout}, {"cut", cut, lost}, {"abort", abort, lost}} {
			t.Run(way.name+" "+tt.name, func(t *testing.T) {
				var served atomic.Int64
				server := startServer(t, way.secure, func(w http.ResponseWriter, r *http.Request) {
					if served.Add(1) == 2 {
						tt.handler(w, r)
					}
				})
				load := Load{Workers: 1, Timeout: testTimeout, Protocol: way.protocol, AllowErrors: 0.9}
				d := NewDriver(at(server.URL), fixed{Request{Target: "/it"}}, load, trust(server), 1)
				defer d.Close()
				if tt.kind == errorTimeout {
					d.Warmup(t.Context(), 1)
					d.workers[0].timeout = 20 * time.Millisecond
					checkFailed(t, d.Warmup(t.Context(), 1), tt.kind)
				} else if r := d.Warmup(t.Context(), 2); r.Ops() != 1 || r.Errors.Kinds[tt.kind] != 1 {
					t.Errorf("%d answered, errors %+v, want one of %q", r.Ops(), r.Errors, tt.kind)
				}
				d.workers[0].timeout = testTimeout
				if r := d.Warmup(t.Context(), 3); r.Ops() != 3 || r.Reopened != 0 {
					t.Errorf("after it %d answered, %d reopened, errors %+v", r.Ops(), r.Reopened, r.Errors)
				}
			})
		}
	}
}

// TestCancelOfEveryProtocol: an interrupted request is neither answered nor failed.
func TestCancelOfEveryProtocol(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			server := startServer(t, way.secure, func(_ http.ResponseWriter, r *http.Request) {
				cancel()
				<-r.Context().Done()
			})
			load := Load{Workers: 2, Timeout: time.Hour, Protocol: way.protocol}
			d := NewDriver(at(server.URL), fixed{Request{Target: "/"}}, load, trust(server), 1)
			defer d.Close()
			if r := d.Slice(ctx, time.Hour); r.Ops() != 0 || r.Errors.Total() != 0 {
				t.Errorf("%d answered, errors %+v", r.Ops(), r.Errors)
			}
		})
	}
}

// TestHTTP2Reopened: a connection that the server ends between two slices is opened
// again, once, and counted as with HTTP/1.1.
func TestHTTP2Reopened(t *testing.T) {
	for _, tt := range []struct {
		secure  bool
		streams int
		want    int64
	}{{false, 1, 3}, {true, 1, 3}, {false, 3, 1}, {true, 3, 1}} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			server := startServer(t, tt.secure, fine)
			load := Load{Workers: 3, Timeout: testTimeout, Protocol: ProtocolH2, H2Streams: tt.streams}
			d := NewDriver(at(server.URL), pages{}, load, trust(server), 1)
			defer d.Close()
			for i := range d.workers { // each has sent something
				one := &Driver{workers: d.workers[i : i+1], kinds: 2}
				if r := one.Warmup(t.Context(), 1); r.Ops() != 1 {
					t.Fatalf("errors %+v", r.Errors)
				}
			}
			server.CloseClientConnections()
			awaitLost(t, d)
			var reopened int64
			for i := range d.workers {
				one := &Driver{workers: d.workers[i : i+1], kinds: 2}
				r := one.Warmup(t.Context(), 2)
				if r.Ops() != 2 {
					t.Errorf("errors %+v", r.Errors)
				}
				reopened += r.Reopened
			}
			if reopened != tt.want {
				t.Errorf("%d reopened, want %d", reopened, tt.want)
			}
		})
	}
}

// awaitLost returns when every connection of HTTP/2 is known to be lost.
func awaitLost(t *testing.T, d *Driver) {
	t.Helper()
	for _, w := range d.workers {
		conn := w.link.(*http2Link).conn
		lost := make(chan bool, 1)
		conn.SetStateHook(func(c *http.ClientConn) {
			if !usable(c) {
				select {
				case lost <- true:
				default:
				}
			}
		})
		if !usable(conn) {
			continue
		}
		select {
		case <-lost:
		case <-time.After(testTimeout):
			t.Fatal("a connection was not lost")
		}
	}
}

// framed is a server of HTTP/2 without TLS that a test plays frame by frame.
type framed struct {
	net.Listener
	*http2.Framer
	conn net.Conn
}

// TestGoAway: a request that the server, leaving, did not process is sent again on a
// new connection, once, and counted; a farewell after the answer is not.
func TestGoAway(t *testing.T) {
	for _, tt := range []struct {
		name     string
		second   func(f *framed, stream uint32) // what becomes of the second request
		rest     bool                           // before it
		ops      int64
		reopened int64
		kind     string
	}{
		{"after the rest", func(f *framed, _ uint32) { _ = f.WriteGoAway(1, http2.ErrCodeNo, nil) }, true, 1, 1, ""},
		{"within a slice", func(f *framed, _ uint32) { _ = f.WriteGoAway(1, http2.ErrCodeNo, nil) }, false, 2, 1, ""},
		{"closed within a slice", func(f *framed, _ uint32) { _ = f.conn.Close() }, false, 1, 0, errorLost},
		{"leaves with the request and closes", func(f *framed, id uint32) {
			_ = f.WriteGoAway(id, http2.ErrCodeInternal, nil)
			_ = f.conn.Close()
		}, false, 1, 0, errorLost},
		{"with an error", func(f *framed, _ uint32) { _ = f.WriteGoAway(1, http2.ErrCodeInternal, nil) },
			true, 1, 1, ""},
		{"after the answer", func(f *framed, id uint32) {
			_ = f.WriteGoAway(id, http2.ErrCodeNo, nil)
			f.answer(id)
		}, true, 1, 0, ""},
		{"closed", func(f *framed, _ uint32) { _ = f.conn.Close() }, true, 1, 1, ""},
		{"refused stream", func(f *framed, id uint32) {
			_ = f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		}, true, 0, 0, errorReset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			f := &framed{Listener: listener}
			var serving sync.WaitGroup
			serving.Go(func() { f.serve(tt.second) })
			load := Load{Workers: 1, Timeout: testTimeout, Protocol: ProtocolH2}
			d := NewDriver(atAddr(listener), fixed{Request{Target: "/it"}}, load, Connect{}, 1)
			defer serving.Wait()
			defer d.Close()
			defer listener.Close()
			requests, ops := 1, tt.ops
			if !tt.rest {
				requests = 2
			} else if r := d.Warmup(t.Context(), 1); r.Ops() != 1 {
				t.Fatalf("errors %+v", r.Errors)
			}
			r := d.Warmup(t.Context(), requests)
			if r.Ops() != ops || r.Reopened != tt.reopened || r.Errors.Kinds[tt.kind] != r.Errors.Total() {
				t.Errorf("%d answered, %d reopened, errors %+v", r.Ops(), r.Reopened, r.Errors)
			}
			if (tt.kind == "") != (r.Errors.Total() == 0) {
				t.Errorf("errors %+v, want %q", r.Errors, tt.kind)
			}
		})
	}
}

// serve answers every request but the second, of all connections.
func (f *framed) serve(second func(f *framed, stream uint32)) {
	requests := 0
	for f.accept() {
		for stream := f.request(); stream != 0; stream = f.request() {
			if requests++; requests == 2 {
				second(f, stream)
			} else {
				f.answer(stream)
			}
		}
		_ = f.conn.Close()
	}
}

// accept begins the next connection, if there is one.
func (f *framed) accept() bool {
	var err error
	if f.conn, err = f.Accept(); err != nil {
		return false
	}
	f.Framer = http2.NewFramer(f.conn, f.conn)
	_, _ = io.ReadFull(f.conn, make([]byte, len(http2.ClientPreface)))
	_ = f.WriteSettings()
	return true
}

// request returns the stream of the next request, or 0 if none comes.
func (f *framed) request() (stream uint32) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return 0
		}
		if headers, ok := frame.(*http2.HeadersFrame); ok {
			return headers.StreamID
		}
	}
}

func (f *framed) answer(stream uint32) {
	const status200 = "\x88" // by HPACK's static table
	_ = f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: []byte(status200), EndStream: true, EndHeaders: true,
	})
}

// TestGoAwayOfASharedConnection: workers that share a connection which the server
// leaves go on over a new one, while what is in flight on the old one is answered.
func TestGoAwayOfASharedConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var serving sync.WaitGroup
	serving.Go(func() {
		before, after := &framed{Listener: listener}, &framed{Listener: listener}
		before.accept()
		first, second := before.request(), before.request()
		_ = before.WriteGoAway(second, http2.ErrCodeNo, nil)
		before.answer(second)
		after.accept()
		after.answer(after.request())
		before.answer(first)
		before.request() // returns when the client has closed the connection
		after.request()
		_, _ = before.conn.Close(), after.conn.Close()
	})
	load := Load{Workers: 2, Timeout: testTimeout, Protocol: ProtocolH2, H2Streams: 2}
	d := NewDriver(atAddr(listener), fixed{Request{Target: "/it"}}, load, Connect{}, 1)
	r := d.Warmup(t.Context(), 3)
	d.Close()
	if r.Ops() != 3 || r.Reopened != 1 || r.Errors.Total() != 0 {
		t.Errorf("%d answered, %d sent again, errors %+v", r.Ops(), r.Reopened, r.Errors)
	}
	serving.Wait()
}

// TestGoAwayWhileResting: a connection that the server has left while it rested is
// closed and opened again.
func TestGoAwayWhileResting(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var serving sync.WaitGroup
	serving.Go(func() {
		f := &framed{Listener: listener}
		f.accept()
		f.answer(f.request())
		_ = f.WriteGoAway(1, http2.ErrCodeNo, nil)
		f.request() // returns when the client has closed the connection
		_ = f.conn.Close()
		f.accept()
		f.answer(f.request())
		f.request()
		_ = f.conn.Close()
	})
	load := Load{Workers: 1, Timeout: testTimeout, Protocol: ProtocolH2}
	d := NewDriver(atAddr(listener), fixed{Request{Target: "/it"}}, load, Connect{}, 1)
	first := d.Warmup(t.Context(), 1)
	conn := d.workers[0].link.(*http2Link).conn
	for give := time.Now().Add(testTimeout); usable(conn) && time.Now().Before(give); {
		runtime.Gosched()
	}
	second := d.Warmup(t.Context(), 1)
	d.Close()
	if first.Ops() != 1 || second.Ops() != 1 || first.Reopened != 0 || second.Reopened != 1 {
		t.Errorf("%+v and then %+v", first, second)
	}
	serving.Wait()
}

// TestGoAwayAtOnce: a server that leaves before it has answered anything, because of
// an error, is not asked again.
func TestGoAwayAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var serving sync.WaitGroup
	serving.Go(func() {
		f := &framed{Listener: listener}
		f.accept()
		f.request()
		_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("too many pings"))
		f.request()
		_ = f.conn.Close()
	})
	r := once(t, atAddr(listener).String(), ProtocolH2, Connect{})
	checkFirst(t, r, errorLost, "ENHANCE_YOUR_CALM")
	serving.Wait()
}

// TestConnectingFails: what cannot work says what to do.
func TestConnectingFails(t *testing.T) {
	insecure := Connect{TLS: &tls.Config{InsecureSkipVerify: true}}
	http1Only := func(s *httptest.Server) {
		s.EnableHTTP2 = false
		s.Config.Protocols.SetHTTP2(false)
		s.Config.Protocols.SetUnencryptedHTTP2(false)
	}
	for _, way := range ways[1:] {
		if !way.secure {
			continue
		}
		t.Run(way.name+" unknown authority", func(t *testing.T) {
			server := startServer(t, true, fine)
			r := once(t, server.URL, way.protocol, Connect{})
			checkFirst(t, r, errorCertificate, "certificate signed by unknown authority", "--cacert", "--insecure")
			if r := once(t, server.URL, way.protocol, insecure); r.Ops() != 1 {
				t.Errorf("without verification: %+v", r.Errors)
			}
		})
		t.Run(way.name+" wrong host", func(t *testing.T) {
			server := startServer(t, true, fine)
			u := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			checkFirst(t, once(t, u, way.protocol, trust(server)), errorCertificate, "not localhost")
		})
		t.Run(way.name+" to a server without TLS", func(t *testing.T) {
			server := startServer(t, false, fine)
			u := strings.Replace(server.URL, "http:", "https:", 1)
			checkFirst(t, once(t, u, way.protocol, Connect{}), errorTLS, "begins with http:")
		})
	}
	t.Run("http to a server with TLS", func(t *testing.T) {
		server := startServer(t, true, fine)
		u := strings.Replace(server.URL, "https:", "http:", 1)
		checkFirst(t, once(t, u, "", Connect{}), "status 400", "HTTP request to an HTTPS server")
	})
	t.Run("h2 to HTTP/1.1", func(t *testing.T) {
		server := startServer(t, true, fine, http1Only)
		checkFirst(t, once(t, server.URL, ProtocolH2, trust(server)), errorProtocol)
	})
	t.Run("h2c to HTTP/1.1", func(t *testing.T) {
		server := startServer(t, false, fine, http1Only)
		checkFirst(t, once(t, server.URL, ProtocolH2, Connect{}), errorProtocol, "HTTP/1.1")
	})
	t.Run("scheme", func(t *testing.T) {
		checkFirst(t, once(t, "ftp://127.0.0.1:1", "", Connect{}), errorOther, "use http or https")
	})
}

// once sends one request.
func once(t *testing.T, server, protocol string, c Connect) Result {
	t.Helper()
	load := Load{Workers: 1, Timeout: testTimeout, Protocol: protocol}
	d := NewDriver(at(server), fixed{Request{Target: "/it"}}, load, c, 1)
	defer d.Close()
	return d.Warmup(t.Context(), 1)
}

func checkFirst(t *testing.T, r Result, kind string, texts ...string) {
	t.Helper()
	if r.Errors.Kinds[kind] != 1 || r.Errors.Total() != 1 {
		t.Errorf("errors %+v, want one of %q", r.Errors, kind)
	}
	for _, text := range texts {
		if !strings.Contains(r.Errors.First, text) {
			t.Errorf("%q does not say %q", r.Errors.First, text)
		}
	}
}

// TestAllowedErrors: with an allowance a worker goes on after failures, which count
// in no rate and no latency.
func TestAllowedErrors(t *testing.T) {
	var served atomic.Int64
	d := newTestDriver(t, Load{Workers: 2, AllowErrors: 0.5}, func(w http.ResponseWriter, r *http.Request) {
		switch n := served.Add(1); {
		case n%10 == 0:
			panic(http.ErrAbortHandler)
		case n%5 == 0:
			http.Error(w, "busy", http.StatusTooManyRequests)
		default:
			fine(w, r)
		}
	})
	r := d.Warmup(t.Context(), 1000)
	want := map[string]int64{"status 429": 100, errorLost: 100}
	if r.Ops() != 800 || !maps.Equal(r.Errors.Kinds, want) {
		t.Errorf("%d answered, errors %+v", r.Ops(), r.Errors)
	}
	var ok, busy, failed int64
	for _, k := range r.Kinds {
		ok, busy, failed = ok+k.Statuses[200], busy+k.Statuses[429], failed+k.Errors
	}
	if ok != 800 || busy != 100 || failed != 200 || total(d.TakeLatency().Due) != 800 {
		t.Errorf("%d and %d by status, %d failed", ok, busy, failed)
	}
}

// TestRefusalsAreBounded: a server that is gone is asked now and then, not as fast as
// a processor can. The pauses are 0, 1, 2, 4, … and then 100 ms.
func TestRefusalsAreBounded(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, tt := range []struct {
		load Load
		want int64
	}{
		{Load{Workers: 1, AllowErrors: 0.5}, 17},
		{Load{Workers: 3, AllowErrors: 0.5}, 51},
		{Load{Workers: 3}, 3},
		{Load{Workers: 3, AllowErrors: 0.5, Rate: 200, Arrivals: Constant}, 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			tt.load.Timeout = testTimeout
			d := NewDriver(at("http://server"), pages{}, tt.load, Connect{}, 1)
			for _, w := range d.workers {
				w.timer.close()
				w.timer = runtimeTimer{}
				w.link.(*http1).dial = func(context.Context, time.Time) (net.Conn, error) { return nil, refused }
			}
			r := d.Slice(t.Context(), time.Second)
			if n := r.Errors.Total(); n != tt.want || r.Ops() != 0 {
				t.Errorf("%+v: %d failures, want %d", tt.load, n, tt.want)
			}
			if tt.load.AllowErrors > 0 && r.Duration != time.Second {
				t.Errorf("%+v: took %v", tt.load, r.Duration)
			}
			d.Close()
		})
	}
}

// TestTooFewFiles: a process that may not open as many files as the load has
// connections says so.
func TestTooFewFiles(t *testing.T) {
	d := newTestDriver(t, Load{Workers: 1}, fine)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Skip(err)
	}
	r := d.Warmup(t.Context(), 1)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if r.Errors.Kinds[errorFiles] != 1 || !strings.Contains(r.Errors.First, "raise ulimit -n") {
		t.Errorf("%+v; want one of too many open files", r.Errors)
	}
}
