package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/server"
)

// workloadVar is the environment variable that makes this test's binary play a
// workload, in JSON, instead of testing.
const workloadVar = "EVENTOBENCH_WORKLOAD"

func TestMain(m *testing.M) {
	text := os.Getenv(workloadVar)
	if text == "" {
		os.Exit(m.Run())
	}
	var w workload
	if err := errors.Join(json.Unmarshal([]byte(text), &w), w.play()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// workload is what a process does to a store that is recorded: writers at the same
// time, and beside them imports, a replacement and a deletion.
type workload struct {
	Dir     string
	Options Options
	Writers int
	Each    int   // messages of a writer
	Serial  bool  // all in one thread, so that the number of a call to the system is always its own
	Limit   int64 // if not 0, no file can grow beyond it until a call was refused; bytes
}

// shortLog is so many pages that short runs have checkpoints too.
const shortLog = 24

// So many messages are in a batch of an import and in a replacement.
const (
	importBatch = 20
	replacement = 50
)

// mark is what the process tells of a call that was answered. What it is asked
// about is judged by it.
type mark struct {
	Namespace string
	Gone      bool        // it was deleted
	IDs       []uuid.UUID // messages that were written or imported
	Written   bool        // by Write
	Refused   string      // the error, if it was refused
	Unsynced  int64       // what Store.MaxUnsynced said in the end
}

// acts are the calls of a workload. Each mark goes out in one call to the system,
// which is where a recording has it.
type acts struct {
	*Store
	w     workload
	mu    sync.Mutex
	marks *os.File
}

const database = "events.db"

// play runs the workload: once with a store that is closed in the end, and for a
// few writes more with one that is not.
func (w workload) play() error {
	signal.Ignore(syscall.SIGXFSZ) // a write that is too long fails
	if w.Serial {
		runtime.LockOSThread()
	}
	marks, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for round := range 2 {
		a := &acts{w: w, marks: marks}
		if a.Store, err = a.reopen(); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if round == 1 {
			a.writes(3, 2)
			a.tell(mark{Unsynced: a.MaxUnsynced()})
			return nil
		}
		limit(w.Limit)
		a.all()
		limit(0)
		a.tell(mark{Unsynced: a.MaxUnsynced()})
		if err := a.Close(); err != nil {
			a.tell(mark{Refused: err.Error()})
		}
	}
	return nil
}

// reopen opens the store, again if an error was injected: the next try must do.
func (a *acts) reopen() (s *Store, err error) {
	for range 3 {
		o := a.w.Options
		o.logPages = shortLog
		if s, err = Open(filepath.Join(a.w.Dir, database), o); err == nil {
			return s, nil
		}
		a.tell(mark{Refused: err.Error()})
	}
	return nil, err
}

// limit lets no file grow beyond a size, or all again if it is 0.
func limit(size int64) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		panic(err)
	}
	if l.Cur = l.Max; size > 0 {
		l.Cur = uint64(size)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
		panic(err)
	}
}

// tell marks a call, and lifts the limit once it has done its work.
func (a *acts) tell(m mark) {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Refused != "" {
		limit(0)
	}
	if _, err := a.marks.Write(append(text, '\n')); err != nil {
		panic(err)
	}
}

// did tells what became of a call. One that was refused is made again, at most
// twice.
func (a *acts) did(m mark, call func() error) {
	for range 3 {
		err := call()
		m.Refused = ""
		if err != nil {
			m.Refused = err.Error()
		}
		a.tell(m)
		if err == nil {
			return
		}
	}
}

// all runs the writers, and beside them what else a store can be asked.
func (a *acts) all() {
	ctx := context.Background()
	a.create("one")
	a.together(func() { a.writes(a.w.Writers, a.w.Each) }, func() {
		a.create("two")
		for batch := range 3 {
			records := someRecords(1+batch*importBatch, importBatch)
			a.did(mark{Namespace: "two", IDs: idsOf(records)}, func() error { return a.Import(ctx, "two", records) })
		}
		replacing := someRecords(1, replacement)
		a.did(mark{Namespace: "two", IDs: idsOf(replacing)}, func() error {
			return a.Replace(ctx, "two", inBatches(replacing, importBatch))
		})
		a.create("three")
		a.write("three", "c-1")
		a.did(mark{Namespace: "three", Gone: true}, func() error {
			_, err := a.DeleteNamespace(ctx, "three")
			return err
		})
	})
}

// together does things at the same time, or one after the other if all is serial.
func (a *acts) together(things ...func()) {
	var wg sync.WaitGroup
	for _, do := range things {
		if a.w.Serial {
			do()
		} else {
			wg.Go(do)
		}
	}
	wg.Wait()
}

func (a *acts) create(name string) {
	a.did(mark{Namespace: name}, func() error {
		return a.CreateNamespace(context.Background(), server.Namespace{Name: name})
	})
}

// writes has writers write to streams that they share.
func (a *acts) writes(writers, each int) {
	var all []func()
	for writer := range writers {
		all = append(all, func() {
			for i := range each {
				a.write("one", fmt.Sprintf("a-%d", (writer+i)%3))
			}
		})
	}
	a.together(all...)
}

// write writes a new message. Each try has an id of its own, so that it can be
// told what a refused one has left.
func (a *acts) write(namespace, stream string) {
	for range 3 {
		m := proving(message(stream))
		_, err := a.Write(context.Background(), namespace, m, nil)
		told := mark{Namespace: namespace, IDs: []uuid.UUID{m.ID}, Written: true}
		if err != nil {
			told.Refused = err.Error()
		}
		if a.tell(told); err == nil {
			return
		}
	}
}

// proving gives a message data that follow from its id.
func proving(m server.NewMessage) server.NewMessage {
	m.Data = provenBy(m.ID)
	return m
}

func provenBy(id uuid.UUID) []byte { return fmt.Appendf(nil, `{"id":%q,"padding":"%0100d"}`, id, 0) }

// someRecords are records at the next n places from a global position on.
func someRecords(from, n int) []server.Record {
	records := make([]server.Record, n)
	for i := range records {
		g := int64(from + i)
		records[i] = server.Record{
			NewMessage: proving(server.NewMessage{ID: uuid.New(), Stream: "b-1", Type: "T", Time: time.Unix(g, 0)}),
			Position:   server.Position{Position: g - 1, GlobalPosition: g},
		}
	}
	return records
}

func idsOf(records []server.Record) []uuid.UUID {
	ids := make([]uuid.UUID, len(records))
	for i, r := range records {
		ids[i] = r.ID
	}
	return ids
}

// inBatches hands out records, so many at a time.
func inBatches(records []server.Record, size int) func() ([]server.Record, error) {
	return func() ([]server.Record, error) {
		if len(records) == 0 {
			return nil, io.EOF
		}
		n := min(size, len(records))
		batch := records[:n]
		records = records[n:]
		return batch, nil
	}
}
