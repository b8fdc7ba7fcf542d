package loadgen

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// resting is a server that observes its connections.
type resting struct {
	*httptest.Server
	served, opened atomic.Int64
	closed         chan struct{} // receives once per connection that the server has closed
}

// startResting starts a server that closes a connection when it was idle for the
// given time, with a reset instead of an orderly end if reset is set.
func startResting(t *testing.T, idle time.Duration, reset bool) *resting {
	t.Helper()
	s := &resting{closed: make(chan struct{}, 100)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		fine(w, r)
	}))
	s.Config.IdleTimeout = idle
	s.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.opened.Add(1)
			if reset {
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
		case http.StateClosed:
			s.closed <- struct{}{}
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// awaitClosed returns when the server has closed every connection.
func (s *resting) awaitClosed(t *testing.T) {
	t.Helper()
	tooLong := time.After(testTimeout)
	for n := range s.opened.Load() {
		select {
		case <-s.closed:
		case <-tooLong:
			t.Fatalf("the server closed only %d of %d connections", n, s.opened.Load())
		}
	}
}

// TestRestedConnectionIsReopened: a server that closes resting connections does
// not fail the next slice, and no request is lost or counted twice.
func TestRestedConnectionIsReopened(t *testing.T) {
	tests := []struct {
		name     string
		idle     time.Duration // 0: the server closes its connections when told
		reset    bool
		workers  int
		requests int // per call; with an idle timeout one, as no connection may be idle in mid-call
	}{
		{"idle timeout", 20 * time.Millisecond, false, 1, 1},
		{"idle timeout with a reset", 20 * time.Millisecond, true, 1, 1},
		{"several workers", 0, false, 3, 30},
		{"several workers and resets", 0, true, 3, 30},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := startResting(t, tt.idle, tt.reset)
			load := Load{Workers: tt.workers, Timeout: testTimeout}
			d := NewDriver(at(server.URL), pages{}, load, Connect{}, 1)
			t.Cleanup(d.Close)
			first := d.Warmup(t.Context(), tt.requests)
			if tt.idle == 0 {
				server.Config.SetKeepAlivesEnabled(false)
			}
			rested := server.opened.Load()
			server.awaitClosed(t)
			server.Config.SetKeepAlivesEnabled(true)
			second := d.Warmup(t.Context(), tt.requests)
			if first.Reopened != 0 || second.Reopened < 1 || second.Reopened > rested {
				t.Errorf("%d and %d of %d connections reopened", first.Reopened, second.Reopened, rested)
			}
			want := int64(tt.requests)
			if first.Ops() != want || second.Ops() != want || server.served.Load() != 2*want {
				t.Errorf("%d and %d answers, %d requests served; want %d per call, each served once",
					first.Ops(), second.Ops(), server.served.Load(), want)
			}
			if first.Errors.Total()+second.Errors.Total() != 0 {
				t.Errorf("errors %v and %v", first.Errors, second.Errors)
			}
		})
	}
}

// TestReopeningIsPartOfTheLatency: a request that is sent twice is counted from
// when it was due, or sent first.
func TestReopeningIsPartOfTheLatency(t *testing.T) {
	const dialing = 20 * time.Millisecond
	tests := []struct {
		name string
		load Load
		send func(ctx context.Context, d *Driver) Result // one request
	}{
		{"closed loop", Load{Workers: 1, Timeout: testTimeout},
			func(ctx context.Context, d *Driver) Result { return d.Warmup(ctx, 1) }},
		{"open loop", Load{Workers: 1, Timeout: testTimeout, Rate: 1000, Arrivals: Constant},
			func(ctx context.Context, d *Driver) Result { return d.Slice(ctx, time.Millisecond) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDriver(flaky(t, "answer", "close", "answer"), pages{}, tt.load, Connect{}, 1)
			defer d.Close()
			d.Warmup(t.Context(), 1)
			d.TakeLatency()
			slowDown(d.workers[0], dialing)
			r := tt.send(t.Context(), d)
			if r.Ops() != 1 || r.Reopened != 1 || r.Errors.Total() != 0 {
				t.Fatalf("%d answers, %d reopened, errors %v", r.Ops(), r.Reopened, r.Errors)
			}
			l := d.TakeLatency()
			if n, got := total(l.Due), quantile(l.Due, 100); n != 1 || got < dialing {
				t.Errorf("%d latencies from due of %v, want one of at least %v", n, got, dialing)
			}
			if n, got := total(l.Sent), quantile(l.Sent, 100); l.Sent != nil && (n != 1 || got < dialing) {
				t.Errorf("%d latencies from sent of %v, want one of at least %v", n, got, dialing)
			}
			if got := r.Kinds[0].Latency; got < dialing {
				t.Errorf("a sum of %v, want at least %v", got, dialing)
			}
		})
	}
}

