package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/server"
)

const servers = 3

// openServers opens several stores on one database that has namespace "one".
func openServers(t *testing.T) (stores []*Store, url string) {
	t.Helper()
	url = database(t)
	for range servers {
		stores = append(stores, open(t, url))
	}
	create(t, stores[0], "one", "one")
	return stores, url
}

func create(t *testing.T, s *Store, name, token string) {
	t.Helper()
	n := server.Namespace{Name: name, TokenHash: server.HashToken(token), Created: time.Now()}
	if err := s.CreateNamespace(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

func message(stream string) server.NewMessage {
	id := uuid.Must(uuid.NewV7())
	return server.NewMessage{ID: id, Stream: stream, Type: "T", Data: []byte(`{"n":1}`), Time: time.Now()}
}

// found is a message as a reader saw it.
type found struct {
	id     uuid.UUID
	stream string
	server.Position
}

func readAllOf(t *testing.T, s *Store, q server.Query) (all []found) {
	t.Helper()
	if err := s.Read(t.Context(), "one", q, func(m *server.Message) error {
		all = append(all, found{m.ID, string(m.Stream), m.Position})
		return nil
	}); err != nil {
		t.Error(err)
	}
	return all
}

// TestServers has several stores write and read one namespace. Every reader sees
// each message once and in order as it goes on, which it could not if a gap were
// filled behind it; positions have no gaps, though some writes are refused; and a
// write that expects a version gets the position behind it, or none.
func TestServers(t *testing.T) {
	const writersEach, writes, streams = 3, 60, 4
	stores, _ := openServers(t)
	done := make(chan struct{})
	var acknowledged sync.Map // position of each id
	var written atomic.Int64
	var writers, readers sync.WaitGroup
	seen := make([][]found, servers)
	for i, s := range stores {
		for range writersEach {
			writers.Go(func() {
				for range writes {
					m := message(fmt.Sprintf("a-%d", rand.IntN(streams)))
					if p, ok := writeExpecting(t, s, m); ok {
						acknowledged.Store(m.ID, p)
						written.Add(1)
					}
				}
			})
		}
		readers.Go(func() { seen[i] = follow(t, s, done) })
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if written.Load() < writes {
		t.Errorf("only %d writes were accepted", written.Load())
	}
	for i := range seen {
		checkSeen(t, i, seen[i], &acknowledged, int(written.Load()))
	}
}

// writeExpecting writes with the version there is, without one, or with an id
// that may be there already. Each may be refused only for its own reason.
func writeExpecting(t *testing.T, s *Store, m server.NewMessage) (p server.Position, ok bool) {
	t.Helper()
	var expected *int64
	if rand.IntN(2) == 0 {
		version, err := s.Version(t.Context(), "one", m.Stream)
		if err != nil {
			t.Error(err)
		}
		expected = &version
	}
	p, err := s.Write(t.Context(), "one", m, expected)
	if expected != nil && hasCode(err, server.CodeVersionConflict) {
		return p, false
	}
	if err != nil || expected != nil && p.Position != *expected+1 {
		t.Errorf("position %+v (%v), expected version %v", p, err, expected)
	}
	if _, err := s.Write(t.Context(), "one", m, nil); !hasCode(err, server.CodeMessageExists) {
		t.Errorf("writing a message again: %v", err)
	}
	return p, err == nil
}

// follow reads what is new again and again, to the end of what there is when done
// is closed.
func follow(t *testing.T, s *Store, done <-chan struct{}) (all []found) {
	t.Helper()
	q := server.Query{GlobalPosition: 1, Limit: -1}
	for last := false; ; {
		all = append(all, readAllOf(t, s, q)...)
		if n := len(all); n > 0 {
			q.GlobalPosition = all[n-1].GlobalPosition + 1
		}
		if last {
			return all
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
}

func checkSeen(t *testing.T, reader int, seen []found, acknowledged *sync.Map, written int) {
	t.Helper()
	next := map[string]int64{}
	for i, f := range seen {
		if f.GlobalPosition != int64(i+1) || f.Position.Position != next[f.stream] {
			t.Fatalf("reader %d: message %d is %+v", reader, i+1, f)
		}
		next[f.stream]++
		if p, ok := acknowledged.Load(f.id); !ok || p != f.Position {
			t.Errorf("reader %d: %+v, acknowledged at %v", reader, f, p)
		}
	}
	if len(seen) != written {
		t.Errorf("reader %d saw %d of %d messages", reader, len(seen), written)
	}
}

// TestOneWinner has all stores write the first message of a stream at the same
// time.
func TestOneWinner(t *testing.T) {
	stores, _ := openServers(t)
	for round := range 20 {
		var won atomic.Int64
		var all sync.WaitGroup
		none := server.NoStream
		for _, s := range stores {
			all.Go(func() {
				_, err := s.Write(t.Context(), "one", message(fmt.Sprintf("race-%d", round)), &none)
				if err == nil {
					won.Add(1)
				} else if !hasCode(err, server.CodeVersionConflict) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Errorf("round %d: %d writes were accepted", round, won.Load())
		}
	}
}

// TestImportBesideWriters imports through one store while others write and read:
// a reader sees all of a batch or nothing of it, and no counter is off afterwards.
func TestImportBesideWriters(t *testing.T) {
	const batch, rounds = 20, 15
	stores, _ := openServers(t)
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := stores[1].Write(t.Context(), "one", message("w-1"), nil); err != nil {
					t.Error(err)
				}
			}
		}
	})
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				category := "imported"
				if n := len(readAllOf(t, stores[2], server.Query{Category: &category, Limit: -1})); n%batch != 0 {
					t.Errorf("%d imported messages are a part of a batch", n)
				}
			}
		}
	})
	imported := 0
	for i := range int64(rounds) {
		last := readAllOf(t, stores[0], server.Query{Last: true, Limit: 1})
		var records []server.Record
		for j := range int64(batch) {
			place := server.Position{Position: j, GlobalPosition: 1000*(i+1) + j}
			if len(last) > 0 {
				place.GlobalPosition += last[0].GlobalPosition
			}
			records = append(records, server.Record{NewMessage: message(fmt.Sprintf("imported-%d", i)), Position: place})
		}
		if err := stores[0].Import(t.Context(), "one", records); err != nil {
			t.Error(err)
		}
		imported += batch
	}
	close(done)
	all.Wait()
	left := readAllOf(t, stores[1], server.Query{Limit: -1})
	_, stats, err := stores[2].Namespace(t.Context(), "one")
	streams := map[string]bool{}
	for _, f := range left {
		streams[f.stream] = true
	}
	if err != nil || stats.Messages != int64(len(left)) || stats.Streams != int64(len(streams)) || len(left) < imported {
		t.Errorf("%+v (%v), found %d messages of %d streams", stats, err, len(left), len(streams))
	}
	if !slices.IsSortedFunc(left, func(a, b found) int { return int(a.GlobalPosition - b.GlobalPosition) }) {
		t.Error("messages are out of order")
	}
}

