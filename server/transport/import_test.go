package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// record is a line to import: message n of a stream.
func record(n int, stream string, pos int, gpos int) string {
	return fmt.Sprintf(`{"id":"00000000-0000-4000-8000-%012x","stream":%q,"type":"T","pos":%d,"gpos":%d,"data":{"n":%d.0},"meta":null,"time":"2025-01-02T03:04:05.123456789+01:00"}`+"\n", n, stream, pos, gpos, n)
}

func (s store) importLines(t *testing.T, query, lines string) string {
	t.Helper()
	// A body of unknown length is sent in chunks.
	return s.importStream(t, query, io.MultiReader(strings.NewReader(lines)))
}

// importStream may run in a goroutine.
func (s store) importStream(t *testing.T, query string, lines io.Reader) string {
	t.Helper()
	resp := s.beginImport(t, query, lines)
	if resp == nil {
		return ""
	}
	return readFrames(t, resp)
}

// beginImport returns when the store has sent its first frame, or nil if it
// fails. It may run in a goroutine.
func (s store) beginImport(t *testing.T, query string, lines io.Reader) *http.Response {
	t.Helper()
	resp, err := http.Post(s.url+"/import"+query, "application/x-ndjson", lines)
	if err != nil {
		t.Error(err)
		return nil
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Errorf("import: %d %s", resp.StatusCode, got)
	}
	return resp
}

// readFrames reads all frames of an import. ELAPSED stands for the time it took.
func readFrames(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	frames, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	if _, message, ok := strings.Cut(string(frames), `"message":"`); ok && (message[0] < 'A' || message[0] > 'Z') {
		t.Errorf("the message of %.300s is not of the style of others", frames)
	}
	return regexp.MustCompile(`"\d+\.\ds"`).ReplaceAllString(string(frames), "ELAPSED")
}

func (s store) wantAnswer(t *testing.T, call, want string) {
	t.Helper()
	if _, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(call)); answer != want {
		t.Errorf("%s is answered %s, want %s", call, answer, want)
	}
}

func TestImport(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		sub := s.subscribe(t, "category=a")
		if got, want := s.importLines(t, "", ""), "data: {\"done\":true,\"imported\":0,\"elapsed\":ELAPSED}\n\n"; got != want {
			t.Errorf("nothing: %q", got)
		}
		lines := record(1, "a-1", 5, 3005) + "\r\n" + record(2, "b-1", 0, 3007) + record(3, "a-1", 2, 3001)
		if got, want := s.importLines(t, "", lines), "data: {\"done\":true,\"imported\":3,\"elapsed\":ELAPSED}\n\n"; got != want {
			t.Errorf("three: %q", got)
		}
		sub.wantPokes(poke{"a-1", 2, 3001}, poke{"a-1", 5, 3005})
		s.wantAnswer(t, `["stream.get","b-1"]`, `[["00000000-0000-4000-8000-000000000002","T",0,3007,{"n":2.0},null,"2025-01-02T02:04:05.123456789Z"]]`)
		s.wantAnswer(t, `["stream.write","a-1",{"type":"T","data":{}},{"expectedVersion":5}]`, `{"position":6,"globalPosition":3008}`)
	})
}

func TestImportBatches(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		var lines bytes.Buffer
		for i := range 2400 {
			lines.WriteString(record(i, "a-1", i, i+1))
		}
		lines.WriteString("{broken\n")
		want := "data: {\"imported\":1000,\"gpos\":1000}\n\ndata: {\"imported\":2000,\"gpos\":2000}\n\n"
		got := s.importLines(t, "", lines.String())
		rest, ok := strings.CutPrefix(got, want)
		if !ok || !strings.Contains(rest, `{"error":"INVALID_JSON"`) || !strings.Contains(rest, `the 2000 messages of the batches before are imported","line":2401}`) {
			t.Errorf("frames %q", got)
		}
		s.wantAnswer(t, `["stream.version","a-1"]`, `1999`)
	})
}

