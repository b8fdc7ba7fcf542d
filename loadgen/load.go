// Package loadgen puts load on an HTTP server and measures what comes back:
// how many requests finished, how long each took, and which failed.
package loadgen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Load says what a driver does to a server, whatever the server. Two runs can
// be compared only if their loads are equal.
//
// Without a rate it is a closed loop: each worker sends a request when the one
// before is answered. With a rate it is an open loop: requests are due at times
// that do not depend on the server, and workers are how many can be in flight.
type Load struct {
	Workload string        `json:"workload"`
	Kinds    []string      `json:"kinds"` // the workload's kinds of request
	Workers  int           `json:"workers"`
	Timeout  time.Duration `json:"timeout_ns"`           // of one request
	Rate     float64       `json:"rate_per_s,omitempty"` // requests due per second; 0 for a closed loop
	Arrivals Arrivals      `json:"arrivals,omitempty"`   // of an open loop
}

// MaxRate is beyond what one generator can send, per second.
const MaxRate = 1e6

// Open reports whether requests are due at times of their own.
func (l Load) Open() bool { return l.Rate > 0 }

// Validate reports the first value that no server can be loaded with.
func (l Load) Validate() error {
	switch {
	case l.Workers < 1:
		return fmt.Errorf("the load needs at least 1 worker, not %d", l.Workers)
	case l.Timeout > MaxTimeout:
		return fmt.Errorf("the load needs a timeout of at most %v, not %v", MaxTimeout, l.Timeout)
	case !(l.Rate >= 0 && l.Rate <= MaxRate):
		return fmt.Errorf("the load needs a rate of at most %.0f/s, not %v/s", MaxRate, l.Rate)
	case l.Open() && l.Arrivals != Poisson && l.Arrivals != Constant:
		return fmt.Errorf("unknown arrivals %q; use %s or %s", l.Arrivals, Poisson, Constant)
	case !l.Open() && l.Arrivals != "":
		return fmt.Errorf("arrivals (%s) need a rate", l.Arrivals)
	}
	return nil
}

// Equal reports whether two loads are the same.
func (l Load) Equal(m Load) bool {
	return l.Workload == m.Workload && slices.Equal(l.Kinds, m.Kinds) &&
		l.Workers == m.Workers && l.Timeout == m.Timeout &&
		l.Rate == m.Rate && l.Arrivals == m.Arrivals
}

// String describes the load in a few words.
func (l Load) String() string { return l.Workload + ", " + l.Pacing() }

// Pacing describes how the load is spread over time and connections.
func (l Load) Pacing() string {
	if l.Open() {
		rate := strconv.FormatFloat(l.Rate, 'f', -1, 64)
		return fmt.Sprintf("open loop at %s/s (%s arrivals), %d workers", rate, l.Arrivals, l.Workers)
	}
	return fmt.Sprintf("closed loop, %d workers", l.Workers)
}

// ParseRate reads a number of requests per second, such as "5000/s", "300/m" (per
// minute) or "5000".
func ParseRate(text string) (float64, error) {
	number, unit, _ := strings.Cut(text, "/")
	per, known := map[string]float64{"": 1, "s": 1, "m": 60}[unit]
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || strings.HasSuffix(text, "/") || !(rate > 0) || rate/per > MaxRate {
		return 0, fmt.Errorf("rate %q: use a number up to %.0f per second, such as 5000/s or 300/m", text, MaxRate)
	}
	return rate / per, nil
}

// Workload is a kind of traffic: it makes the requests and judges the answers.
type Workload interface {
	// Name identifies the workload and all its settings.
	Name() string
	// Kinds names the kinds of request, such as write and read.
	Kinds() []string
	// Source starts the request sequence of one worker. Equal seeds and workers
	// give equal sequences.
	Source(seed uint64, worker int) Source
}

// Source is one worker's endless sequence of requests. It is used by one
// goroutine at a time.
type Source interface {
	// Next fills in the next request, all but the host, and returns its kind.
	Next(req *fasthttp.Request) (kind int)
	// Check returns an error if a successful answer's body is not what a
	// request of this kind must get.
	Check(kind int, body []byte) error
}
