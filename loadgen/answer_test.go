package loadgen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// asking sends requests of one method and keeps what was answered.
type asking struct {
	method  string
	answers *[]Answer
	types   *[]string // the Content-Type of each answer
}

func newAsking(method string) asking { return asking{method, &[]Answer{}, &[]string{}} }

func (asking) Name() string                { return "asking" }
func (asking) Kinds() []string             { return []string{"ask"} }
func (a asking) Source(uint64, int) Source { return a }
func (a asking) Next(req *Request) int {
	req.Method, req.Target = a.method, "/it"
	return 0
}
func (a asking) Check(_ int, answer *Answer) error {
	*a.answers = append(*a.answers, Answer{Status: answer.Status, Body: bytes.Clone(answer.Body)})
	*a.types = append(*a.types, answer.Header("content-type"))
	return nil
}

// rawServer answers the first request with given bytes and every later one with
// "fine". It counts connections.
type rawServer struct {
	net.Listener
	first       []byte
	inBytes     bool        // send the first answer byte by byte
	close       bool        // and end the connection after it
	after       chan string // gives what to send after it unasked; may be nil
	served      int
	connections int
	done        sync.WaitGroup
}

const fineAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"

func startRaw(t *testing.T, s *rawServer) {
	t.Helper()
	var err error
	if s.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.done.Go(s.serve)
	t.Cleanup(s.stop)
}

func (s *rawServer) stop() {
	_ = s.Close()
	s.done.Wait()
}

func (s *rawServer) serve() {
	for {
		conn, err := s.Accept()
		if err != nil {
			return
		}
		s.connections++
		s.serveOn(conn)
	}
}

func (s *rawServer) serveOn(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		s.served++
		if s.served > 1 {
			_, _ = io.WriteString(conn, fineAnswer)
			continue
		}
		s.sendFirst(conn)
		if s.after != nil {
			_, _ = io.WriteString(conn, <-s.after)
		}
		if s.close {
			return
		}
	}
}

func (s *rawServer) sendFirst(conn net.Conn) {
	if !s.inBytes {
		_, _ = conn.Write(s.first)
		return
	}
	for i := range s.first {
		_, _ = conn.Write(s.first[i : i+1])
	}
}

const (
	ok        = "HTTP/1.1 200 OK\r\n"
	okHi      = ok + "Content-Length: 2\r\n\r\nhi"
	okChunked = ok + "Transfer-Encoding: chunked\r\n\r\n"
)

