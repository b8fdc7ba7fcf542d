package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/eventobench/eventobench/loadgen"
)

const (
	heartbeat = 250 * time.Millisecond
	silence   = time.Second      // without an answer to a heartbeat, after which an agent is lost
	openTime  = time.Second      // for an agent to begin a session
	hostTime  = 10 * time.Second // for one that has to end the subjects of the session before
	pings     = 16               // of which the fastest tells the clock
)

// AnswerTime is how long an agent that is alive may take for a job that is done at once:
// more than any machine needs that can be measured on.
const AnswerTime = time.Minute

// Info is what an agent tells of itself.
type Info struct {
	Name    string
	Version string // of its program
	Cores   int    // that it may use
	Machine string // equal for agents that share CPUs
	Offers  string // the subjects that it starts; empty if it makes load

	id string
}

// infoOf reads the answer of an instance of the micro service.
func infoOf(data []byte) (Info, error) {
	var m micro.Info
	if err := json.Unmarshal(data, &m); err != nil {
		return Info{}, fmt.Errorf("bad answer of an agent: %w", err)
	}
	cores, err := strconv.Atoi(m.Metadata["cores"])
	if err != nil || cores < 1 || m.Metadata["name"] == "" || m.ID == "" {
		return Info{}, errors.New("an agent does not say what it is")
	}
	i := Info{
		Name: m.Metadata["name"], Version: m.Metadata["version"], Cores: cores, Machine: m.Metadata["machine"],
		Offers: m.Metadata["subjects"], id: m.ID,
	}
	const mostCores, longestName = 1 << 16, 100
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if cores > mostCores || len(i.Name) > longestName || strings.ContainsFunc(i.Name+i.Version, odd) ||
		strings.ContainsFunc(i.id, func(r rune) bool { return r > unicode.MaxASCII || strings.ContainsRune(".*> ", r) || odd(r) }) {
		return Info{}, fmt.Errorf("agent %.100q says of itself what cannot be", i.Name)
	}
	if m.Version != protocolVersion {
		return i, fmt.Errorf("agent %s speaks version %s of the protocol, not %s: use the same eventobench on all machines",
			i.Name, m.Version, protocolVersion)
	}
	return i, nil
}

// discover asks for a short time which agents there are, and returns them by name.
// Those that cannot be used are told in the error.
func discover(ctx context.Context, nc *nats.Conn) ([]Info, error) {
	const patience = 300 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	inbox, err := nc.SubscribeSync(nc.NewRespInbox())
	if err != nil {
		<-ctx.Done() // whoever asks again does so as often as else
		return nil, err
	}
	defer func() { _ = inbox.Unsubscribe() }()
	subject, err := micro.ControlSubject(micro.InfoVerb, serviceName, "")
	if err == nil {
		err = nc.PublishRequest(subject, inbox.Subject, nil)
	}
	var found []Info
	var unusable error
	for err == nil {
		var msg *nats.Msg
		if msg, err = inbox.NextMsgWithContext(ctx); err != nil {
			break
		}
		if i, bad := infoOf(msg.Data); bad != nil {
			unusable = errors.Join(unusable, bad)
		} else {
			found = append(found, i)
		}
	}
	<-ctx.Done() // there may be some, or more, when it is asked again
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	slices.SortFunc(found, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.id, b.id))
	})
	return found, errors.Join(err, unusable)
}

// Fleet is a number of agents that make load together.
type Fleet struct {
	nc       *nats.Conn
	id       string    // of this recorder
	epoch    time.Time // from which the recorder's clock counts
	machine  string    // of the subjects
	openTime time.Duration
	log      func(text string)

	mu      sync.Mutex
	number  int // of the sessions so far
	session *joint

	drivers atomic.Int64 // numbers of drivers that are taken
}

// joint is a session of all agents that were there when it began. It ends when one of
// them is lost.
type joint struct {
	fleet   *Fleet
	id      string
	members []*member
	ctx     context.Context // canceled when the session has ended; the cause is a *loadgen.LostError
	end     context.CancelCauseFunc
	beats   sync.WaitGroup

	mu    sync.Mutex
	sent  map[string]bool       // workloads
	ended map[int]chan struct{} // closed when a subject has ended
}

// member is an agent in a session.
type member struct {
	Info
	joint *joint
}

