// Package remote has subjects started and measured by an agent, so that they run on
// another machine than what loads them.
//
// A [Host] is the agent's side. It starts what its own command line allows, in the
// sessions of package agent: when one ends, nothing of its subjects is left. A [Target]
// is the recorder's side, a subject like any other. Requests come one after another, so
// a CPU clock that is read between two slices is read after the last answer of the one
// and before the first request of the other, whatever the clocks of the machines say.
// Profiles are not part of this: the recorder reads them from the server itself.
package remote

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"time"

	"github.com/eventobench/eventobench/internal/strictjson"
	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// What may be asked for.
const (
	doInfo     = "info"     // what a subject is
	doUpload   = "upload"   // a piece of a program
	doStart    = "start"    // a subject
	doCPU      = "cpu"      // its CPU clock
	doRSS      = "rss"      // its peak memory
	doCounters = "counters" // what else the system counts of it
	doDeath    = "death"    // why it ended
	doStop     = "stop"     // end it
	doMachine  = "machine"  // what the machine is
	doFollow   = "follow"   // begin to follow what it does
	doLook     = "look"     // at it between rounds
	doClose    = "close"    // what it did
)

// request is what a recorder asks.
type request struct {
	Do      string         `json:"do"`
	Subject int            `json:"subject,omitempty"` // its number
	Start   *start         `json:"start,omitempty"`
	Piece   *agent.Piece   `json:"piece,omitempty"`       // of a program
	When    string         `json:"when,omitempty"`        // of a death
	Ours    *time.Duration `json:"subjects_ns,omitempty"` // CPU time of all subjects, for doClose
}

// start says what to start: the built-in store or, with a command, a program.
type start struct {
	Name     string            `json:"name"`
	Store    map[string]string `json:"store,omitempty"`    // options of the built-in store
	Profiles []string          `json:"profiles,omitempty"` // that it shall sample
	Command  []string          `json:"command,omitempty"`
	Upload   string            `json:"upload_sha256,omitempty"` // of the program that subject.Program stands for
	Env      []string          `json:"env,omitempty"`
	Dir      string            `json:"dir,omitempty"`
	Scheme   string            `json:"scheme,omitempty"`
	Ready    string            `json:"ready,omitempty"`
	Debug    string            `json:"debug,omitempty"`
	Timeout  time.Duration     `json:"timeout_ns,omitempty"`
}

// reply is the answer. Error is why there is none.
type reply struct {
	Error    string                      `json:"error,omitempty"`
	Info     *runfolder.SubjectInfo      `json:"info,omitempty"`
	Started  *running                    `json:"started,omitempty"`
	Unsent   bool                        `json:"unsent,omitempty"` // the program is not there, or not any more
	CPU      time.Duration               `json:"cpu_ns,omitempty"`
	RSS      int64                       `json:"rss_bytes,omitempty"`
	Counters runfolder.ProcessCounters   `json:"counters,omitzero"`
	Output   []byte                      `json:"output,omitempty"` // of a subject that was stopped
	Host     *runfolder.Host             `json:"host,omitempty"`
	Missing  map[runfolder.Source]string `json:"missing,omitempty"` // of the machine
	Machine  *runfolder.Machine          `json:"machine,omitempty"`
}

// running is a subject that was started.
type running struct {
	URL     string                      `json:"url"`
	Pages   string                      `json:"pages,omitempty"` // where its debug pages are, if not there
	Process int                         `json:"process"`
	Binary  runfolder.Binary            `json:"binary"`
	Missing map[runfolder.Source]string `json:"missing,omitempty"`
}

// The limits of what a host takes in.
const (
	maxProgram  = 256 << 20
	maxHeld     = 2 * maxProgram // bytes of programs that are kept, those that run with them
	maxPrograms = 8              // that are kept, the latest
	maxSubjects = 16             // at a time
	maxTimeout  = 10 * time.Minute
	maxOutput   = 64 << 10 // of a subject that is kept
)

