// Package agent makes load with agents: processes, on this machine or others, each of
// which makes a part of a load when it is told to.
//
// An [Agent] serves load; a [Fleet] is the recorder's side, whose generators are the
// sum of the agents'. They speak over NATS, core messaging only. Agents are found as
// instances of a NATS micro service, and each is spoken to alone, on two endpoints:
//
//	control   sessions and their leases, and with them the clock; answered at once
//	job       one thing after another: workloads, drivers, slices, latencies
//
// All messages are requests and replies in JSON. Times are in ns on the agent's own
// clock, which counts from some moment of its own and never follows a wall clock. An
// agent forgets a session whose recorder has been silent for [LeaseTime].
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/internal/strictjson"
	"github.com/eventobench/eventobench/loadgen"
)

// serviceName is by which agents are found. Its version is that of the protocol:
// only equal ones understand each other.
const (
	serviceName     = "eventobench-agent"
	protocolVersion = "1.2.0"
)

// LeaseTime is how long an agent goes on without hearing from its recorder.
const LeaseTime = 1500 * time.Millisecond

const (
	controlEndpoint = "control"
	jobEndpoint     = "job"
)

// subjectOf is where an endpoint of an agent listens.
func subjectOf(id, endpoint string) string { return "eventobench.agent." + id + "." + endpoint }

// The limits of what an agent takes in.
const (
	maxWorkload  = 64 << 20   // bytes of a workload
	maxWorkloads = 256 << 20  // of all workloads of a session
	maxKinds     = 2000       // of requests of a workload
	maxWorkers   = 10_000_000 // of a whole load
	maxLead      = 2 * time.Second

	// maxDue is how many requests may be due in a slice, which are laid out in 8 B each.
	maxDue = 20_000_000

	// maxCount is more than any count of a slice: two years in ns, or 64 PiB.
	maxCount = 1 << 56
)

// maxHistograms is how many histograms all drivers of a session may have, of 280 kB each as
// far as they are used: each driver has its own for every CPU.
func maxHistograms() int { return 16_000 + 2_000*runtime.GOMAXPROCS(0) }

// control is a request to the control endpoint.
type control struct {
	Do      string `json:"do"`      // open, lease or end
	Session string `json:"session"` // RECORDER.NUMBER
}

const (
	doOpen  = "open"
	doLease = "lease"
	doEnd   = "end"
)

func (c control) check() error {
	if c.Do != doOpen && c.Do != doLease && c.Do != doEnd {
		return fmt.Errorf("nothing called %q can be done with a session", c.Do)
	}
	if c.Session == "" {
		return errors.New("no session")
	}
	return nil
}

// controlReply tells the agent's clock, whether or not there is an error.
type controlReply struct {
	Now   int64  `json:"now_ns"`
	Ended []int  `json:"ended,omitempty"` // subjects that have ended by themselves
	Error string `json:"error,omitempty"`
}

// check refuses a clock that could not be counted with.
func (r controlReply) check() error {
	if !isTime(r.Now) {
		return fmt.Errorf("a clock at %d ns", r.Now)
	}
	return nil
}

// isTime reports whether a clock of an agent may show so many ns: less than a hundred
// years, so that differences are no trouble.
func isTime(ns int64) bool {
	const most = int64(100 * 365 * 24 * time.Hour)
	return -most < ns && ns < most
}

// job is a request to the job endpoint. Exactly one of its pointers is set.
type job struct {
	Session  string    `json:"session"`
	Workload *Piece    `json:"workload,omitempty"` // of what workload.Encode writes
	Prepare  *prepare  `json:"prepare,omitempty"`
	Warmup   *warmup   `json:"warmup,omitempty"`
	Slice    *slice    `json:"slice,omitempty"`
	Latency  *latency  `json:"latency,omitempty"`
	Close    *closeJob `json:"close,omitempty"`

	Subject json.RawMessage `json:"subject,omitempty"` // for a Host
}

// prepare makes a driver.
type prepare struct {
	Driver   int          `json:"driver"`
	URL      string       `json:"url"`
	Workload string       `json:"workload_sha256"`
	Load     loadgen.Load `json:"load"`
	Trust    Trust        `json:"trust"`
	Seed     uint64       `json:"seed"`
	Index    int          `json:"index"` // of the part
	Of       int          `json:"of"`    // how many parts there are
}

