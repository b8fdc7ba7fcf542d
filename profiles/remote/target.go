package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// Target is a subject that an agent starts.
type Target struct {
	link   *agent.Link
	e      subject.Exec // as it would be started here
	start  start
	upload string // path of the program to send; empty for none
}

// Store is the built-in store with options on the machine of an agent.
func Store(l *agent.Link, e subject.Exec, options map[string]string, profiles []string) *Target {
	t := newTarget(l, e)
	t.start.Store, t.start.Profiles = options, profiles
	return t
}

// Program is a program on the machine of an agent.
func Program(l *agent.Link, e subject.Exec) *Target {
	t := newTarget(l, e)
	t.start.Command = e.Command
	return t
}

// Upload is a program of this machine, which stands somewhere in the command. It is
// sent to the agent unless that has it.
func Upload(l *agent.Link, e subject.Exec, program string) *Target {
	t := newTarget(l, e)
	t.upload = program
	for _, word := range e.Command {
		t.start.Command = append(t.start.Command, strings.ReplaceAll(word, program, subject.Program))
	}
	return t
}

func newTarget(l *agent.Link, e subject.Exec) *Target {
	return &Target{link: l, e: e, start: start{
		Name: e.Name, Env: e.Env, Dir: e.Dir, Scheme: e.Scheme, Ready: e.Ready, Debug: e.Debug, Timeout: e.Timeout,
	}}
}

// String is the subject's name.
func (t *Target) String() string { return t.e.Name }

// Info asks the agent what it would start; a program that is sent is known here.
func (t *Target) Info() (runfolder.SubjectInfo, error) {
	own := runfolder.SubjectInfo{
		Name: t.e.Name, Kind: t.e.Kind, Command: t.e.Command, Options: t.e.Options, Build: t.e.Build,
		NullControl: t.e.NullControl,
	}
	if t.upload != "" {
		info, err := t.e.Info()
		own.Binary = info.Binary
		return own, err
	}
	session, err := t.link.Session(context.Background())
	if err != nil {
		return own, err
	}
	answer, err := ask(context.Background(), session, request{Do: doInfo, Start: &t.start})
	if err != nil {
		return own, t.explain(err)
	}
	own.Command, own.Binary = answer.Info.Command, answer.Info.Binary
	return own, nil
}

// explain says where an error comes from, unless the agent is lost.
func (t *Target) explain(err error) error {
	if _, refused := errors.AsType[*refusal](err); !refused {
		return err
	}
	return fmt.Errorf("subject %s: agent %s: %w", t.e.Name, t.link.Name, err)
}

// Start starts an instance. What it printed goes to log when it is stopped.
func (t *Target) Start(ctx context.Context, log io.Writer) (subject.Instance, error) {
	session, err := t.link.Session(ctx)
	if err != nil {
		return nil, err
	}
	i := &instance{
		target: t, session: session, id: session.Next(), log: log,
		stopped: make(chan struct{}), exited: make(chan struct{}),
	}
	answer, err := t.ask(ctx, session, i.id)
	if err != nil {
		_, _ = log.Write(answer.Output) // a full disk shows elsewhere
		return nil, t.explain(err)
	}
	i.running = *answer.Started
	go i.watch()
	if i.url, i.debug, err = i.server(t.e.Remote); err != nil {
		i.Stop()
		return nil, fmt.Errorf("subject %s: %w", t.e.Name, err)
	}
	return i, nil
}

// ask has the agent start the subject, and sends the program if it does not have it.
func (t *Target) ask(ctx context.Context, session *agent.Session, id int) (reply, error) {
	s := t.start
	var data []byte
	if t.upload != "" {
		var err error
		if data, err = os.ReadFile(t.upload); err != nil {
			return reply{}, err
		}
		s.Upload = agent.HashOf(data)
	}
	r := request{Do: doStart, Subject: id, Start: &s}
	answer, err := ask(ctx, session, r)
	if err == nil && answer.Unsent && t.upload != "" {
		if err := send(ctx, session, s.Upload, data); err != nil {
			return reply{}, err
		}
		answer, err = ask(ctx, session, r)
	}
	if err == nil && answer.Unsent {
		err = &refusal{"it lacks a program that it was sent, or that nobody sends"}
	}
	return answer, err
}

// send sends a program.
func send(ctx context.Context, session *agent.Session, hash string, data []byte) error {
	for p := range agent.Pieces(hash, data) {
		if _, err := ask(ctx, session, request{Do: doUpload, Piece: &p}); err != nil {
			return err
		}
	}
	return nil
}

// refusal is what an agent answers instead of doing something.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

