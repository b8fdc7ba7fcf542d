package subject

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// How to see that a server is ready. Anything else is a path, which then answers
// with a status of 200 to 299.
const (
	ReadyDefault = ""    // it answers on /, whatever; or, if it speaks something else than HTTP, it accepts connections
	ReadyTCP     = "tcp" // it accepts connections
)

const pollInterval = 5 * time.Millisecond

// pollShare is how much longer than needed a wait may take, as a part of itself: to look for
// the ports of a server is to read the folders of all processes, which in a wait of seconds
// would take as much CPU time as the server's own start.
const pollShare = 10

// readiness looks whether a server is ready.
type readiness struct {
	url    *url.URL
	ready  string
	client http.Client
	tcp    time.Time // when the server was first seen to accept connections
}

func newReadiness(server *url.URL, ready string) *readiness {
	return &readiness{url: server, ready: ready, client: http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyCertificate},
		CheckRedirect: noRedirect,
	}}
}

// speechless is how long a server may accept connections without answering a
// request before it is taken to speak something else.
const speechless = 2 * time.Second

// look reports whether the server is ready.
func (r *readiness) look(ctx context.Context) bool {
	if !accepts(ctx, hostPort(r.url)) {
		return false
	}
	if r.ready == ReadyTCP {
		return true
	}
	if r.tcp.IsZero() {
		r.tcp = time.Now()
	}
	path := r.ready
	if path == ReadyDefault {
		path = "/"
	}
	status := r.ask(ctx, path)
	if r.ready == ReadyDefault {
		return status != 0 || time.Since(r.tcp) > speechless
	}
	return status >= 200 && status < 300
}

