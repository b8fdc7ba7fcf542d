package agent

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Options are what an agent is, and the bounds that it keeps whatever a recorder says.
type Options struct {
	Name           string
	Version        string // of the program
	Allow          Allow
	MaxRate        float64       // requests per second
	MaxConnections int           // at a time
	MaxTime        time.Duration // of one session
	Log            func(text string)

	// Host makes the host of a session; if it is nil, the agent makes load. Offers says
	// what it starts.
	Host   func() Host
	Offers string
}

// Host starts and measures subjects, for one session of an agent that makes no load.
// Its methods but Ended are not called at the same time.
type Host interface {
	// Do answers a request until ctx ends.
	Do(ctx context.Context, request []byte) (reply []byte)
	// Ended are the numbers of the subjects that have ended by themselves.
	Ended() []int
	// Close ends all subjects. Nothing is left of them.
	Close()
}

// Agent makes load when a recorder tells it to, or starts its subjects.
type Agent struct {
	Options
	epoch time.Time // from which its clock counts

	mu      sync.Mutex
	session *session        // nil if it serves nobody
	ended   string          // why the session before ended
	tired   map[string]bool // the recorders that were served for as long as is allowed
}

func newAgent(o Options, epoch time.Time) *Agent {
	return &Agent{Options: o, epoch: epoch, tired: map[string]bool{}}
}

// Serve serves load over a connection to NATS until ctx is canceled. Then it leaves
// nothing behind.
func Serve(ctx context.Context, nc *nats.Conn, o Options) error {
	return serve(ctx, nc, newAgent(o, time.Now()))
}

func serve(ctx context.Context, nc *nats.Conn, a *Agent) error {
	service, err := micro.AddService(nc, micro.Config{
		Name: serviceName, Version: protocolVersion,
		Description: "load for eventobench", Metadata: a.metadata(),
	})
	if err != nil {
		return fmt.Errorf("serving load: %w", err)
	}
	id := service.Info().ID
	for name, handle := range map[string]func([]byte) []byte{
		controlEndpoint: a.control,
		jobEndpoint:     a.job,
	} {
		handler := micro.HandlerFunc(func(r micro.Request) {
			if err := r.Respond(handle(r.Data())); err != nil {
				_ = r.Respond(encode(jobReply{Error: err.Error()})) // if nobody is there, nobody hears it
			}
		})
		err := service.AddEndpoint(name, handler, micro.WithEndpointSubject(subjectOf(id, name)))
		if err != nil {
			return fmt.Errorf("serving load: %w", err)
		}
	}
	<-ctx.Done()
	_ = service.Stop()
	if s := a.current(); s != nil {
		s.end("the agent ends")
	}
	return nil
}

// metadata is what agents tell before anybody has a session.
func (a *Agent) metadata() map[string]string {
	return map[string]string{
		"name": a.Name, "version": a.Version, "cores": strconv.Itoa(runtime.GOMAXPROCS(0)), "machine": machineID(),
		"allow": a.Allow.String(), "subjects": a.Offers,
	}
}

func (a *Agent) now() int64 { return int64(time.Since(a.epoch)) }

func (a *Agent) log(format string, args ...any) {
	if a.Log != nil {
		a.Log(fmt.Sprintf(format, args...))
	}
}

func (a *Agent) current() *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session
}

// find is the session with an id. It is alive, and was heard of now.
func (a *Agent) find(id string) (*session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ended := a.ended
	if s := a.session; s != nil && s.id == id {
		if s.renew() {
			return s, nil
		}
		ended = context.Cause(s.ctx).Error() // it waits for what is still being done
	}
	return nil, fmt.Errorf("agent %s has ended the session: %s", a.Name, ended)
}

// control answers a request to the control endpoint.
func (a *Agent) control(data []byte) []byte {
	reply := controlReply{Now: a.now()}
	c, err := decode[control](data)
	if err == nil {
		switch c.Do {
		case doOpen:
			err = a.open(c.Session)
			reply.Now = a.now()
		case doLease:
			var s *session
			if s, err = a.find(c.Session); err == nil && s.host != nil {
				reply.Ended = s.host.Ended()
			}
		case doEnd:
			if s := a.current(); s != nil && s.id == c.Session {
				s.end("the recorder is done")
			}
		}
	}
	if err != nil {
		reply.Error = err.Error()
	}
	return encode(reply)
}

// open begins a session, in place of another one of the same recorder.
func (a *Agent) open(id string) error {
	if s := a.current(); s != nil {
		if recorderOf(s.id) != recorderOf(id) {
			return fmt.Errorf("agent %s serves another recorder", a.Name)
		}
		s.end("the recorder begins anew")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tired[recorderOf(id)] {
		return fmt.Errorf("agent %s has served this recorder for %v, the most it may (--max-time)", a.Name, a.MaxTime)
	}
	a.session = newSession(a, id)
	a.log("session %s begins", id)
	return nil
}

// tire keeps a recorder from getting another session.
func (a *Agent) tire(session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tired[recorderOf(session)] = true
}

// recorderOf is the recorder of a session.
func recorderOf(session string) string {
	recorder, _, _ := strings.Cut(session, ".")
	return recorder
}

// forget is called by a session that has ended.
func (a *Agent) forget(s *session, why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == s {
		a.session, a.ended = nil, why
		a.log("session %s ends: %s", s.id, why)
	}
}

// job answers a request to the job endpoint.
func (a *Agent) job(data []byte) []byte {
	var reply jobReply
	j, err := decode[job](data)
	if err == nil {
		var s *session
		if s, err = a.find(j.Session); err == nil {
			reply, err = s.do(j)
		}
	}
	if err != nil {
		reply = jobReply{Error: err.Error()}
	}
	return encode(reply)
}