func ask(ctx context.Context, s *agent.Session, r request) (answer reply, err error) {
	data, err := s.Do(ctx, agent.Encode(r), r.patience())
	if err != nil {
		return answer, err
	}
	switch err := decode(data, &answer); {
	case err != nil:
		return answer, &refusal{err.Error()}
	case answer.Error != "":
		return answer, &refusal{answer.Error}
	}
	if err := answer.check(r); err != nil {
		return answer, &refusal{"it answers what cannot be: " + err.Error()}
	}
	return answer, nil
}

// instance is a subject that an agent has started.
type instance struct {
	running
	target  *Target
	session *agent.Session
	id      int
	cpu     atomic.Int64 // ns, as it was read last
	log     io.Writer
	url     *url.URL
	debug   subject.DebugPages
	once    sync.Once
	stopped chan struct{}
	exited  chan struct{} // closed when it has ended, or nobody knows
}

// watch waits for the end.
func (i *instance) watch() {
	defer close(i.exited)
	select {
	case <-i.session.Ended(i.id):
	case <-i.session.Lost():
	case <-i.stopped:
	}
}

func (i *instance) ask(do string) (reply, error) {
	answer, err := ask(context.Background(), i.session, request{Do: do, Subject: i.id}) // until the session ends
	return answer, i.target.explain(err)
}

func (i *instance) URL() *url.URL                        { return i.url }
func (i *instance) Debug() subject.DebugPages            { return i.debug }
func (i *instance) Process() int                         { return i.running.Process }
func (i *instance) Binary() (runfolder.Binary, error)    { return i.running.Binary, nil }
func (i *instance) Missing() map[runfolder.Source]string { return i.running.Missing }
func (i *instance) Exited() <-chan struct{}              { return i.exited }

// CPU reads the clock between the moment it is called and the one it returns.
func (i *instance) CPU() (time.Duration, error) {
	answer, err := i.ask(doCPU)
	if before := time.Duration(i.cpu.Swap(int64(answer.CPU))); err == nil && answer.CPU < before {
		err = i.target.explain(&refusal{fmt.Sprintf("its CPU time was %v, and is %v now", before, answer.CPU)})
	}
	return answer.CPU, err
}

func (i *instance) RSSPeak() (int64, error) {
	answer, err := i.ask(doRSS)
	return answer.RSS, err
}

func (i *instance) Counters() (runfolder.ProcessCounters, error) {
	answer, err := i.ask(doCounters)
	return answer.Counters, err
}

// Death is the loss of the agent if that was lost. What the agent answers is always an
// error: the reason.
func (i *instance) Death(when string) error {
	<-i.exited
	_, err := ask(context.Background(), i.session, request{Do: doDeath, Subject: i.id, When: when})
	if lost := i.session.Err(); lost != nil {
		return lost
	}
	return i.target.explain(err)
}

// Stop ends the instance. If the agent is lost, it ends it by itself.
func (i *instance) Stop() {
	i.once.Do(func() {
		answer, _ := i.ask(doStop)        // whatever it says, nothing of it is left, or the agent is lost
		_, _ = i.log.Write(answer.Output) // a full disk shows elsewhere
		close(i.stopped)
	})
}

// Machine is that of an agent. It is a profiles.Machine.
type Machine struct{ Link *agent.Link }

// Describe tells what the machine is.
func (m Machine) Describe(ctx context.Context) (runfolder.Host, map[runfolder.Source]string, error) {
	session, err := m.Link.Session(ctx)
	if err != nil {
		return runfolder.Host{}, nil, err
	}
	answer, err := ask(ctx, session, request{Do: doMachine})
	if err != nil {
		return runfolder.Host{}, nil, m.explain(err)
	}
	return *answer.Host, answer.Missing, nil
}

// Follow begins to follow what it does.
func (m Machine) Follow(ctx context.Context) (profiles.Window, error) {
	session, err := m.Link.Session(ctx)
	if err != nil {
		return nil, err
	}
	_, err = ask(ctx, session, request{Do: doFollow})
	return window{m, session}, m.explain(err)
}

// explain says which agent an error comes from, unless that is lost.
func (m Machine) explain(err error) error {
	if _, refused := errors.AsType[*refusal](err); !refused {
		return err
	}
	return fmt.Errorf("the machine of agent %s: %w", m.Link.Name, err)
}

// window is one of an agent's machine.
type window struct {
	machine Machine
	session *agent.Session
}

// Look reads the run queue.
func (w window) Look() error {
	_, err := ask(context.Background(), w.session, request{Do: doLook})
	return w.machine.explain(err)
}

// Close ends the window.
func (w window) Close(subjects *time.Duration) (*runfolder.Machine, error) {
	answer, err := ask(context.Background(), w.session, request{Do: doClose, Ours: subjects})
	return answer.Machine, w.machine.explain(err)
}
