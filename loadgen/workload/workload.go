// Package workload makes workloads of what a user brings along: a file of targets
// as vegeta reads it, single paths, a description in YAML, or the recording of a
// browser or an access log. docs/workloads.md describes the formats.
package workload

import (
	"math/rand/v2"

	"github.com/eventobench/eventobench/loadgen"
)

// Requests is a workload of fixed requests. Each worker sends all of them again
// and again in their order, and begins at one drawn from the seed.
type Requests struct {
	name  string
	kinds []string
	all   []fixedRequest
	at    []int64 // when they were sent in a recording, in ns; nil if that is not known
}

// fixedRequest is a request that is the same each time it is sent.
type fixedRequest struct {
	loadgen.Request
	kind int
}

// Name identifies the requests.
func (r *Requests) Name() string { return r.name }

// Kinds names each method and path, or groups of them if there are too many.
func (r *Requests) Kinds() []string { return r.kinds }

// Source starts the sequence of requests of one worker.
func (r *Requests) Source(seed uint64, worker int) loadgen.Source {
	rng := rand.New(rand.NewPCG(seed, uint64(worker)))
	return &roundRobin{requests: r, next: rng.IntN(len(r.all))}
}

// Preview starts the sequence of requests at the first of them.
func (r *Requests) Preview() loadgen.Source { return &roundRobin{requests: r} }

type roundRobin struct {
	requests *Requests
	next     int
}

func (s *roundRobin) Next(req *loadgen.Request) (kind int) {
	fixed := &s.requests.all[s.next]
	s.next = (s.next + 1) % len(s.requests.all)
	*req = fixed.Request
	return fixed.kind
}

func (s *roundRobin) Check(_ int, answer *loadgen.Answer) error { return answer.CheckStatus() }

// newRequests makes a workload of at least one target.
func newRequests(name string, targets []Target) (*Requests, error) {
	at, err := times(targets)
	if err != nil {
		return nil, err
	}
	r := &Requests{name: name, all: make([]fixedRequest, len(targets)), at: at}
	names := make([]string, len(targets))
	for i, t := range targets {
		req, err := t.request()
		if err != nil {
			return nil, err
		}
		r.all[i].Request = req
		names[i] = kindName(req)
	}
	var kinds []int
	r.kinds, kinds = groupKinds(names)
	for i, kind := range kinds {
		r.all[i].kind = kind
	}
	return r, nil
}