// TestWriteWaitsForReplace holds that a write that waits for a replacement becomes
// part of what has replaced the messages: there is no gap, and counts are true.
func TestWriteWaitsForReplace(t *testing.T) {
	stores, _ := openServers(t)
	for round := range 10 {
		var all sync.WaitGroup
		all.Go(func() {
			for range 20 {
				if _, err := stores[1].Write(t.Context(), "one", message("a-1"), nil); err != nil {
					t.Error(err)
				}
			}
		})
		if err := stores[0].Replace(t.Context(), "one", records(message(fmt.Sprintf("r-%d", round)))); err != nil {
			t.Error(err)
		}
		after := message("b-1")
		if _, err := stores[2].Write(t.Context(), "one", after, nil); err != nil {
			t.Error(err)
		}
		all.Wait()
		for i, f := range readAllOf(t, stores[2], server.Query{Limit: -1}) {
			if f.GlobalPosition != int64(i+1) {
				t.Errorf("round %d: message %d is %+v", round, i+1, f)
			}
		}
		_, stats, err := stores[1].Namespace(t.Context(), "one")
		if n := len(readAllOf(t, stores[0], server.Query{Limit: -1})); err != nil || stats.Messages != int64(n) {
			t.Errorf("round %d: %+v (%v), found %d", round, stats, err, n)
		}
		if _, err := stores[0].Write(t.Context(), "one", after, nil); !hasCode(err, server.CodeMessageExists) {
			t.Errorf("round %d: a write that was acknowledged is gone (%v)", round, err)
		}
	}
}

// records hands over one batch.
func records(messages ...server.NewMessage) func() ([]server.Record, error) {
	var batch []server.Record
	for i, m := range messages {
		place := server.Position{Position: int64(i), GlobalPosition: int64(i + 1)}
		batch = append(batch, server.Record{NewMessage: m, Position: place})
	}
	return func() ([]server.Record, error) {
		first := batch
		batch = nil
		if len(first) == 0 {
			return nil, io.EOF
		}
		return first, nil
	}
}

func hasCode(err error, code server.Code) bool {
	var e *server.Error
	return errors.As(err, &e) && e.Code == code
}

// caller makes calls those of a token.
func caller(ctx context.Context, namespace, token string) context.Context {
	return server.WithCaller(ctx, server.Caller{Namespace: namespace, TokenHash: server.HashToken(token)})
}

// TestCaller holds that the store itself refuses a caller whose namespace was
// deleted through another store, though it has been created again.
func TestCaller(t *testing.T) {
	stores, _ := openServers(t)
	create(t, stores[0], "admin", "admin")
	calls := func(ctx context.Context, s *Store) map[string]error {
		errs := map[string]error{}
		_, errs["write"] = s.Write(ctx, "one", message("a-1"), nil)
		errs["read"] = s.Read(ctx, "one", server.Query{Limit: 1}, func(*server.Message) error { return nil })
		_, errs["version"] = s.Version(ctx, "one", "a-1")
		_, errs["streams"] = s.Streams(ctx, "one", server.StreamQuery{Limit: 1})
		_, errs["categories"] = s.Categories(ctx, "one")
		_, _, errs["namespace"] = s.Namespace(ctx, "one")
		errs["import"] = s.Import(ctx, "one", nil)
		errs["replace"] = s.Replace(ctx, "one", records(message("a-1")))
		return errs
	}
	old := caller(t.Context(), "one", "one")
	for name, err := range calls(old, stores[1]) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := stores[0].DeleteNamespace(caller(t.Context(), "admin", "admin"), "one"); err != nil {
		t.Error(err)
	}
	create(t, stores[0], "one", "another")
	_, errDelete := stores[2].DeleteNamespace(old, "one")
	for _, s := range stores {
		errs := calls(old, s)
		errs["delete"] = errDelete
		_, errs["namespaces"] = s.Namespaces(old)
		errs["create"] = s.CreateNamespace(old, server.Namespace{Name: "two"})
		_, errs["delete another"] = s.DeleteNamespace(old, "admin")
		for name, err := range errs {
			if !hasCode(err, server.CodeNamespaceNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name, err := range calls(caller(t.Context(), "one", "another"), stores[1]) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
