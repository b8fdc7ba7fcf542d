package workload

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Replay is a workload of requests that are sent at times of their own. When they
// have all been sent, they are sent again.
type Replay struct {
	*Requests
	name   string
	due    []time.Duration
	length time.Duration
}

// Replay returns the requests with the times that the targets have, which go by
// speed times as fast.
func (r *Requests) Replay(speed float64) (*Replay, error) {
	if !(speed > 0 && speed <= 1e6) {
		return nil, fmt.Errorf("a recording cannot be replayed at %v times its speed", speed)
	}
	if len(r.at) == 0 {
		return nil, fmt.Errorf("%s cannot be replayed: not every target has a time (at_ns)", r.name)
	}
	p := &Replay{Requests: r, name: r.name + ", replayed"}
	if speed != 1 {
		p.name = fmt.Sprintf("%s at %v times the speed", p.name, speed)
	}
	for _, at := range r.at {
		p.due = append(p.due, time.Duration(float64(at)/speed))
	}
	// The pause before it begins again is as long as the others on average.
	last, n := p.due[len(p.due)-1]-p.due[0], len(p.due)
	if n < 2 || last < time.Duration(n) {
		return nil, fmt.Errorf("%s cannot be replayed: all its requests have the same time", r.name)
	}
	p.length = last + last/time.Duration(n-1)
	for i := range slices.Backward(p.due) {
		p.due[i] -= p.due[0]
	}
	return p, nil
}

// Name names the recording and its speed.
func (p *Replay) Name() string { return p.name }

// Times returns when the requests are due from the first on, and when the recording
// begins again.
func (p *Replay) Times() (due []time.Duration, length time.Duration) { return p.due, p.length }

// Rate is the number of requests per second on average.
func (p *Replay) Rate() float64 {
	const digits = 1000
	return max(1, math.Round(float64(len(p.due))/p.length.Seconds()*digits)) / digits
}

// Source gives the requests by their number.
func (p *Replay) Source(uint64, int) loadgen.Source { return replaySource{p.Requests} }

type replaySource struct{ requests *Requests }

func (s replaySource) Next(req *loadgen.Request) (kind int) {
	fixed := &s.requests.all[req.Number%int64(len(s.requests.all))]
	*req = fixed.Request
	return fixed.kind
}

func (s replaySource) Check(_ int, answer *loadgen.Answer) error { return answer.CheckStatus() }

var errDisorder = errors.New("the times (at_ns) are not in order")

// times returns the times of targets that all have one, or nil.
func times(targets []Target) ([]int64, error) {
	var all []int64
	for _, t := range targets {
		if t.At == nil {
			return nil, nil
		}
		all = append(all, *t.At)
	}
	if !slices.IsSorted(all) || all[0] < 0 {
		return nil, errDisorder
	}
	return all, nil
}
