package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The bounds of what a driver can be asked for. Together they bound the latency
// of a request, so that histograms reach it.
const (
	MaxTimeout = time.Hour // of one request
	MaxSlice   = time.Hour
)

// maxLatency is the longest latency: of a request that was due when a slice
// began, sent when its backlog ended, and answered just before its timeout.
const maxLatency = MaxSlice + backlogTime + MaxTimeout

// NewHistogram returns an empty histogram of latencies in nanoseconds with
// three significant digits. It takes 270 kB.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(maxLatency), 3)
}

func recordLatency(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(int64(min(d, maxLatency))) // in range by construction
}

func newHistograms(n int) []*hdrhistogram.Histogram {
	all := make([]*hdrhistogram.Histogram, n)
	for i := range all {
		all[i] = NewHistogram()
	}
	return all
}
