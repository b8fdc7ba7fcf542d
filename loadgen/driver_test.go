package loadgen

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/eventobench/eventobench/internal/testaid"
)

// pages is traffic of GETs, every third of another kind.
type pages struct{}

func (pages) Name() string              { return "pages" }
func (pages) Kinds() []string           { return []string{"page", "image"} }
func (pages) Source(uint64, int) Source { return &pageSource{} }
func (s *pageSource) Check(_ int, a *Answer) error {
	if err := a.CheckStatus(); err != nil {
		return err
	}
	if string(a.Body) != "fine" {
		return errors.New("not fine")
	}
	return nil
}

type pageSource struct{ sent int }

func (s *pageSource) Next(req *Request) int {
	req.Target = "/page"
	s.sent++
	if s.sent%3 == 0 {
		return 1
	}
	return 0
}

const testTimeout = 10 * time.Second

// at is the URL of a server.
func at(server string) *url.URL {
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	return u
}

// atAddr is the URL of whatever serves on a listener.
func atAddr(l net.Listener) *url.URL { return &url.URL{Scheme: "http", Host: l.Addr().String()} }

func newTestDriver(t *testing.T, l Load, h http.HandlerFunc) *Driver {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	l.Timeout = cmp.Or(l.Timeout, testTimeout)
	d := NewDriver(at(server.URL), pages{}, l, Connect{}, 1)
	t.Cleanup(d.Close)
	return d
}

func fine(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("fine")) }

func TestWarmupSendsTheGivenNumber(t *testing.T) {
	var served atomic.Int64
	d := newTestDriver(t, Load{Workers: 4}, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		fine(w, r)
	})
	r := d.Warmup(t.Context(), 100)
	if r.Ops() != 100 || served.Load() != 100 {
		t.Errorf("%d finished and %d served of 100 requests", r.Ops(), served.Load())
	}
	if r.Errors.Total() != 0 {
		t.Errorf("errors: %+v", r.Errors)
	}
}

func TestSliceCountsEveryAnswerOnce(t *testing.T) {
	var served atomic.Int64
	d := newTestDriver(t, Load{Workers: 3}, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		fine(w, r)
	})
	const length = 5 * time.Millisecond
	var pages, images int64
	for images < 10 { // a busy machine gets nothing done in some slices
		r := d.Slice(t.Context(), length)
		if r.Duration < length || r.Late != 0 || r.Missed != 0 {
			t.Errorf("slice of %v took %v; %d late, %d missed in a closed loop", length, r.Duration, r.Late, r.Missed)
		}
		pages, images = pages+r.Kinds[0].Ops, images+r.Kinds[1].Ops
	}
	if pages < images || pages+images != served.Load() {
		t.Errorf("%d pages and %d images finished, %d served", pages, images, served.Load())
	}
}

func TestOutstandingRequestsAreWaitedForAndCounted(t *testing.T) {
	var arrived sync.WaitGroup
	arrived.Add(2)
	d := newTestDriver(t, Load{Workers: 2}, func(w http.ResponseWriter, r *http.Request) {
		arrived.Done()
		arrived.Wait() // by then no further request may start
		fine(w, r)
	})
	if r := d.Warmup(t.Context(), 2); r.Ops() != 2 {
		t.Errorf("%d of 2 outstanding requests counted", r.Ops())
	}
}

func TestOneConnectionPerWorker(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(fine))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	d := NewDriver(at(server.URL), pages{}, Load{Workers: 3, Timeout: testTimeout}, Connect{}, 1)
	defer d.Close()
	d.Warmup(t.Context(), 300)
	d.Slice(t.Context(), 10*time.Millisecond)
	if n := connections.Load(); n > 3 {
		t.Errorf("3 workers opened %d connections", n)
	}
}

func TestServerMayCloseTheConnection(t *testing.T) {
	d := newTestDriver(t, Load{Workers: 2}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		fine(w, r)
	})
	if r := d.Warmup(t.Context(), 20); r.Ops() != 20 || r.Errors.Total() != 0 {
		t.Errorf("%d of 20 finished, errors %+v", r.Ops(), r.Errors)
	}
}

func TestTakeLatency(t *testing.T) {
	d := newTestDriver(t, Load{Workers: 2}, fine)
	r := d.Warmup(t.Context(), 60)
	for kind, h := range d.TakeLatency().Due {
		if h.TotalCount() != r.Kinds[kind].Ops {
			t.Errorf("kind %d: %d latencies of %d requests", kind, h.TotalCount(), r.Kinds[kind].Ops)
		}
		mean := float64(r.Kinds[kind].Latency) / float64(r.Kinds[kind].Ops)
		if h.Mean() < mean*0.99 || h.Mean() > mean*1.01 {
			t.Errorf("kind %d: mean %v of the histogram, %v of the sum", kind, h.Mean(), mean)
		}
	}
	if h := d.TakeLatency().Due[0]; h.TotalCount() != 0 {
		t.Errorf("%d latencies after they were taken", h.TotalCount())
	}
}

