package loadgen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
)

// worker sends one request after another over one keep-alive connection.
type worker struct {
	dial    func(ctx context.Context, deadline time.Time) (net.Conn, error)
	source  Source
	timeout time.Duration

	allowErrors bool // a failure does not end a run

	mu   sync.Mutex // guards conn against interrupt; only the worker itself sets conn
	conn net.Conn   // nil when not connected
	r    *bufio.Reader
	host string
	req  Request
	sent []byte // the request as it is sent
	resp fasthttp.Response

	answer Answer // what resp holds

	timer timer // precise in an open loop only

	// Latencies by kind since they were last taken; fromSent is nil in a closed loop.
	due, fromSent []*hdrhistogram.Histogram

	// State of the current run:
	rested   bool         // the connection is open since the previous run and not used in this one yet
	done     []KindResult // by kind
	errors   Errors
	reopened int64
	late     int64
	maxLate  time.Duration
}

func newWorker(addr string, s Source, kinds int, l Load) *worker {
	w := &worker{
		dial: dialTCP(addr), host: addr, source: s, allowErrors: l.AllowErrors > 0, timeout: l.Timeout, timer: runtimeTimer{},
		done: newKindResults(kinds), due: newHistograms(kinds),
	}
	if l.Open() {
		w.fromSent, w.timer = newHistograms(kinds), newTimer()
	}
	w.answer.header = func(name string) string { return string(w.resp.Header.Peek(name)) }
	return w
}

// run sends requests as the pacer decides, until there are no more, one fails,
// or ctx is canceled. A request that is outstanding then is not counted.
func (w *worker) run(ctx context.Context, p Pacer) {
	for kind := range w.done {
		statuses := w.done[kind].Statuses
		clear(statuses)
		w.done[kind] = KindResult{Statuses: statuses}
	}
	w.errors, w.late, w.maxLate, w.reopened = Errors{}, 0, 0, 0
	w.rested = w.conn != nil
	stop := context.AfterFunc(ctx, w.interrupt)
	defer stop()
	for now := time.Now(); ctx.Err() == nil; {
		due, ok := p.Next(now)
		if !ok {
			return
		}
		kind := w.source.Next(&w.req)
		if !due.IsZero() {
			w.wait(ctx, due)
		}
		sent := time.Now()
		err := w.exchange(ctx, sent.Add(w.timeout))
		now = time.Now()
		if err != nil {
			w.disconnect()
		} else {
			err = w.checkAnswer(kind)
		}
		switch {
		case err == nil:
			w.record(kind, due, sent, now)
		case ctx.Err() != nil:
			return
		default:
			w.done[kind].Errors++
			w.errors.add(err)
			if !w.allowErrors {
				w.disconnect()
				return
			}
		}
	}
}

// wait returns at the given time, or soon after ctx is canceled.
func (w *worker) wait(ctx context.Context, until time.Time) {
	const longest = 100 * time.Millisecond // without a look at ctx
	for left := time.Until(until); left > 0 && ctx.Err() == nil; left = time.Until(until) {
		w.timer.sleep(min(left, longest))
	}
}

// exchange sends the request and reads the answer. A server may close a
// connection that is idle. So if the connection rested and ends before the first
// byte of an answer, the request is sent again on a new one, once.
func (w *worker) exchange(ctx context.Context, deadline time.Time) error {
	rested := w.rested
	w.rested = false
	err := w.exchangeOnce(ctx, deadline, rested)
	if !errors.Is(err, errRested) || ctx.Err() != nil {
		return err
	}
	w.disconnect()
	w.reopened++
	return w.exchangeOnce(ctx, deadline, false)
}

// errRested says that a connection ended while it rested.
var errRested = errors.New("the server closed a connection that rested")

// exchangeOnce is one attempt at exchange, on the open connection if there is
// one. It returns errRested if the connection rested and is lost.
func (w *worker) exchangeOnce(ctx context.Context, deadline time.Time, rested bool) error {
	if w.conn == nil {
		if err := w.connect(ctx, deadline); err != nil {
			return err
		}
	}
	if err := w.conn.SetDeadline(deadline); err != nil {
		return err
	}
	if err := w.send(); err != nil {
		return lostWhileResting(err, rested)
	}
	if rested {
		if _, err := w.r.Peek(1); err != nil {
			return lostWhileResting(err, rested)
		}
	}
	if err := w.resp.Read(w.r); err != nil {
		return err
	}
	if w.resp.ConnectionClose() {
		w.disconnect()
	}
	return nil
}

func (w *worker) send() error {
	w.sent = w.req.append(w.sent[:0], w.host)
	_, err := w.conn.Write(w.sent)
	return err
}

// lostWhileResting marks the loss of a rested connection as errRested, and
// returns other errors as they are.
func lostWhileResting(err error, rested bool) error {
	if rested && isLost(err) {
		return fmt.Errorf("%w: %w", errRested, err)
	}
	return err
}

func dialTCP(addr string) func(ctx context.Context, deadline time.Time) (net.Conn, error) {
	return func(ctx context.Context, deadline time.Time) (net.Conn, error) {
		dialer := net.Dialer{Deadline: deadline}
		return dialer.DialContext(ctx, "tcp", addr)
	}
}

func (w *worker) connect(ctx context.Context, deadline time.Time) error {
	conn, err := w.dial(ctx, deadline)
	if err != nil {
		return err
	}
	w.r = bufio.NewReader(conn)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = conn
	return ctx.Err() // an interrupt before the lock found no connection to close
}

// interrupt makes the outstanding request fail. It is called from another
// goroutine.
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
		_ = w.conn.Close() // nothing depends on how a dropped connection ends
		w.conn = nil
	}
}

// checkAnswer counts the status of an answer and has the source check it.
func (w *worker) checkAnswer(kind int) error {
	w.answer.Status, w.answer.Body = w.resp.StatusCode(), w.resp.Body()
	w.done[kind].Statuses[w.answer.Status]++
	if err := w.source.Check(kind, &w.answer); err != nil {
		return newAnswerError(&w.req, &w.answer, err)
	}
	return nil
}

// record counts an answered request. A zero due means that it was due when it
// was sent.
func (w *worker) record(kind int, due, sent, answered time.Time) {
	if due.IsZero() {
		due = sent
	}
	latency := answered.Sub(due)
	w.done[kind].Ops++
	w.done[kind].Latency += latency
	w.done[kind].Bytes += int64(len(w.answer.Body))
	recordLatency(w.due[kind], latency)
	if w.fromSent == nil {
		return
	}
	recordLatency(w.fromSent[kind], answered.Sub(sent))
	late := sent.Sub(due)
	w.maxLate = max(w.maxLate, late)
	if late > LateAfter {
		w.late++
	}
}

func (w *worker) addTo(r *Result) {
	for kind, k := range w.done {
		r.Kinds[kind].add(k)
	}
	r.Errors.merge(w.errors)
	r.Reopened += w.reopened
	r.Late += w.late
	r.MaxLate = max(r.MaxLate, w.maxLate)
}

// close ends the worker for good.
func (w *worker) close() {
	w.disconnect()
	w.timer.close()
}
