// Package loadgen puts load on an HTTP server and measures what comes back: how
// many requests were answered, how long each took, and which failed.
//
// A [Load] and a [Workload] say what to send. A [Driver] sends it, slice by slice,
// and returns a [Result] per slice and the [Latency] histograms when asked.
package loadgen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Load describes what a driver does to any server. Two runs can be compared only
// if their loads are equal.
//
// Without a rate it is a closed loop: each worker sends its next request when the
// previous one is answered. With a rate it is an open loop: requests are due at
// times that do not depend on the server, and at most Workers are in flight.
type Load struct {
	Workload string        `json:"workload"`
	Kinds    []string      `json:"kinds"` // the workload's kinds of request
	Workers  int           `json:"workers"`
	Timeout  time.Duration `json:"timeout_ns"`           // per request, at most MaxTimeout
	Rate     float64       `json:"rate_per_s,omitempty"` // requests due per second; 0 for a closed loop, or a search
	Arrivals Arrivals      `json:"arrivals,omitempty"`   // of an open loop; empty for a closed one

	// AllowErrors is the share of failed requests, from 0 to less than 1, that a
	// measurement bears. At 0 a worker stops at its first failure.
	AllowErrors float64 `json:"allow_errors,omitempty"`

	// Unchecked is for a server that does nothing: an answer counts whatever its body is,
	// and nothing is sent before the first request that counts. Values that requests would
	// take from answers count as taken (Capturer).
	Unchecked bool `json:"unchecked,omitempty"`

	// Protocol is empty for HTTP/1.1, or ProtocolH2.
	Protocol string `json:"protocol,omitempty"`
	// H2Streams is how many workers share a connection of HTTP/2, each with one
	// stream at a time. At 0 or 1 each has a connection of its own.
	H2Streams int `json:"h2_streams,omitempty"`
}

// ProtocolH2 is HTTP/2: agreed on by ALPN with https, spoken from the start with
// http.
const ProtocolH2 = "h2"

// MaxRate is the highest rate of a load, in requests per second. It is more than
// one generator can send.
const MaxRate = 1e6

// Open reports whether the load is an open loop.
func (l Load) Open() bool { return l.Rate > 0 }

// Validate returns an error about the first field that a driver cannot work with,
// or nil.
func (l Load) Validate() error {
	switch {
	case l.Workers < 1:
		return fmt.Errorf("the load needs at least 1 worker, not %d", l.Workers)
	case l.Timeout <= 0:
		return fmt.Errorf("the load needs a timeout above 0, not %v", l.Timeout)
	case l.Timeout > MaxTimeout:
		return fmt.Errorf("the load needs a timeout of at most %v, not %v", MaxTimeout, l.Timeout)
	case !(l.Rate >= 0 && l.Rate <= MaxRate): // so that NaN is rejected too
		return fmt.Errorf("the load needs a rate of at most %.0f/s, not %v/s", MaxRate, l.Rate)
	case !(l.AllowErrors >= 0 && l.AllowErrors < 1):
		return fmt.Errorf("the share of failed requests that is borne must be below 1, not %v", l.AllowErrors)
	case l.Protocol != "" && l.Protocol != ProtocolH2:
		return fmt.Errorf("unknown protocol %q; use %s, or none for HTTP/1.1", l.Protocol, ProtocolH2)
	case l.H2Streams < 0 || l.H2Streams > 0 && l.Protocol != ProtocolH2:
		return fmt.Errorf("%d streams per connection need HTTP/2, and to be 1 or more", l.H2Streams)
	case l.Open() && l.Arrivals != Poisson && l.Arrivals != Constant && l.Arrivals != Replay:
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
		l.Rate == m.Rate && l.Arrivals == m.Arrivals && l.AllowErrors == m.AllowErrors &&
		l.Unchecked == m.Unchecked &&
		l.Protocol == m.Protocol && max(l.H2Streams, 1) == max(m.H2Streams, 1)
}

// String describes the load in a few words, for people.
func (l Load) String() string { return l.Workload + ", " + l.Pacing() }

// Pacing describes how requests are spread over time and connections.
func (l Load) Pacing() string {
	text := "closed loop"
	if l.Open() {
		rate := strconv.FormatFloat(l.Rate, 'f', -1, 64)
		text = fmt.Sprintf("open loop at %s/s (%s arrivals)", rate, l.Arrivals)
	} else if l.Arrivals != "" {
		text = fmt.Sprintf("open loop at changing rates (%s arrivals)", l.Arrivals)
	}
	return fmt.Sprintf("%s, %d workers%s", text, l.Workers, l.protocol())
}

// protocol is the part of Pacing about HTTP/2, or empty.
func (l Load) protocol() string {
	switch {
	case l.Protocol == "":
		return ""
	case l.H2Streams > 1:
		return fmt.Sprintf(", HTTP/2 with %d workers per connection", l.H2Streams)
	}
	return ", HTTP/2"
}

// ParseRate reads a rate such as "5000/s", "300/m" (per minute), or "5000" (per
// second). The result is in requests per second, above 0 and at most MaxRate.
func ParseRate(text string) (float64, error) {
	number, unit, _ := strings.Cut(text, "/")
	per, known := map[string]float64{"": 1, "s": 1, "m": 60}[unit]
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || strings.HasSuffix(text, "/") || !(rate > 0) || rate/per > MaxRate {
		return 0, fmt.Errorf("rate %q: use a number up to %.0f per second, such as 5000/s or 300/m",
			text, MaxRate)
	}
	return rate / per, nil
}

// Workload is a kind of traffic. It makes the requests and checks the answers.
type Workload interface {
	// Name identifies the workload and all its settings.
	Name() string
	// Kinds names the kinds of request, such as write and read. Elsewhere a kind
	// is an index into them.
	Kinds() []string
	// Source starts the sequence of requests of one worker. Equal seeds and
	// workers give equal sequences.
	Source(seed uint64, worker int) Source
}

// Source is one worker's endless sequence of requests. It is used by one
// goroutine at a time.
type Source interface {
	// Next fills in the next request and returns its kind. It is always given the
	// same request, as the previous call left it.
	Next(req *Request) (kind int)
	// Check returns an error if the answer to a request of this kind is a failure:
	// a status (Answer.CheckStatus) or a body that it must not have. It is called
	// for every complete answer, in order, before the next call of Next.
	Check(kind int, answer *Answer) error
}