// Gather finds so many agents that make load, waiting for them until ctx ends, and
// keeps them for this recorder. Log is told what happens to them; it may be nil.
func Gather(ctx context.Context, nc *nats.Conn, agents int, log func(text string)) (*Fleet, error) {
	f := newFleet(nc, log)
	if err := f.gather(ctx, agents, func(i Info) bool { return i.Offers == "" }); err != nil {
		return nil, err
	}
	return f, nil
}

func newFleet(nc *nats.Conn, log func(text string)) *Fleet {
	if log == nil {
		log = func(string) {}
	}
	return &Fleet{nc: nc, id: rand.Text(), epoch: time.Now(), machine: machineID(), openTime: openTime, log: log}
}

func (f *Fleet) gather(ctx context.Context, agents int, fit func(Info) bool) error {
	var why error // not all of them are there, as of the last time there was enough time to ask
	for {
		all, unusable := discover(ctx, f.nc)
		found := slices.DeleteFunc(all, func(i Info) bool { return !fit(i) })
		asked := found
		if len(found) < agents {
			asked = nil // they are not held while others are missing
		}
		opened, refused := f.open(ctx, asked, agents)
		if len(opened.members) == agents {
			f.session = opened
			return nil
		}
		opened.close()
		if why == nil || ctx.Err() == nil {
			why = fmt.Errorf("of %d agents that are asked for %d were found", agents, len(found))
			if reason := errors.Join(unusable, refused); reason != nil {
				why = fmt.Errorf("%w: %w", why, reason)
			}
		}
		if ctx.Err() != nil {
			return why
		}
	}
}

// Infos are the agents that are left.
func (f *Fleet) Infos() []Info {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.session.infos()
}

// Close lets the agents go.
func (f *Fleet) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session.close()
}

// now is the recorder's clock.
func (f *Fleet) now() time.Duration { return time.Since(f.epoch) }

// open begins a session of up to so many of the agents: those that agree in time.
func (f *Fleet) open(ctx context.Context, agents []Info, most int) (*joint, error) {
	f.number++
	j := &joint{
		fleet: f, id: f.id + "." + strconv.Itoa(f.number), sent: map[string]bool{}, ended: map[int]chan struct{}{},
	}
	j.ctx, j.end = context.WithCancelCause(context.Background())
	var refused error
	for _, i := range agents {
		if len(j.members) == most {
			break
		}
		m := &member{Info: i, joint: j}
		if _, err := m.control(ctx, doOpen, f.openTime); err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		j.members = append(j.members, m)
		j.beats.Go(m.beat)
	}
	return j, refused
}

// ready is the current session or, if an agent was lost, a new one of those that are
// left.
func (f *Fleet) ready(ctx context.Context) (*joint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.session
	if old.ctx.Err() == nil {
		return old, nil
	}
	infos := old.infos()
	if len(infos) == 0 {
		return nil, context.Cause(old.ctx) // which says that none was left
	}
	old.close()
	fresh, err := f.open(ctx, infos, len(infos))
	f.session = fresh
	if len(fresh.members) == 0 {
		lost := &loadgen.LostError{Reason: fmt.Sprintf("no agent is left: %v; %v", context.Cause(old.ctx), err)}
		fresh.end(lost)
		return nil, lost
	}
	for _, i := range fresh.infos() {
		f.log(fmt.Sprintf("agent %s is still there", i.Name))
	}
	return fresh, nil
}

func (f *Fleet) nextDriver() int { return int(f.drivers.Add(1)) }

// hasDriver reports whether nextDriver has given a number out.
func (f *Fleet) hasDriver(id int) bool { return id >= 1 && int64(id) <= f.drivers.Load() }

func (j *joint) infos() (all []Info) {
	for _, m := range j.members {
		all = append(all, m.Info)
	}
	return all
}

// lose ends the session because of something that happened to an agent. The load can
// be made again, by those that are left.
func (j *joint) lose(format string, args ...any) {
	lost := &loadgen.LostError{Reason: fmt.Sprintf(format, args...), Again: true}
	if j.ctx.Err() == nil {
		j.fleet.log(lost.Reason)
	}
	j.end(lost)
}

