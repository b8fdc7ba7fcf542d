package postgres

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) server.Store { return open(t, database(t)) })
}

// TestConformanceOfOptions has one connection, and no batches.
func TestConformanceOfOptions(t *testing.T) {
	testlong.Need(t)
	storetest.Run(t, func(t *testing.T) server.Store {
		return openWith(t, database(t), Options{NoBatch: true, Pool: 1})
	})
}

// explain returns how PostgreSQL runs a statement in the connections of a store:
// by the plan for all values of its parameters.
func explain(t *testing.T, s *Store, query string, parameters int) (plan string) {
	t.Helper()
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	values := strings.TrimSuffix(strings.Repeat("NULL,", parameters), ",")
	for _, statement := range []string{
		"PREPARE explained AS " + query,
		"EXPLAIN EXECUTE explained(" + values + ")", "DEALLOCATE explained",
	} {
		results, err := conn.Conn().PgConn().Exec(t.Context(), statement).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range results[0].Rows {
			plan += string(row[0]) + "\n"
		}
	}
	return plan
}

// TestPlans holds that every statement that reads has its index, which gives the
// order too, with statistics of the tables and without.
func TestPlans(t *testing.T) {
	s := open(t, database(t))
	const page, ofOne = 10, 2
	for _, filled := range []bool{false, true} {
		if filled {
			fillTables(t, s)
		}
		for _, tt := range []struct {
			query      string
			parameters int
			want       []string
		}{
			{readCategory, page,
				[]string{"Index Scan using message_category on message", "Index Cond: ((category = ", "AND (gpos >= "}},
			{readStream, page, []string{"Index Scan using message_pos on message", "Index Cond: ((stream = ", "AND (pos >= "}},
			{readLast, page, []string{"Index Scan Backward using message_pos on message", "Index Cond: (stream = "}},
			{readAll, page, []string{"Index Scan using message_pkey on message", "Index Cond: ((epoch = ", "AND (gpos >= "}},
			{readAllLast, page, []string{"Index Scan Backward using message_pkey on message", "Index Cond: (epoch = "}},
			{listStreams, ofOne + 3,
				[]string{"Index Scan using stream_head", "Presorted Key: ", "Index Scan using message_pos"}},
			{listCategories, ofOne, []string{"Index Scan using category_name", "Index Scan using stream_category"}},
			{aboutNamespace + ofNamespace, ofOne,
				[]string{"Index Scan using namespace_name", "Index Scan Backward using message_pkey"}},
		} {
			plan := explain(t, s, tt.query, tt.parameters)
			for _, want := range tt.want {
				if !strings.Contains(plan, want) {
					t.Errorf("filled=%v: %s\nis planned without %q:\n%s", filled, tt.query, want, plan)
				}
			}
			sorted := sorting.MatchString(plan) && tt.query != listCategories
			if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Bitmap") || sorted {
				t.Errorf("filled=%v: %s\nis planned as\n%s", filled, tt.query, plan)
			}
		}
	}
}

// sorting finds what puts all rows in order before it hands over the first.
var sorting = regexp.MustCompile(`(?m)^[ >-]*Sort  \(`)

// fillTables imports messages of many streams and categories into namespaces, and
// gathers statistics.
func fillTables(t *testing.T, s *Store) {
	t.Helper()
	for i := range 5 {
		name := fmt.Sprintf("namespace-%d", i)
		create(t, s, name, name)
		var batch []server.Record
		for j := range int64(2000) {
			m := message(fmt.Sprintf("%c%d-%d", 'a'+rune(j%7), j%11, j%500))
			place := server.Position{Position: j, GlobalPosition: j + 1}
			batch = append(batch, server.Record{NewMessage: m, Position: place})
		}
		if err := s.Import(t.Context(), name, batch); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.pool.Exec(t.Context(), "ANALYZE"); err != nil {
		t.Error(err)
	}
}

// TestNewerSchema holds that a store does not touch what it does not know.
func TestNewerSchema(t *testing.T) {
	url := database(t)
	s := open(t, url)
	if _, err := s.pool.Exec(t.Context(), "UPDATE eventobench.schema_version SET version = 99"); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), url, Options{})
	if err == nil || !strings.Contains(err.Error(), "version 99") ||
		!strings.Contains(err.Error(), "use a newer eventobench") {
		t.Errorf("error %v", err)
	}
}

