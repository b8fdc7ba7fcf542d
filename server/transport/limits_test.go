package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// limited runs a test on every transport, in test mode, with limits.
func limited(t *testing.T, o server.Options, limits Limits, test func(t *testing.T, s store)) {
	o.Codec, o.TestMode, o.Token = server.CodecRaw, true, defaultToken
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			test(t, startLimited(t, kind, sqlite.Memory, o, limits))
		})
	}
}

// dial opens a raw connection and sends text.
func (s store) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestSlowRequestsAreCut sends the beginning of a request and then nothing: the
// server must end the connection by itself.
func TestSlowRequestsAreCut(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{}, Limits{Read: 30 * time.Millisecond}, func(t *testing.T, s store) {
		for _, beginning := range []string{
			"POST /rpc HT",
			"POST /rpc HTTP/1.1\r\nHost: x\r\nX-A: ",
			"POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[\"sys.",
			"POST /import HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"id\":",
		} {
			if _, err := io.ReadAll(s.dial(t, beginning)); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("%q: %v", beginning, err)
			}
		}
	})
}

// TestImportsThatStopAreReadErrors sends a line and the beginning of another:
// that is not taken for a line.
func TestImportsThatStopAreReadErrors(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{}, Limits{Read: time.Second}, func(t *testing.T, s store) { // the line is there by then
		conn := s.dial(t, "POST /import HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"+record(1, "a-1", 0, 1)+record(2, "a-1", 1, 2)[:20])
		text, _ := io.ReadAll(conn) // ends with an error, or just ends
		if !strings.Contains(string(text), `{"error":"READ_ERROR"`) || !strings.Contains(string(text), `"line":2}`) {
			t.Errorf("%q", text)
		}
	})
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{}, Limits{Idle: 30 * time.Millisecond}, func(t *testing.T, s store) {
		answer, err := io.ReadAll(s.dial(t, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"))
		if err != nil || !strings.Contains(string(answer), `{"status":"ok"}`) {
			t.Errorf("%q (%v)", answer, err)
		}
	})
}

func TestLargeHeaders(t *testing.T) {
	limited(t, server.Options{}, Limits{Header: 4096}, func(t *testing.T, s store) {
		status, answer := s.do(t, http.MethodPost, "/rpc", "Bearer "+strings.Repeat("x", 5000), []byte(`["sys.version"]`))
		if status != 431 || !strings.Contains(answer, "INVALID_REQUEST") {
			t.Errorf("%d %s", status, answer)
		}
	})
}

func TestOtherLimits(t *testing.T) {
	limited(t, server.Options{MaxBody: 100, MaxBatch: 5}, Limits{Connections: 50}, func(t *testing.T, s store) {
		if status, _ := s.do(t, http.MethodPost, "/rpc", "", fmt.Appendf(nil, `["sys.version","%s"]`, strings.Repeat("x", 100))); status != 413 {
			t.Errorf("a body over the limit: %d", status)
		}
		s.write(t, "a-1", 7)
		if status, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["stream.get","a-1",{"batchSize":6}]`)); status != 400 || !strings.Contains(answer, "at most 5") {
			t.Errorf("a batch over the limit: %d %s", status, answer)
		}
		if _, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["stream.get","a-1"]`)); strings.Count(answer, `"T"`) != 5 {
			t.Errorf("without a batch size: %s", answer)
		}
	})
}

// TestConnectionsWait holds that a connection over the limit is served once
// another has gone.
func TestConnectionsWait(t *testing.T) {
	limited(t, server.Options{}, Limits{Connections: 1}, func(t *testing.T, s store) {
		request := "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
		first := s.dial(t, request)
		if _, err := first.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		second := s.dial(t, request)
		_ = first.Close()
		line, err := bufio.NewReader(second).ReadString('\n')
		if err != nil || !strings.Contains(line, "200 OK") {
			t.Errorf("%q (%v)", line, err)
		}
	})
}

