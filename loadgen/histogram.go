package loadgen

import (
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
