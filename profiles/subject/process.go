package subject

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// process is one start of a program: the process of its command, those that it
// started, and among them the one that listens.
type process struct {
	Exec
	figures
	cmd      *exec.Cmd
	output   *output
	pipe     *os.File      // what the processes print
	printed  chan struct{} // closed when nobody can print any more
	marker   string        // in the environment of all processes
	janitor  *janitor
	scratch  string // removed at the end; may be empty
	database string // dropped at the end; may be empty
	url      *url.URL
	guessed  bool      // url is of a port that was found open
	offered  string    // port on which it may listen; may be empty
	opened   time.Time // when it was first seen to have another one open
	debug    DebugPages
	ports    []string      // that were chosen for it
	occupied bool          // another program listened where it shall
	lostPort bool          // it ended before it was ready, and another program has one of them
	ended    chan struct{} // closed when the command has ended
	exited   chan struct{} // closed when the server has

	signaled []int // processes that did not end by themselves, but for the command's
}

func (p *process) URL() *url.URL           { return p.url }
func (p *process) Debug() DebugPages       { return p.debug }
func (p *process) Exited() <-chan struct{} { return p.exited }

func (p *process) start(ctx context.Context) error {
	own, err := p.choose(ctx)
	if err != nil {
		return err
	}
	if p.debug, err = p.parsePages(own.replacer.Replace(p.Exec.Debug)); err != nil {
		return err
	}
	p.offered = own.offered
	if err := p.setAddress(own.address); err != nil {
		return err
	}
	adoptOrphans()
	args := append(slices.Clone(p.Under), own.replaceAll(p.Command)...)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Dir = p.Dir
	p.cmd.Env = append(append(os.Environ(), own.replaceAll(p.Env)...), p.marker)
	p.cmd.SysProcAttr = processAttributes()
	return p.run()
}

// run starts the command. What it and its descendants print comes through a
// pipe that outlives the command.
func (p *process) run() error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	p.cmd.Stdout, p.cmd.Stderr = writer, writer
	if p.janitor, err = startJanitor(p.marker, p.scratch, reader); err == nil {
		err = p.cmd.Start()
	}
	_ = writer.Close() // the processes have theirs
	if err != nil {
		_ = reader.Close()
		return err
	}
	p.janitor.tell(p.cmd.Process.Pid)
	p.pipe, p.printed, p.ended = reader, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.printed)
		p.output.copy(reader)
	}()
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state is read from cmd.ProcessState
	}()
	return nil
}

// setAddress is for a server that will listen on an address that is known.
func (p *process) setAddress(address string) error {
	if address == "" {
		return nil
	}
	if isListening(address) {
		p.occupied = true
		return fmt.Errorf("another program listens on %s already; stop it first", address)
	}
	return p.setURL(p.scheme() + "://" + address)
}

func (p *process) scheme() string { return cmp.Or(p.Scheme, "http") }

func (p *process) setURL(text string) error {
	u, err := p.parseURL(text)
	if err != nil {
		return fmt.Errorf("subject %s: %w", p.Name, err)
	}
	p.url = u
	if !p.debug.apart {
		p.debug = debugPagesOf(u)
	}
	return nil
}

// parseURL reads where the server is.
func (p *process) parseURL(text string) (*url.URL, error) {
	if p.Host == "" {
		return parseServer(text, p.Remote)
	}
	u, err := parseServerURL(text)
	if err == nil {
		err = p.reachable(u)
	}
	return u, err
}

// parsePages reads where the debug pages are.
func (p *process) parsePages(text string) (DebugPages, error) {
	if p.Host == "" {
		return parseDebugPages(text, p.Remote)
	}
	pages, err := ParseDebugPages(text)
	if err == nil && pages.apart {
		err = p.reachable(pages.Pprof)
	}
	return pages, err
}

// reachable makes the URL of a server that others shall reach one by which they do,
// and rejects one by which they do not, or that is not on this machine.
func (p *process) reachable(u *url.URL) error {
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort(p.Host, portOf(u))
	}
	if u.Hostname() != p.Host {
		return fmt.Errorf("%s is not on %s, by which others reach this machine; use %s or %s",
			u, p.Host, ChosenAddress, ChosenHost+":"+SecondPort)
	}
	return nil
}

// findServer finds the process that listens, and follows it.
func (p *process) findServer() {
	pid, err := p.listener()
	p.figures = readFigures(pid, err)
	if pid == 0 || pid == p.cmd.Process.Pid {
		go func() {
			defer close(p.exited)
			<-p.ended
		}()
		return
	}
	p.janitor.tell(pid)
	go func() {
		defer close(p.exited)
		awaitEnd(pid, p.ended)
	}()
}

// Binary identifies the program of the process that listens if that is a Go
// program, else the one of the command: of a script that starts a server, the
// server; of one that is interpreted, the script.
func (p *process) Binary() (runfolder.Binary, error) {
	server, err := readBinary(executable(p.server))
	if err == nil && server.GoVersion != "" {
		return server, nil
	}
	info, err := p.Info()
	return info.Binary, err
}

// Death explains the end with the exit code or signal, and the last output.
func (p *process) Death(when string) error {
	<-p.exited
	return p.death(when)
}

func (p *process) death(when string) error {
	how := fmt.Sprintf("process %d ended", p.server)
	if waitAtMost(p.ended, time.Second) {
		how = p.cmd.ProcessState.String()
	}
	waitAtMost(p.printed, time.Second)
	return fmt.Errorf("subject %s died %s (%s)%s", p.Name, when, how, p.output.tail())
}

// waitAtMost reports whether something was done in time.
func waitAtMost(done <-chan struct{}, timeout time.Duration) bool {
	select {
	case <-done:
		return true
	case <-time.After(timeout):
		return false
	}
}

// Stop ends the process and all it started: politely first, so that a server
// may finish what it is writing.
func (p *process) Stop() {
	p.signal(terminate)
	deadline := time.Now().Add(cmp.Or(p.Ending, stopTimeout))
	for p.lives() && time.Now().Before(deadline) {
		time.Sleep(pollInterval)
	}
	p.signal(kill)
	for p.lives() {
		time.Sleep(pollInterval)
		p.signal(kill)
	}
	<-p.ended
	reap(p.signaled)
	waitAtMost(p.printed, stopTimeout)
	_ = p.pipe.Close()
	<-p.printed
	p.cleanUp()
}

// lives reports whether anything of the subject is left.
func (p *process) lives() bool {
	select {
	case <-p.ended:
		return len(p.members()) > 0
	default:
		return true
	}
}

// signal signals the process group of the command, and all else that came of it.
func (p *process) signal(s signal) {
	signalGroup(p.cmd.Process.Pid, s)
	for _, pid := range p.members() {
		signalProcess(pid, s)
		if pid != p.cmd.Process.Pid {
			p.signaled = append(p.signaled, pid)
		}
	}
}

// cleanUp removes what is left when no process is.
func (p *process) cleanUp() {
	p.close()
	if p.scratch != "" {
		_ = os.RemoveAll(p.scratch)
	}
	if p.database != "" {
		p.Database.Drop(p.database)
	}
	if p.janitor != nil {
		p.janitor.dismiss()
	}
}

// timeout is for the subject to become ready.
func (p *process) timeout() time.Duration { return cmp.Or(p.Timeout, startTimeout) }
