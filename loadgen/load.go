// Package loadgen puts load on an HTTP server and measures what comes back:
// how many requests finished, how long each took, and which failed.
package loadgen

import (
	"fmt"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// Load says what a driver does to a server, whatever the server. Two runs can
// be compared only if their loads are equal.
type Load struct {
	Workload string        `json:"workload"`
	Kinds    []string      `json:"kinds"` // the workload's kinds of request
	Workers  int           `json:"workers"`
	Timeout  time.Duration `json:"timeout_ns"` // of one request
}

// Equal tells whether two loads are the same.
func (l Load) Equal(m Load) bool {
	return l.Workload == m.Workload && slices.Equal(l.Kinds, m.Kinds) && l.Workers == m.Workers && l.Timeout == m.Timeout
}

// String describes the load in a few words.
func (l Load) String() string {
	return fmt.Sprintf("%s, closed loop, %d workers", l.Workload, l.Workers)
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
