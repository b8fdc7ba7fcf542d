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