func TestErrorsAreCountedByKind(t *testing.T) {
	full := func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no room", http.StatusInsufficientStorage)
	}
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    string
		first   string
	}{
		{"status", full, "status 507", `GET /page was answered with status 507: "no room\n"`},
		{"body", answer("odd"), "bad answer", `GET /page: not fine in the answer: "odd"`},
		{"long body", answer(strings.Repeat("x", 9999)), "bad answer", strings.Repeat("x", 200) + `"…`},
		{"lost", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection lost", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newTestDriver(t, Load{Workers: 2}, tt.handler)
			r := d.Warmup(t.Context(), 100)
			if n := r.Errors.Kinds[tt.kind]; n != 2 || r.Errors.Total() != 2 {
				t.Errorf("errors %v, want one of each worker: %q", r.Errors.Kinds, tt.kind)
			}
			if !strings.Contains(r.Errors.First, tt.first) {
				t.Errorf("first error %q, want it to hold %q", r.Errors.First, tt.first)
			}
			if r.Ops() != 0 {
				t.Errorf("%d failed requests counted as finished", r.Ops())
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	d := newTestDriver(t, Load{Workers: 1, Timeout: time.Millisecond}, hang)
	defer close(release)
	if r := d.Warmup(t.Context(), 1); r.Errors.Kinds["timeout"] != 1 {
		t.Errorf("errors %v, want a timeout", r.Errors)
	}
}

func TestRefused(t *testing.T) {
	d := NewDriver(at("http://"+testaid.FreeAddress(t)), pages{}, Load{Workers: 1, Timeout: testTimeout}, Connect{}, 1)
	if r := d.Warmup(t.Context(), 1); r.Errors.Kinds["refused"] != 1 {
		t.Errorf("errors %v, want refused", r.Errors)
	}
}

func TestCancelAbortsOutstandingRequests(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	d := newTestDriver(t, Load{Workers: 2, Timeout: time.Hour}, func(http.ResponseWriter, *http.Request) {
		cancel()
		<-release
	})
	defer close(release)
	r := d.Slice(ctx, time.Hour)
	if r.Ops() != 0 || r.Errors.Total() != 0 {
		t.Errorf("aborted requests were counted: %+v", r)
	}
}

// TestGeneratorCPU: the load costs the generator some CPU time, which is part of
// what the whole process uses.
func TestGeneratorCPU(t *testing.T) {
	d := newTestDriver(t, Load{Workers: 2}, fine)
	before := OwnCPU()
	r := d.Warmup(t.Context(), 200)
	if all := OwnCPU() - before; r.CPU <= 0 || r.CPU > all {
		t.Errorf("%v of CPU time, where the process used %v", r.CPU, all)
	}
}

func BenchmarkDriver(b *testing.B) {
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetBodyString(`{"position":0,"globalPosition":1}`)
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Shutdown() }()
	load := Load{Workers: 10, Timeout: testTimeout}
	d := NewDriver(atAddr(listener), writesOnly{EventMix{Streams: 100}}, load, Connect{}, 1)
	defer d.Close()
	b.ReportAllocs()
	b.ResetTimer()
	if r := d.Warmup(b.Context(), b.N); r.Errors.Total() > 0 {
		b.Fatal(r.Errors.First)
	}
}

// writesOnly accepts the null handler's answer for reads too.
type writesOnly struct{ EventMix }

func (w writesOnly) Source(seed uint64, worker int) Source {
	return uncheckedSource{w.EventMix.Source(seed, worker)}
}

type uncheckedSource struct{ Source }

func (uncheckedSource) Check(int, *Answer) error { return nil }

// TestSliceIsNeverEmpty holds that a slice whose workers get to run too late sends
// a request all the same.
func TestSliceIsNeverEmpty(t *testing.T) {
	d := newTestDriver(t, Load{Workers: 3}, fine)
	if r := d.Slice(t.Context(), 0); r.Ops() != 1 {
		t.Errorf("%d requests in a slice that is over when it begins, want 1", r.Ops())
	}
}

// TestUnchecked: under such a load a server that does nothing fails no request, but for its
// status.
func TestUnchecked(t *testing.T) {
	for _, tt := range []struct {
		unchecked bool
		status    int
		fails     bool
	}{{false, 200, true}, {true, 200, false}, {true, 404, true}} {
		null := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }
		r := newTestDriver(t, Load{Workers: 1, Unchecked: tt.unchecked}, null).Warmup(t.Context(), 10)
		if failed := r.Errors.Total() > 0; failed != tt.fails || !failed && r.Ops() != 10 {
			t.Errorf("%+v: %d answered, %v", tt, r.Ops(), r.Errors)
		}
	}
}