var wireTests = []struct {
	name   string
	method string
	answer string
	close  bool // by the server, after the answer
	status int
	body   string
	again  bool   // the next request needs a new connection
	kind   string // of the failure, if it is one
}{
	{name: "plain", answer: ok + "Content-Type: text/x\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
	{name: "no reason", answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
	{name: "bare line feeds", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", status: 200, body: "hi"},
	{name: "same length twice",
		answer: ok + "Content-Length: 2\r\ncontent-length: 2\r\n\r\nhi",
		status: 200, body: "hi"},
	{name: "folded header", answer: ok + "X: a\r\n b\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
	{name: "status 500", answer: "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nhi", status: 500, body: "hi"},

	{name: "until close", answer: ok + "\r\nhi there", close: true, status: 200, body: "hi there", again: true},
	{name: "until close, empty", answer: ok + "\r\n", close: true, status: 200, again: true},
	{name: "connection close",
		answer: ok + "Connection: x, Close\r\nContent-Length: 2\r\n\r\nhi",
		close:  true, status: 200, body: "hi", again: true},
	{name: "connection close, still open",
		answer: ok + "Connection: close\r\nContent-Length: 2\r\n\r\nhi",
		status: 200, body: "hi", again: true},
	{name: "1.0",
		answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		close:  true, status: 200, body: "hi", again: true},
	{name: "1.0 until close", answer: "HTTP/1.0 200 OK\r\n\r\nhi", close: true, status: 200, body: "hi", again: true},
	{name: "1.0 keep-alive",
		answer: "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi",
		status: 200, body: "hi"},
	{name: "1.0 keep-alive until close",
		answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhi",
		close:  true, status: 200, body: "hi", again: true},

	{name: "HEAD", method: "HEAD", answer: ok + "Content-Length: 900\r\n\r\n", status: 200},
	{name: "HEAD chunked", method: "HEAD", answer: okChunked, status: 200},
	{name: "HEAD without length", method: "HEAD", answer: ok + "\r\n", status: 200},
	{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
	{name: "304", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 900\r\n\r\n", status: 304},
	{name: "100", answer: "HTTP/1.1 100 Continue\r\n\r\n" + okHi, status: 200, body: "hi"},
	{name: "103 twice",
		answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 7\r\n\r\n", 2) + okHi,
		status: 200, body: "hi"},

	{name: "chunked",
		answer: okChunked + "2\r\nhi\r\n6;a=\"b\"\r\n there\r\n0\r\n\r\n",
		status: 200, body: "hi there"},
	{name: "trailers",
		answer: ok + "Trailer: X-Sum\r\nTransfer-Encoding: Chunked\r\n\r\n" +
			"A \r\n0123456789\r\n0\r\nX-Sum: 5\r\nY: \r\n\r\n",
		status: 200, body: "0123456789"},
	{name: "chunked with a length",
		answer: ok + "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		status: 200, body: "hi", again: true},
	{name: "large body",
		answer: ok + "Content-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000),
		status: 200, body: strings.Repeat("x", 300000)},
	{name: "large header",
		answer: ok + "X: " + strings.Repeat("x", 500000) + "\r\nContent-Length: 2\r\n\r\nhi",
		status: 200, body: "hi"},

	{name: "nothing", answer: "", close: true, kind: errorLost},
	{name: "cut in the status line", answer: "HTTP/1.1 2", close: true, kind: errorLost},
	{name: "cut in the header", answer: ok + "Content-", close: true, kind: errorLost},
	{name: "cut before the end of the header", answer: ok + "Content-Length: 2\r\n", close: true, kind: errorLost},
	{name: "cut after 100", answer: "HTTP/1.1 100 Continue\r\n\r\n", close: true, kind: errorLost},
	{name: "cut in the body", answer: ok + "Content-Length: 9\r\n\r\nhi", close: true, kind: errorLost},
	{name: "cut before the body", answer: ok + "Content-Length: 9\r\n\r\n", close: true, kind: errorLost},
	{name: "cut in a chunk", answer: okChunked + "9\r\nhi", close: true, kind: errorLost},
	{name: "cut after a chunk", answer: okChunked + "2\r\nhi\r\n", close: true, kind: errorLost},
	{name: "cut in the size of a chunk", answer: okChunked + "2", close: true, kind: errorLost},
	{name: "cut in the trailer", answer: okChunked + "0\r\nX: y\r\n", close: true, kind: errorLost},

	{name: "not HTTP", answer: "SSH-2.0-OpenSSH\r\n", kind: errorMalformed},
	{name: "HTTP/2", answer: "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", kind: errorMalformed},
	{name: "status of letters", answer: "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nhi", kind: errorMalformed},
	{name: "status of four digits", answer: "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nhi", kind: errorMalformed},
	{name: "status below 100", answer: "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi", kind: errorMalformed},
	{name: "101", answer: "HTTP/1.1 101 Switching Protocols\r\n\r\n", kind: errorMalformed},
	{name: "1xx without end", answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 200), kind: errorMalformed},
	{name: "empty length of 103",
		answer: "HTTP/1.1 103 Early Hints\r\nContent-Length:\r\n\r\n" + okHi, kind: errorMalformed},
	{name: "header without colon", answer: ok + "Content-Length 2\r\n\r\nhi", kind: errorMalformed},
	{name: "header without name", answer: ok + ": 2\r\n\r\n", kind: errorMalformed},
	{name: "blank before the colon", answer: ok + "Content-Length : 2\r\n\r\nhi", kind: errorMalformed},
	{name: "header begins with a blank", answer: ok + " X: y\r\n\r\n", kind: errorMalformed},
	{name: "NUL in a header", answer: ok + "X: \x00\r\n\r\n", kind: errorMalformed},
	{name: "header without end", answer: ok + "X: " + strings.Repeat("x", 2<<20), kind: errorMalformed},
	{name: "length of letters", answer: ok + "Content-Length: two\r\n\r\nhi", kind: errorMalformed},
	{name: "negative length", answer: ok + "Content-Length: -2\r\n\r\nhi", kind: errorMalformed},
	{name: "empty length", answer: ok + "Content-Length:\r\n\r\nhi", kind: errorMalformed},
	{name: "two lengths", answer: ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", kind: errorMalformed},
	{name: "unknown coding", answer: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", kind: errorMalformed},
	{name: "chunked twice",
		answer: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		kind:   errorMalformed},
	{name: "1.0 chunked",
		answer: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		kind:   errorMalformed},
	{name: "size of a chunk", answer: okChunked + "xyz\r\nhi\r\n0\r\n\r\n", kind: errorMalformed},
	{name: "negative chunk", answer: okChunked + "-2\r\nhi\r\n0\r\n\r\n", kind: errorMalformed},
	{name: "huge size of a chunk", answer: okChunked + "ffffffffffffffff\r\nhi\r\n0\r\n\r\n", kind: errorMalformed},
	{name: "long line of a chunk",
		answer: okChunked + "2;" + strings.Repeat("x", 9999) + "\r\nhi\r\n0\r\n\r\n",
		kind:   errorMalformed},
	{name: "chunk longer than its size", answer: okChunked + "2\r\nhi there\r\n0\r\n\r\n", kind: errorMalformed},
	{name: "trailer", answer: okChunked + "0\r\nno colon\r\n\r\n", kind: errorMalformed},
	{name: "huge length", answer: ok + "Content-Length: 999999999999\r\n\r\nhi", kind: errorTooLarge},
	{name: "huge chunk", answer: okChunked + "fffffffffff\r\nhi\r\n", kind: errorTooLarge},
}

// TestAnswersOnTheWire: every form of answer is read right or fails by name, and the
// connection is used again exactly if it can be: the request after it is answered.
func TestAnswersOnTheWire(t *testing.T) {
	for _, tt := range wireTests {
		for _, inBytes := range []bool{false, true} {
			if inBytes && len(tt.answer) > 9999 {
				continue
			}
			t.Run(fmt.Sprintf("%s/byte by byte %v", tt.name, inBytes), func(t *testing.T) {
				server := &rawServer{first: []byte(tt.answer), close: tt.close, inBytes: inBytes}
				startRaw(t, server)
				w := newAsking(tt.method)
				load := Load{Workers: 1, Timeout: testTimeout, AllowErrors: 0.9}
				d := NewDriver(atAddr(server), w, load, Connect{}, 1)
				first := d.Warmup(t.Context(), 1)
				w.method = "GET"
				d.workers[0].source = w
				second := d.Warmup(t.Context(), 1)
				d.Close()
				server.stop()
				if n := second.Ops(); n != 1 || second.Reopened != 0 {
					t.Errorf("the next request: %d answered, %d reopened, errors %+v", n, second.Reopened,
						second.Errors)
				}
				wantConnections := 1
				if tt.again || tt.kind != "" {
					wantConnections = 2
				}
				if server.connections != wantConnections {
					t.Errorf("%d connections, want %d", server.connections, wantConnections)
				}
				if tt.kind != "" {
					checkFailed(t, first, tt.kind)
					return
				}
				got := (*w.answers)[0]
				if got.Status != tt.status || string(got.Body) != tt.body || first.Errors.Total() != 0 {
					t.Errorf("status %d and body %s, want %d and %s; errors %+v",
						got.Status, excerpt(got.Body), tt.status, excerpt([]byte(tt.body)), first.Errors)
				}
				if tt.name == "plain" && (*w.types)[0] != "text/x" || tt.name != "plain" && (*w.types)[0] != "" {
					t.Errorf("content type %q", (*w.types)[0])
				}
			})
		}
	}
}

// checkFailed holds that one request failed in a certain way, and counts in no
// rate.
func checkFailed(t *testing.T, r Result, kind string) {
	t.Helper()
	if r.Ops() != 0 || r.Errors.Total() != 1 || r.Errors.Kinds[kind] != 1 || r.Kinds[0].Errors != 1 {
		t.Errorf("%d answered, errors %+v; want one of %q", r.Ops(), r.Errors, kind)
	}
	if !strings.Contains(r.Errors.First, " /it") {
		t.Errorf("the error does not name the request: %s", r.Errors.First)
	}
}

// TestBytesAfterAnAnswer: what follows an answer at once is a failure, and never the
// next answer.
func TestBytesAfterAnAnswer(t *testing.T) {
	const length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
	for _, tt := range []struct{ name, method, answer string }{
		{"longer than its length", "GET", length + "hi there"},
		{"two answers", "GET", length + "hi" + length + "ho"},
		{"204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi"},
		{"304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nhi"},
		{"HEAD with a body", "HEAD", length + "hi"},
		{"bytes after the last chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := &rawServer{first: []byte(tt.answer)}
			startRaw(t, server)
			w := newAsking(tt.method)
			d := NewDriver(atAddr(server), w, Load{Workers: 1, Timeout: testTimeout, AllowErrors: 0.9}, Connect{}, 1)
			defer d.Close()
			checkFailed(t, d.Warmup(t.Context(), 1), errorMalformed)
			w.method = "GET"
			d.workers[0].source = w
			if r := d.Warmup(t.Context(), 1); r.Ops() != 1 || string((*w.answers)[0].Body) != "fine" {
				t.Errorf("the next request: errors %+v, answers %+v", r.Errors, *w.answers)
			}
		})
	}
}

// TestBytesWhileResting: what a server sends between two slices is not taken for an
// answer.
func TestBytesWhileResting(t *testing.T) {
	tests := []struct {
		name, sent string
		kind       string // of the failure; if there is none, the connection is reopened
	}{
		{"an answer nobody asked for", fineAnswer, errorMalformed},
		{"garbage", "garbage", errorMalformed},
		{"a few bytes of an answer", "HTTP/1.", errorMalformed},
		{"leave", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := &rawServer{first: []byte(fineAnswer), after: make(chan string, 1)}
			startRaw(t, server)
			w := newAsking("GET")
			d := NewDriver(atAddr(server), w, Load{Workers: 1, Timeout: testTimeout}, Connect{}, 1)
			defer d.Close()
			if r := d.Warmup(t.Context(), 1); r.Ops() != 1 {
				t.Fatalf("errors %+v", r.Errors)
			}
			server.after <- tt.sent
			awaitBytes(t, d.workers[0].link.(*http1).conn)
			r := d.Warmup(t.Context(), 1)
			if tt.kind != "" {
				checkFailed(t, r, tt.kind)
			} else if r.Ops() != 1 || r.Reopened != 1 {
				t.Errorf("%d answered, %d reopened, errors %+v", r.Ops(), r.Reopened, r.Errors)
			}
		})
	}
}

// awaitBytes returns when something has arrived that was not read.
func awaitBytes(t *testing.T, conn net.Conn) {
	t.Helper()
	for give := time.Now().Add(testTimeout); waiting(conn, make([]byte, 1)) == 0; runtime.Gosched() {
		if time.Now().After(give) {
			t.Fatal("nothing arrived")
		}
	}
}

// FuzzAnswer: whatever a server sends, reading ends without a panic, memory is
// bounded by what was sent, and what is accepted is what net/http reads.
func FuzzAnswer(f *testing.F) {
	for _, tt := range wireTests {
		if len(tt.answer) < 9999 {
			f.Add([]byte(tt.answer), tt.method == "HEAD")
		}
	}
	f.Fuzz(func(t *testing.T, sent []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		got, answer, err := readFrom(bytes.NewReader(sent), method)
		if most := 2*len(sent) + 128<<10; cap(got.body) > most || cap(got.head) > most {
			t.Errorf("%d and %d bytes of memory for %d sent", cap(got.head), cap(got.body), len(sent))
		}
		_, slow, slowErr := readFrom(iotest.OneByteReader(bytes.NewReader(sent)), method)
		if (err == nil) && (slowErr != nil || slow.Status != answer.Status || !bytes.Equal(slow.Body, answer.Body)) {
			t.Errorf("byte by byte: %v %+v, at once %v %+v", slowErr, slow, err, answer)
		}
		if err == nil {
			checkLikeStandard(t, sent, method, answer)
		}
	})
}

func readFrom(in io.Reader, method string) (*answerReader, Answer, error) {
	r := &answerReader{in: bufio.NewReader(in)}
	var a Answer
	_, err := r.read(method, &a)
	return r, a, err
}

// checkLikeStandard compares an answer with what net/http reads from the same bytes.
// That accepts fewer trailers: no long ones, and none with bare line feeds.
func checkLikeStandard(t *testing.T, sent []byte, method string, got Answer) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(sent))
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http: %v; here %d %q", err, got.Status, got.Body)
		}
		if isEventStream([]byte(resp.Header.Get("Content-Type"))) && resp.StatusCode >= 200 {
			return // of which net/http does not know the end
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil && strings.Contains(err.Error(), "trailer") {
			return
		}
		if err != nil {
			t.Fatalf("net/http: %v; here %d %q", err, got.Status, got.Body)
		}
		if resp.StatusCode < 200 {
			continue
		}
		if resp.StatusCode != got.Status || !bytes.Equal(body, got.Body) {
			t.Errorf("%d %q, net/http reads %d %q", got.Status, got.Body, resp.StatusCode, body)
		}
		return
	}
}

// TestHeaderOfAnAnswer: a source sees the fields as they were sent, the first of each
// name.
func TestHeaderOfAnAnswer(t *testing.T) {
	r, _, err := readFrom(strings.NewReader("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+ok+
		"X-Folded: a\r\n \t b  \r\nSet-Cookie: one\r\nset-cookie: two\r\nEmpty:\r\nSpace:  \t in  side \t\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: t\r\n\r\n"), "GET")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"x-folded": "a \t b", "Set-Cookie": "one", "EMPTY": "", "Space": "in  side",
		"Link": "", "X-Trailer": "", "Content-Type": "", "Transfer-Encoding": "chunked",
	} {
		if got := r.header(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