func (r request) check() error {
	switch {
	case r.Do == doUpload && r.Piece == nil, (r.Do == doStart || r.Do == doInfo) && r.Start == nil:
		return fmt.Errorf("%s lacks what it is about", r.Do)
	case r.Piece != nil && len(r.Piece.Data) > agent.MaxPiece:
		return fmt.Errorf("a piece of %d bytes", len(r.Piece.Data))
	case r.Start != nil && (r.Start.Timeout < 0 || r.Start.Timeout > maxTimeout):
		return fmt.Errorf("a subject that may take %v to become ready, more than %v", r.Start.Timeout, maxTimeout)
	case r.Start != nil && (len(r.Start.Command) > 0) == (r.Start.Store != nil):
		return errors.New("a subject is either the built-in store or a command")
	}
	return nil
}

// check refuses what no host answers to a request, unless it is an error.
func (r reply) check(to request) error {
	c := r.Counters
	least := min(int64(r.CPU), r.RSS, c.VoluntarySwitches, c.InvoluntarySwitches,
		c.ReadBytes, c.WrittenBytes, c.Instructions)
	switch {
	case r.Started != nil && !areSources(r.Started.Missing), !areSources(r.Missing):
		return errors.New("it lacks figures that nobody knows, or for no reason")
	case least < 0:
		return errors.New("a figure of a process is negative")
	case to.Do == doInfo && r.Info == nil:
		return errors.New("it does not say what it would start")
	case to.Do == doStart && r.Started == nil && !r.Unsent:
		return errors.New("it does not say what it started")
	case to.Do == doDeath:
		return errors.New("it does not say why a subject has ended")
	case to.Do == doMachine:
		return checkHost(r.Host)
	case to.Do == doClose:
		return checkMachine(r.Machine)
	}
	return nil
}

// areSources reports whether figures are known ones, each missing for some reason.
func areSources(missing map[runfolder.Source]string) bool {
	for source, why := range missing {
		if why == "" || !slices.Contains(runfolder.Sources(), source) {
			return false
		}
	}
	return true
}

func checkHost(h *runfolder.Host) error {
	if h == nil || h.Affinity < 1 || h.Cores < 0 || h.GOMAXPROCS < 0 || h.Memory < 0 {
		return errors.New("it does not say what its machine is")
	}
	return nil
}

// checkMachine refuses what no machine does, by far: kernels count in ticks, and not all
// of their counters only grow. JSON has neither NaN nor infinities.
func checkMachine(m *runfolder.Machine) error {
	const day, mostCPUs, mostTasks = 24 * time.Hour, 1 << 20, 1e9
	if m == nil || m.Window <= 0 || m.Window > 365*day || m.CPUs < 0 || m.CPUs > mostCPUs {
		return errors.New("it does not say what its machine did")
	}
	mostTime := 2*m.Window.Seconds()*float64(m.CPUs+1) + 10
	for _, d := range []*time.Duration{m.Busy, m.Ours, m.Idle, m.Steal, m.Pressure, m.Throttled} {
		if d != nil && math.Abs(d.Seconds()) > mostTime {
			return fmt.Errorf("its machine did something for %v in %v", *d, m.Window)
		}
	}
	if r := m.Runnable; r != nil && !(*r >= 0 && *r <= mostTasks) {
		return fmt.Errorf("its machine had %v tasks to run", *r)
	}
	return nil
}

// patience is how long a host may take to answer, at most: to start a subject a second
// time if another program has taken its port.
func (r request) patience() time.Duration {
	if r.Do == doStart {
		return agent.AnswerTime + 2*r.Start.Timeout
	}
	return agent.AnswerTime
}

// server is the URL of a subject and where its debug pages are: on loopback, unless
// elsewhere allows for others.
func (r running) server(elsewhere bool) (*url.URL, subject.DebugPages, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, subject.DebugPages{}, fmt.Errorf("the agent says that it listens on %q", r.URL)
	}
	pages, err := subject.PagesOf(u, r.Pages)
	for _, loaded := range []*url.URL{u, pages.Pprof} {
		if err == nil && !elsewhere {
			err = subject.CheckLoopback(loaded)
		}
	}
	return u, pages, err
}

// decode reads a message. It refuses fields that it does not know.
func decode(data []byte, into any) error {
	if err := strictjson.Unmarshal(data, into); err != nil {
		return fmt.Errorf("bad message about a subject: %w", err)
	}
	return nil
}