// subscriptions asks the store how many there are.
func (s store) subscriptions(t *testing.T) string {
	t.Helper()
	_, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["sys.health"]`))
	_, count, _ := strings.Cut(answer, `"connections":`)
	return strings.TrimSuffix(count, "}")
}

// awaitSubscriptions asks until there are as many as wanted. For none the server
// must notice by itself, without a write.
func (s store) awaitSubscriptions(t *testing.T, want string) {
	t.Helper()
	testaid.Until(t, fmt.Sprintf("there are never %s subscriptions", want), func() bool {
		return s.subscriptions(t) == want
	})
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{Heartbeat: time.Millisecond}, Limits{}, func(t *testing.T, s store) {
		sub := s.subscribe(t, "all=true")
		for range 3 {
			if got := sub.frame(); got != ": heartbeat" {
				t.Errorf("frame %q", got)
			}
		}
		if got := s.subscriptions(t); got != "1" {
			t.Errorf("%s subscriptions", got)
		}
		sub.stop()
		s.awaitSubscriptions(t, "0")
	})
}

// TestHeartbeatsOfOthersMessages: a subscription that is woken again and again by what is not
// for it is as silent as one that sleeps.
func TestHeartbeatsOfOthersMessages(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{Heartbeat: 100 * time.Millisecond}, Limits{}, func(t *testing.T, s store) {
		sub := s.subscribe(t, "category=a&consumer=0&size=2")
		var stop atomic.Bool
		var writers sync.WaitGroup
		writers.Go(func() {
			for !stop.Load() {
				s.write(t, "a-2", 1) // the other member's
			}
		})
		if got := sub.frame(); got != ": heartbeat" {
			t.Errorf("frame %q", got)
		}
		stop.Store(true)
		writers.Wait()
		sub.stop()
		s.awaitSubscriptions(t, "0")
	})
}

// TestQuietSubscriptionsEndWell ends a subscription that was silent for longer
// than a client has time to take something: the client must see a proper end.
func TestQuietSubscriptionsEndWell(t *testing.T) {
	t.Parallel()
	const send = 300 * time.Millisecond // in which a busy machine sends a few bytes
	limited(t, server.Options{}, Limits{Send: send}, func(t *testing.T, s store) {
		sub := s.subscribe(t, "all=true&token="+otherToken)
		<-time.After(2 * send)
		if status, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["ns.delete","other"]`)); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		if line, err := sub.lines.ReadString('\n'); line != "" || err != io.EOF {
			t.Errorf("it ended with %q (%v)", line, err)
		}
	})
}

// TestSlowSubscribersAreCutOff replays more than the sockets hold to a client
// that reads nothing, while writers go on. Having read what there is, it can
// come back where it left off.
func TestSlowSubscribersAreCutOff(t *testing.T) {
	t.Parallel()
	limited(t, server.Options{}, Limits{Send: 500 * time.Millisecond}, func(t *testing.T, s store) {
		const messages = 12_000                    // whose pokes no socket buffers
		stream := "a-" + strings.Repeat("x", 1400) // a poke of about 1,500 bytes
		records := make([]server.Record, messages)
		for i := range records {
			m := server.NewMessage{ID: uuid.Must(uuid.NewV7()), Stream: stream, Type: "T", Data: []byte("{}")}
			records[i] = server.Record{NewMessage: m, Position: server.Position{Position: int64(i), GlobalPosition: int64(i + 1)}}
		}
		if err := s.db.Import(t.Context(), server.DefaultNamespace, records); err != nil {
			t.Fatal(err)
		}
		conn := s.dial(t, "GET /subscribe?category=a HTTP/1.1\r\nHost: x\r\n\r\n")
		s.awaitSubscriptions(t, "1")
		s.write(t, "b-1", 10)
		s.awaitSubscriptions(t, "0")
		text, _ := io.ReadAll(conn) // ends with an error, or just ends
		got := int64(strings.Count(string(text), "event: poke"))
		if got >= messages { // none, on a machine that is busy
			t.Fatalf("%d of %d pokes before it was cut off", got, messages)
		}
		if p := s.subscribe(t, fmt.Sprintf("category=a&position=%d", got+1)).pokes(1)[0]; p.GlobalPosition != got+1 {
			t.Errorf("resumed at %d with %+v", got+1, p)
		}
	})
}
