package transport

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventobench/eventobench/server"
)

// smuggled is a request that hides in another.
var smuggled = func() string {
	call := `["stream.write","smuggled-1",{"type":"T","data":{}}]`
	return fmt.Sprintf("POST /rpc?token=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", defaultToken, len(call), call)
}()

// smugglers are requests that two readers may end at different places. What is
// hidden must not be carried out.
var smugglers = map[string]string{
	"length and chunks":          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"chunks and length":          fmt.Sprintf("Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n", 5+len(smuggled)),
	"two lengths":                fmt.Sprintf("Content-Length: 0\r\nContent-Length: %d\r\n\r\n", len(smuggled)),
	"a list of lengths":          fmt.Sprintf("Content-Length: 0, %d\r\n\r\n", len(smuggled)),
	"a length with a sign":       "Content-Length: +0\r\n\r\n",
	"a negative length":          "Content-Length: -1\r\n\r\n",
	"a length beyond 64 bits":    "Content-Length: 18446744073709551616\r\n\r\n",
	"a folded length":            "Content-Length: 0\r\n 5\r\n\r\n",
	"a name with a space":        "Content-Length : 0\r\n\r\n",
	"chunks under another name":  "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	"chunks twice":               "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	"a vertical tab":             "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
	"a chunk of negative size":   "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
	"a chunk beyond 64 bits":     "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
	"a chunk that ends too late": "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
	"a chunk's end by LF":        "Transfer-Encoding: chunked\r\n\r\n0;a=\n\n",
	"NUL in a value":             "X-A: b\x00c\r\nContent-Length: 0\r\n\r\n",
	"CR in a value":              "X-A: b\rContent-Length: 5\r\nContent-Length: 0\r\n\r\n",
	"LF in a value":              fmt.Sprintf("X-A: b\nContent-Length: %d\r\n\r\n", len(smuggled)),
	"lengths by CRLF and LF":     fmt.Sprintf("Content-Length: 0\nContent-Length: %d\r\n\r\n", len(smuggled)),
	"chunks behind an LF":        "Content-Length: 5\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"NUL in a name":              "X-A\x00: b\r\nContent-Length: 0\r\n\r\n",
	"NUL in a length's name":     "Content-Length\x00: 5\r\nContent-Length: 0\r\n\r\n",
	"NUL behind a length":        "Content-Length: 0\x00\r\n\r\n",
	"a control byte in a name":   "X\x01A: b\r\nContent-Length: 0\r\n\r\n",
	"a tab before the colon":     "Content-Length\t: 0\r\n\r\n",
	"CR in a name":               "X\rContent-Length: 5\r\nContent-Length: 0\r\n\r\n",
	"a control byte in a value":  "X-A: b\x01c\r\nContent-Length: 0\r\n\r\n",
	"DEL in a value":             "X-A: b\x7fc\r\nContent-Length: 0\r\n\r\n",
	"a line without a colon":     "X-A\r\nContent-Length: 0\r\n\r\n",
	"a name that is empty":       ": b\r\nContent-Length: 0\r\n\r\n",
	"a folded first line":        " X-A: b\r\nContent-Length: 0\r\n\r\n",
	"two hosts":                  "Host: y\r\nContent-Length: 0\r\n\r\n",
}

