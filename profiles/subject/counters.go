package subject

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// The pages with runtime.MemStats, as CaptureInfo.Counters names them.
const (
	VarsPage = "/debug/vars"               // of expvar; reading it allocates some 50 KB
	HeapPage = "/debug/pprof/heap?debug=1" // of net/http/pprof; reading it allocates up to a megabyte
)

// CountersPage finds the page from which to read runtime.MemStats: the one that
// costs the server less. The error is that of HeapPage: a NotServedError if the
// server does not have it.
func (p *Pages) CountersPage(ctx context.Context) (string, error) {
	_, err := p.memStats(ctx, VarsPage)
	if err == nil {
		return VarsPage, nil
	}
	_, err = p.memStats(ctx, HeapPage)
	return HeapPage, err
}

// Before is the counters at the start of a window, and what is needed for those
// at its end.
type Before struct {
	Counters runfolder.Counters
	ReadCost runfolder.Counters // what one reading adds to TotalAlloc and Mallocs

	page  string
	numGC int64
}

// CountersBefore reads the counters several times: to get over what only a first
// reading costs, and to learn what every reading adds to them. The cost is the
// least that was seen: what a garbage collection or something else adds to a
// reading must not be taken from the requests.
//
// Go keeps used buffers per CPU. Readings of VarsPage are cheap and many, so
// that the last one probably finds buffers, whichever CPU it runs on. Readings
// of HeapPage are few, and each comes after a garbage collection: without, one
// that happens to fall between two readings frees buffers of a megabyte, which
// the next reading allocates and the one before it did not.
func (p *Pages) CountersBefore(ctx context.Context, page string) (Before, error) {
	readings := 8
	before := Before{page: page}
	if page == HeapPage {
		readings = 3
		page += "&gc=1"
	}
	var last runfolder.Counters
	for n := range readings {
		m, err := p.memStats(ctx, page)
		if err != nil {
			return before, err
		}
		before.numGC = m.NumGC
		before.Counters = m.counters(m.NumGC)
		if n > 0 {
			before.noteCost(before.Counters.Sub(last), n == 1)
		}
		last = before.Counters
	}
	return before, nil
}

func (b *Before) noteCost(cost runfolder.Counters, first bool) {
	if first {
		b.ReadCost = runfolder.Counters{TotalAlloc: cost.TotalAlloc, Mallocs: cost.Mallocs}
		return
	}
	b.ReadCost.TotalAlloc = min(b.ReadCost.TotalAlloc, cost.TotalAlloc)
	b.ReadCost.Mallocs = min(b.ReadCost.Mallocs, cost.Mallocs)
}

// CountersAfter reads the counters at the end of a window.
func (p *Pages) CountersAfter(ctx context.Context, before Before) (runfolder.Counters, error) {
	m, err := p.memStats(ctx, before.page)
	return m.counters(before.numGC), err
}

// MaxUnsynced reads runfolder.VarUnsynced. It is nil if the server does not
// publish it.
func (p *Pages) MaxUnsynced(ctx context.Context) (most *int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	err = p.get(ctx, VarsPage, func(body io.Reader) error {
		vars := map[string]json.RawMessage{}
		if err := json.NewDecoder(body).Decode(&vars); err != nil {
			return &NotServedError{Page: VarsPage, Answer: "something that is no JSON"}
		}
		text, published := vars[runfolder.VarUnsynced]
		if !published {
			return nil
		}
		if err := json.Unmarshal(text, &most); err != nil {
			return fmt.Errorf("%s is %.40s, not a whole number of writes, or -1 for all", runfolder.VarUnsynced, text)
		}
		return nil
	})
	return most, err
}

func (p *Pages) memStats(ctx context.Context, page string) (memStats, error) {
	parse := parseHeapPage
	if page == VarsPage {
		parse = parseVarsPage
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	var m memStats
	err := p.get(ctx, page, func(body io.Reader) (err error) {
		m, err = parse(body)
		if errors.Is(err, errNoMemStats) {
			err = &NotServedError{Page: page, Answer: "something without runtime.MemStats"}
		}
		return err
	})
	return m, err
}

// memStats are the fields of runtime.MemStats that are kept. Of the pauses, a
// page gives the sum or those of the last 256 collections in a ring: that of
// collection n at (n+255)%256.
type memStats struct {
	TotalAlloc, Mallocs, NumGC, HeapSys int64
	PauseTotalNs                        *int64
	pauses                              []int64
}

var errNoMemStats = errors.New("no runtime.MemStats")

// parseVarsPage reads the variable that expvar has in every program.
func parseVarsPage(r io.Reader) (memStats, error) {
	var page struct {
		MemStats *memStats `json:"memstats"`
	}
	err := json.NewDecoder(r).Decode(&page)
	if err != nil || page.MemStats == nil || page.MemStats.PauseTotalNs == nil {
		return memStats{}, errNoMemStats
	}
	return *page.MemStats, nil
}

// parseHeapPage reads the "# Name = value" lines at the end of a heap page with
// debug=1.
func parseHeapPage(r io.Reader) (memStats, error) {
	var m memStats
	lacks := map[string]*int64{
		"TotalAlloc": &m.TotalAlloc, "Mallocs": &m.Mallocs, "NumGC": &m.NumGC, "HeapSys": &m.HeapSys,
	}
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
		field := lacks[name]
		if field == nil {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return m, fmt.Errorf("runtime.MemStats: %s: %w", name, err)
		}
		*field = n
		delete(lacks, name)
	}
	if err := lines.Err(); err != nil {
		return m, err
	}
	if len(lacks) > 0 {
		return m, errNoMemStats
	}
	return m, nil
}

// counters returns m with the GC pauses since a fixed moment: the start of the
// process, or collection since. Of more collections than the ring holds, the
// pauses it lacks are taken to be like those it has.
func (m memStats) counters(since int64) runfolder.Counters {
	c := runfolder.Counters{TotalAlloc: m.TotalAlloc, Mallocs: m.Mallocs, NumGC: m.NumGC, HeapSys: m.HeapSys}
	if m.PauseTotalNs != nil {
		c.GCPause = *m.PauseTotalNs
		return c
	}
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