// TestOlderSchema opens a database of the first version of the schema, which is
// brought up to date with what it holds.
func TestOlderSchema(t *testing.T) {
	url := database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	const insert = "INSERT INTO eventobench.namespace (name, description, token_hash, created) " +
		"VALUES ('one', '', sha256('one'), 0)"
	_, err = conn.Exec(t.Context(), schema+insert)
	if err := errors.Join(err, conn.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	s := open(t, url)
	for _, want := range []int64{0, 2} {
		if _, end, err := s.Epoch(t.Context(), "one"); end != want || err != nil {
			t.Errorf("end %d (%v), want %d", end, err, want)
		}
		if err := s.Replace(t.Context(), "one", records(message("a-1"))); err != nil {
			t.Error(err)
		}
	}
	open(t, url)
}

// TestReopen holds that all is there when a store is opened again, and that a
// closed one refuses calls.
func TestReopen(t *testing.T) {
	url := database(t)
	for i := range int64(3) {
		s := open(t, url)
		if i == 0 {
			create(t, s, "one", "one")
		}
		got, err := s.Write(t.Context(), "one", message("a-1"), nil)
		if want := (server.Position{Position: i, GlobalPosition: i + 1}); got != want || err != nil {
			t.Errorf("%+v (%v), want %+v", got, err, want)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		_, errs := s.Write(t.Context(), "one", message("a-1"), nil)
		read := s.Read(t.Context(), "one", server.Query{Limit: 1}, nil)
		replaced := s.Replace(t.Context(), "one", nil)
		for _, err := range []error{errs, read, replaced} {
			if !errors.Is(err, errClosed) {
				t.Errorf("a closed store: %v", err)
			}
		}
	}
}

// TestCloseWhileReplacing closes a store while a replacement waits for its client,
// who may take any time. The replacement is given up as soon as it goes on.
func TestCloseWhileReplacing(t *testing.T) {
	url := database(t)
	s := open(t, url)
	create(t, s, "one", "one")
	if err := s.Replace(t.Context(), "one", records(message("a-1"))); err != nil {
		t.Fatal(err)
	}
	next := records(message("b-1"))
	waiting, goOn := make(chan struct{}, 2), make(chan struct{})
	replaced, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		replaced <- s.Replace(t.Context(), "one", func() ([]server.Record, error) {
			waiting <- struct{}{}
			<-goOn
			return next()
		})
	}()
	<-waiting
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(testaid.Patience):
		t.Error("the store waits for a client")
	}
	close(goOn)
	if err := <-replaced; !errors.Is(err, errClosed) {
		t.Errorf("the replacement: %v", err)
	}
	if left := readAllOf(t, open(t, url), server.Query{Limit: -1}); len(left) != 1 || left[0].stream != "a-1" {
		t.Errorf("left is %v", left)
	}
}

// TestOpenFails holds that what is wrong with a database is said, and that a
// password is not.
func TestOpenFails(t *testing.T) {
	url := database(t)
	for bad, want := range map[string]string{
		"postgres://u:secret@127.0.0.1:1/none?connect_timeout=5": "opening the PostgreSQL store",
		"postgres://u:secret@[::1/none":                          "is not valid",
		strings.Replace(url, "eventobench_", "none_", 1):         "does not exist",
	} {
		_, err := Open(t.Context(), bad, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", bad, err, want)
		}
	}
}

// TestPages reads more than a page holds, in rows and in bytes, in every way, and
// stops within it.
func TestPages(t *testing.T) {
	s := open(t, database(t))
	create(t, s, "one", "one")
	const messages = 2*pageRows + 10
	large := []byte(`{"x":"` + strings.Repeat("x", pageBytes/3) + `"}`)
	var batch []server.Record
	for i := range int64(messages) {
		m := message(fmt.Sprintf("a-%d", i%2))
		if i%100 < 4 {
			m.Data = large
		}
		batch = append(batch, server.Record{NewMessage: m, Position: server.Position{Position: i / 2, GlobalPosition: i + 1}})
	}
	if err := s.Import(t.Context(), "one", batch); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query server.Query
		want  int
	}{
		{server.Query{Limit: -1}, messages},
		{server.Query{Limit: pageRows + 1}, pageRows + 1},
		{server.Query{Limit: messages}, messages},
		{server.Query{Limit: messages - 1, GlobalPosition: 2}, messages - 1},
		{server.Query{Limit: -1, GlobalPosition: messages + 1}, 0},
		{server.Query{Limit: -1, Stream: "a-1"}, messages / 2},
		{server.Query{Limit: -1, Category: new("a")}, messages},
		{server.Query{Limit: pageRows, Category: new("a"), Group: &server.Group{Member: 0, Size: 1}}, pageRows},
		{server.Query{Limit: 3, Category: new("a"), Group: &server.Group{Member: 1, Size: 2}}, 0},
	} {
		if tt.query.Group != nil && tt.query.Group.Size == 2 {
			tt.want = 0
			for _, stream := range []string{"a-0", "a-1"} {
				if tt.query.Group.Has(stream) {
					tt.want = int(tt.query.Limit)
				}
			}
		}
		if got := len(readAllOf(t, s, tt.query)); got != tt.want {
			t.Errorf("%+v: %d messages, want %d", tt.query, got, tt.want)
		}
		stop, read := errors.New("stop"), 0
		err := s.Read(t.Context(), "one", tt.query, func(*server.Message) error {
			read++
			if read == tt.want {
				return stop
			}
			return nil
		})
		if tt.want > 0 && (err != stop || read != tt.want) {
			t.Errorf("%+v: stopped after %d (%v)", tt.query, read, err)
		}
	}
}

