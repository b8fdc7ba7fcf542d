package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Link is the recorder's side of an agent that starts subjects.
type Link struct {
	Info  // what the agent told of itself
	fleet *Fleet
}

// Dial finds the agent of a name that starts subjects, waiting for it until ctx ends,
// and keeps it for this recorder. Log is told what happens to it; it may be nil.
func Dial(ctx context.Context, nc *nats.Conn, name string, log func(text string)) (*Link, error) {
	f := newFleet(nc, log)
	f.openTime = hostTime
	if err := f.gather(ctx, 1, func(i Info) bool { return i.Offers != "" && i.Name == name }); err != nil {
		return nil, fmt.Errorf("agent %s, which shall start the subjects (eventobench agent --subjects): %w", name, err)
	}
	return &Link{f.Infos()[0], f}, nil
}

// Here reports whether the agent is on this machine.
func (l *Link) Here() bool { return l.Machine == machineID() }

// Close ends all subjects, and lets the agent go.
func (l *Link) Close() { l.fleet.Close() }

// Session is the current session or, if the agent was lost and is there again, a new
// one. An error is a *loadgen.LostError.
func (l *Link) Session(ctx context.Context) (*Session, error) {
	j, err := l.fleet.ready(ctx)
	if err != nil {
		return nil, err
	}
	return &Session{j.members[0]}, nil
}

// Session is a time in which an agent starts subjects. When it ends, they have ended.
type Session struct{ member *member }

// Next is a number that no other subject of the session has.
func (s *Session) Next() int { return s.member.joint.fleet.nextDriver() }

// Do has the agent's Host answer a request, in so much time at most. An error is a
// *loadgen.LostError, or that ctx has ended.
func (s *Session) Do(ctx context.Context, request []byte, patience time.Duration) ([]byte, error) {
	reply, err := s.member.do(ctx, job{Subject: request}, patience)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return reply.Subject, err
}

// Lost is closed when the session has ended, for the reason of Err.
func (s *Session) Lost() <-chan struct{} { return s.member.joint.ctx.Done() }

// Err is a *loadgen.LostError once the session has ended.
func (s *Session) Err() error { return context.Cause(s.member.joint.ctx) }

// Ended is closed when the agent has told that a subject has ended by itself.
func (s *Session) Ended(id int) <-chan struct{} { return s.member.joint.endOf(id) }

// LoadOn counts agents as elsewhere that are on another machine than that of a link,
// where the subjects are.
func (f *Fleet) LoadOn(l *Link) { f.machine = l.Machine }

// endOf is closed when a subject has ended by itself.
func (j *joint) endOf(id int) chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended[id] == nil {
		j.ended[id] = make(chan struct{})
	}
	return j.ended[id]
}

// noteEnded notes subjects that have ended, of those that there are.
func (j *joint) noteEnded(ids []int) {
	for _, id := range ids {
		if !j.fleet.hasDriver(id) {
			continue
		}
		end := j.endOf(id)
		j.mu.Lock()
		select {
		case <-end: // it is known
		default:
			close(end)
		}
		j.mu.Unlock()
	}
}
