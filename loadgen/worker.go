package loadgen

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

// worker sends one request after the other over one kept-alive connection.
type worker struct {
	addr    string
	source  Source
	timeout time.Duration

	mu   sync.Mutex // guards conn against interrupt; only the worker sets it
	conn net.Conn   // nil when not connected
	r    *bufio.Reader
	w    *bufio.Writer
	req  fasthttp.Request
	resp fasthttp.Response

	latency []*hdrhistogram.Histogram // by kind, until taken
	done    []KindResult              // by kind, of the current run
	errors  Errors                    // of the current run
}

func newWorker(addr string, s Source, kinds int, timeout time.Duration) *worker {
	w := &worker{addr: addr, source: s, timeout: timeout, done: make([]KindResult, kinds)}
	for range kinds {
		w.latency = append(w.latency, NewHistogram())
	}
	w.req.Header.SetHost(addr)
	return w
}

// run sends requests while more says so, until the first failure or until ctx
// is cancelled. What was outstanding then is not counted.
func (w *worker) run(ctx context.Context, more func(now time.Time) bool) {
	clear(w.done)
	w.errors = Errors{}
	stop := context.AfterFunc(ctx, w.interrupt)
	defer stop()
	for now := time.Now(); ctx.Err() == nil && more(now); {
		kind := w.source.Next(&w.req)
		sent := time.Now()
		err := w.exchange(ctx, sent.Add(w.timeout))
		now = time.Now()
		if err == nil {
			err = w.checkResponse(kind)
		}
		if err != nil {
			w.disconnect()
			if ctx.Err() == nil {
				w.errors.add(err)
			}
			return
		}
		w.record(kind, now.Sub(sent))
	}
}

// exchange sends the request and reads the answer.
func (w *worker) exchange(ctx context.Context, deadline time.Time) error {
	if w.conn == nil {
		if err := w.connect(ctx, deadline); err != nil {
			return err
		}
	}
	if err := w.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if err := w.req.Write(w.w); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	if err := w.resp.Read(w.r); err != nil {
		return err
	}
	if w.resp.ConnectionClose() {
		w.disconnect()
	}
	return nil
}

func (w *worker) connect(ctx context.Context, deadline time.Time) error {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return err
	}
	w.r = bufio.NewReader(conn)
	w.w = bufio.NewWriter(conn)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = conn
	return ctx.Err() // an interrupt before this line found no connection to close
}

// interrupt fails the outstanding request, from another goroutine.
func (w *worker) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

func (w *worker) disconnect() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.Close() // nothing depends on how an abandoned connection ends
		w.conn = nil
	}
}

func (w *worker) checkResponse(kind int) error {
	if status := w.resp.StatusCode(); status >= 400 {
		return statusError(&w.req, &w.resp)
	}
	if err := w.source.Check(kind, w.resp.Body()); err != nil {
		return bodyError(&w.req, &w.resp, err)
	}
	return nil
}

func (w *worker) record(kind int, latency time.Duration) {
	w.done[kind].Ops++
	w.done[kind].Latency += latency
	_ = w.latency[kind].RecordValue(int64(min(latency, maxLatency))) // in range by construction
}

func (w *worker) addTo(r *Result) {
	for kind, k := range w.done {
		r.Kinds[kind].Ops += k.Ops
		r.Kinds[kind].Latency += k.Latency
	}
	r.Errors.merge(w.errors)
}
