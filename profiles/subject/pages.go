package subject

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Pages reads the debug pages of a Go server: those of net/http/pprof, and
// expvar's.
type Pages struct {
	at     DebugPages
	client http.Client
}

// newPages uses connections of its own and asks for plain text: compressing
// would be work that is not measured on purpose.
func newPages(at DebugPages, keepAlive bool) *Pages {
	return &Pages{at: at, client: http.Client{
		Transport: &http.Transport{
			DisableCompression: true, DisableKeepAlives: !keepAlive, TLSClientConfig: anyCertificate,
		},
		CheckRedirect: noRedirect,
	}}
}

// pageTimeout is for a server to answer, beyond what a profile is to last.
const pageTimeout = time.Minute

// NewPages is for the pages of one server.
func NewPages(at DebugPages) *Pages { return newPages(at, true) }

// Close closes the connections.
func (p *Pages) Close() { p.client.CloseIdleConnections() }

// NotServedError says that a server has no such page, or does not give it out.
type NotServedError struct {
	Page   string // its path and query, or its URL if it is not on the server under test
	Answer string // what came instead
}

func (e *NotServedError) Error() string {
	return fmt.Sprintf("GET %s was answered with %s", e.Page, e.Answer)
}

// Profile reads a kind of profile that the server can give at once. The error
// is a NotServedError if the server has no such profile.
func (p *Pages) Profile(ctx context.Context, k runfolder.ProfileKind) (*profile.Profile, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return p.profile(ctx, "/debug/pprof/"+k.Page)
}

func (p *Pages) profile(ctx context.Context, page string) (*profile.Profile, error) {
	var parsed *profile.Profile
	err := p.get(ctx, page, func(body io.Reader) error {
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		parsed, err = profile.ParseData(data)
		if err != nil {
			return &NotServedError{Page: page, Answer: "something that is no profile"}
		}
		return nil
	})
	return parsed, err
}

// CheckSampling returns a NotServedError if the server says that it samples
// nothing for a kind of profile: that must not be taken for nothing happening.
func (p *Pages) CheckSampling(ctx context.Context, k runfolder.ProfileKind) error {
	if k.Off == "" {
		return nil
	}
	page := "/debug/pprof/" + k.Page + "?debug=1"
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	return p.get(ctx, page, func(body io.Reader) error {
		text, err := io.ReadAll(body)
		if err == nil && strings.Contains(string(text), k.Off) {
			err = &NotServedError{Page: page, Answer: strings.TrimSpace(k.Off)}
		}
		return err
	})
}

// Goroutines reads the number of goroutines.
func (p *Pages) Goroutines(ctx context.Context) (int64, error) {
	const page = "/debug/pprof/goroutine?debug=1"
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	var n int64
	err := p.get(ctx, page, func(body io.Reader) error {
		line, err := bufio.NewReader(body).ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		count, ok := strings.CutPrefix(strings.TrimSpace(line), "goroutine profile: total ")
		n, err = strconv.ParseInt(count, 10, 64)
		if !ok || err != nil {
			return &NotServedError{Page: page, Answer: "something that does not count goroutines"}
		}
		return nil
	})
	return n, err
}

// get reads a page. An answer that means the server has no such page is a
// NotServedError.
func (p *Pages) get(ctx context.Context, page string, read func(io.Reader) error) error {
	u := p.at.url(page)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("reading a debug page: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return p.notOK(resp, u)
	}
	err = read(resp.Body)
	var notServed *NotServedError
	if errors.As(err, &notServed) {
		notServed.Page = p.at.show(u)
	} else if err != nil {
		return fmt.Errorf("reading a debug page: GET %s: %w", u, err)
	}
	return err
}

// notOK tells a server without a page from one that has it and failed.
func (p *Pages) notOK(resp *http.Response, u *url.URL) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	said, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if resp.StatusCode < http.StatusInternalServerError || resp.StatusCode == http.StatusNotImplemented {
		return &NotServedError{Page: p.at.show(u), Answer: resp.Status}
	}
	return fmt.Errorf("reading a debug page: GET %s was answered with %s: %s", u, resp.Status, said)
}

// Recording is a profile that a server is taking over a stretch of time.
type Recording struct {
	done    chan struct{}
	profile *profile.Profile
	err     error
}

// Record asks the server for a profile over at least the given time. It must be
// waited for.
func (p *Pages) Record(ctx context.Context, k runfolder.ProfileKind, length time.Duration) *Recording {
	r := &Recording{done: make(chan struct{})}
	alone := newPages(p.at, false) // its connection must not outlast it: the server keeps a goroutine for each
	seconds := int((length + time.Second - 1) / time.Second)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+pageTimeout)
	go func() {
		defer cancel()
		defer close(r.done)
		r.profile, r.err = alone.profile(ctx, fmt.Sprintf("/debug/pprof/%s?seconds=%d", k.Page, seconds))
	}()
	return r
}

// Wait returns the profile once it is there. The error is a NotServedError if
// the server has no such profile.
func (r *Recording) Wait() (*profile.Profile, error) {
	<-r.done
	return r.profile, r.err
}

// AwaitBegin returns when the server shows that it has begun, or the recording
// has ended, or the server does not tell: what a beginning allocates shall not
// be taken for the work of requests.
func (r *Recording) AwaitBegin(ctx context.Context, p *Pages, k runfolder.ProfileKind) {
	const patience, interval = 2 * time.Second, 5 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	next := time.NewTicker(interval)
	defer next.Stop()
	for {
		begun, err := p.runs(ctx, k.Recorder)
		if begun || err != nil {
			return
		}
		select {
		case <-next.C:
		case <-r.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// runs reports whether a goroutine of the server is in a function.
func (p *Pages) runs(ctx context.Context, function string) (bool, error) {
	var found bool
	err := p.get(ctx, "/debug/pprof/goroutine?debug=1", func(body io.Reader) error {
		text, err := io.ReadAll(body)
		found = strings.Contains(string(text), function)
		return err
	})
	return found, err
}
