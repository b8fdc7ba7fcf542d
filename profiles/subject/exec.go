package subject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

const (
	startTimeout = 15 * time.Second // for a subject to say where it listens and to answer
	stopTimeout  = 5 * time.Second  // for a subject to end by itself after SIGTERM
)

// What stands in a command for what each process gets of its own.
const (
	ScratchFolder = "{scratch}" // an empty folder, which is removed when the process has ended
	ChosenPort    = "{port}"    // a free port on loopback, on which the process must listen
)

// Exec is a server under test that is a program. It says where it listens in
// one of three ways: it has ChosenPort in its command; or a fixed Address; or,
// having neither, it prints "listening on URL" as a line of its own once it
// accepts connections.
type Exec struct {
	Name    string            // distinct within an experiment; ends the folder's name
	Kind    string            // for the manifest, such as built-in
	Command []string          // program and arguments
	Options map[string]string // for the manifest: what sets this subject apart
	Address string            // host:port, if every process listens on the same
	Ready   string            // path that answers 200 once the server is ready; without, accepting connections is enough
	Debug   string            // URL of the server of /debug/pprof and /debug/vars; without, the one under test
	Timeout time.Duration     // for it to become ready; 0 for 15 s
	Scratch string            // the folder in which ScratchFolder is made, if the command has it
}

// Info reads the program file.
func (e Exec) Info() (runfolder.SubjectInfo, error) {
	info := runfolder.SubjectInfo{Name: e.Name, Kind: e.Kind, Command: e.Command, Options: e.Options}
	if len(e.Command) == 0 {
		return info, fmt.Errorf("subject %s has no command to start it with", e.Name)
	}
	path, err := exec.LookPath(e.Command[0])
	if err == nil {
		info.Binary, err = readBinary(path)
	}
	if err != nil {
		return info, fmt.Errorf("subject %s: %w", e.Name, err)
	}
	return info, nil
}

// Start starts the program.
func (e Exec) Start(ctx context.Context, log io.Writer) (Instance, error) {
	p := &process{Exec: e, output: newOutput(log), exited: make(chan struct{})}
	if err := p.start(); err != nil {
		p.removeScratch()
		return nil, fmt.Errorf("starting subject %s: %w", e.Name, err)
	}
	if err := p.awaitReady(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	p.server = listener(p.cmd.Process.Pid, p.url.Port())
	p.missing = p.tryFigures()
	return p, nil
}

// process is one running process of a program.
type process struct {
	Exec
	cmd     *exec.Cmd
	output  *output
	scratch string // removed at the end; may be empty
	server  int    // id of the process that listens: the command's, or that of one it started
	url     *url.URL
	debug   *url.URL
	missing map[runfolder.Source]string
	exited  chan struct{}
}

func (p *process) URL() *url.URL           { return p.url }
func (p *process) Debug() *url.URL         { return p.debug }
func (p *process) Exited() <-chan struct{} { return p.exited }

func (p *process) start() error {
	args, err := p.arguments()
	if err != nil {
		return err
	}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = processAttributes()
	// A grandchild that keeps the output open must not keep us waiting.
	p.cmd.WaitDelay = stopTimeout
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // the state is read from cmd.ProcessState
	}()
	return nil
}

// arguments is the command with what this process gets of its own, which is
// made here.
func (p *process) arguments() (args []string, err error) {
	address := p.Address
	own := map[string]func() (string, error){
		ScratchFolder: func() (string, error) {
			p.scratch, err = os.MkdirTemp(p.Scratch, "eventobench-")
			return p.scratch, err
		},
		ChosenPort: func() (string, error) {
			address, err = freeAddress()
			return address[strings.LastIndex(address, ":")+1:], err
		},
	}
	args = append(args, p.Command...)
	for placeholder, make := range own {
		if !strings.Contains(strings.Join(args, "\n"), placeholder) {
			continue
		}
		value, err := make()
		if err != nil {
			return nil, err
		}
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], placeholder, value)
		}
	}
	return args, p.setAddress(address)
}

// setAddress is for a server that will listen on an address that is known.
func (p *process) setAddress(address string) error {
	if address == "" {
		return nil
	}
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another program listens on %s already; stop it first", address)
	}
	return p.setURL("http://" + address)
}

func (p *process) setURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q, where subject %s listens, is not a URL", text, p.Name)
	}
	p.url, p.debug = u, u
	if p.Exec.Debug == "" {
		return nil
	}
	p.debug, err = url.Parse(p.Exec.Debug)
	return err
}

// freeAddress is an address on loopback that nothing listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

func (p *process) removeScratch() {
	if p.scratch != "" {
		_ = os.RemoveAll(p.scratch)
	}
}

func (p *process) awaitReady(ctx context.Context) error {
	timeout := cmp.Or(p.Timeout, startTimeout)
	late := fmt.Errorf("subject %s was not ready within %v", p.Name, timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	if p.url == nil {
		if err := p.awaitAnnouncement(ctx); err != nil {
			return err
		}
	}
	return p.awaitAnswer(ctx)
}

func (p *process) awaitAnnouncement(ctx context.Context) error {
	select {
	case text := <-p.output.announced:
		return p.setURL(text)
	case <-p.exited:
		return p.Death("before it was ready")
	case <-ctx.Done():
		return p.notReady(ctx)
	}
}

func (p *process) awaitAnswer(ctx context.Context) error {
	const interval = 20 * time.Millisecond
	next := time.NewTicker(interval)
	defer next.Stop()
	for !p.answers(ctx) {
		select {
		case <-next.C:
		case <-p.exited:
			return p.Death("before it was ready")
		case <-ctx.Done():
			return p.notReady(ctx)
		}
	}
	return nil
}

// answers reports whether the server is ready.
func (p *process) answers(ctx context.Context) bool {
	if p.Ready == "" {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.url.Host)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.JoinPath(p.Ready).String(), nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// notReady explains why waiting for the subject ended: a time-out, or the
// caller's wish.
func (p *process) notReady(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("%w%s", err, p.output.tail())
}

// Death explains the end with the exit code or signal, and the last output.
func (p *process) Death(when string) error {
	<-p.exited
	return fmt.Errorf("subject %s died %s (%v)%s", p.Name, when, p.cmd.ProcessState, p.output.tail())
}

// Stop ends the process and all it started: politely first, so that a server
// may finish what it is writing.
func (p *process) Stop() {
	terminateGroup(p.cmd.Process.Pid)
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
	}
	killGroup(p.cmd.Process.Pid)
	<-p.exited
	p.removeScratch()
}