// ask returns the status of the answer on a path, 0 if there is none.
func (r *readiness) ask(ctx context.Context, path string) int {
	ctx, cancel := context.WithTimeout(ctx, speechless)
	defer cancel()
	path, query, _ := strings.Cut(path, "?")
	u := at(r.url, path)
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// accepts reports whether a server accepts connections.
func accepts(ctx context.Context, address string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// isListening reports whether something accepts connections now, within a second.
func isListening(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return accepts(ctx, address)
}

func hostPort(u *url.URL) string { return net.JoinHostPort(u.Hostname(), portOf(u)) }

// awaitReady waits until it is known where the server listens, and it is ready,
// its debug pages included.
func (p *process) awaitReady(ctx context.Context) error {
	late := fmt.Errorf("subject %s was not ready within %v", p.Name, p.timeout())
	ctx, cancel := context.WithTimeoutCause(ctx, p.timeout(), late)
	defer cancel()
	if p.url == nil {
		if err := p.await(ctx, p.locate, "no process of it was seen to open a TCP port; "+howToLocate); err != nil {
			return err
		}
	}
	if err := p.awaitAnswer(ctx); err != nil {
		return err
	}
	moved, err := p.checkLocation()
	if moved {
		err = p.awaitAnswer(ctx)
	}
	if err != nil || !p.debug.apart {
		return err
	}
	pages := p.debug.Pprof
	return p.await(ctx, func(ctx context.Context) (bool, error) { return accepts(ctx, hostPort(pages)), nil },
		fmt.Sprintf("nothing listens where its profiling pages are said to be, at %s", pages))
}

// awaitAnswer waits until the server is ready where it is known to listen.
func (p *process) awaitAnswer(ctx context.Context) error {
	r := newReadiness(p.url, p.Ready)
	look := func(ctx context.Context) (bool, error) { return r.look(ctx), nil }
	return p.await(ctx, look, fmt.Sprintf("it did not answer on %s", r.what()))
}

// howToLocate is what to do about a server that cannot be found.
const howToLocate = "tell it where to listen with {addr} or {port} in its command (of exec:, or --start)"

// what names what was asked.
func (r *readiness) what() string {
	switch r.ready {
	case ReadyTCP:
		return "TCP " + r.url.Host
	case ReadyDefault:
		return r.url.String()
	}
	return r.url.String() + r.ready
}

// await polls until something is so. lack explains a time-out.
func (p *process) await(ctx context.Context, so func(context.Context) (bool, error), lack string) error {
	start := time.Now()
	for {
		done, err := so(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(max(pollInterval, time.Since(start)/pollShare)):
		case <-ctx.Done():
			return p.notReady(ctx, lack)
		}
		if !p.lives() && !p.mayBeDaemon() {
			return p.death("before it was ready")
		}
	}
}

// mayBeDaemon reports whether a command that has ended without a trace may have
// left a server behind that will listen where it was told to.
func (p *process) mayBeDaemon() bool { return p.url != nil && p.cmd.ProcessState.Success() }

// notReady explains why waiting for the subject ended: a time-out, or the
// caller's wish.
func (p *process) notReady(ctx context.Context, lack string) error {
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %s%s", err, lack, p.output.tail())
}

// locate reports whether it is known where the server listens: where it says,
// or else on the port that it has opened.
func (p *process) locate(context.Context) (bool, error) {
	select {
	case text := <-p.output.announced:
		return true, p.setURL(text)
	default:
	}
	open, err := p.serverPorts()
	printed := p.output.printedURLs()
	if err != nil { // what it prints is all there is to go by
		open = printed
	}
	if p.awaitsOffered(open) {
		return false, nil
	}
	if found := choose(open, printed); found != "" {
		p.guessed = true
		return true, p.setURL(found)
	}
	return false, p.ambiguous(open)
}

// offerPatience is how long a server that has opened other ports may take to open
// the one that it was offered, before it is taken not to heed the offer.
const offerPatience = time.Second

// awaitsOffered reports whether the server may still open the port that it was
// offered: the ports that are open may be those of something else in it.
func (p *process) awaitsOffered(open []string) bool {
	if p.offered == "" || len(open) == 0 || p.isOffered(open[0]) {
		return false
	}
	if p.opened.IsZero() {
		p.opened = time.Now()
	}
	return time.Since(p.opened) < offerPatience
}

func (p *process) isOffered(address string) bool {
	return p.offered != "" && strings.HasSuffix(address, ":"+p.offered)
}

// serverPorts are the URLs of the ports that the processes of the command have
// opened, without that of the debug pages. If the one that was offered is among
// them, it is that alone.
func (p *process) serverPorts() ([]string, error) {
	open, err := p.openPorts()
	var urls []string
	for _, address := range open {
		url := p.scheme() + "://" + address
		if p.isOffered(address) {
			return []string{url}, err
		}
		if !p.debug.apart || portOf(p.debug.Pprof) != address[strings.LastIndex(address, ":")+1:] {
			urls = append(urls, url)
		}
	}
	return urls, err
}

// choose picks the server among open ports: the one whose URL was printed, or
// the only one there is.
func choose(open, printed []string) string {
	for _, text := range printed {
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		for _, candidate := range open {
			if strings.HasSuffix(candidate, ":"+portOf(u)) {
				return u.Scheme + candidate[strings.Index(candidate, "://"):]
			}
		}
	}
	if len(open) == 1 {
		return open[0]
	}
	return ""
}

// ambiguous is the error of several ports.
func (p *process) ambiguous(open []string) error {
	if len(open) < 2 {
		return nil
	}
	return fmt.Errorf("subject %s listens on several ports (%s): %s, or name that of its profiling pages with --pprof",
		p.Name, strings.Join(open, ", "), howToLocate)
}

// checkLocation chooses among ports again, as more of them may have been opened
// since. It reports whether that led to another choice.
func (p *process) checkLocation() (moved bool, err error) {
	if !p.guessed {
		return false, nil
	}
	open, err := p.serverPorts()
	if err != nil {
		return false, nil // there was nothing but what it prints
	}
	found := choose(open, p.output.printedURLs())
	if found == "" {
		return false, p.ambiguous(open)
	}
	if strings.HasSuffix(found, ":"+portOf(p.url)) {
		return false, nil
	}
	return true, p.setURL(found)
}
