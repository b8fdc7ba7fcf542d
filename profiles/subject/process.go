package subject

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	startTimeout = 15 * time.Second // for a subject to say where it listens and to answer
	stopTimeout  = 5 * time.Second  // for a subject to end by itself after SIGTERM
	lastLines    = 10               // of a subject's output, kept for error messages
)

// announcement begins the line with which a subject says where it listens:
// "listening on http://127.0.0.1:40123".
const announcement = "listening on "

// Subject is one server under test: how to start it and know that it is ready.
// Every start must listen on a port of its own and print "listening on URL" as
// a line of its own once it accepts connections.
type Subject struct {
	Name    string            // distinct within an experiment; ends the folder's name
	Kind    string            // for the manifest, such as built-in
	Command []string          // program and arguments
	Options map[string]string // for the manifest: what sets this subject apart
	Health  string            // path that answers 200 once the server is ready
	Timeout time.Duration     // for it to become ready; 0 for 15 s
	Scratch string            // if set, the folder in which each process gets an empty one of its own
}

// ScratchFolder stands in a subject's command for the scratch folder of the
// process, which is removed when the process has ended.
const ScratchFolder = "{scratch}"

// process is one running process of a subject.
type Process struct {
	Subject Subject
	cmd     *exec.Cmd
	Out     *output
	scratch string // removed at the end; may be empty
	Url     *url.URL
	Exited  chan struct{} // closed when the process has ended
}

// startProcess starts the subject and waits until it is ready. Its output goes
// to log. The caller must stop the process.
func StartProcess(ctx context.Context, s Subject, log io.Writer) (*Process, error) {
	p := &Process{Subject: s, Out: &output{log: log, announced: make(chan string, 1)}, Exited: make(chan struct{})}
	if err := p.start(); err != nil {
		return nil, fmt.Errorf("starting subject %s: %w", s.Name, err)
	}
	if err := p.awaitReady(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Process) start() (err error) {
	if p.Subject.Scratch != "" {
		if p.scratch, err = os.MkdirTemp(p.Subject.Scratch, "eventobench-"); err != nil {
			return err
		}
	}
	var args []string
	for _, arg := range p.Subject.Command[1:] {
		args = append(args, strings.ReplaceAll(arg, ScratchFolder, p.scratch))
	}
	p.cmd = exec.Command(p.Subject.Command[0], args...)
	p.cmd.Stdout, p.cmd.Stderr = p.Out, p.Out
	p.cmd.SysProcAttr = processAttributes()
	// A grandchild that keeps the output open must not keep us waiting.
	p.cmd.WaitDelay = stopTimeout
	if err := p.cmd.Start(); err != nil {
		p.removeScratch()
		return err
	}
	go func() {
		defer close(p.Exited)
		_ = p.cmd.Wait() // the state is read from cmd.ProcessState
	}()
	return nil
}

func (p *Process) removeScratch() {
	if p.scratch != "" {
		_ = os.RemoveAll(p.scratch)
	}
}

func (p *Process) awaitReady(ctx context.Context) error {
	timeout := cmp.Or(p.Subject.Timeout, startTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("subject %s was not ready within %v", p.Subject.Name, timeout))
	defer cancel()
	select {
	case text := <-p.Out.announced:
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return fmt.Errorf("subject %s announced %q, which is not a URL", p.Subject.Name, text)
		}
		p.Url = u
	case <-p.Exited:
		return p.Death("before it was ready")
	case <-ctx.Done():
		return p.notReady(ctx)
	}
	return p.awaitHealth(ctx)
}

func (p *Process) awaitHealth(ctx context.Context) error {
	const pause = 20 * time.Millisecond
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Url.JoinPath(p.Subject.Health).String(), nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(pause):
		case <-p.Exited:
			return p.Death("before it was ready")
		case <-ctx.Done():
			return p.notReady(ctx)
		}
	}
}

// notReady explains why waiting for the subject ended: a time-out, or the
// caller's wish.
func (p *Process) notReady(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w%s", err, p.Out.tail())
	}
	return ctx.Err()
}

// death is the error of a subject that ended by itself.
func (p *Process) Death(when string) error {
	<-p.Exited
	return fmt.Errorf("subject %s died %s (%v)%s", p.Subject.Name, when, p.cmd.ProcessState, p.Out.tail())
}

func (p *Process) Pid() int { return p.cmd.Process.Pid }

// stop ends the process and all it started: politely first, so that a server
// may finish what it is writing. It returns once nothing is left.
func (p *Process) Stop() {
	TerminateGroup(p.Pid())
	select {
	case <-p.Exited:
	case <-time.After(stopTimeout):
	}
	killGroup(p.Pid())
	<-p.Exited
	p.removeScratch()
}

// output collects what a subject prints: all of it into the log, the last
// lines for error messages, and the address it announces.
type output struct {
	log       io.Writer
	announced chan string

	mu      sync.Mutex
	partial []byte
	last    []string
	logErr  error
}

// Write never fails, so that a full disk does not reach the subject: the
// error is kept for err.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, err := o.log.Write(b); err != nil && o.logErr == nil {
		o.logErr = err
	}
	o.partial = append(o.partial, b...)
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			return len(b), nil
		}
		o.line(strings.TrimSuffix(string(line), "\r"))
		o.partial = rest
	}
}

func (o *output) line(text string) {
	o.last = append(o.last, text)
	if len(o.last) > lastLines {
		o.last = o.last[1:]
	}
	if address, ok := strings.CutPrefix(text, announcement); ok {
		select {
		case o.announced <- address:
		default: // only the first announcement counts
		}
	}
}

// err is the first error of writing the log.
func (o *output) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.logErr
}

// tail is the last output, for the end of an error message.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := o.last
	if len(o.partial) > 0 {
		last = append(last, string(o.partial))
	}
	if len(last) == 0 {
		return "; it printed nothing"
	}
	return "; its last output:\n  " + strings.Join(last, "\n  ")
}
