package loadgen

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// pipes is a listener whose connections are pipes in memory. They use the clock
// of a synctest bubble.
type pipes struct{ accept chan net.Conn }

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.accept
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (p *pipes) Close() error   { close(p.accept); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (p *pipes) dial(context.Context, time.Time) (net.Conn, error) {
	client, server := net.Pipe()
	p.accept <- server
	return client, nil
}

// inBubble makes do drive a real HTTP server over pipes, on a clock that jumps from
// event to event. Everything takes exactly as long as the handler sleeps.
func inBubble(t *testing.T, l Load, h http.HandlerFunc, do func(t *testing.T, d *Driver)) {
	t.Helper()
	inBubbleWith(t, pages{}, l, h, do)
}

func inBubbleWith(t *testing.T, w Workload, l Load, h http.HandlerFunc, do func(t *testing.T, d *Driver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := &pipes{accept: make(chan net.Conn)}
		server := &http.Server{Handler: h}
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
		l.Timeout = cmp.Or(l.Timeout, testTimeout)
		d := NewDriver(at("http://server"), w, l, Connect{}, 1)
		for _, w := range d.workers {
			w.link.(*http1).dial, w.timer = listener.dial, runtimeTimer{}
		}
		do(t, d)
		d.Close()
		_ = server.Close()
		serving.Wait()
	})
}

// TestLateAnswer: an answer after the timeout is none, also while the connection would
// wait for it.
func TestLateAnswer(t *testing.T) {
	asked := 0
	slow := func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 2 {
			time.Sleep(testTimeout * 21 / 20)
		}
		fine(w, r)
	}
	inBubble(t, Load{Workers: 1}, slow, func(t *testing.T, d *Driver) {
		r := d.Warmup(t.Context(), 2)
		if r.Ops() != 1 || r.Errors.Kinds[errorTimeout] != 1 {
			t.Errorf("%d answers, errors %+v; want one of each", r.Ops(), r.Errors)
		}
	})
}

// freezing answers after 1 ms, but freezes as a whole for 200 ms from its 100th
// request on.
func freezing() http.HandlerFunc {
	var mu sync.Mutex
	served := 0
	var thaw time.Time
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if served++; served == 100 {
			thaw = time.Now().Add(freeze)
		}
		until := thaw
		mu.Unlock()
		time.Sleep(time.Until(until))
		time.Sleep(time.Millisecond)
		fine(w, r)
	}
}

const freeze = 200 * time.Millisecond

// total is the number of latencies over all kinds of request.
func total(l []*hdrhistogram.Histogram) (n int64) {
	for _, h := range l {
		n += h.TotalCount()
	}
	return n
}

// quantile is a latency over all kinds of request.
func quantile(l []*hdrhistogram.Histogram, q float64) time.Duration {
	all := NewHistogram()
	for _, h := range l {
		all.Merge(h)
	}
	return time.Duration(all.ValueAtQuantile(q))
}

