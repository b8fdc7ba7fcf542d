package loadgen

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRestedConnectionIsReopened: a server that closes resting connections does
// not fail the next slice, and no request is lost or counted twice.
func TestRestedConnectionIsReopened(t *testing.T) {
	var served atomic.Int64
	closed := make(chan struct{}, 100)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		fine(w, r)
	}))
	server.Config.IdleTimeout = 20 * time.Millisecond
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	const workers = 3
	load := Load{Workers: workers, Timeout: testTimeout}
	d := NewDriver(strings.TrimPrefix(server.URL, "http://"), pages{}, load, 1)
	t.Cleanup(d.Close)
	first := d.Warmup(t.Context(), 30)
	for range workers {
		select {
		case <-closed:
		case <-t.Context().Done():
			t.Fatal("the server closes no connection")
		}
	}
	second := d.Warmup(t.Context(), 30)
	if first.Reopened != 0 || second.Reopened < 1 || second.Reopened > workers {
		t.Errorf("%d and %d connections reopened", first.Reopened, second.Reopened)
	}
	if second.Errors.Total() != 0 || second.Ops() != 30 || served.Load() != 60 {
		t.Errorf("errors %v, %d answers, %d requests served of 60", second.Errors, second.Ops(), served.Load())
	}
}

// flaky is a server that answers requests as its script says: "answer", "close"
// before the first byte of an answer, or "half" an answer and close. The script
// goes on over all its connections, which are served one after the other.
func flaky(t *testing.T, script ...string) (addr string) {
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
	return listener.Addr().String()
}

// playOn plays a script on one connection and returns what is left of it.
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
		case "close":
			return script
		}
	}
	return script
}

// TestOnlyRestedConnectionsAreReopened: what is lost otherwise is a failure.
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
		{"closed twice", []string{"answer", "close", "close"}, 1, 1, 0, 1, kindLost},
		{"half an answer after the rest", []string{"answer", "half"}, 1, 1, 0, 0, kindLost},
		{"closed within a slice", []string{"answer", "answer", "close"}, 1, 2, 1, 0, kindLost},
		{"closed at once", []string{"close"}, 0, 1, 0, 0, kindLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDriver(flaky(t, tt.script...), pages{}, Load{Workers: 1, Timeout: testTimeout}, 1)
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

// TestLongLatenciesAreRecorded: nothing that a valid load can produce is cut off.
func TestLongLatenciesAreRecorded(t *testing.T) {
	for _, want := range []time.Duration{3 * time.Minute, MaxTimeout, MaxSlice + MaxTimeout, maxLatency} {
		h := NewHistogram()
		recordLatency(h, want)
		got := time.Duration(h.ValueAtQuantile(100))
		if off := float64(got-want) / float64(want); off < -0.001 || off > 0.001 {
			t.Errorf("a latency of %v is recorded as %v", want, got)
		}
	}
	valid := Load{Workers: 1, Timeout: MaxTimeout}
	if err := valid.Validate(); err != nil {
		t.Error(err)
	}
	valid.Timeout++
	if err := valid.Validate(); err == nil || !strings.Contains(err.Error(), "at most 1h0m0s") {
		t.Errorf("a longer timeout: %v", err)
	}
}

// TestGeneratorCPU: the load costs the generator some CPU time, and no more than
// the machine has.
func TestGeneratorCPU(t *testing.T) {
	d := newTestDriver(t, Load{Workers: 2}, fine)
	before := OwnCPU()
	r := d.Warmup(t.Context(), 200)
	if all := OwnCPU() - before; r.CPU <= 0 || r.CPU > all {
		t.Errorf("%v of CPU time, where the process used %v", r.CPU, all)
	}
}