// Trust says which certificates of servers are trusted: those of the system's
// authorities, of other ones, or all.
type Trust struct {
	Insecure    bool   `json:"insecure,omitempty"`
	Authorities []byte `json:"authorities,omitempty"` // PEM
}

type warmup struct {
	Driver   int `json:"driver"`
	Requests int `json:"requests"` // of the whole load
}

type slice struct {
	Driver int           `json:"driver"`
	Start  int64         `json:"start_ns"` // on the agent's clock
	Length time.Duration `json:"length_ns"`
	Rate   float64       `json:"rate_per_s,omitempty"` // of the whole load from now on; 0 for no other than before
}

// latency asks for the latencies of one kind of request since they were last asked
// for, and begins anew with the first kind.
type latency struct {
	Driver int  `json:"driver"`
	Kind   int  `json:"kind"`
	Sent   bool `json:"sent"` // from when requests were sent, rather than due
}

type closeJob struct {
	Driver int `json:"driver"`
}

func (j job) check() error {
	given := 0
	for _, set := range []bool{
		j.Workload != nil, j.Prepare != nil, j.Warmup != nil, j.Slice != nil, j.Latency != nil, j.Close != nil,
		j.Subject != nil,
	} {
		if set {
			given++
		}
	}
	switch {
	case j.Session == "":
		return errors.New("no session")
	case given != 1:
		return fmt.Errorf("%d jobs instead of one", given)
	case j.Workload != nil && len(j.Workload.Data) > MaxPiece:
		return fmt.Errorf("a piece of %d bytes", len(j.Workload.Data))
	case j.Prepare != nil:
		return j.Prepare.check()
	case j.Warmup != nil && j.Warmup.Requests < 0:
		return fmt.Errorf("a warm-up of %d requests", j.Warmup.Requests)
	case j.Slice != nil && (j.Slice.Length < 0 || j.Slice.Length > loadgen.MaxSlice):
		return fmt.Errorf("a slice of %v", j.Slice.Length)
	case j.Slice != nil && !(j.Slice.Rate >= 0): // so that NaN is rejected too
		return fmt.Errorf("a slice of %v requests per second", j.Slice.Rate)
	case j.Latency != nil && j.Latency.Kind < 0:
		return fmt.Errorf("latencies of kind %d", j.Latency.Kind)
	}
	return nil
}

func (p prepare) check() error {
	if err := p.Load.Validate(); err != nil {
		return err
	}
	if p.Load.Workers > maxWorkers {
		return fmt.Errorf("a load of %d workers", p.Load.Workers)
	}
	if p.Index < 0 || p.Of < 1 || p.Index >= p.Of || p.Of > p.Load.Workers {
		return fmt.Errorf("part %d of %d of a load of %d workers", p.Index, p.Of, p.Load.Workers)
	}
	return nil
}

// jobReply is the answer to a job. Error is why it could not be done.
type jobReply struct {
	Error   string    `json:"error,omitempty"`
	Result  *result   `json:"result,omitempty"`  // of a warm-up or a slice
	Buckets []buckets `json:"buckets,omitempty"` // of latencies

	Subject json.RawMessage `json:"subject,omitempty"` // of a Host
}

// buckets is a run of a histogram: the lowest value of a bucket and its count.
type buckets [2]int64

// result is a loadgen.Result on the agent's clock.
type result struct {
	Start    int64                `json:"start_ns"`
	Duration time.Duration        `json:"duration_ns"`
	Kinds    []loadgen.KindResult `json:"kinds"`
	Errors   loadgen.Errors       `json:"errors"`
	Setup    loadgen.Errors       `json:"setup"`
	CPU      time.Duration        `json:"cpu_ns"`
	Reopened int64                `json:"reopened,omitempty"`
	Late     int64                `json:"late,omitempty"`
	MaxLate  time.Duration        `json:"max_late_ns,omitempty"`
	Missed   int64                `json:"missed,omitempty"`
	Limited  bool                 `json:"limited,omitempty"`
	Stall    time.Duration        `json:"stall_ns"` // in which the process did not run when it should, at most
}

func (r jobReply) check() error {
	if r.Result == nil {
		return nil
	}
	if len(r.Result.Kinds) > maxKinds {
		return fmt.Errorf("%d kinds of requests", len(r.Result.Kinds))
	}
	return r.Result.check()
}

