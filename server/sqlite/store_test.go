package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/storetest"
)

func open(t testing.TB, path string, o Options) *Store {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T) server.Store { return open(t, Memory, Options{}) })
	})
	for _, o := range []Options{{}, {NoBatch: true}, {Sync: SyncNormal}, {Sync: SyncOff}} {
		t.Run(fmt.Sprintf("file/%s/nobatch=%v", o.Sync, o.NoBatch), func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) server.Store { return open(t, filepath.Join(t.TempDir(), "events.db"), o) })
		})
	}
}

func message(stream string) server.NewMessage {
	return server.NewMessage{ID: uuid.Must(uuid.NewV7()), Stream: stream, Type: "T", Data: []byte(`{"n":1}`), Time: time.Now()}
}

// TestReopen holds that a store knows its streams again, and that a read-only
// file is an error and not a panic.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	for i := range int64(3) {
		s := open(t, path, Options{})
		if i == 0 {
			if err := s.CreateNamespace(t.Context(), server.Namespace{Name: "one"}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Write(t.Context(), "one", message("a-1"), nil)
		if want := (server.Position{Position: i, GlobalPosition: i + 1}); got != want || err != nil {
			t.Errorf("%+v (%v), want %+v", got, err, want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), "one", message("a-1"), nil); err == nil {
			t.Error("wrote to a closed store")
		}
	}
	for _, bad := range []string{t.TempDir(), filepath.Join(path, "below-a-file")} {
		if _, err := Open(bad, Options{}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("opening %s: %v", bad, err)
		}
	}
	if _, err := Open(path, Options{Sync: "sometimes"}); err == nil {
		t.Error("opened with an unknown sync")
	}
}

// TestDamagedFile holds that a file that is damaged, where it hurts or altogether,
// is an error that says so: a store that opens drops tables that were left, and
// here it cannot.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	s := open(t, path, Options{})
	root := 0
	script := fmt.Sprintf(tables, 99, 1) // of no namespace
	if err := executeScript(s.writer, script); err != nil {
		t.Fatal(err)
	}
	if err := sqlitex.Execute(s.writer, "SELECT rootpage FROM sqlite_schema WHERE name = 'message_99'", &sqlitex.ExecOptions{
		ResultFunc: func(stmt *sqlite.Stmt) error { root = stmt.ColumnInt(0); return nil },
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for _, from := range []int{(root - 1) * page, 0} {
		damaged := slices.Concat(sound[:from], bytes.Repeat([]byte{0xff}, len(sound)-from))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path+": its file is damaged") {
			t.Errorf("damaged from byte %d on: opened %v (%v)", from, s, err)
		}
	}
}

// TestStatementsAreFreed creates, uses and deletes namespaces: connections must
// not keep statements for all that ever were.
func TestStatementsAreFreed(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "events.db"), Options{})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	prepared := func() (n int) {
		for _, conn := range append(readers(t, s), s.writer) {
			n += reflect.ValueOf(conn).Elem().FieldByName("stmts").Len()
		}
		return n
	}
	use := func() {
		if err := s.CreateNamespace(t.Context(), server.Namespace{Name: "one"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), "one", message("a-1"), nil); err != nil {
			t.Error(err)
		}
		for range 20 {
			if _, err := s.Version(t.Context(), "one", "a-1"); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.DeleteNamespace(t.Context(), "one"); err != nil {
			t.Error(err)
		}
	}
	use()
	before := prepared()
	for range 5 {
		use()
	}
	if after := prepared(); after > before {
		t.Errorf("%d statements, and then %d", before, after)
	}
}

// readers takes each of the store's connections once.
func readers(t *testing.T, s *Store) (conns []*sqlite.Conn) {
	t.Helper()
	for range DefaultPool() {
		conn, err := s.reader(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.release(conn)
		conns = append(conns, conn)
	}
	return conns
}

// TestCategoryReadsUseTheIndex asks SQLite how it would read a category.
func TestCategoryReadsUseTheIndex(t *testing.T) {
	s := open(t, Memory, Options{})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.CreateNamespace(t.Context(), server.Namespace{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	ns := s.byName["one"]
	for query, index := range map[string]string{
		ns.sql.readCategory: "USING INDEX message_1_category (category=? AND rowid>?)",
		ns.sql.readStream:   "USING INDEX message_1_pos (stream=? AND pos>?)",
		ns.sql.readLast:     "USING INDEX message_1_pos (stream=?)",
		ns.sql.readAllLast:  "SCAN m",
		ns.sql.readAll:      "USING INTEGER PRIMARY KEY (rowid>?)",
		ns.sql.listStreams:  "(name>? AND name<?)",
		ns.sql.countNew:     "USING INTEGER PRIMARY KEY (rowid>?)",
		ns.sql.countAll:     "COVERING INDEX message_1_category",
	} {
		plan := explain(t, s, query)
		if !strings.Contains(plan, index) || strings.HasPrefix(query, "SELECT m.id") && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\nis read by\n%s", query, plan)
		}
	}
}

// TestStatementsArePlannedOnce: SQLite plans a statement anew whenever it is bound
// if the limit is a parameter by itself, or a column is to be one.
func TestStatementsArePlannedOnce(t *testing.T) {
	sql, again := newStatements(1), regexp.MustCompile(`(LIMIT|=|IS) *\?`)
	for _, query := range sql.all() {
		for _, at := range again.FindAllStringIndex(query, -1) {
			if before := query[at[0]-1]; before != '<' && before != '>' {
				t.Errorf("%s …\nof %s", query[:at[1]], query)
			}
		}
	}
}

func explain(t *testing.T, s *Store, query string) (plan string) {
	t.Helper()
	stmt, _, err := s.writer.PrepareTransient("EXPLAIN QUERY PLAN " + query)
	if err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		if more, err = stmt.Step(); err != nil {
			t.Error(err)
		}
		plan += stmt.GetText("detail") + "\n"
	}
	if err := stmt.Finalize(); err != nil {
		t.Error(err)
	}
	return plan
}

// BenchmarkWrite is a store in a file with 16 writers at the same time, with a
// commit for all that wait and with one for each.
func BenchmarkWrite(b *testing.B) {
	for name, o := range map[string]Options{"batch": {}, "nobatch": {NoBatch: true}} {
		b.Run(name, func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "events.db"), o)
			if err := s.CreateNamespace(b.Context(), server.Namespace{Name: "one"}); err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(8)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Write(b.Context(), "one", message("a-1"), nil); err != nil {
						b.Error(err)
					}
				}
			})
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
