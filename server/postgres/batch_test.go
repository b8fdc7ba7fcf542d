package postgres

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/server"
)

// waiting has writes wait for each other: with the row of their namespace locked,
// it begins one write, and the others when that is on its way.
type waiting struct {
	store *Store
	lock  pgx.Tx
	first chan error
	all   sync.WaitGroup
}

func lockNamespace(t *testing.T, s *Store) *waiting {
	t.Helper()
	w := &waiting{store: s, first: make(chan error, 1)}
	var err error
	if w.lock, err = s.pool.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	const lock = "SELECT FROM eventobench.namespace WHERE name = 'one' FOR UPDATE"
	if _, err := w.lock.Exec(t.Context(), lock); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := s.Write(t.Context(), "one", message("first-1"), nil)
		w.first <- err
	}()
	w.await(func(waiting []*write, busy bool) bool { return busy && len(waiting) == 0 })
	return w
}

// await waits for a state of the writes to the namespace.
func (w *waiting) await(so func(waiting []*write, busy bool) bool) {
	for {
		w.store.batch.mu.Lock()
		all, busy := w.store.batch.waiting["one"]
		w.store.batch.mu.Unlock()
		if so(all, busy) {
			return
		}
	}
}

// write begins a write and returns when it waits, as the last of n.
func (w *waiting) write(t *testing.T, n int, m server.NewMessage, expected *int64, done func(server.Position, error)) {
	w.all.Go(func() { done(w.store.Write(t.Context(), "one", m, expected)) })
	w.await(func(waiting []*write, _ bool) bool { return len(waiting) == n })
}

// release lets the writes go on, and waits for their end.
func (w *waiting) release(t *testing.T) {
	t.Helper()
	if err := w.lock.Rollback(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-w.first; err != nil {
		t.Error(err)
	}
	w.all.Wait()
}

// transactions are in how many transactions the messages of a category were
// written, and how many these are.
func transactions(t *testing.T, s *Store, category string) (transactions, messages int) {
	t.Helper()
	const count = "SELECT count(DISTINCT m.xmin::text), count(*) FROM eventobench.message m " +
		"JOIN eventobench.category c ON c.id = m.category WHERE c.name = $1"
	if err := s.pool.QueryRow(t.Context(), count, []byte(category)).Scan(&transactions, &messages); err != nil {
		t.Error(err)
	}
	return transactions, messages
}

// TestBatch holds that writes that wait share a transaction, that each gets its
// own answer, and that what is refused leaves no gap.
func TestBatch(t *testing.T) {
	s := open(t, database(t))
	create(t, s, "one", "one")
	w := lockNamespace(t, s)
	none, zero, nine := server.NoStream, int64(0), int64(9)
	twice := message("batch-1")
	again := message("batch-2")
	again.ID = twice.ID
	writes := []struct {
		message  server.NewMessage
		expected *int64
		position server.Position
		code     server.Code
	}{
		{twice, &none, server.Position{Position: 0, GlobalPosition: 2}, ""},
		{message("batch-1"), &nine, server.Position{}, server.CodeVersionConflict},
		{message("batch-1"), &zero, server.Position{Position: 1, GlobalPosition: 3}, ""},
		{again, nil, server.Position{}, server.CodeMessageExists},
		{message("batch-3"), nil, server.Position{Position: 0, GlobalPosition: 4}, ""},
		{message("batch-1"), &zero, server.Position{}, server.CodeVersionConflict},
	}
	for i, tt := range writes {
		w.write(t, i+1, tt.message, tt.expected, func(p server.Position, err error) {
			if p != tt.position || tt.code == "" && err != nil || tt.code != "" && !hasCode(err, tt.code) {
				t.Errorf("write %d: %+v, %v; want %+v, %q", i, p, err, tt.position, tt.code)
			}
		})
	}
	w.release(t)
	if n, messages := transactions(t, s, "batch"); n != 1 || messages != 3 {
		t.Errorf("%d messages in %d transactions, want 3 in one", messages, n)
	}
}

// TestBatchesHaveALimit has more writes wait than one transaction takes.
func TestBatchesHaveALimit(t *testing.T) {
	s := open(t, database(t))
	create(t, s, "one", "one")
	w := lockNamespace(t, s)
	for i := range maxBatch + 1 {
		w.write(t, i+1, message(fmt.Sprintf("batch-%d", i%7)), nil, func(p server.Position, err error) {
			if err != nil || p.GlobalPosition != int64(i+2) {
				t.Errorf("write %d: %+v (%v)", i, p, err)
			}
		})
	}
	w.release(t)
	if n, messages := transactions(t, s, "batch"); n != 2 || messages != maxBatch+1 {
		t.Errorf("%d messages in %d transactions, want %d in 2", messages, n, maxBatch+1)
	}
}

// TestBatchThatFails has the database itself fail one write of a batch: the
// others are written nevertheless.
func TestBatchThatFails(t *testing.T) {
	s := open(t, database(t))
	create(t, s, "one", "one")
	for _, statement := range []string{
		"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room for it'; END $$",
		"CREATE TRIGGER fail BEFORE INSERT ON eventobench.message FOR EACH ROW WHEN (NEW.type = 'bad') EXECUTE FUNCTION fail()",
	} {
		if _, err := s.pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	w := lockNamespace(t, s)
	var failed [3]bool
	for i, kind := range []string{"T", "bad", "T"} {
		m := message("batch-1")
		m.Type = kind
		w.write(t, i+1, m, nil, func(_ server.Position, err error) {
			failed[i] = err != nil
		})
	}
	w.release(t)
	if failed != [3]bool{1: true} {
		t.Errorf("failed: %v, want the second", failed)
	}
	var places []server.Position
	for _, f := range readAllOf(t, s, server.Query{Stream: "batch-1", Limit: -1}) {
		places = append(places, f.Position)
	}
	if want := []server.Position{{Position: 0, GlobalPosition: 2}, {Position: 1, GlobalPosition: 3}}; !slices.Equal(places, want) {
		t.Errorf("places %v, want %v", places, want)
	}
}

// TestBatchesOfNamespaces holds that a namespace does not wait for another one.
func TestBatchesOfNamespaces(t *testing.T) {
	s := open(t, database(t))
	create(t, s, "one", "one")
	create(t, s, "two", "two")
	w := lockNamespace(t, s)
	if _, err := s.Write(t.Context(), "two", message("a-1"), nil); err != nil {
		t.Error(err)
	}
	w.release(t)
}

// TestCloseUnderWriters closes a store while writers write: what was acknowledged
// is there, and nothing else.
func TestCloseUnderWriters(t *testing.T) {
	url := database(t)
	s := open(t, url)
	create(t, s, "one", "one")
	var writers sync.WaitGroup
	acknowledged := make(chan struct{}, 1<<20)
	for n := range 8 {
		writers.Go(func() {
			for {
				_, err := s.Write(t.Context(), "one", message(fmt.Sprintf("a-%d", n)), nil)
				if err != nil {
					if !errors.Is(err, errClosed) {
						t.Error(err)
					}
					return
				}
				acknowledged <- struct{}{}
			}
		})
	}
	for range 20 {
		<-acknowledged
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	writers.Wait()
	if n, want := len(readAllOf(t, open(t, url), server.Query{Limit: -1})), 20+len(acknowledged); n != want {
		t.Errorf("%d messages, %d were acknowledged", n, want)
	}
}
