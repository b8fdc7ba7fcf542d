package loadgen

import (
	"context"
	"errors"
	"os"
	"time"
)

// worker sends one request after another over one keep-alive connection.
type worker struct {
	link    link
	source  Source
	timeout time.Duration

	allowErrors bool // a failure does not end a run
	unchecked   bool // see Load.Unchecked

	req    Request
	answer Answer

	clock     clock
	timer     timer      // precise in an open loop only
	latencies *latencies // shared with other workers

	// State of the current run:
	rested   bool         // the connection is open since the previous run and not used in this one yet
	broken   int          // exchanges that failed in a row
	done     []KindResult // by kind
	errors   Errors
	setup    Errors
	reopened int64
	late     int64
	maxLate  time.Duration
}

func newWorker(to link, s Source, kinds int, l Load, t timer, all *latencies) *worker {
	if c, ok := s.(Capturer); ok && l.Unchecked {
		c.Presume()
	}
	return &worker{
		link: to, source: s, allowErrors: l.AllowErrors > 0, unchecked: l.Unchecked, timeout: l.Timeout,
		timer: t, latencies: all, done: newKindResults(kinds),
	}
}

// run sends requests as the pacer decides, until there are no more, one fails
// that must not, or ctx is canceled. A request that is outstanding then is not
// counted.
func (w *worker) run(ctx context.Context, p Pacer) {
	w.reset()
	stop := context.AfterFunc(ctx, w.link.interrupt)
	defer stop()
	err := w.prepare(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.setup.add(err)
		}
		return
	}
	now := w.clock.restart()
	for ctx.Err() == nil {
		due, number, ok := p.Next(now)
		if !ok {
			return
		}
		w.req.Number = number
		kind := w.source.Next(&w.req)
		if due.After(now) {
			w.wait(ctx, due)
		}
		now, err = w.request(ctx, kind, due)
		if ctx.Err() != nil || err != nil && !w.allowErrors {
			return
		}
		if due.IsZero() && w.broken > 1 {
			w.backOff(ctx, p)
			now = w.clock.now()
		}
	}
}

func (w *worker) reset() {
	for kind := range w.done {
		statuses := w.done[kind].Statuses
		clear(statuses)
		w.done[kind] = KindResult{Statuses: statuses}
	}
	w.errors, w.setup = Errors{}, Errors{}
	w.late, w.maxLate, w.reopened, w.broken = 0, 0, 0, 0
	w.rested = w.link.connected()
}

// request sends the request that is due, and counts what comes of it unless ctx is
// canceled meanwhile.
func (w *worker) request(ctx context.Context, kind int, due time.Time) (answered time.Time, err error) {
	sent := w.clock.now()
	deadline := sent.Add(w.timeout)
	err = w.exchange(ctx, deadline)
	answered = w.clock.now()
	if err == nil && answered.After(deadline) {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		w.link.fail()
		w.broken++
		err = newExchangeError(&w.req, err)
	} else {
		w.broken = 0
		err = w.checkAnswer(kind)
	}
	switch {
	case err == nil:
		w.record(kind, due, sent, answered)
	case ctx.Err() == nil:
		w.done[kind].Errors++
		w.errors.add(err)
	default:
		return answered, err
	}
	w.recordDelay(due, sent)
	return answered, err
}

// backOff lets some time pass when exchanges failed in a row, more and more of it.
// Without it a server that refuses connections would make the worker spin. In an
// open loop the rate bounds that. The end of a slice is not delayed.
func (w *worker) backOff(ctx context.Context, p Pacer) {
	const first, longest = time.Millisecond, 100 * time.Millisecond
	until := time.Now().Add(min(first<<min(w.broken-2, 10), longest))
	if slice, ok := p.(*closedLoop); ok && slice.end.Before(until) {
		until = slice.end
	}
	w.wait(ctx, until)
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
// byte of an answer, the request is sent again on a new one, once. With HTTP/2 a
// server can say that it leaves, and which requests it will not process; those are
// sent again too.
func (w *worker) exchange(ctx context.Context, deadline time.Time) error {
	rested := w.rested
	w.rested = false
	err := w.link.exchange(ctx, deadline, &w.req, rested, &w.answer)
	if !errors.Is(err, errAgain) || ctx.Err() != nil {
		return err
	}
	w.link.fail()
	w.reopened++
	return w.link.exchange(ctx, deadline, &w.req, false, &w.answer)
}

// checkAnswer counts the status of an answer and has the source check it.
func (w *worker) checkAnswer(kind int) error {
	w.done[kind].Statuses[w.answer.Status]++
	var err error
	if w.unchecked {
		err = w.answer.CheckStatus()
	} else {
		err = w.source.Check(kind, &w.answer)
	}
	if err != nil {
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
	w.latencies.record(kind, latency, answered.Sub(sent))
}

// recordDelay counts a request as late if it was, whatever came of it.
func (w *worker) recordDelay(due, sent time.Time) {
	if due.IsZero() {
		return
	}
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
	r.Setup.merge(w.setup)
	r.Reopened += w.reopened
	r.Late += w.late
	r.MaxLate = max(r.MaxLate, w.maxLate)
}