// TestFreezeShowsInTheOpenLoop: a server that freezes for a fifth of a second
// keeps that fifth of a second's users waiting. A closed loop freezes with it, and
// latencies counted from sending do not show it either.
func TestFreezeShowsInTheOpenLoop(t *testing.T) {
	load := Load{Workers: 4}
	inBubble(t, load, freezing(), func(t *testing.T, d *Driver) {
		r := d.Slice(t.Context(), time.Second)
		l := d.TakeLatency()
		p99, most := quantile(l.Due, 99), quantile(l.Due, 100)
		if r.Ops() < 3000 || p99 > 2*time.Millisecond || most < freeze {
			t.Errorf("closed loop: %d requests, p99 %v, max %v", r.Ops(), p99, most)
		}
		if l.Sent != nil {
			t.Error("a closed loop has latencies from sending too")
		}
	})
	load.Rate, load.Arrivals = 1000, Constant
	inBubble(t, load, freezing(), func(t *testing.T, d *Driver) {
		r := d.Slice(t.Context(), time.Second)
		l := d.TakeLatency()
		p99, sent := quantile(l.Due, 99), quantile(l.Sent, 99)
		if r.Ops() != 1000 || p99 < 180*time.Millisecond || sent > 2*time.Millisecond {
			t.Errorf("open loop: %d requests, p99 %v from when they were due, %v from when they were sent",
				r.Ops(), p99, sent)
		}
		if r.Missed != 0 || r.Late < 190 || r.Late > 300 || r.MaxLate < 190*time.Millisecond || r.MaxLate > freeze {
			t.Errorf("%d missed, %d late by up to %v", r.Missed, r.Late, r.MaxLate)
		}
	})
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	for _, arrivals := range []Arrivals{Constant, Poisson} {
		inBubble(t, Load{Workers: 4, Rate: 500, Arrivals: arrivals}, fine, func(t *testing.T, d *Driver) {
			var ops int64
			for range 100 {
				r := d.Slice(t.Context(), 50*time.Millisecond)
				if ops += r.Ops(); r.Duration != 50*time.Millisecond || r.Late != 0 || r.Missed != 0 {
					t.Fatalf("slice of 50ms took %v; %d late, %d missed", r.Duration, r.Late, r.Missed)
				}
			}
			if want := int64(2500); ops < want-150 || ops > want+150 || arrivals == Constant && ops != want {
				t.Errorf("%d requests in 5s of %s arrivals at 500/s", ops, arrivals)
			}
		})
	}
}

func TestEqualSeedsLoadAlike(t *testing.T) {
	var ops [2][]int64
	for i := range ops {
		inBubble(t, Load{Workers: 4, Rate: 500, Arrivals: Poisson}, fine, func(t *testing.T, d *Driver) {
			for range 20 {
				ops[i] = append(ops[i], d.Slice(t.Context(), 10*time.Millisecond).Ops())
			}
		})
	}
	if !slices.Equal(ops[0], ops[1]) {
		t.Errorf("requests per slice: %v and %v", ops[0], ops[1])
	}
}

// TestBacklog: a server that cannot keep up gets overdue requests for one more
// second. The rest is missed and does not burden the next slice.
func TestBacklog(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(10 * time.Millisecond)
		fine(w, r)
	}
	inBubble(t, Load{Workers: 1, Rate: 2000, Arrivals: Constant}, slow, func(t *testing.T, d *Driver) {
		for range 2 {
			r := d.Slice(t.Context(), 100*time.Millisecond)
			if r.Ops()+r.Missed != 200 || r.Missed != 90 ||
				r.Duration < 1100*time.Millisecond || r.Duration > 1110*time.Millisecond {
				t.Errorf("of 200 requests %d answered, %d missed, in %v", r.Ops(), r.Missed, r.Duration)
			}
		}
	})
}

func TestWarmupOfAnOpenLoopIsClosed(t *testing.T) {
	inBubble(t, Load{Workers: 2, Rate: 0.5, Arrivals: Constant}, fine, func(t *testing.T, d *Driver) {
		if r := d.Warmup(t.Context(), 50); r.Ops() != 50 || r.Duration != 0 || r.Late != 0 {
			t.Errorf("%d requests in %v", r.Ops(), r.Duration)
		}
	})
}

func TestCancelWakesWaitingWorkers(t *testing.T) {
	inBubble(t, Load{Workers: 2, Rate: 0.001, Arrivals: Constant}, fine, func(t *testing.T, d *Driver) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := d.Slice(ctx, 24*time.Hour)
		if r.Duration > 1100*time.Millisecond || r.Ops() != 0 || r.Errors.Total() != 0 {
			t.Errorf("%d requests, errors %v, %v after the start", r.Ops(), r.Errors, r.Duration)
		}
	})
}

