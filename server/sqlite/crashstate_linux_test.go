package sqlite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/powercut"
)

// contents are what a store holds: messages by namespace.
type contents struct {
	hash     uint64
	messages map[string]map[uuid.UUID]bool
}

var contentsSeed = maphash.MakeSeed()

// contentsOf reads all that a store holds, as a client would, and finds what no
// store may hold: a message twice, a gap, other data than were written, a
// damaged page.
func contentsOf(t *testing.T, s *Store) (c contents, err error) {
	c.messages = map[string]map[uuid.UUID]bool{}
	var h maphash.Hash
	h.SetSeed(contentsSeed)
	namespaces, err := s.Namespaces(t.Context())
	for _, ns := range namespaces {
		found := map[uuid.UUID]bool{}
		next := map[string]int64{}
		fmt.Fprintf(&h, "namespace %s\n", ns.Name)
		err = errors.Join(err, s.Read(t.Context(), ns.Name, server.Query{Limit: -1}, func(m *server.Message) error {
			fmt.Fprintf(&h, "%s %s %d %d\n", m.ID, m.Stream, m.Position.Position, m.GlobalPosition)
			stream := string(m.Stream)
			if found[m.ID] || m.Position.Position != next[stream] || !bytes.Equal(m.Data, provenBy(m.ID)) {
				return fmt.Errorf("message %s at %s %+v is there twice, behind a gap, or with data of another", m.ID, stream, m.Position)
			}
			next[stream]++
			found[m.ID] = true
			return nil
		}))
		c.messages[ns.Name] = found
	}
	c.hash = h.Sum64()
	return c, errors.Join(err, checkPages(s.writer))
}

// checkPages is SQLite's own check of a database.
func checkPages(conn *sqlite.Conn) error {
	var err error
	check := func(stmt *sqlite.Stmt) error {
		if text := stmt.ColumnText(0); text != "ok" {
			err = errors.New(text)
		}
		return nil
	}
	failed := sqlitex.ExecuteTransient(conn, "PRAGMA integrity_check", &sqlitex.ExecOptions{ResultFunc: check})
	return errors.Join(err, failed)
}

// openState opens a state of the disk with the store, reads what it holds, and
// holds that it can go on. Beside the state lies what the shared memory of the
// log may have left, which must not matter.
func openState(t *testing.T, dir string, state powercut.State, o Options) (c contents, err error) {
	if err := layOut(dir, state); err != nil {
		t.Error(err)
		return c, err
	}
	s, err := Open(filepath.Join(dir, database), o)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if c, err = contentsOf(t, s); err != nil || c.messages["one"] == nil {
		return c, err
	}
	_, err = s.Write(t.Context(), "one", proving(message("a-1")), nil)
	return c, err
}

// layOut makes the files of a state the only ones of a directory.
func layOut(dir string, state powercut.State) error {
	old, err := os.ReadDir(dir)
	for _, entry := range old {
		err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
	}
	for name, content := range state {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	if state[database] != nil {
		junk := bytes.Repeat([]byte{0xa5}, 32<<10)
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, database+"-shm"), junk, 0o600))
	}
	return err
}

// history is a recorded workload: what the store held after each commit, and what
// had been acknowledged when.
type history struct {
	trace     powercut.Trace
	options   Options
	committed []commit
	marks     []placedMark
}

// commit is what the store holds once so many calls of the trace are done.
type commit struct {
	after int
	contents
}

// placedMark is a mark, behind so many calls.
type placedMark struct {
	mark
	after int
	time  time.Time
	first int // the commit from which on what it tells is so
}

// newHistory finds the commits of a trace and what each mark tells of. An error is
// a store that acknowledged what it does not hold even without a power cut.
func newHistory(t *testing.T, trace powercut.Trace, o Options) (*history, error) {
	dir := fastDir(t)
	empty, err := openState(t, dir, powercut.State{}, o)
	if err != nil {
		return nil, err
	}
	h := &history{trace: trace, options: o, committed: []commit{{0, empty}}}
	var disk powercut.Disk
	var log logFrames
	for i, op := range trace.Ops {
		disk.Do(op)
		if op.Kind == powercut.Mark {
			m := placedMark{after: i + 1, time: op.Time}
			if err := json.Unmarshal(op.Data, &m.mark); err != nil {
				return nil, err
			}
			h.marks = append(h.marks, m)
		}
		if !log.commits(op) {
			continue
		}
		all := disk.Cut(powercut.Fate{Kept: func(powercut.Op, int64) bool { return true }})
		c, err := openState(t, dir, all, o)
		if err != nil {
			return nil, fmt.Errorf("after %d calls, without a power cut: %w", i+1, err)
		}
		h.committed = append(h.committed, commit{i + 1, c})
	}
	return h, h.placeMarks()
}

// logFrames finds commits in what is written to the log: frames of a page, each
// behind a header of 24 bytes, which tells a commit by a size of the database
// that is not 0 (sqlite.org/fileformat2.html#walformat).
type logFrames struct{ last bool }