// check refuses what no driver counts.
func (r result) check() error {
	counts := []int64{
		int64(r.Duration), int64(r.CPU), r.Reopened, r.Late, int64(r.MaxLate), r.Missed, int64(r.Stall),
	}
	for _, k := range r.Kinds {
		counts = append(counts, k.Ops, int64(k.Latency), k.Bytes, k.Errors)
		for _, n := range k.Statuses {
			counts = append(counts, n)
		}
	}
	for _, kinds := range []map[string]int64{r.Errors.Kinds, r.Setup.Kinds} {
		for _, n := range kinds {
			counts = append(counts, n)
		}
	}
	switch {
	case slices.Min(counts) < 0:
		return errors.New("a count is negative")
	case slices.Max(counts) > maxCount:
		return fmt.Errorf("a count is %d", slices.Max(counts))
	case !isTime(r.Start) || r.Duration == 0:
		return fmt.Errorf("it began at %d ns of the clock and took %v", r.Start, r.Duration)
	}
	for _, k := range r.Kinds {
		for status := range k.Statuses {
			if status < 0 || status > 999 {
				return fmt.Errorf("answers have status %d", status)
			}
		}
	}
	return nil
}

// made is how many requests were sent, or due and never sent.
func (r result) made() int64 {
	made := r.Missed
	for _, k := range r.Kinds {
		made += k.Ops + k.Errors
	}
	return made
}

// agrees holds that what a result says of the same thing in two ways is the same.
func (r result) agrees() error {
	var failed, all int64
	for _, n := range r.Errors.Kinds {
		all += n
	}
	for kind, k := range r.Kinds {
		failed += k.Errors
		var answers int64
		for _, n := range k.Statuses {
			answers += n
		}
		if answers < k.Ops || answers > k.Ops+k.Errors {
			return fmt.Errorf("%d answers to %d requests of kind %d, of which %d failed", answers, k.Ops+k.Errors, kind, k.Errors)
		}
	}
	if failed != all || r.Late > r.made() {
		return fmt.Errorf("%d requests failed and %d errors; of %d requests %d were late", failed, all, r.made(), r.Late)
	}
	return nil
}

func resultOf(r loadgen.Result, epoch time.Time, stall time.Duration) *result {
	return &result{
		Start: int64(r.Start.Sub(epoch)), Duration: r.Duration, Kinds: r.Kinds, Errors: r.Errors, Setup: r.Setup, CPU: r.CPU,
		Reopened: r.Reopened, Late: r.Late, MaxLate: r.MaxLate, Missed: r.Missed, Limited: r.Limited, Stall: stall,
	}
}

// result is the loadgen.Result, on the clock that began at epoch.
func (r result) result(epoch time.Time) loadgen.Result {
	return loadgen.Result{
		Start: epoch.Add(time.Duration(r.Start)), Duration: r.Duration, Kinds: r.Kinds, Errors: r.Errors, Setup: r.Setup, CPU: r.CPU,
		Reopened: r.Reopened, Late: r.Late, MaxLate: r.MaxLate, Missed: r.Missed, Limited: r.Limited,
	}
}

// bucketsOf writes a histogram down.
func bucketsOf(h *hdrhistogram.Histogram) []buckets {
	all := []buckets{}
	for _, bar := range h.Distribution() {
		if bar.Count > 0 {
			all = append(all, buckets{bar.From, bar.Count})
		}
	}
	return all
}

// histogram reads what bucketsOf wrote: it has the same buckets.
func histogram(all []buckets) (*hdrhistogram.Histogram, error) {
	h := loadgen.NewHistogram()
	for _, b := range all {
		if b[0] < 0 || b[1] < 1 || b[1] > maxCount {
			return nil, fmt.Errorf("a histogram counts %d at %d", b[1], b[0])
		}
		if err := h.RecordValues(b[0], b[1]); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// message is what is sent.
type message interface{ check() error }

func encode(m message) []byte { return Encode(m) }

// Encode writes plain data, which a recorder and its agent send each other.
func Encode(m any) []byte {
	data, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encoding %T: %v", m, err)) // it is plain data
	}
	return data
}

// decode reads a message. It refuses fields that it does not know, and what is out
// of bounds.
func decode[M message](data []byte) (m M, err error) {
	if err = strictjson.Unmarshal(data, &m); err == nil {
		err = m.check()
	}
	if err != nil {
		return m, fmt.Errorf("bad message: %w", err)
	}
	return m, nil
}