// slowDown makes a worker take some time to connect.
func slowDown(w *worker, by time.Duration) {
	l := w.link.(*http1)
	dial := l.dial
	l.dial = func(ctx context.Context, deadline time.Time) (net.Conn, error) {
		time.Sleep(by)
		return dial(ctx, deadline)
	}
}

// flaky starts a server that treats requests as its script says: "answer" them,
// "close" the connection before the first byte of an answer, send "half" an answer
// and close it, or "hang" until the client closes it. The script covers all
// connections, which are served one after another.
func flaky(t *testing.T, script ...string) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for len(script) > 0 {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			script = playOn(conn, script)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return atAddr(listener)
}

// playOn plays a script on one connection and returns the rest of the script.
func playOn(conn net.Conn, script []string) []string {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for len(script) > 0 {
		if _, err := http.ReadRequest(in); err != nil {
			return script
		}
		step := script[0]
		script = script[1:]
		switch step {
		case "answer":
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"))
		case "half":
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-"))
			return script
		case "hang":
			_, _ = io.Copy(io.Discard, in)
			return script
		case "close":
			return script
		}
	}
	return script
}

// TestOnlyRestedConnectionsAreReopened: any other lost connection is a failure.
func TestOnlyRestedConnectionsAreReopened(t *testing.T) {
	tests := []struct {
		name     string
		script   []string
		first    int // requests before the rest
		second   int // requests after it
		ops      int64
		reopened int64
		failed   string
	}{
		{"closed while resting", []string{"answer", "close", "answer", "answer"}, 1, 2, 2, 1, ""},
		{"closed twice", []string{"answer", "close", "close"}, 1, 1, 0, 1, errorLost},
		{"half an answer after the rest", []string{"answer", "half"}, 1, 1, 0, 0, errorLost},
		{"closed within a slice", []string{"answer", "answer", "close"}, 1, 2, 1, 0, errorLost},
		{"closed at once", []string{"close"}, 0, 1, 0, 0, errorLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDriver(flaky(t, tt.script...), pages{}, Load{Workers: 1, Timeout: testTimeout}, Connect{}, 1)
			defer d.Close()
			if r := d.Warmup(t.Context(), tt.first); r.Errors.Total() != 0 || r.Ops() != int64(tt.first) {
				t.Fatalf("%d answers before the rest, errors %v", r.Ops(), r.Errors)
			}
			r := d.Warmup(t.Context(), tt.second)
			if r.Ops() != tt.ops || r.Reopened != tt.reopened {
				t.Errorf("%d answers and %d reopened, want %d and %d", r.Ops(), r.Reopened, tt.ops, tt.reopened)
			}
			if failed := r.Errors.Kinds[tt.failed] == 1; failed != (tt.failed != "") || r.Errors.Total() > 1 {
				t.Errorf("errors %v, want one of %q", r.Errors, tt.failed)
			}
		})
	}
}

// TestTimeoutOfARestedConnection: a server that does not answer after a rest has
// not closed the connection, so the request is not sent again.
func TestTimeoutOfARestedConnection(t *testing.T) {
	d := NewDriver(flaky(t, "answer", "hang", "answer"), pages{}, Load{Workers: 1, Timeout: testTimeout}, Connect{}, 1)
	defer d.Close()
	d.Warmup(t.Context(), 1)
	d.workers[0].timeout = 10 * time.Millisecond
	r := d.Warmup(t.Context(), 1)
	if r.Reopened != 0 || r.Ops() != 0 || r.Errors.Kinds[errorTimeout] != 1 {
		t.Errorf("%d reopened, %d answers, errors %v; want a timeout", r.Reopened, r.Ops(), r.Errors)
	}
}
