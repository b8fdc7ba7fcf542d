package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Longest latency a histogram resolves; longer ones are recorded as this.
const maxLatency = 2 * time.Minute

// NewHistogram returns an empty histogram of latencies in nanoseconds with
// three significant digits.
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
