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
	outside(t, server.Options{}, Limits{Read: 300 * time.Millisecond}, func(t *testing.T, s store) {
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
		for ; left.Load() > 0 || good < 10; good++ {
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
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for left.Load() > 0 {
		for _, conn := range conns {
			_, _ = conn.Write([]byte("a")) // fails on those that were cut off
		}
		<-tick.C
	}
}
