package workload

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eventobench/eventobench/internal/strictjson"
	"github.com/eventobench/eventobench/loadgen"
)

// plain is a workload as plain data, to be sent to another machine. Exactly one field
// is set.
type plain struct {
	EventMix *loadgen.EventMix `json:"event_mix,omitempty"`
	Requests *plainRequests    `json:"requests,omitempty"`
	Replay   *plainReplay      `json:"replay,omitempty"`
	Mix      *plainMix         `json:"mix,omitempty"`
}

type plainRequests struct {
	Name     string         `json:"name"`
	Kinds    []string       `json:"kinds"`
	Requests []plainRequest `json:"requests"`
}

type plainRequest struct {
	Kind   int            `json:"kind"`
	Method string         `json:"method"`
	Target string         `json:"target"`
	Host   string         `json:"host,omitempty"`
	Header loadgen.Header `json:"header,omitempty"`
	Body   []byte         `json:"body,omitempty"`
}

type plainReplay struct {
	Name     string          `json:"name"`
	Due      []time.Duration `json:"due_ns"`
	Length   time.Duration   `json:"length_ns"`
	Requests plainRequests   `json:"requests"`
}

type plainMix struct {
	File   string            `json:"file"`
	Text   string            `json:"text"`
	Bodies map[string][]byte `json:"bodies"`
}

// Encode returns a workload as JSON, from which Decode makes an equal one elsewhere:
// with the same name and the same requests for equal seeds.
func Encode(w loadgen.Workload) ([]byte, error) {
	var p plain
	switch w := w.(type) {
	case loadgen.EventMix:
		p.EventMix = &w
	case *Requests:
		p.Requests = plainOf(w)
	case *Replay:
		p.Replay = &plainReplay{Name: w.name, Due: w.due, Length: w.length, Requests: *plainOf(w.Requests)}
	case *Mix:
		p.Mix = &plainMix{File: w.file, Text: w.text, Bodies: w.bodies}
	default:
		return nil, fmt.Errorf("workload %s cannot be sent to another machine", w.Name())
	}
	return json.Marshal(p)
}

func plainOf(r *Requests) *plainRequests {
	p := &plainRequests{Name: r.name, Kinds: r.kinds}
	for _, f := range r.all {
		p.Requests = append(p.Requests, plainRequest{
			Kind: f.kind, Method: f.Method, Target: f.Target, Host: f.Host, Header: f.Header, Body: f.Body,
		})
	}
	return p
}

// Decode reads what Encode wrote.
func Decode(data []byte) (loadgen.Workload, error) {
	var p plain
	if err := strictjson.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("reading a workload: %w", err)
	}
	w, err := p.workload()
	if err != nil {
		return nil, fmt.Errorf("reading a workload: %w", err)
	}
	return w, nil
}

func (p plain) workload() (loadgen.Workload, error) {
	given := 0
	for _, set := range []bool{p.EventMix != nil, p.Requests != nil, p.Replay != nil, p.Mix != nil} {
		if set {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, fmt.Errorf("it is of %d kinds, not of one", given)
	case p.EventMix != nil:
		return eventMix(*p.EventMix)
	case p.Requests != nil:
		return p.Requests.workload()
	case p.Replay != nil:
		return p.Replay.workload()
	}
	return parseMix(p.Mix.File, p.Mix.Text, func(name string) ([]byte, error) {
		body, known := p.Mix.Bodies[name]
		if !known {
			return nil, errors.New("the file was not sent along")
		}
		return body, nil
	})
}

func eventMix(m loadgen.EventMix) (loadgen.Workload, error) {
	known := m.Protocol == "" || m.Protocol == loadgen.JSON || m.Protocol == loadgen.Protobuf
	if m.Streams < 1 || !known {
		return nil, fmt.Errorf("no event mix has %d streams in %q", m.Streams, m.Protocol)
	}
	return m, nil
}

func (p plainRequests) workload() (*Requests, error) {
	if len(p.Requests) == 0 || len(p.Kinds) == 0 {
		return nil, errors.New("no requests in it")
	}
	r := &Requests{name: p.Name, kinds: p.Kinds}
	for _, q := range p.Requests {
		if q.Kind < 0 || q.Kind >= len(p.Kinds) {
			return nil, fmt.Errorf("a request is of kind %d of %d", q.Kind, len(p.Kinds))
		}
		r.all = append(r.all, fixedRequest{kind: q.Kind, Request: loadgen.Request{
			Method: q.Method, Target: q.Target, Host: q.Host, Header: q.Header, Body: q.Body,
		}})
	}
	return r, nil
}

func (p plainReplay) workload() (loadgen.Workload, error) {
	requests, err := p.Requests.workload()
	if err != nil {
		return nil, err
	}
	n := len(p.Due)
	ordered := n > 0 && p.Due[0] == 0 && slices.IsSorted(p.Due) && p.Due[n-1] < p.Length
	if n != len(requests.all) || !ordered {
		return nil, errors.New("the times of a recording are not those of its requests")
	}
	return &Replay{Requests: requests, name: p.Name, due: p.Due, length: p.Length}, nil
}