func TestImportRejects(t *testing.T) {
	good := record(1, "a-1", 0, 1)
	tests := []struct{ name, line, code string }{
		{"not JSON", "{", "INVALID_JSON"},
		{"trailing text", strings.TrimSpace(good) + " x", "INVALID_JSON"},
		{"no object", "[]", "INVALID_RECORD"},
		{"null data", strings.Replace(good, `{"n":1.0}`, "null", 1), "INVALID_RECORD"},
		{"missing data", strings.Replace(good, `"data":{"n":1.0},`, "", 1), "INVALID_RECORD"},
		{"bad meta", strings.Replace(good, `"meta":null`, `"meta":5`, 1), "INVALID_RECORD"},
		{"bad id", strings.Replace(good, "4000", "x", 1), "INVALID_RECORD"},
		{"empty stream", strings.Replace(good, "a-1", "", 1), "INVALID_RECORD"},
		{"no type", strings.Replace(good, `"type":"T",`, "", 1), "INVALID_RECORD"},
		{"negative position", strings.Replace(good, `"pos":0`, `"pos":-1`, 1), "INVALID_RECORD"},
		{"fraction", strings.Replace(good, `"pos":0`, `"pos":0.5`, 1), "INVALID_RECORD"},
		{"no global position", strings.Replace(good, `"gpos":1,`, "", 1), "INVALID_RECORD"},
		{"bad time", strings.Replace(good, "2025-", "25-", 1), "INVALID_RECORD"},
		{"long line", `"` + strings.Repeat("x", server.MaxLine) + `"`, "READ_ERROR"},
		{"id taken", record(0, "new-1", 0, 9), "POSITION_EXISTS"},
		{"position taken", record(9, "a-0", 0, 9), "POSITION_EXISTS"},
		{"global position taken", record(9, "new-1", 0, 77), "POSITION_EXISTS"},
	}
	transports(t, func(t *testing.T, s store) {
		s.importLines(t, "", record(0, "a-0", 0, 77))
		for _, tt := range tests {
			got := s.importLines(t, "", record(5, "fine-1", 0, 5)+"\n"+tt.line+"\n"+record(6, "fine-1", 1, 6))
			if !strings.Contains(got, `{"error":"`+tt.code+`"`) || !strings.Contains(got, `"line":3}`) {
				t.Errorf("%s: %.300q", tt.name, got)
			}
		}
		s.wantAnswer(t, `["ns.categories"]`, `[{"category":"a","streamCount":1,"messageCount":1}]`)
	})
}