// close ends the session, and tells the agents.
func (j *joint) close() {
	j.end(&loadgen.LostError{Reason: "the session is over"})
	j.beats.Wait()
	for _, m := range j.members {
		_ = j.fleet.nc.Publish(subjectOf(m.id, controlEndpoint), encode(control{Do: doEnd, Session: j.id}))
	}
	_ = j.fleet.nc.FlushTimeout(silence) // an agent that does not hear it notices that nobody speaks
}

// each does something with every agent at the same time.
func (j *joint) each(do func(i int, m *member) error) error {
	errs := make([]error, len(j.members))
	var wg sync.WaitGroup
	for i, m := range j.members {
		wg.Go(func() { errs[i] = do(i, m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// beat renews the lease until the session ends, and ends it when the agent is gone.
func (m *member) beat() {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-m.joint.ctx.Done():
			return
		}
		if _, err := m.control(m.joint.ctx, doLease, silence); err != nil && m.joint.ctx.Err() == nil {
			m.joint.lose("%v", err)
		}
	}
}

// control asks the control endpoint for something, and returns a reading of the
// agent's clock.
func (m *member) control(ctx context.Context, do string, patience time.Duration) (reading, error) {
	f := m.joint.fleet
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked := f.now()
	msg, err := f.nc.RequestWithContext(ctx, subjectOf(m.id, controlEndpoint),
		encode(control{Do: do, Session: m.joint.id}))
	answered := f.now()
	if err != nil {
		return reading{}, m.gone(err)
	}
	reply, err := decode[controlReply](msg.Data)
	if err == nil && reply.Error != "" {
		err = errors.New(reply.Error)
	}
	m.joint.noteEnded(reply.Ended)
	return reading{asked: asked, answered: answered, shown: time.Duration(reply.Now)}, err
}

// gone explains why an agent cannot be asked.
func (m *member) gone(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("agent %s is gone", m.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("agent %s does not answer", m.Name)
	}
	return fmt.Errorf("agent %s cannot be asked: %w", m.Name, err)
}

// clock measures how far the agent's clock is ahead of the recorder's.
func (m *member) clock(ctx context.Context) (offset, error) {
	var readings []reading
	for range pings {
		r, err := m.control(ctx, doLease, silence)
		if err != nil {
			return offset{}, m.lost(ctx, err)
		}
		readings = append(readings, r)
	}
	return offsetOf(readings), nil
}

// do has the agent do a job, for as long as the session lasts. One that takes longer than
// it can is a loss: the agent answers that it is there, and does nothing.
func (m *member) do(ctx context.Context, j job, patience time.Duration) (jobReply, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.joint.ctx, func() { cancel(context.Cause(m.joint.ctx)) })()
	limited, end := context.WithTimeout(ctx, patience)
	defer end()
	j.Session = m.joint.id
	msg, err := m.joint.fleet.nc.RequestWithContext(limited, subjectOf(m.id, jobEndpoint), encode(j))
	switch {
	case err != nil && limited.Err() != nil && ctx.Err() == nil:
		return jobReply{}, m.lost(ctx, fmt.Errorf("agent %s does not do what it was asked for within %v", m.Name, patience))
	case err != nil:
		return jobReply{}, m.lost(ctx, m.gone(err))
	}
	reply, err := decode[jobReply](msg.Data)
	switch {
	case err != nil:
		return reply, &loadgen.LostError{Reason: fmt.Sprintf("agent %s: %v", m.Name, err)}
	case reply.Error != "" && m.joint.ctx.Err() != nil:
		return reply, context.Cause(m.joint.ctx)
	case reply.Error != "":
		return reply, m.refused(ctx, reply.Error)
	}
	return reply, nil
}

// lost ends the session because the agent could not be asked, unless that was so
// because the session ended or the caller gave up.
func (m *member) lost(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		m.joint.lose("%v", err)
	}
	if m.joint.ctx.Err() != nil {
		return context.Cause(m.joint.ctx)
	}
	return &loadgen.LostError{Reason: err.Error()}
}

// refused is why an agent did not do a job: because it has given the session up, after
// which it can have another one, or for a reason of its own.
func (m *member) refused(ctx context.Context, why string) error {
	if _, err := m.control(ctx, doLease, silence); err != nil {
		return m.lost(ctx, err)
	}
	return &loadgen.LostError{Reason: why}
}
