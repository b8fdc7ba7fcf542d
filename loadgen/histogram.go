package loadgen

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The limits of what a driver can be asked for. Together they limit the latency
// of a request, so that histograms can hold every one.
const (
	MaxTimeout = time.Hour // of one request
	MaxSlice   = time.Hour // length of one slice
)

// maxLatency is the longest latency: of a request that was due when a slice
// began, sent when its backlog ended, and answered just before its timeout.
const maxLatency = MaxSlice + backlogTime + MaxTimeout

// NewHistogram returns an empty histogram of latencies in nanoseconds, with three
// significant digits. It holds every latency that a valid load can produce, and
// takes 280 kB of memory.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(maxLatency), 3)
}

// Merged returns the sum of histograms of latencies.
func Merged(hs []*hdrhistogram.Histogram) *hdrhistogram.Histogram {
	all := NewHistogram()
	for _, h := range hs {
		all.Merge(h)
	}
	return all
}

// recordLatency adds a latency to a histogram. The minimum matters only if the
// system is so slow to run the generator that an answer is noticed after its
// timeout.
func recordLatency(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(int64(min(d, maxLatency))) // it is in range
}

func newHistograms(n int) []*hdrhistogram.Histogram {
	all := make([]*hdrhistogram.Histogram, n)
	for i := range all {
		all[i] = NewHistogram()
	}
	return all
}

// latencies are those of some workers by kind, since they were last taken. They are not
// a worker's own: ten thousand times two histograms would take 5 GB.
type latencies struct {
	mu   sync.Mutex
	due  []*hdrhistogram.Histogram
	sent []*hdrhistogram.Histogram // nil in a closed loop
}

func newLatencies(kinds int, open bool) *latencies {
	l := &latencies{due: newHistograms(kinds)}
	if open {
		l.sent = newHistograms(kinds)
	}
	return l
}

// record adds the latencies of a request from when it was due and from when it was sent.
func (l *latencies) record(kind int, due, sent time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	recordLatency(l.due[kind], due)
	if l.sent != nil {
		recordLatency(l.sent[kind], sent)
	}
}

// moveTo adds what was recorded to other histograms, and forgets it.
func (l *latencies) moveTo(to Latency) {
	l.mu.Lock()
	defer l.mu.Unlock()
	move(to.Due, l.due)
	move(to.Sent, l.sent)
}

func move(to, from []*hdrhistogram.Histogram) {
	for kind, h := range from {
		to[kind].Merge(h)
		h.Reset()
	}
}