// TestSweep holds that the rows of a retired epoch serve a read that has begun,
// that they are removed later, and no others.
func TestSweep(t *testing.T) {
	s := open(t, database(t))
	create(t, s, "one", "one")
	var messages []server.NewMessage
	for range 2*pageRows + 1 {
		messages = append(messages, message("a-1"))
	}
	if err := s.Replace(t.Context(), "one", records(messages...)); err != nil {
		t.Fatal(err)
	}
	read := 0
	if err := s.Read(t.Context(), "one", server.Query{Limit: -1}, func(*server.Message) error {
		if read++; read == 1 {
			return s.Replace(t.Context(), "one", records(message("b-1")))
		}
		return nil
	}); err != nil || read != len(messages) {
		t.Errorf("read %d of %d messages (%v)", read, len(messages), err)
	}
	s.wantRows(t, len(messages)+1, 2, 2)
	if swept, err := s.sweep(t.Context(), retention); swept || err != nil {
		t.Errorf("swept=%v what may be read (%v)", swept, err)
	}
	for range 3 {
		if _, err := s.sweep(t.Context(), 0); err != nil {
			t.Error(err)
		}
	}
	s.wantRows(t, 1, 1, 1)
	if _, err := s.DeleteNamespace(t.Context(), "one"); err != nil {
		t.Error(err)
	}
	if swept, err := s.sweep(t.Context(), 0); !swept || err != nil {
		t.Errorf("swept=%v a namespace that was deleted (%v)", swept, err)
	}
	s.wantRows(t, 0, 0, 0)
}

func (s *Store) wantRows(t *testing.T, messages, streams, categories int) {
	t.Helper()
	got := [3]int{}
	const count = "SELECT (SELECT count(*) FROM eventobench.message), (SELECT count(*) FROM eventobench.stream), " +
		"(SELECT count(*) FROM eventobench.category)"
	err := s.pool.QueryRow(t.Context(), count).Scan(&got[0], &got[1], &got[2])
	if want := [3]int{messages, streams, categories}; err != nil || got != want {
		t.Errorf("rows %v (%v), want %v", got, err, want)
	}
}

// TestFirstRefused imports records of which several are refused, each for a reason
// of its own: the error is that of the first, and nothing is imported.
func TestFirstRefused(t *testing.T) {
	s := open(t, database(t))
	create(t, s, "one", "one")
	at := func(m server.NewMessage, pos, gpos int64) server.Record {
		return server.Record{NewMessage: m, Position: server.Position{Position: pos, GlobalPosition: gpos}}
	}
	there, x, y := message("a-1"), message("a-1"), message("b-1")
	if err := s.Import(t.Context(), "one", []server.Record{at(there, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		batch []server.Record
		want  int
	}{
		"the same again":               {[]server.Record{at(there, 0, 1)}, 0},
		"all of them":                  {[]server.Record{at(there, 1, 2), at(y, 0, 1)}, 0},
		"id":                           {[]server.Record{at(x, 1, 2), at(there, 2, 3), at(y, 0, 4)}, 1},
		"position":                     {[]server.Record{at(y, 0, 2), at(x, 0, 3)}, 1},
		"global position":              {[]server.Record{at(y, 0, 2), at(x, 1, 1)}, 1},
		"twice in the batch":           {[]server.Record{at(x, 1, 2), at(x, 1, 2), at(y, 0, 3)}, 1},
		"id, and then the place again": {[]server.Record{at(there, 1, 2), at(x, 1, 2)}, 0},
		"a position twice":             {[]server.Record{at(x, 1, 2), at(message("a-1"), 1, 3), at(y, 0, 1)}, 1},
	} {
		err := s.Import(t.Context(), "one", tt.batch)
		var refused *server.RecordError
		if !errors.As(err, &refused) || refused.Index != tt.want || refused.Err.Code != server.CodePositionExists {
			t.Errorf("%s: %v, want an error of record %d", name, err, tt.want)
		}
	}
	s.wantRows(t, 1, 1, 1)
}