func (l *logFrames) commits(op powercut.Op) bool {
	if op.Kind != powercut.Write || !strings.HasSuffix(op.Name, "-wal") {
		return false
	}
	const header, size = 24, 4
	if len(op.Data) == header {
		l.last = !bytes.Equal(op.Data[size:size+4], []byte{0, 0, 0, 0})
		return false
	}
	return l.last && len(op.Data) > header
}

// placeMarks finds the commit of each acknowledged call.
func (h *history) placeMarks() error {
	for i := range h.marks {
		m := &h.marks[i]
		if m.Refused != "" || m.Namespace == "" {
			continue
		}
		from := 0
		if m.Gone {
			from = slices.IndexFunc(h.committed, func(c commit) bool { return c.messages[m.Namespace] != nil })
		}
		at := slices.IndexFunc(h.committed[from:], func(c commit) bool { return m.holds(c.contents) })
		if at < 0 || h.committed[from+at].after > m.after {
			return fmt.Errorf("%+v was acknowledged after %d calls, and no commit until then holds it", m.mark, m.after)
		}
		m.first = from + at
	}
	return nil
}

// holds reports whether what a mark tells is so.
func (m mark) holds(c contents) bool {
	found := c.messages[m.Namespace]
	return m.Gone == (found == nil) && !slices.ContainsFunc(m.IDs, func(id uuid.UUID) bool { return !found[id] })
}

// loss is what a power cut took.
type loss struct {
	broken   error // no commit left this
	messages int   // that were acknowledged
	since    time.Duration
}

func (l loss) any() bool { return l.broken != nil || l.messages > 0 }

// judge compares what a state holds with what was acknowledged after so many
// calls. It must be what a commit left, not an older one than the last that was
// acknowledged, and not one that was still to come. A commit may be there before its
// last call: if the log is written over, its last page may have lain there already.
func (h *history) judge(after int, c contents, err error) loss {
	floor := 0
	for _, m := range h.marks {
		if m.after <= after && m.Refused == "" {
			floor = max(floor, m.first)
		}
	}
	found := -1
	for i, commit := range h.committed {
		if commit.after <= after+1 && commit.hash == c.hash && err == nil {
			found = i
		}
	}
	l := h.lost(after, c)
	switch {
	case err != nil:
		l.broken = err
	case found < 0:
		l.broken = fmt.Errorf("it is no state that a commit left: %s", c)
	case found < floor && l.messages == 0:
		l.messages = 1 // a namespace that was created or deleted
	}
	return l
}

// lost counts acknowledged writes that are not there, and how long before the cut
// the first of them was acknowledged.
func (h *history) lost(after int, c contents) (l loss) {
	for _, m := range h.marks {
		if m.after > after || !m.Written || m.Refused != "" || m.Namespace != "one" || m.holds(c) {
			continue
		}
		if l.messages++; l.messages == 1 {
			l.since = h.trace.Ops[max(after-1, 0)].Time.Sub(m.time)
		}
	}
	return l
}

func (c contents) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.messages)) {
		parts = append(parts, fmt.Sprintf("%d messages in %s", len(c.messages[name]), name))
	}
	return strings.Join(parts, ", ")
}

// crashes are the power cuts of a history.
type crashes struct {
	*history
	t    *testing.T
	dirs []string // one per worker

	mu     sync.Mutex
	known  map[uint64]opened // by hash of the state
	worst  loss              // that broke nothing
	losses int               // states with a loss that broke nothing
	broken []string          // the first few
	breaks int
}

// opened is what was found in a state.
type opened struct {
	contents
	err error
}

func newCrashes(t *testing.T, h *history) *crashes {
	c := &crashes{history: h, t: t, known: map[uint64]opened{}}
	for range powercut.Workers {
		c.dirs = append(c.dirs, fastDir(t))
	}
	return c
}

// visit judges a power cut, and goes on.
func (c *crashes) visit(worker int, cut powercut.Cut) loss {
	found := c.open(worker, cut)
	l := c.judge(cut.After, found.contents, found.err)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.broken != nil:
		if c.breaks++; len(c.broken) < 5 {
			c.broken = append(c.broken, fmt.Sprintf("after %d calls: %v", cut.After, l.broken))
		}
	case l.any():
		c.losses++
		c.worst.messages = max(c.worst.messages, l.messages)
		c.worst.since = max(c.worst.since, l.since)
	}
	return l
}

func (c *crashes) open(worker int, cut powercut.Cut) opened {
	c.mu.Lock()
	found, known := c.known[cut.Hash]
	c.mu.Unlock()
	if known {
		return found
	}
	found.contents, found.err = openState(c.t, c.dirs[worker], cut.State, c.options)
	for _, commit := range c.committed {
		if commit.hash == found.hash {
			found.contents = commit.contents // of which one is enough in memory
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[cut.Hash] = found
	return found
}

// fastDir is a directory in memory where there is one: what is tried there is what
// a disk holds, not the disk.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "powercut-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
