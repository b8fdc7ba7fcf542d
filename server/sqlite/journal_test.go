package sqlite

import (
	"errors"
	"slices"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
)

func inMemory(t *testing.T) *Store {
	t.Helper()
	s := open(t, Memory, Options{})
	t.Cleanup(func() { _ = s.Close() })
	if err := s.CreateNamespace(t.Context(), server.Namespace{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRefusedWithoutJournal has a store in memory refuse writes, to streams it has and to
// new ones, and imports. Each must leave it as it was.
func TestRefusedWithoutJournal(t *testing.T) {
	s := inMemory(t)
	first := message("a-1")
	write := func(m server.NewMessage, want server.Code) {
		t.Helper()
		_, err := s.Write(t.Context(), "one", m, nil)
		var refused *server.Error
		if errors.As(err, &refused); err != nil && refused == nil || refused != nil && refused.Code != want || refused == nil && want != "" {
			t.Errorf("write to %s: %v, want %q", m.Stream, err, want)
		}
	}
	for range 200 {
		write(first, "")
		first.ID, first.Stream = message("").ID, "a-2"
	}
	for _, stream := range []string{"a-1", "a-3", "b-1"} {
		taken := first
		taken.ID, taken.Stream = lastID(t, s), stream
		write(taken, server.CodeMessageExists)
	}
	fresh, taken := server.Record{NewMessage: message("c-1")}, server.Record{NewMessage: message("a-1")}
	fresh.GlobalPosition, taken.GlobalPosition = 1000, 1001
	if err := s.Import(t.Context(), "one", []server.Record{fresh, taken}); err == nil {
		t.Error("an import to a position that is taken is not refused")
	}
	write(message("b-1"), "")
	if got := streams(t, s); !slices.Equal(got, []string{"a-1", "a-2", "b-1"}) {
		t.Errorf("streams are %q", got)
	}
	if got := pragma(t, s, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("integrity: %s", got)
	}
}

// TestNoMemoryWithoutJournal lets a store in memory have no further page. What it holds
// then may be half a write, and it must not be used any more.
func TestNoMemoryWithoutJournal(t *testing.T) {
	s := inMemory(t)
	pragma(t, s, "PRAGMA max_page_count=20")
	var err error
	for range 1000 {
		if _, err = s.Write(t.Context(), "one", message("a-1"), nil); err != nil {
			break
		}
	}
	if sqlite.ErrCode(err) != sqlite.ResultFull {
		t.Fatalf("error %v, want one of no room", err)
	}
	if _, err := s.Version(t.Context(), "one", "a-1"); err == nil {
		t.Error("a store that failed is read")
	}
	if _, err := s.Write(t.Context(), "one", message("a-1"), nil); err == nil {
		t.Error("a store that failed is written to")
	}
}

func lastID(t *testing.T, s *Store) (id [16]byte) {
	t.Helper()
	q := server.Query{Last: true, Limit: 1}
	if err := s.Read(t.Context(), "one", q, func(m *server.Message) error { id = m.ID; return nil }); err != nil {
		t.Fatal(err)
	}
	return id
}

func streams(t *testing.T, s *Store) (names []string) {
	t.Helper()
	found, err := s.Streams(t.Context(), "one", server.StreamQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range found {
		names = append(names, st.Name)
	}
	return names
}

func pragma(t *testing.T, s *Store, query string) (value string) {
	t.Helper()
	result := func(stmt *sqlite.Stmt) error { value = stmt.ColumnText(0); return nil }
	if err := sqlitex.Execute(s.writer, query, &sqlitex.ExecOptions{ResultFunc: result}); err != nil {
		t.Fatal(err)
	}
	return value
}
