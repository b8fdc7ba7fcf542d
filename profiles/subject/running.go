package subject

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Running is a server that is running already. Its instances are all the same
// process, which is neither started nor ended.
type Running struct {
	Name    string // distinct within an experiment; ends the folder's name
	Server  string // URL
	Ready   string // how to see that it is ready, see ReadyTCP
	Debug   string // where its debug pages are, see ParseDebugPages; the server under test if empty
	Timeout time.Duration
	Remote  bool // it may be elsewhere than on loopback
}

// String is the subject's name.
func (r Running) String() string { return r.Name }

// Info tells the URL. The program is known once the process was found.
func (r Running) Info() (runfolder.SubjectInfo, error) {
	info := runfolder.SubjectInfo{Name: r.Name, Kind: KindURL, Options: map[string]string{"url": r.Server}}
	_, _, err := r.parse()
	return info, err
}

func (r Running) parse() (*url.URL, DebugPages, error) {
	u, err := parseServer(r.Server, r.Remote)
	if err != nil {
		return nil, DebugPages{}, fmt.Errorf("subject %s: %w", r.Name, err)
	}
	pages, err := parseDebugPages(r.Debug, r.Remote)
	if err != nil {
		return nil, DebugPages{}, fmt.Errorf("subject %s: %w", r.Name, err)
	}
	return u, pages.orOf(u), nil
}

// Start waits until the server answers, and looks for its process.
func (r Running) Start(ctx context.Context, _ io.Writer) (Instance, error) {
	u, pages, err := r.parse()
	if err != nil {
		return nil, err
	}
	timeout := cmp.Or(r.Timeout, startTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout,
		fmt.Errorf("subject %s did not answer on %s within %v; is it running?", r.Name, u, timeout))
	defer cancel()
	next := time.NewTicker(pollInterval)
	defer next.Stop()
	for ready := newReadiness(u, r.Ready); !ready.look(ctx); {
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	pid, err := listenerAmong(portOf(u), func(int) bool { return true })
	if CheckLoopback(u) != nil {
		pid, err = 0, fmt.Errorf("the server is on another machine")
	}
	return visit{figures: readFigures(pid, err), name: r.Name, url: u, debug: pages}, nil
}

// visit is a stretch of time with a server that is running already.
type visit struct {
	figures
	name  string
	url   *url.URL
	debug DebugPages
}

func (v visit) URL() *url.URL     { return v.url }
func (v visit) Debug() DebugPages { return v.debug }

// Binary identifies the program of the process, as far as it may be read.
func (v visit) Binary() (runfolder.Binary, error) {
	if v.server == 0 {
		return runfolder.Binary{}, nil
	}
	b, err := readBinary(executable(v.server))
	if err != nil {
		return runfolder.Binary{}, nil // another user's; the name of the URL is all that is known
	}
	return b, nil
}

// Exited is never closed: the server's end is none of ours.
func (v visit) Exited() <-chan struct{} { return nil }

// Death is not asked for, since Exited is never closed.
func (v visit) Death(when string) error { return fmt.Errorf("subject %s ended %s", v.name, when) }

// Stop leaves the server alone.
func (v visit) Stop() { v.close() }
