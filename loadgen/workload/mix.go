package workload

import (
	"math/rand/v2"
	"slices"

	"github.com/eventobench/eventobench/loadgen"
)

// Mix is a workload of requests that are drawn by their weights and filled in from
// templates. Each of its requests is a kind.
type Mix struct {
	name     string
	kinds    []string
	setup    []*step
	requests []*step
	total    int     // of the weights
	takenBy  []*step // by variable, the request that takes it from its answer, if one does

	file, text string            // that describe it
	bodies     map[string][]byte // files of bodies, by the names they have in text
}

// step is a request of a Mix.
type step struct {
	kind      int // -1 in the setup
	weight    int
	method    string
	path      *template
	host      *template // nil for the server's
	header    []headerTemplate
	body      *template // nil for none
	needs     []int     // the values taken from answers that it needs
	check     check
	captures  []capture
	readsBody bool
	readsJSON bool
}

type headerTemplate struct {
	name  string
	value *template
}

// Name identifies the description in YAML and the files of its bodies.
func (m *Mix) Name() string { return m.name }

// Kinds names the requests, without those of the setup.
func (m *Mix) Kinds() []string { return m.kinds }

// Source starts the sequence of requests of one worker.
func (m *Mix) Source(seed uint64, worker int) loadgen.Source { return m.source(seed, worker) }

// Preview starts a sequence of requests to look at, those of the setup left out.
func (m *Mix) Preview() loadgen.Source {
	s := m.source(1, 0)
	s.presume("{{captured}}")
	return s
}

func (m *Mix) source(seed uint64, worker int) *mixSource {
	return &mixSource{
		mix: m, rng: rand.New(rand.NewPCG(seed, uint64(worker))), worker: worker,
		values: make([]string, len(m.takenBy)), have: make([]bool, len(m.takenBy)),
	}
}

// mixSource is one worker's sequence of requests of a Mix.
type mixSource struct {
	mix      *Mix
	rng      *rand.Rand
	worker   int
	sent     int64 // requests, the current one included
	prepared int   // requests of the setup that were answered as they must be
	current  *step
	values   []string // taken from answers
	have     []bool   // which of them there are
	text     []byte   // scratch space
	body     []byte
}

// Prepare fills in the next request of the setup. One that failed is sent again.
func (s *mixSource) Prepare(req *loadgen.Request) bool {
	if s.prepared == len(s.mix.setup) {
		return false
	}
	s.fill(s.mix.setup[s.prepared], req)
	return true
}

// Presume has requests go out as they are drawn, although no answer gives them values. The
// one that they all have instead can be a whole path.
func (s *mixSource) Presume() { s.presume("/captured") }

func (s *mixSource) presume(value string) {
	for i := range s.values {
		s.values[i], s.have[i] = value, true
	}
}

func (s *mixSource) Next(req *loadgen.Request) (kind int) {
	step := s.draw()
	s.fill(step, req)
	return step.kind
}

// draw draws the next request. If it needs a value that no answer has given yet,
// the request that takes that value is sent in its place.
func (s *mixSource) draw() *step {
	n := s.rng.IntN(s.mix.total)
	i := slices.IndexFunc(s.mix.requests, func(r *step) bool {
		n -= r.weight
		return n < 0
	})
	drawn := s.mix.requests[i]
	for {
		missing := slices.IndexFunc(drawn.needs, func(variable int) bool { return !s.have[variable] })
		if missing < 0 {
			return drawn
		}
		drawn = s.mix.takenBy[drawn.needs[missing]]
	}
}

func (s *mixSource) fill(step *step, req *loadgen.Request) {
	s.current = step
	s.sent++
	req.Method, req.Target, req.Host = step.method, s.target(step.path), ""
	if step.host != nil {
		req.Host = s.line(step.host)
	}
	req.Header = req.Header[:0]
	for _, h := range step.header {
		req.Header = append(req.Header, loadgen.Field{Name: h.name, Value: s.line(h.value)})
	}
	req.Body = nil
	if step.body != nil {
		s.body = step.body.append(s.body[:0], s)
		req.Body = s.body
	}
}

// target is a path that can stand in a request line.
func (s *mixSource) target(t *template) string {
	if !t.drawn {
		return t.fixed
	}
	s.text = t.append(s.text[:0], s)
	return string(escapePath(s.text))
}

// line is a text that can be the value of a header field: what would end it is
// replaced by a space.
func (s *mixSource) line(t *template) string {
	if !t.drawn {
		return t.fixed
	}
	s.text = t.append(s.text[:0], s)
	for i, c := range s.text {
		if c < ' ' && c != '\t' || c == 0x7f {
			s.text[i] = ' '
		}
	}
	return string(s.text)
}

// escapePath escapes what cannot stand in a request line: spaces, and what is not
// printable ASCII.
func escapePath(path []byte) []byte {
	const digits = "0123456789ABCDEF"
	if !slices.ContainsFunc(path, notInPath) {
		return path
	}
	var escaped []byte
	for _, c := range path {
		if notInPath(c) {
			escaped = append(escaped, '%', digits[c>>4], digits[c&15])
		} else {
			escaped = append(escaped, c)
		}
	}
	return escaped
}

func notInPath(c byte) bool { return c <= ' ' || c >= 0x7f }

// Check returns an error if the answer to the current request is not what it must
// be.
func (s *mixSource) Check(_ int, answer *loadgen.Answer) error {
	err := s.checkStep(s.current, answer)
	if err == nil && s.current.kind < 0 {
		s.prepared++
	}
	return err
}
