package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles/host"
	"github.com/eventobench/eventobench/profiles/subject"
)

// Host starts and measures subjects for one session of an agent. It is an agent.Host.
type Host struct {
	policy   Policy
	programs *programs
	window   *host.Window // nil while the machine is not followed

	mu       sync.Mutex
	subjects map[int]*started
}

// started is a subject that a recorder has started and not stopped.
type started struct {
	subject.Instance
	output *tail
	upload string // hash of its program, if that was sent
}

// NewHost returns a host that starts what a policy allows.
func NewHost(p Policy) *Host {
	return &Host{policy: p, programs: &programs{}, subjects: map[int]*started{}}
}

// Do answers a request.
func (h *Host) Do(ctx context.Context, message []byte) []byte {
	var r request
	err := decode(message, &r)
	if err == nil {
		err = r.check()
	}
	var answer reply
	if err == nil {
		answer, err = h.do(ctx, r)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return agent.Encode(answer)
}

func (h *Host) do(ctx context.Context, r request) (reply, error) {
	switch r.Do {
	case doInfo:
		return h.info(*r.Start)
	case doUpload:
		return reply{}, h.upload(*r.Piece)
	case doStart:
		return h.start(ctx, r.Subject, *r.Start)
	case doMachine:
		machine := host.Read()
		return reply{Host: &machine, Missing: host.Missing(host.Root)}, nil
	case doFollow:
		h.window = host.OpenWindow(host.Root)
		return reply{}, nil
	case doLook, doClose:
		return h.follow(r)
	}
	s := h.find(r.Subject)
	if s == nil {
		return reply{}, fmt.Errorf("there is no subject %d", r.Subject)
	}
	return h.ask(s, r)
}

// ask asks a subject for a figure, or ends it.
func (h *Host) ask(s *started, r request) (answer reply, err error) {
	switch r.Do {
	case doCPU:
		answer.CPU, err = s.CPU()
	case doRSS:
		answer.RSS, err = s.RSSPeak()
	case doCounters:
		answer.Counters, err = s.Counters()
	case doDeath:
		select {
		case <-s.Exited():
			err = s.Death(r.When)
		default:
			err = errors.New("it has not ended")
		}
	case doStop:
		h.forget(r.Subject)
		s.Stop()
		answer.Output = s.output.text()
	default:
		err = fmt.Errorf("nothing called %q can be done", r.Do)
	}
	return answer, err
}

func (h *Host) follow(r request) (answer reply, err error) {
	switch {
	case h.window == nil:
		err = errors.New("the machine is not followed")
	case r.Do == doLook:
		h.window.Look()
	default:
		answer.Machine = h.window.Close(r.Ours)
		h.window = nil
	}
	return answer, err
}

// info tells what a subject is. What was built for this is the recorder's to know.
func (h *Host) info(s start) (reply, error) {
	e, err := h.policy.subject(s, "")
	if err != nil {
		return reply{}, err
	}
	info, err := e.Info()
	return reply{Info: &info}, err
}

func (h *Host) upload(p agent.Piece) error {
	if !h.policy.Upload {
		_, err := h.policy.subject(start{Command: []string{subject.Program}, Upload: p.Hash}, "")
		return err
	}
	return h.programs.receive(p, h.runs)
}

// runs reports whether a subject runs a program that was sent.
func (h *Host) runs(hash string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.subjects {
		if s.upload == hash {
			return true
		}
	}
	return false
}

func (h *Host) start(ctx context.Context, id int, s start) (reply, error) {
	if h.find(id) != nil || h.count() >= maxSubjects {
		return reply{}, fmt.Errorf("subject %d is there already, or %d others are", id, maxSubjects)
	}
	path, known := h.programs.path(s.Upload)
	if !known && h.policy.Upload {
		return reply{Unsent: true}, nil
	}
	e, err := h.policy.subject(s, path)
	if err != nil {
		return reply{}, err
	}
	output := &tail{}
	instance, err := e.Start(ctx, output)
	if err != nil {
		return reply{Output: output.text()}, err
	}
	binary, err := instance.Binary()
	if err != nil {
		instance.Stop()
		return reply{}, err
	}
	h.keep(id, &started{instance, output, s.Upload})
	return reply{Started: &running{
		URL: instance.URL().String(), Pages: instance.Debug().Apart(), Process: instance.Process(), Binary: binary,
		Missing: instance.Missing(),
	}}, nil
}

func (h *Host) find(id int) *started {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.subjects[id]
}

func (h *Host) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subjects)
}

func (h *Host) keep(id int, s *started) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subjects[id] = s
}

func (h *Host) forget(id int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subjects, id)
}

// Ended are the numbers of the subjects that have ended by themselves.
func (h *Host) Ended() (ids []int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, s := range h.subjects {
		select {
		case <-s.Exited():
			ids = append(ids, id)
		default:
		}
	}
	slices.Sort(ids)
	return ids
}

// Close ends all subjects, and forgets what was sent.
func (h *Host) Close() {
	h.mu.Lock()
	all := h.subjects
	h.subjects = map[int]*started{}
	h.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(s.Stop)
	}
	wg.Wait()
	h.programs.close()
}

// tail keeps the end of what a subject prints.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if len(t.kept) > 2*maxOutput {
		t.kept = append([]byte(nil), t.kept[len(t.kept)-maxOutput:]...)
	}
	return len(b), nil
}

func (t *tail) text() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept[max(0, len(t.kept)-maxOutput):]
}
