package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Merge returns the result of a load of kinds of requests whose parts were made at
// the same time: as if one driver had had all workers.
func Merge(kinds int, parts []Result) Result {
	all := Result{Kinds: newKindResults(kinds)}
	var end time.Time
	for _, r := range parts {
		if all.Start.IsZero() || r.Start.Before(all.Start) {
			all.Start = r.Start
		}
		if e := r.Start.Add(r.Duration); e.After(end) {
			end = e
		}
		for kind, k := range r.Kinds {
			all.Kinds[kind].add(k)
		}
		all.Errors.merge(r.Errors)
		all.Setup.merge(r.Setup)
		all.CPU += r.CPU
		all.AgentsHere += r.AgentsHere
		all.Reopened += r.Reopened
		all.Late += r.Late
		all.MaxLate = max(all.MaxLate, r.MaxLate)
		all.Missed += r.Missed
		all.Limited = all.Limited || r.Limited
	}
	all.Duration = end.Sub(all.Start)
	return all
}

// MergeLatency returns the latencies of a load whose parts were made at the same
// time, bucket for bucket those of one driver that had all workers.
func MergeLatency(kinds int, open bool, parts []Latency) Latency {
	all := Latency{Due: newHistograms(kinds)}
	if open {
		all.Sent = newHistograms(kinds)
	}
	add := func(to, from []*hdrhistogram.Histogram) {
		for kind, h := range from {
			to[kind].Merge(h)
		}
	}
	for _, l := range parts {
		add(all.Due, l.Due)
		add(all.Sent, l.Sent)
	}
	return all
}

// LostError says that a load was not what was asked for, since a part of what
// makes it was lost. Nothing that was measured meanwhile counts.
type LostError struct {
	Reason string
	Again  bool // the load can be made by what is left
}

func (e *LostError) Error() string { return e.Reason }

// Agent is what one of several agents did for the load of a block, and how it kept
// time with the others.
type Agent struct {
	Name      string `json:"name"`
	Version   string `json:"version"`        // of its program
	Cores     int    `json:"cores"`          // CPUs that it may use
	Elsewhere bool   `json:"elsewhere"`      // on another machine than the subjects
	Workers   int    `json:"workers"`        // of the load's
	Ops       int64  `json:"ops"`            // answered requests
	Errors    int64  `json:"errors"`         // failed ones
	Late      int64  `json:"late,omitempty"` // of an open loop, as in Result
	Missed    int64  `json:"missed,omitempty"`

	Busy       time.Duration `json:"busy_ns"`        // length of all its slices
	Latency    time.Duration `json:"latency_ns"`     // sum over its answered requests
	CPU        time.Duration `json:"cpu_ns"`         // of its process in its slices
	MaxStall   time.Duration `json:"max_stall_ns"`   // in which its process did not run when it should, at most
	RoundTrip  time.Duration `json:"round_trip_ns"`  // from the recorder, the least
	ClockError time.Duration `json:"clock_error_ns"` // by which its clock may be misjudged

	Skews []time.Duration `json:"skews_ns"` // by which it began each of its slices after the first agent
}

// Add takes in what the agent did at another time.
func (a *Agent) Add(b Agent) {
	a.Workers = max(a.Workers, b.Workers)
	a.Ops += b.Ops
	a.Errors += b.Errors
	a.Late += b.Late
	a.Missed += b.Missed
	a.Busy += b.Busy
	a.Latency += b.Latency
	a.CPU += b.CPU
	a.Skews = append(a.Skews, b.Skews...)
	a.MaxStall = max(a.MaxStall, b.MaxStall)
	a.RoundTrip = min(a.RoundTrip, b.RoundTrip)
	a.ClockError = max(a.ClockError, b.ClockError)
}