// TestSmuggledRequests sends each with a hidden request behind it, and wants
// nothing written, or the connection closed by the first answer.
func TestSmuggledRequests(t *testing.T) {
	outside(t, server.Options{}, Limits{}, func(t *testing.T, s store) {
		for name, header := range smugglers {
			for _, path := range []string{"/rpc", "/import", "/health", "/subscribe"} {
				answer := s.exchange(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\n"+header+smuggled)
				if strings.Contains(answer, `"globalPosition"`) {
					t.Errorf("%s, %s: carried out: %q", name, path, answer)
				}
				if strings.Contains(answer, " 200 OK") && path != "/health" {
					t.Errorf("%s, %s: %q", name, path, answer)
				}
			}
		}
		if _, answer := s.do(t, http.MethodPost, "/rpc", "Bearer "+defaultToken, []byte(`["stream.version","smuggled-1"]`)); answer != "null" {
			t.Errorf("the hidden write was carried out: version %s", answer)
		}
		t.Logf("%d requests with another one hidden behind them", 4*len(smugglers))
	})
}

// TestRequestForms sends one request in forms that are seldom seen. Each may be
// refused; else it has the answer of the usual form, and never two.
func TestRequestForms(t *testing.T) {
	const call = `["sys.version"]`
	tail := fmt.Sprintf(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(call), call)
	path := "/rpc?token=" + defaultToken
	usual := "POST " + path + tail
	forms := map[string]string{
		"line ends by LF":             strings.ReplaceAll(usual, "\r\n", "\n"),
		"a request line that LF ends": strings.Replace(usual, "\r\n", "\n", 1),
		"a URI with another host":     "POST http://other" + path + tail,
		"a URI with a port and user":  "POST http://user@other:1" + path + tail,
		"a URI of another scheme":     "POST ftp://other" + path + tail,
		"a host in the path":          "POST //other" + path + tail,
		"a URI without a host":        "POST http://" + path + tail,
		"a fragment":                  "POST " + path + "#/health" + tail,
		"NUL in the path":             "POST /r\x00pc?token=" + defaultToken + tail,
		"a space in the path":         "POST /health /rpc?token=" + defaultToken + tail,
		"a tab before the version":    strings.Replace(usual, " HTTP/1.1", "\tHTTP/1.1", 1),
		"a control byte in the verb":  "PO\x01ST " + path + tail,
		"an empty line before":        "\r\n" + usual,
		"no host":                     strings.Replace(usual, "Host: x\r\n", "", 1),
		"another version":             strings.Replace(usual, "HTTP/1.1", "HTTP/1.9", 1),
	}
	outside(t, server.Options{}, Limits{}, func(t *testing.T, s store) {
		_, want, _ := strings.Cut(s.exchange(t, usual), "\r\n\r\n")
		for name, text := range forms {
			answer := s.exchange(t, text)
			head, body, _ := strings.Cut(answer, "\r\n\r\n")
			status, _, _ := strings.Cut(head, "\r\n")
			if strings.Count(answer, "HTTP/1.1 ") > 1 || strings.Contains(status, " 200 ") && body != want {
				t.Errorf("%s: %q", name, answer)
			}
			t.Logf("%s: %s", name, status)
		}
	})
}

// exchange sends text, says that no more will come, and returns all that comes back.
func (s store) exchange(t *testing.T, text string) string {
	t.Helper()
	conn := s.dial(t, "")
	_, _ = io.WriteString(conn, text) // fails, as the rest, if the server has closed it already
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// TestShortBodies promises more than it sends and leaves: nothing of it counts.
func TestShortBodies(t *testing.T) {
	outside(t, server.Options{}, Limits{}, func(t *testing.T, s store) {
		call := `["stream.write","short-1",{"type":"T","data":{}}]`
		head := "POST /rpc?token=" + defaultToken + " HTTP/1.1\r\nHost: x\r\n"
		for _, rest := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(call)+1, call),
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(call)-1, call),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(call), call),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", len(call)+1, call),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(call)-1, call),
		} {
			if answer := s.exchange(t, head+rest); strings.Contains(answer, " 200 OK") {
				t.Errorf("%q: %q", rest, answer)
			}
		}
		if _, answer := s.do(t, http.MethodPost, "/rpc", "Bearer "+defaultToken, []byte(`["stream.version","short-1"]`)); answer != "null" {
			t.Errorf("a body that was not whole was carried out: version %s", answer)
		}
	})
}

// TestSlowClientsAmongGoodOnes opens a thousand connections that send headers and
// bodies a byte at a time, and calls until the server has cut off each of them.
func TestSlowClientsAmongGoodOnes(t *testing.T) {
	const slow = 1000
	beginnings := []string{
		"POST /rpc HTTP/1.1\r\nHost: x\r\nX-A: ",
		"POST /rpc?token=" + defaultToken + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n[",
	}
	outside(t, server.Options{}, Limits{Read: time.Second}, func(t *testing.T, s store) {
		var left atomic.Int64
		left.Store(slow)
		conns := make([]net.Conn, slow)
		var wg sync.WaitGroup
		for i := range conns {
			conns[i] = s.dial(t, beginnings[i%len(beginnings)])
			wg.Go(func() {
				_, _ = io.Copy(io.Discard, conns[i]) // until it is cut off
				left.Add(-1)
			})
		}
		wg.Go(func() { trickle(conns, &left) })
		good := 0
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for ; left.Load() > 0 || good < 10; good++ {
			<-pace.C
			if status, answer := s.do(t, http.MethodPost, "/rpc", "Bearer "+defaultToken, []byte(`["sys.version"]`)); status != 200 {
				t.Fatalf("a good call among slow ones: %d %s", status, answer)
			}
		}
		wg.Wait()
		t.Logf("%d slow connections were cut off, %d good calls answered meanwhile", slow, good)
	})
}

// trickle sends a byte on each connection at a time, while any is left.
func trickle(conns []net.Conn, left *atomic.Int64) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for left.Load() > 0 {
		for _, conn := range conns {
			_, _ = conn.Write([]byte("a")) // fails on those that were cut off
		}
		<-tick.C
	}
}
