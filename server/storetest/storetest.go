// Package storetest is the conformance suite of the event store: what every
// server.Store must do.
package storetest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/server"
)

// Run tests the stores that open opens. Each must be new and empty; the suite
// closes it.
func Run(t *testing.T, open func(t *testing.T) server.Store) {
	for name, test := range map[string]func(*testing.T, suite){
		"AppendAndRead":      testAppendAndRead,
		"ExpectedVersion":    testExpectedVersion,
		"MessageIDs":         testMessageIDs,
		"Queries":            testQueries,
		"Last":               testLast,
		"Namespaces":         testNamespaces,
		"Isolation":          testIsolation,
		"Listings":           testListings,
		"ConcurrentWriters":  testConcurrentWriters,
		"ReadStopsWithYield": testReadStopsWithYield,
		"Import":             testImport,
		"Replace":            testReplace,
		"Epochs":             testEpochs,
		"ReadWhileReplaced":  testReadWhileReplaced,
		"Counts":             testCounts,
		"StreamRanges":       testStreamRanges,
		"LastPositions":      testLastPositions,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := suite{open(t)}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			s.create(t, "one")
			test(t, s)
		})
	}
}

type suite struct{ server.Store }

func (s suite) create(t *testing.T, name string) {
	t.Helper()
	n := server.Namespace{
		Name: name, Description: "about " + name,
		TokenHash: server.HashToken(name), Created: time.Unix(1e9, 5).UTC(),
	}
	if err := s.CreateNamespace(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// message is a new one for a stream.
func message(t *testing.T, stream string) server.NewMessage {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return server.NewMessage{ID: id, Stream: stream, Type: "T", Data: []byte(`{"of":"` + stream + `"}`), Time: time.Now()}
}

func (s suite) write(t *testing.T, stream string, want server.Position) {
	t.Helper()
	got, err := s.Write(t.Context(), "one", message(t, stream), nil)
	if err != nil || got != want {
		t.Errorf("writing to %s gave %+v (%v), want %+v", stream, got, err, want)
	}
}

// read returns the stream and position of every message of a query.
func (s suite) read(t *testing.T, q server.Query) []string {
	t.Helper()
	found := []string{}
	if err := s.Read(t.Context(), "one", q, func(m *server.Message) error {
		found = append(found, fmt.Sprintf("%s %d %d", m.Stream, m.Position.Position, m.GlobalPosition))
		return nil
	}); err != nil {
		t.Error(err)
	}
	return found
}

func (s suite) wantRead(t *testing.T, what string, q server.Query, want ...string) {
	t.Helper()
	if got := s.read(t, q); !slices.Equal(got, want) {
		t.Errorf("%s: read %q, want %q", what, got, want)
	}
}

func wantCode(t *testing.T, err error, code server.Code) {
	t.Helper()
	var e *server.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

func testAppendAndRead(t *testing.T, s suite) {
	m := message(t, "a-1")
	m.Metadata, m.Time = []byte(`{"m":1}`), time.Unix(1234567890, 123456789)
	if _, err := s.Write(t.Context(), "one", m, nil); err != nil {
		t.Fatal(err)
	}
	s.write(t, "a-1", server.Position{Position: 1, GlobalPosition: 2})
	var got []server.Message
	if err := s.Read(t.Context(), "one", server.Query{Stream: "a-1", Limit: -1}, func(m *server.Message) error {
		kept := *m
		kept.Data, kept.Metadata = slices.Clone(m.Data), slices.Clone(m.Metadata)
		got = append(got, kept)
		return nil
	}); err != nil || len(got) != 2 {
		t.Fatalf("read %d messages (%v)", len(got), err)
	}
	g := got[0]
	if g.ID != m.ID || string(g.Data) != string(m.Data) || string(g.Metadata) != `{"m":1}` || !g.Time.Equal(m.Time) {
		t.Errorf("read back %+v of %+v", g, m)
	}
	if got[1].Metadata != nil {
		t.Errorf("no metadata is read as %q", got[1].Metadata)
	}
}

func testExpectedVersion(t *testing.T, s suite) {
	for i, expected := range []int64{server.NoStream, 0, 1} {
		if _, err := s.Write(t.Context(), "one", message(t, "a-1"), &expected); err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
	for _, wrong := range []int64{server.NoStream, -2, 1, 3} {
		_, err := s.Write(t.Context(), "one", message(t, "a-1"), &wrong)
		wantCode(t, err, server.CodeVersionConflict)
	}
	zero := int64(0)
	_, err := s.Write(t.Context(), "one", message(t, "new-1"), &zero)
	wantCode(t, err, server.CodeVersionConflict)
	if v, err := s.Version(t.Context(), "one", "a-1"); v != 2 || err != nil {
		t.Errorf("version %d (%v)", v, err)
	}
	if v, err := s.Version(t.Context(), "one", "new-1"); v != server.NoStream || err != nil {
		t.Errorf("version %d of a stream that was not written (%v)", v, err)
	}
}

// testMessageIDs holds that a refused write leaves nothing: no stream, no gap.
func testMessageIDs(t *testing.T, s suite) {
	m := message(t, "a-1")
	if _, err := s.Write(t.Context(), "one", m, nil); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"a-1", "new-1"} {
		again := message(t, stream)
		again.ID = m.ID
		_, err := s.Write(t.Context(), "one", again, nil)
		wantCode(t, err, server.CodeMessageExists)
	}
	s.write(t, "a-1", server.Position{Position: 1, GlobalPosition: 2})
	s.write(t, "new-1", server.Position{Position: 0, GlobalPosition: 3})
	_, stats, err := s.Namespace(t.Context(), "one")
	if err != nil || stats.Messages != 3 || stats.Streams != 2 {
		t.Errorf("%+v (%v)", stats, err)
	}
}

func testQueries(t *testing.T, s suite) {
	for i, stream := range []string{"a-1", "b-1", "a-2", "a-1", "a", "ab-1", "a-1+x"} {
		m := message(t, stream)
		if i == 2 {
			m.Metadata = []byte(`{"correlationStreamName":"w-1"}`)
		}
		if _, err := s.Write(t.Context(), "one", m, nil); err != nil {
			t.Fatal(err)
		}
	}
	a, none, all := "a", "none", ""
	s.wantRead(t, "stream", server.Query{Stream: "a-1", Limit: -1}, "a-1 0 1", "a-1 1 4")
	s.wantRead(t, "stream from a position", server.Query{Stream: "a-1", Position: 1, Limit: -1}, "a-1 1 4")
	s.wantRead(t, "stream from a global position", server.Query{Stream: "a-1", GlobalPosition: 2, Limit: -1}, "a-1 1 4")
	s.wantRead(t, "stream, limited", server.Query{Stream: "a-1", Limit: 1}, "a-1 0 1")
	s.wantRead(t, "no such stream", server.Query{Stream: "c", Limit: -1})
	s.wantRead(t, "category", server.Query{Category: &a, Limit: -1}, "a-1 0 1", "a-2 0 3", "a-1 1 4", "a 0 5", "a-1+x 0 7")
	s.wantRead(t, "category from a position", server.Query{Category: &a, GlobalPosition: 4, Limit: 2}, "a-1 1 4", "a 0 5")
	s.wantRead(t, "no such category", server.Query{Category: &none, Limit: -1})
	s.wantRead(t, "all", server.Query{Category: &all, GlobalPosition: 5, Limit: -1}, "a 0 5", "ab-1 0 6", "a-1+x 0 7")
	s.wantRead(t, "member 0", server.Query{Category: &a, Group: &server.Group{Member: 0, Size: 2}, Limit: 2},
		"a-1 0 1", "a-1 1 4")
	s.wantRead(t, "member 1", server.Query{Category: &a, Group: &server.Group{Member: 1, Size: 2}, Limit: -1}, "a-2 0 3")
	s.wantRead(t, "correlation", server.Query{Category: &a, Correlation: "w", Limit: -1}, "a-2 0 3")
}

func testLast(t *testing.T, s suite) {
	s.wantRead(t, "nothing", server.Query{Last: true, Limit: 1})
	s.write(t, "a-1", server.Position{Position: 0, GlobalPosition: 1})
	m := message(t, "a-1")
	m.Type = "U"
	if _, err := s.Write(t.Context(), "one", m, nil); err != nil {
		t.Fatal(err)
	}
	s.write(t, "b-1", server.Position{Position: 0, GlobalPosition: 3})
	s.wantRead(t, "last of a stream", server.Query{Stream: "a-1", Last: true, Limit: 1}, "a-1 1 2")
	s.wantRead(t, "last of a type", server.Query{Stream: "a-1", Last: true, Type: "T", Limit: 1}, "a-1 0 1")
	s.wantRead(t, "last of another type", server.Query{Stream: "a-1", Last: true, Type: "V", Limit: 1})
	s.wantRead(t, "last of all", server.Query{Last: true, Limit: 1}, "b-1 0 3")
}

func testNamespaces(t *testing.T, s suite) {
	s.create(t, "../two; DROP TABLE namespace")
	wantCode(t, s.CreateNamespace(t.Context(), server.Namespace{Name: "one"}), server.CodeNamespaceExists)
	found, err := s.Namespaces(t.Context())
	if err != nil || len(found) != 2 || found[0].Name != "../two; DROP TABLE namespace" ||
		found[1].TokenHash != server.HashToken("one") {
		t.Errorf("%+v (%v)", found, err)
	}
	n, stats, err := s.Namespace(t.Context(), "one")
	if err != nil || n.Description != "about one" || !n.Created.Equal(time.Unix(1e9, 5)) ||
		stats != (server.NamespaceStats{}) {
		t.Errorf("%+v %+v (%v)", n, stats, err)
	}
	s.write(t, "a-1", server.Position{Position: 0, GlobalPosition: 1})
	if n, err := s.DeleteNamespace(t.Context(), "one"); n != 1 || err != nil {
		t.Errorf("deleted %d messages (%v)", n, err)
	}
	_, err = s.DeleteNamespace(t.Context(), "one")
	wantCode(t, err, server.CodeNamespaceNotFound)
	_, err = s.Write(t.Context(), "one", message(t, "a-1"), nil)
	wantCode(t, err, server.CodeNamespaceNotFound)
	s.create(t, "one")
	s.write(t, "a-1", server.Position{Position: 0, GlobalPosition: 1})
}

func testIsolation(t *testing.T, s suite) {
	s.create(t, "two")
	m := message(t, "a-1")
	for _, namespace := range []string{"one", "two"} {
		got, err := s.Write(t.Context(), namespace, m, nil)
		if want := (server.Position{Position: 0, GlobalPosition: 1}); got != want || err != nil {
			t.Errorf("%s: %+v (%v)", namespace, got, err)
		}
	}
	if _, err := s.DeleteNamespace(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	s.wantRead(t, "after the other is gone", server.Query{Stream: "a-1", Limit: -1}, "a-1 0 1")
}

func testListings(t *testing.T, s suite) {
	for _, stream := range []string{"b-1", "a-2", "a-1", "a-1", "A_x", "A%"} {
		if _, err := s.Write(t.Context(), "one", message(t, stream), nil); err != nil {
			t.Fatal(err)
		}
	}
	names := func(q server.StreamQuery) (names []string) {
		found, err := s.Streams(t.Context(), "one", q)
		if err != nil {
			t.Error(err)
		}
		for _, f := range found {
			names = append(names, fmt.Sprintf("%s %d", f.Name, f.Version))
		}
		return names
	}
	for _, tt := range []struct {
		query server.StreamQuery
		want  []string
	}{
		{server.StreamQuery{Limit: 9}, []string{"A% 0", "A_x 0", "a-1 1", "a-2 0", "b-1 0"}},
		{server.StreamQuery{Prefix: "a", Limit: 9}, []string{"a-1 1", "a-2 0"}},
		{server.StreamQuery{Prefix: "a", After: "a-1", Limit: 9}, []string{"a-2 0"}},
		{server.StreamQuery{Prefix: "A_", Limit: 9}, []string{"A_x 0"}},
		{server.StreamQuery{After: "A_x", Limit: 1}, []string{"a-1 1"}},
	} {
		if got := names(tt.query); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.query, got, tt.want)
		}
	}
	categories, err := s.Categories(t.Context(), "one")
	want := []server.CategoryInfo{
		{Category: "A%", StreamCount: 1, MessageCount: 1},
		{Category: "A_x", StreamCount: 1, MessageCount: 1},
		{Category: "a", StreamCount: 2, MessageCount: 3},
		{Category: "b", StreamCount: 1, MessageCount: 1},
	}
	if err != nil || !slices.Equal(categories, want) {
		t.Errorf("categories %+v (%v), want %+v", categories, err, want)
	}
}

// testConcurrentWriters holds that positions are gapless and that every message
// is there once, whoever wrote at the same time.
func testConcurrentWriters(t *testing.T, s suite) {
	const writers, each, streams = 8, 50, 3
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := s.Write(t.Context(), "one", message(t, fmt.Sprintf("a-%d", (w+i)%streams)), nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() { s.read(t, server.Query{Limit: -1}) })
	wg.Wait()
	next := map[string]int64{}
	global := int64(0)
	if err := s.Read(t.Context(), "one", server.Query{Limit: -1}, func(m *server.Message) error {
		if global++; m.GlobalPosition != global || m.Position.Position != next[string(m.Stream)] {
			return fmt.Errorf("message %d is %s %+v", global, m.Stream, m.Position)
		}
		next[string(m.Stream)]++
		return nil
	}); err != nil {
		t.Error(err)
	}
	if global != writers*each {
		t.Errorf("%d of %d messages", global, writers*each)
	}
}

func testReadStopsWithYield(t *testing.T, s suite) {
	s.write(t, "a-1", server.Position{Position: 0, GlobalPosition: 1})
	s.write(t, "a-1", server.Position{Position: 1, GlobalPosition: 2})
	enough := errors.New("enough")
	calls := 0
	err := s.Read(t.Context(), "one", server.Query{Limit: -1}, func(*server.Message) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
	s.write(t, "a-1", server.Position{Position: 2, GlobalPosition: 3})
}

// record is a message to be imported at a place.
func record(t *testing.T, stream string, position, global int64) server.Record {
	t.Helper()
	place := server.Position{Position: position, GlobalPosition: global}
	return server.Record{NewMessage: message(t, stream), Position: place}
}

func testImport(t *testing.T, s suite) {
	records := []server.Record{record(t, "a-1", 5, 30), record(t, "b-1", 0, 20), record(t, "a-1", 2, 10)}
	if err := s.Import(t.Context(), "one", records); err != nil {
		t.Fatal(err)
	}
	s.wantRead(t, "imported", server.Query{Limit: -1}, "a-1 2 10", "b-1 0 20", "a-1 5 30")
	var e *server.RecordError
	for _, taken := range []server.Record{record(t, "a-1", 5, 99), record(t, "new-1", 0, 30)} {
		err := s.Import(t.Context(), "one", []server.Record{record(t, "new-1", 7, 98), taken})
		if wantCode(t, err, server.CodePositionExists); !errors.As(err, &e) || e.Index != 1 {
			t.Errorf("error %v, want one of record 1", err)
		}
	}
	s.write(t, "a-1", server.Position{Position: 6, GlobalPosition: 31})
	s.write(t, "new-1", server.Position{Position: 0, GlobalPosition: 32})
}

// batches hands over records and then an error.
func batches(end error, batches ...[]server.Record) func() ([]server.Record, error) {
	return func() ([]server.Record, error) {
		if len(batches) == 0 {
			return nil, end
		}
		first := batches[0]
		batches = batches[1:]
		return first, nil
	}
}

func testReplace(t *testing.T, s suite) {
	s.write(t, "old-1", server.Position{Position: 0, GlobalPosition: 1})
	broken := errors.New("broken")
	one := []server.Record{record(t, "a-1", 0, 1)}
	if err := s.Replace(t.Context(), "one", batches(broken, one)); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	s.wantRead(t, "after a failure", server.Query{Limit: -1}, "old-1 0 1")
	two := batches(io.EOF, []server.Record{record(t, "a-1", 0, 4)}, []server.Record{record(t, "a-1", 1, 5)})
	if err := s.Replace(t.Context(), "one", two); err != nil {
		t.Error(err)
	}
	s.wantRead(t, "after a success", server.Query{Limit: -1}, "a-1 0 4", "a-1 1 5")
	s.write(t, "a-1", server.Position{Position: 2, GlobalPosition: 6})
	s.write(t, "old-1", server.Position{Position: 0, GlobalPosition: 7})
	wantCode(t, s.Replace(t.Context(), "none", batches(io.EOF)), server.CodeNamespaceNotFound)
}

// epoch returns the epoch of the first message of the namespace.
func (s suite) epoch(t *testing.T) (epoch int64) {
	t.Helper()
	if err := s.Read(t.Context(), "one", server.Query{Limit: 1}, func(m *server.Message) error {
		epoch = m.Epoch
		return nil
	}); err != nil || epoch == 0 {
		t.Errorf("epoch %d (%v)", epoch, err)
	}
	return epoch
}

func (s suite) wantEpoch(t *testing.T, epoch, end int64) {
	t.Helper()
	gotEpoch, gotEnd, err := s.Epoch(t.Context(), "one")
	if gotEpoch != epoch || gotEnd != end || err != nil {
		t.Errorf("epoch %d with end %d (%v), want %d, %d", gotEpoch, gotEnd, err, epoch, end)
	}
}

// testEpochs holds that reading goes on within one epoch only.
func testEpochs(t *testing.T, s suite) {
	s.write(t, "a-1", server.Position{Position: 0, GlobalPosition: 1})
	before := s.epoch(t)
	s.write(t, "a-1", server.Position{Position: 1, GlobalPosition: 2})
	if s.epoch(t) != before {
		t.Error("a write began another epoch")
	}
	s.wantEpoch(t, before, 0)
	s.wantRead(t, "the same epoch", server.Query{Stream: "a-1", Position: 1, Limit: -1, Epoch: before}, "a-1 1 2")
	if err := s.Replace(t.Context(), "one", batches(io.EOF, []server.Record{record(t, "a-1", 0, 1)})); err != nil {
		t.Fatal(err)
	}
	if s.epoch(t) == before {
		t.Error("a replacement has the epoch of what it replaced")
	}
	s.wantEpoch(t, s.epoch(t), 2)
	s.write(t, "a-1", server.Position{Position: 1, GlobalPosition: 2})
	s.wantEpoch(t, s.epoch(t), 2)
	_, _, err := s.Epoch(t.Context(), "none")
	wantCode(t, err, server.CodeNamespaceNotFound)
	for _, q := range []server.Query{{Limit: -1}, {Stream: "a-1", Limit: -1}, {Last: true, Limit: 1}} {
		q.Epoch = before
		err := s.Read(t.Context(), "one", q, func(*server.Message) error { return errors.New("read on") })
		wantCode(t, err, server.CodeNamespaceNotFound)
	}
	if err := s.Replace(t.Context(), "one", batches(io.EOF)); err != nil {
		t.Fatal(err)
	}
	if _, end, err := s.Epoch(t.Context(), "one"); end != 1 || err != nil {
		t.Errorf("end %d (%v) of nothing", end, err)
	}
}

// testReadWhileReplaced reads in every way while the messages are replaced and
// the namespace is deleted and created: each answer is that of one moment.
func testReadWhileReplaced(t *testing.T, s suite) {
	const messages, rounds = 20, 8
	content := func(stream string) (records []server.Record) {
		for i := range int64(messages) {
			records = append(records, record(t, stream, i, i+1))
		}
		return records
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, q := range []server.Query{{Limit: -1}, {Category: new("a"), Limit: -1}, {Stream: "a-1", Limit: -1}} {
		wg.Go(func() { untilDone(done, func() { s.readMoment(t, q, messages) }) })
	}
	wg.Go(func() { untilDone(done, func() { s.listMoment(t, messages) }) })
	for range rounds {
		for _, stream := range []string{"a-1", "a-2"} {
			if err := s.Replace(t.Context(), "one", batches(io.EOF, content(stream))); err != nil {
				t.Error(err)
			}
		}
		if _, err := s.DeleteNamespace(t.Context(), "one"); err != nil {
			t.Error(err)
		}
		s.create(t, "one")
	}
	close(done)
	wg.Wait()
}

func untilDone(done <-chan struct{}, do func()) {
	for {
		select {
		case <-done:
			return
		default:
			do()
		}
	}
}

// readMoment wants all messages of one stream, or none.
func (s suite) readMoment(t *testing.T, q server.Query, all int) {
	streams := map[string]int{}
	err := s.Read(t.Context(), "one", q, func(m *server.Message) error {
		streams[string(m.Stream)]++
		return nil
	})
	wantGoneAtMost(t, err)
	for stream, n := range streams {
		if n != all || len(streams) > 1 {
			t.Errorf("%+v: %d of stream %s, of %d streams", q, n, stream, len(streams))
		}
	}
}

// listMoment wants one stream with all messages, or none.
func (s suite) listMoment(t *testing.T, all int64) {
	_, stats, err := s.Namespace(t.Context(), "one")
	if wantGoneAtMost(t, err); stats.Messages != all*stats.Streams || stats.Streams > 1 {
		t.Errorf("stats %+v", stats)
	}
	streams, err := s.Streams(t.Context(), "one", server.StreamQuery{Limit: 9})
	if wantGoneAtMost(t, err); len(streams) > 1 || len(streams) == 1 && streams[0].Version != all-1 {
		t.Errorf("streams %+v", streams)
	}
	categories, err := s.Categories(t.Context(), "one")
	if wantGoneAtMost(t, err); len(categories) > 1 || len(categories) == 1 && categories[0].MessageCount != all {
		t.Errorf("categories %+v", categories)
	}
	_, err = s.Version(t.Context(), "one", "a-1")
	wantGoneAtMost(t, err)
}

func wantGoneAtMost(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		wantCode(t, err, server.CodeNamespaceNotFound)
	}
}

// testCounts holds that counts are true after each way to add messages, counted
// again and again.
func testCounts(t *testing.T, s suite) {
	want := func(messages, streams int64, categories ...server.CategoryInfo) {
		t.Helper()
		_, stats, err := s.Namespace(t.Context(), "one")
		if err != nil || stats.Messages != messages || stats.Streams != streams {
			t.Errorf("%+v (%v), want %d messages of %d streams", stats, err, messages, streams)
		}
		if found, err := s.Categories(t.Context(), "one"); err != nil || !slices.Equal(found, categories) {
			t.Errorf("%+v (%v), want %+v", found, err, categories)
		}
	}
	want(0, 0)
	both := []server.CategoryInfo{
		{Category: "a", StreamCount: 1, MessageCount: 1},
		{Category: "b", StreamCount: 1, MessageCount: 1},
	}
	records := []server.Record{record(t, "a-1", 5, 10), record(t, "b-1", 0, 20)}
	if err := s.Import(t.Context(), "one", records); err != nil {
		t.Error(err)
	}
	want(2, 2, both...)
	var taken *server.RecordError
	err := s.Import(t.Context(), "one", records)
	if !errors.As(err, &taken) || taken.Err.Code != server.CodePositionExists {
		t.Errorf("importing the same again: %v", err)
	}
	want(2, 2, both...)
	s.write(t, "a-2", server.Position{Position: 0, GlobalPosition: 21})
	both[0].StreamCount, both[0].MessageCount = 2, 2
	want(3, 3, both...)
	if err := s.Import(t.Context(), "one", []server.Record{record(t, "b-1", 3, 5)}); err != nil { // below what was counted
		t.Error(err)
	}
	both[1].MessageCount = 2
	want(4, 3, both...)
	if err := s.Replace(t.Context(), "one", batches(io.EOF, []server.Record{record(t, "c-1", 0, 9)})); err != nil {
		t.Error(err)
	}
	want(1, 1, server.CategoryInfo{Category: "c", StreamCount: 1, MessageCount: 1})
	if n, err := s.DeleteNamespace(t.Context(), "one"); n != 1 || err != nil {
		t.Errorf("deleted %d (%v)", n, err)
	}
}

// testStreamRanges lists streams around the ends of a prefix.
func testStreamRanges(t *testing.T, s suite) {
	all := []string{"a", "a-1", "a-1\x00", "a-2", "a\u007f", "aÿ", "a\U0010ffff", "b", "ü-1", "\U0010ffff"}
	for _, stream := range all {
		if _, err := s.Write(t.Context(), "one", message(t, stream), nil); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	for _, prefix := range append([]string{"", "a-1\x00", "a\U0010ffff", "zz"}, all...) {
		for _, after := range append([]string{"", "\x00", "zz"}, all...) {
			var want []string
			for _, stream := range all {
				if strings.HasPrefix(stream, prefix) && stream > after {
					want = append(want, stream)
				}
			}
			found, err := s.Streams(t.Context(), "one", server.StreamQuery{Prefix: prefix, After: after, Limit: 100})
			var got []string
			for _, f := range found {
				got = append(got, f.Name)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("prefix %q after %q: %q (%v), want %q", prefix, after, got, err, want)
			}
		}
	}
}

// testLastPositions imports messages at the last position and the last global
// position: nothing can be written behind them, and what is there stays.
func testLastPositions(t *testing.T, s suite) {
	records := []server.Record{record(t, "a-1", server.MaxPosition, 1), record(t, "b-1", 0, server.MaxPosition-1)}
	if err := s.Import(t.Context(), "one", records); err != nil {
		t.Fatal(err)
	}
	_, err := s.Write(t.Context(), "one", message(t, "a-1"), nil)
	wantCode(t, err, server.CodeBackendError)
	s.write(t, "b-1", server.Position{Position: 1, GlobalPosition: server.MaxPosition})
	for _, stream := range []string{"b-1", "new-1"} {
		_, err := s.Write(t.Context(), "one", message(t, stream), nil)
		wantCode(t, err, server.CodeBackendError)
	}
	s.wantRead(t, "all", server.Query{Limit: -1},
		"a-1 9007199254740991 1", "b-1 0 9007199254740990", "b-1 1 9007199254740991")
	beyond := []server.Record{record(t, "a-1", server.MaxPosition+1, 2), record(t, "a-1", 0, server.MaxPosition+1)}
	for _, r := range beyond {
		if err := s.Import(t.Context(), "one", []server.Record{r}); err == nil {
			t.Errorf("imported at %+v", r.Position)
		}
	}
}
