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

// PprofClient reads a server's net/http/pprof pages.
type PprofClient struct {
	Base *url.URL // of the server; the pages are below /debug/pprof
	Http http.Client
}

// profile fetches a pprof page, such as "allocs" or "profile?seconds=5", and
// parses it.
func (c *PprofClient) Profile(ctx context.Context, page string) (*profile.Profile, error) {
	var p *profile.Profile
	err := c.get(ctx, page, func(body io.Reader) (err error) {
		p, err = profile.Parse(body)
		return err
	})
	return p, err
}

// counters reads the exact runtime.MemStats that the heap page ends with.
func (c *PprofClient) Counters(ctx context.Context) (MemStats, error) {
	return c.memStats(ctx, "heap?debug=1")
}

// countersAfterGC does the same after a garbage collection.
func (c *PprofClient) CountersAfterGC(ctx context.Context) (MemStats, error) {
	return c.memStats(ctx, "heap?debug=1&gc=1")
}

func (c *PprofClient) memStats(ctx context.Context, page string) (MemStats, error) {
	var m MemStats
	err := c.get(ctx, page, func(body io.Reader) (err error) {
		m, err = parseMemStats(body)
		return err
	})
	return m, err
}

func (c *PprofClient) get(ctx context.Context, page string, read func(io.Reader) error) error {
	path, query, _ := strings.Cut(page, "?")
	u := c.Base.JoinPath("debug/pprof", path)
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := c.Http.Do(req)
	if err != nil {
		return fmt.Errorf("reading a profile: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("reading a profile: GET %s was answered with %s: %s", u, resp.Status, strings.TrimSpace(string(text)))
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("reading a profile: GET %s: %w", u, err)
	}
	return nil
}

// memStats are the fields of runtime.MemStats that are kept. The pauses of the
// last 256 collections stand in a ring: that of collection n at (n+255)%256.
type MemStats struct {
	totalAlloc, mallocs, NumGC, heapSys int64
	pauses                              []int64
}

// parseMemStats reads the "# Name = value" lines at the end of a heap page
// with debug=1.
func parseMemStats(r io.Reader) (MemStats, error) {
	var m MemStats
	missing := map[string]*int64{"TotalAlloc": &m.totalAlloc, "Mallocs": &m.mallocs, "NumGC": &m.NumGC, "HeapSys": &m.heapSys}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "# "), " = ")
		if !ok {
			continue
		}
		if name == "PauseNs" {
			m.pauses = parseInts(value)
		}
		if field := missing[name]; field != nil {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return m, fmt.Errorf("runtime.MemStats: %s: %w", name, err)
			}
			*field = n
			delete(missing, name)
		}
	}
	if err := lines.Err(); err != nil {
		return m, err
	}
	if len(missing) > 0 {
		return m, errors.New("the page does not end with runtime.MemStats")
	}
	return m, nil
}

// counters returns m as Counters that count GC pauses from collection since
// on. Of more collections than the ring holds, the pauses it lacks are taken
// to be like those it has.
func (m MemStats) Counters(since int64) runfolder.Counters {
	c := runfolder.Counters{TotalAlloc: m.totalAlloc, Mallocs: m.mallocs, NumGC: m.NumGC, HeapSys: m.heapSys}
	ring := int64(len(m.pauses))
	collections := m.NumGC - since
	if ring == 0 || collections <= 0 {
		return c
	}
	known := min(collections, ring)
	for n := m.NumGC; n > m.NumGC-known; n-- {
		c.GCPause += m.pauses[(n+ring-1)%ring]
	}
	c.GCPause = c.GCPause * collections / known
	return c
}

// cpuProfile is a CPU profile that a server is taking.
type CpuProfile struct {
	done    chan struct{}
	profile *profile.Profile
	err     error
}

// startCPUProfile asks the server for a CPU profile of at least the given
// time. It must be waited for.
func (c *PprofClient) StartCPUProfile(ctx context.Context, window time.Duration) *CpuProfile {
	p := &CpuProfile{done: make(chan struct{})}
	seconds := int((window + time.Second - 1) / time.Second)
	go func() {
		defer close(p.done)
		p.profile, p.err = c.Profile(ctx, fmt.Sprintf("profile?seconds=%d", seconds))
	}()
	return p
}

func (p *CpuProfile) Wait() (*profile.Profile, error) {
	<-p.done
	return p.profile, p.err
}

// parseInts reads a list such as "[1 2 3]"; a list it cannot read is empty.
func parseInts(list string) []int64 {
	var ints []int64
	for _, field := range strings.Fields(strings.Trim(list, "[]")) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil
		}
		ints = append(ints, n)
	}
	return ints
}