// TestFreezeOfARealServer: the same over loopback, on this machine's clock. No
// limit here depends on how fast the machine is, because requests that were due in
// the first half of the freeze cannot have been answered before its end.
func TestFreezeOfARealServer(t *testing.T) {
	d := newTestDriver(t, Load{Workers: 4, Rate: 1000, Arrivals: Constant}, freezing())
	r := d.Slice(t.Context(), time.Second)
	l := d.TakeLatency()
	if r.Ops()+r.Missed != 1000 || r.Errors.Total() > 0 {
		t.Errorf("of 1000 requests %d answered, %d missed, errors %v", r.Ops(), r.Missed, r.Errors)
	}
	if p90 := quantile(l.Due, 90); p90 < freeze/2 || r.MaxLate < freeze/2 {
		t.Errorf("p90 %v, late by up to %v", p90, r.MaxLate)
	}
	for kind, h := range l.Sent {
		if h.TotalCount() != r.Kinds[kind].Ops || h.Mean() > l.Due[kind].Mean() {
			t.Errorf("kind %d: %d latencies from sending, mean %v; %v from when due",
				kind, h.TotalCount(), h.Mean(), l.Due[kind].Mean())
		}
	}
}

func TestTimer(t *testing.T) {
	testTimer(t, newTimer())
	shared := newTimers()
	testTimer(t, shared)
	if len(shared.idle) != 0 {
		t.Errorf("%d timers are left", len(shared.idle))
	}
}

// TestTimersAreUsedAgain: many that sleep one after the other need one timer.
func TestTimersAreUsedAgain(t *testing.T) {
	shared := newTimers()
	defer shared.close()
	for range 100 {
		shared.sleep(1)
	}
	if len(shared.idle) != 1 {
		t.Errorf("%d timers for one that sleeps at a time", len(shared.idle))
	}
}

func testTimer(t *testing.T, timer timer) {
	defer timer.close()
	for _, d := range []time.Duration{1, time.Microsecond, 3 * time.Millisecond} {
		start := time.Now()
		if timer.sleep(d); time.Since(start) < d {
			t.Errorf("a sleep of %v ended after %v", d, time.Since(start))
		}
	}
}

// BenchmarkTimer shows how late a timer wakes its goroutine. Ten are waiting, like
// the workers of an open loop at 5000/s.
func BenchmarkTimer(b *testing.B) {
	runtime := func() timer { return runtimeTimer{} }
	for name, create := range map[string]func() timer{"runtime": runtime, "newTimer": newTimer} {
		b.Run(name, func(b *testing.B) {
			line := newTimeline(nil, Load{Rate: 5000, Arrivals: Constant}, 1)
			due, _ := line.slice(time.Duration(b.N) * 200 * time.Microsecond)
			s := &schedule{start: time.Now(), due: due}
			s.end = s.start.Add(time.Hour)
			late := NewHistogram()
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					w := worker{timer: create()}
					defer w.timer.close()
					for {
						due, _, ok := s.Next(time.Now())
						if !ok {
							return
						}
						w.wait(b.Context(), due)
						mu.Lock()
						recordLatency(late, time.Since(due))
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(late.ValueAtQuantile(50))/1e3, "p50-us")
			b.ReportMetric(float64(late.ValueAtQuantile(99))/1e3, "p99-us")
		})
	}
}

// TestLateIsCountedOfFailures: a request was late whether it is answered well or not.
func TestLateIsCountedOfFailures(t *testing.T) {
	failing := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(10 * time.Millisecond)
		w.WriteHeader(http.StatusInternalServerError)
	}
	load := Load{Workers: 1, Rate: 200, Arrivals: Constant, AllowErrors: 0.999}
	inBubble(t, load, failing, func(t *testing.T, d *Driver) {
		r := d.Slice(t.Context(), 50*time.Millisecond)
		if r.Errors.Total() != 10 || r.Late != 9 || r.MaxLate != 45*time.Millisecond {
			t.Errorf("%d failed, %d late by up to %v; want 10, of which 9 late by up to 45ms", r.Errors.Total(), r.Late, r.MaxLate)
		}
	})
}
