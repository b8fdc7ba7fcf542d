package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/workload"
)

// bus starts a NATS server for a test.
func bus(t *testing.T) *Server {
	t.Helper()
	s, err := StartServer("127.0.0.1:0", "token", "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func connect(t *testing.T, s *Server) *nats.Conn {
	t.Helper()
	nc, err := s.Connect(t.Name(), false, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func options(name string) Options {
	allow, err := ParseAllow(Loopback)
	if err != nil {
		panic(err)
	}
	return Options{Name: name, Version: "test", Allow: allow, MaxRate: 1e6, MaxConnections: 100, MaxTime: time.Hour}
}

// startAgent serves until the test ends, on a clock that began at epoch, or until the
// function that is returned is called.
func startAgent(t *testing.T, s *Server, o Options, epoch time.Time) (stop func()) {
	t.Helper()
	nc := connect(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- serve(ctx, nc, newAgent(o, epoch)) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		nc.Close()
	}
	t.Cleanup(stop)
	return stop
}

func gather(t *testing.T, s *Server, agents int) *Fleet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f, err := Gather(ctx, connect(t, s), agents, func(text string) { t.Log(text) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// counted is a server that counts requests.
func counted(t *testing.T) (*url.URL, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) }))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, &n
}

func home(t *testing.T) loadgen.Workload {
	t.Helper()
	w, err := workload.Get([]string{"/", "/other"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func loadOf(w loadgen.Workload, workers int, rate float64) loadgen.Load {
	l := loadgen.Load{Workload: w.Name(), Kinds: w.Kinds(), Workers: workers, Timeout: 10 * time.Second}
	if rate > 0 {
		l.Rate, l.Arrivals = rate, loadgen.Poisson
	}
	return l
}

// TestFleet: three agents, whose clocks differ by seconds and hours, make a load
// together, and what they tell is what the server saw.
func TestFleet(t *testing.T) {
	for _, rate := range []float64{0, 2000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			s := bus(t)
			now := time.Now()
			startAgent(t, s, options("a"), now)
			startAgent(t, s, options("b"), now.Add(-5*time.Second))
			startAgent(t, s, options("c"), now.Add(7*time.Hour))
			f := gather(t, s, 3)
			server, served := counted(t)
			// On a machine that is busy with something else agents are held up.
			const attempts = 10
			var lost *loadgen.LostError
			for range attempts {
				if lost = makeLoad(t, f, server, served, rate); lost == nil || !lost.Again {
					break
				}
			}
			if lost != nil {
				t.Error(lost)
			}
		})
	}
}

func makeLoad(t *testing.T, f *Fleet, server *url.URL, served *atomic.Int64, rate float64) *loadgen.LostError {
	t.Helper()
	w := home(t)
	g := f.NewGenerator(server, w, loadOf(w, 7, rate), Trust{}, 1)
	defer g.Close()
	served.Store(0)
	r := g.Warmup(t.Context(), 100)
	if lost, ok := r.Lost.(*loadgen.LostError); ok {
		return lost
	}
	if r.Ops() != 100 || served.Load() != 100 {
		t.Fatalf("warm-up: %d requests, %d served", r.Ops(), served.Load())
	}
	if l := g.TakeLatency(); l.Lost == nil && total(l) != 100 {
		t.Fatalf("latencies of the warm-up: %d", total(l))
	}
	var wrong time.Duration // of clocks that are read on a busy machine
	for _, c := range g.clocks {
		wrong = max(wrong, c.wrong)
	}
	var ops int64
	for range 3 {
		began := time.Now()
		r := g.Slice(t.Context(), 50*time.Millisecond)
		if lost, ok := r.Lost.(*loadgen.LostError); ok {
			return lost
		}
		if r.Start.Before(began) || time.Until(r.Start.Add(r.Duration)) > wrong {
			t.Errorf("a slice from %v after it was asked for until %v from now", r.Start.Sub(began),
				time.Until(r.Start.Add(r.Duration)))
		}
		if r.Duration < 50*time.Millisecond || r.CPU <= 0 || r.Errors.Total() != 0 {
			t.Errorf("%v long, %v of CPU, %v failed", r.Duration, r.CPU, r.Errors)
		}
		ops += r.Ops()
	}
	if served.Load() != 100+ops || ops == 0 {
		t.Errorf("%d requests counted, and %d served", ops, served.Load()-100)
	}
	l := g.TakeLatency()
	if lost, ok := l.Lost.(*loadgen.LostError); ok {
		return lost
	}
	checkAgents(t, l, ops)
	return nil
}

func total(l loadgen.Latency) (n int64) {
	for _, h := range l.Due {
		n += h.TotalCount()
	}
	return n
}

func checkAgents(t *testing.T, l loadgen.Latency, ops int64) {
	t.Helper()
	if total(l) != ops || len(l.Agents) != 3 {
		t.Fatalf("%d latencies of %d requests and %d agents", total(l), ops, len(l.Agents))
	}
	var sum int64
	for i, a := range l.Agents {
		sum += a.Ops
		if want := string(rune('a' + i)); a.Name != want || a.Elsewhere || a.Cores < 1 || a.Version != "test" {
			t.Errorf("agent %d is %+v", i, a)
		}
		if a.RoundTrip <= 0 || a.ClockError <= 0 || a.Busy < 150*time.Millisecond {
			t.Errorf("agent %s: %+v", a.Name, a)
		}
	}
	if sum != ops {
		t.Errorf("agents answered %d of %d requests", sum, ops)
	}
}

// TestBounds: an agent keeps its bounds, and says so.
func TestBounds(t *testing.T) {
	s := bus(t)
	server, served := counted(t)
	elsewhere := &url.URL{Scheme: "http", Host: "192.0.2.1:80"}
	tests := []struct {
		name    string
		set     func(*Options)
		server  *url.URL
		workers int
		rate    float64
		want    string
	}{
		{"target", func(*Options) {}, elsewhere, 1, 0, "192.0.2.1:80 is not among what the agent may load"},
		{"port", func(o *Options) { o.Allow, _ = ParseAllow([]string{"127.0.0.1:1"}) }, server, 1, 0, "not among"},
		{"connections", func(o *Options) { o.MaxConnections = 2 }, server, 3, 0, "at most 2 connections"},
		{"rate", func(o *Options) { o.MaxRate = 100 }, server, 1, 1000, "at most 100 requests per second"},
		{"closed loop", func(o *Options) { o.MaxRate = 10 }, server, 5, 0, "raise its --max-rate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options("a")
			tt.set(&o)
			defer startAgent(t, s, o, time.Now())()
			f := gather(t, s, 1)
			w := home(t)
			before := served.Load()
			g := f.NewGenerator(tt.server, w, loadOf(w, tt.workers, tt.rate), Trust{}, 1)
			defer g.Close()
			r := g.Slice(t.Context(), 200*time.Millisecond)
			var lost *loadgen.LostError
			if lost, _ = r.Lost.(*loadgen.LostError); lost == nil || lost.Again || !strings.Contains(lost.Reason, tt.want) {
				t.Errorf("lost: %+v, want %q", lost, tt.want)
			}
			if sent := served.Load() - before; sent > 15 {
				t.Errorf("%d requests were sent", sent)
			}
			f.Close()
		})
	}
}

// TestRateOfSlices: agents make a load together at rates that change from slice to slice,
// the same requests at the same times as one driver, up to the rate that they agreed to.
func TestRateOfSlices(t *testing.T) {
	const most, length = 4000, 50 * time.Millisecond
	w, l := home(t), loadOf(home(t), 8, most)
	server, _ := counted(t)
	alone := loadgen.NewDriver(server, w, l, loadgen.Connect{}, 1)
	defer alone.Close()
	s := bus(t)
	startAgent(t, s, options("a"), time.Now())
	startAgent(t, s, options("b"), time.Now())
	together := gather(t, s, 2).NewGenerator(server, w, l, Trust{}, 1)
	defer together.Close()
	due := func(r loadgen.Result) int64 { return r.Ops() + r.Errors.Total() + r.Missed }
	for _, rate := range []float64{1000, most, 200} {
		alone.SetRate(rate)
		together.SetRate(rate)
		one, two := alone.Slice(t.Context(), length), together.Slice(t.Context(), length)
		if two.Lost != nil {
			t.Skipf("agents were held up: %v", two.Lost)
		}
		if due(one) != due(two) || due(one) == 0 {
			t.Errorf("at %v/s %d requests are due by one driver, and %d by two agents", rate, due(one), due(two))
		}
	}
	together.SetRate(most + 1)
	lost, _ := together.Slice(t.Context(), length).Lost.(*loadgen.LostError)
	if lost == nil || lost.Again || !strings.Contains(lost.Reason, "4001 requests per second, of a load of 4000") {
		t.Errorf("more than was agreed to: %+v", lost)
	}
}

// TestSetupFails: a setup that fails is told with its reason, and is no lie of an agent.
func TestSetupFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "w.yaml")
	const text = "setup: [{path: /login}]\nrequests: [{path: /}]"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := workload.ReadMix(file)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := bus(t)
	startAgent(t, s, options("a"), time.Now())
	g := gather(t, s, 1).NewGenerator(u, w, loadOf(w, 2, 0), Trust{}, 1)
	defer g.Close()
	r := g.Warmup(t.Context(), 10)
	if r.Lost != nil || r.Setup.Total() != 2 || !strings.Contains(r.Setup.First, "GET /login was answered with status 404") {
		t.Errorf("lost: %v, setup: %+v", r.Lost, r.Setup)
	}
}