// TestLargeMessages writes messages of 3 MiB and of the greatest depth, and
// imports what can be read of them again.
func TestLargeMessages(t *testing.T) {
	depth := server.MaxDepth - 1
	messages := []string{
		`{"type":"T","data":{"x":"` + strings.Repeat("x", 3<<20) + `"},"metadata":{}}`,
		`{"type":"T","data":{"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `},"metadata":{}}`,
	}
	for _, kind := range kinds {
		for _, codec := range []server.Codec{server.CodecRaw, server.CodecStd} {
			t.Run(fmt.Sprintf("%s/%s", kind, codec), func(t *testing.T) {
				o := server.Options{Codec: codec, TestMode: true, Token: defaultToken, MaxBody: 8 << 20}
				s := startLimited(t, kind, sqlite.Memory, o, Limits{})
				for i, m := range messages {
					s.wantAnswer(t, `["stream.write","a-1",`+m+`]`, fmt.Sprintf(`{"position":%d,"globalPosition":%d}`, i, i+1))
				}
				exported := s.export(t)
				got := s.importLines(t, "?force=true", exported)
				if got != "data: {\"done\":true,\"imported\":2,\"elapsed\":ELAPSED}\n\n" {
					t.Errorf("frames %.500q", got)
				}
				if s.export(t) != exported {
					t.Error("the messages are others after the import")
				}
			})
		}
	}
}

// export is what "eventobench export" writes.
func (s store) export(t *testing.T) string {
	t.Helper()
	var rows [][]json.RawMessage
	if err := json.NewDecoder(s.open(t, `["category.get",""]`).Body).Decode(&rows); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&lines, `{"id":%s,"stream":%s,"type":%s,"pos":%s,"gpos":%s,"data":%s,"meta":%s,"time":%s}`+"\n",
			r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
	}
	return lines.String()
}

func TestImportForce(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		s.write(t, "old-1", 3)
		if got := s.importLines(t, "?force=true", record(1, "a-1", 0, 1)+"{broken"); !strings.Contains(got, "INVALID_JSON") || !strings.Contains(got, "the namespace is as it was") {
			t.Errorf("frames %q", got)
		}
		s.wantAnswer(t, `["stream.version","old-1"]`, `2`)
		s.wantAnswer(t, `["stream.version","a-1"]`, `null`)
		if got := s.importLines(t, "?force=true", record(1, "a-1", 0, 1)); !strings.Contains(got, `"imported":1`) {
			t.Errorf("frames %q", got)
		}
		s.wantAnswer(t, `["stream.version","old-1"]`, `null`)
		s.wantAnswer(t, `["stream.write","a-1",{"type":"T","data":{}}]`, `{"position":1,"globalPosition":2}`)
	})
}

func TestImportNeedsAToken(t *testing.T) {
	for _, kind := range kinds {
		s := startStore(t, kind, server.CodecRaw, sqlite.Memory, false)
		lines := strings.Repeat(record(1, "a-1", 0, 1), 10_000) // more than a connection holds
		if status, answer := s.do(t, http.MethodPost, "/import", "", []byte(lines)); status != 401 || !strings.Contains(answer, "AUTH_REQUIRED") {
			t.Errorf("%s: %d %s", kind, status, answer)
		}
	}
}

// TestChunkedBodies holds that a body of unknown length is a body like others,
// and is refused with an answer if it is too large.
func TestChunkedBodies(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		post := func(body string) (int, string) {
			resp, err := http.Post(s.url+"/rpc", "application/json", io.MultiReader(strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(answer)
		}
		if status, answer := post(`["sys.version"]`); status != 200 || answer != `"1.2.3"` {
			t.Errorf("chunked: %d %s", status, answer)
		}
		if status, answer := post(`["` + strings.Repeat("x", testBody) + `"]`); status != 413 || !strings.Contains(answer, "INVALID_REQUEST") {
			t.Errorf("chunked and large: %d %s", status, answer)
		}
	})
}

// TestSubscriptionsGoOnAfterForce replaces messages under subscriptions: those
// that have read further than there is now are told of what is written next.
func TestSubscriptionsGoOnAfterForce(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		s.write(t, "a-1", 10)
		queries := []string{"stream=a-1", "category=a", "all=true"}
		var subs []*subscriber
		for _, query := range queries {
			sub := s.subscribe(t, query)
			if query != "all=true" {
				sub.pokes(10)
			}
			subs = append(subs, sub)
		}
		behind := s.subscribe(t, "stream=b-1")
		s.importLines(t, "?force=true", record(1, "a-1", 0, 1)+record(2, "b-1", 0, 2))
		s.write(t, "a-1", 2)
		for i, sub := range subs {
			if got, want := sub.pokes(2), []poke{{"a-1", 1, 3}, {"a-1", 2, 4}}; !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", queries[i], got, want)
			}
		}
		behind.wantPokes(poke{"b-1", 0, 2})
	})
}

// slowReplace is a store whose Replace has not returned when its messages can be
// read: a store may have to drop those that were replaced.
type slowReplace struct {
	server.Store
	replaced, goOn chan struct{}
}

func (s slowReplace) Replace(ctx context.Context, name string, next func() ([]server.Record, error)) error {
	err := s.Store.Replace(ctx, name, next)
	s.replaced <- struct{}{}
	<-s.goOn
	return err
}

// TestWritesWhileReplaced writes when messages have been replaced, and the import
// has not ended: subscriptions are told of each message at once, and only once.
func TestWritesWhileReplaced(t *testing.T) {
	for _, where := range []string{inMemory, inPostgres} {
		t.Run(where, func(t *testing.T) {
			db := slowReplace{openAt(t, where), make(chan struct{}), make(chan struct{})}
			s := serveOn(t, t.Context(), kinds[0], db, storeOptions(server.CodecRaw, true), Limits{}, listen(t))
			goOn := sync.OnceFunc(func() { close(db.goOn) })
			t.Cleanup(goOn) // before the server is ended
			s.write(t, "a-1", 3)
			var subs []*subscriber
			for _, query := range []string{"category=a", "stream=a-1", "all=true&position=0"} {
				sub := s.subscribe(t, query)
				sub.pokes(3)
				subs = append(subs, sub)
			}
			for _, query := range []string{"category=a&position=4", "stream=a-1&position=3", "category=a&position=100", "all=true"} {
				subs = append(subs, s.subscribe(t, query))
			}
			imported := make(chan string, 1)
			go func() {
				lines := record(1, "a-1", 0, 1) + record(2, "a-1", 1, 2) + record(3, "a-1", 2, 3)
				imported <- s.importLines(t, "?force=true", lines)
			}()
			<-db.replaced
			s.write(t, "a-1", 2)
			subs = append(subs, s.subscribe(t, "category=a&position=4"))
			for _, sub := range subs {
				sub.wantPokes(poke{"a-1", 3, 4}, poke{"a-1", 4, 5})
			}
			subs = append(subs, s.subscribe(t, "all=true"), s.subscribe(t, "category=a&position=6"))
			goOn()
			if got := <-imported; !strings.Contains(got, `"done":true,"imported":3`) {
				t.Errorf("frames %q", got)
			}
			s.write(t, "a-1", 1)
			for _, sub := range subs {
				sub.wantPokes(poke{"a-1", 5, 6})
			}
		})
	}
}

// TestImportEndsWithItsNamespace deletes the namespace of an import that has
// begun, and creates another of the same name: nothing more gets into it.
func TestImportEndsWithItsNamespace(t *testing.T) {
	for _, query := range []string{"?token=" + otherToken, "?force=true&token=" + otherToken} {
		limited(t, server.Options{}, Limits{}, func(t *testing.T, s store) {
			body, lines := io.Pipe()
			begun := make(chan *http.Response, 1)
			go func() { begun <- s.beginImport(t, query, body) }()
			for i := range 1500 {
				if _, err := io.WriteString(lines, record(i, "a-1", i, i+1)); err != nil {
					t.Error(err)
				}
			}
			resp := <-begun // a frame: the namespace is there, and 1000 messages are in
			if resp == nil {
				t.FailNow()
			}
			create := `["ns.create","other",{"token":"` + otherToken[:len(otherToken)-1] + `2"}]`
			for _, call := range []string{`["ns.delete","other"]`, create} {
				if status, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(call)); status != 200 {
					t.Errorf("%s: %d %s", call, status, answer)
				}
			}
			for i := 1500; i < 2500; i++ {
				if _, err := io.WriteString(lines, record(i, "a-1", i, i+1)); err != nil {
					break // the import has ended
				}
			}
			_ = lines.Close()
			if got := readFrames(t, resp); !strings.Contains(got, `"error":"IMPORT_FAILED"`) {
				t.Errorf("frames %.500q", got)
			}
			if _, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["ns.info","other"]`)); !strings.Contains(answer, `"messageCount":0`) {
				t.Errorf("the new namespace: %s", answer)
			}
		})
	}
}
