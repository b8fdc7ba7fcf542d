package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// fill puts n messages with about size bytes of data each into the store of the
// default namespace, in turn into the streams a-0 to a-3.
func (s store) fill(t *testing.T, n, size int) {
	t.Helper()
	padding := strings.Repeat("x", size)
	records := make([]server.Record, n)
	for i := range records {
		r := &records[i]
		r.ID, r.Stream, r.Type, r.Time = uuid.Must(uuid.NewV7()), fmt.Sprintf("a-%d", i%4), "T", time.Unix(1e9, 0)
		r.Data, r.Metadata = fmt.Appendf(nil, `{"n":%d,"p":"%s"}`, i, padding),
			fmt.Appendf(nil, `{"correlationStreamName":"w%d-1"}`, i%3)
		r.Position = server.Position{Position: int64(i / 4), GlobalPosition: int64(i + 1)}
	}
	if err := s.db.Import(t.Context(), server.DefaultNamespace, records); err != nil {
		t.Fatal(err)
	}
}

// open makes a call and returns its answer as it comes.
func (s store) open(t *testing.T, call string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/rpc", strings.NewReader(call))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+defaultToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "application/json" {
		t.Fatalf("%s: %d %s", call, resp.StatusCode, got)
	}
	return resp
}

// TestLongAnswers holds that an answer of many parts has every row once and in
// order, whatever selects them.
func TestLongAnswers(t *testing.T) {
	const messages = 1200 // about 250 KB
	tests := []struct {
		call string
		want func(n int) bool // whether it has message n
	}{
		{`["stream.get","a-1",{"batchSize":-1}]`, func(n int) bool { return n%4 == 1 }},
		{`["stream.get","a-1",{"batchSize":0,"position":20}]`, func(n int) bool { return n%4 == 1 && n/4 >= 20 }},
		{`["stream.get","a-1",{"batchSize":250}]`, func(n int) bool { return n%4 == 1 && n/4 < 250 }},
		{`["category.get","a",{"batchSize":-1}]`, func(int) bool { return true }},
		{`["category.get","",{"batchSize":1100,"position":50}]`, func(n int) bool { return n >= 49 && n < 1149 }},
		{`["category.get","a",{"batchSize":-1,"correlation":"w2"}]`, func(n int) bool { return n%3 == 2 }},
		{`["category.get","a",{"batchSize":-1,"consumerGroup":{"member":1,"size":2}}]`, func(n int) bool { return n%2 == 0 }},
	}
	matrix(t, false, func(t *testing.T, s store) {
		s.fill(t, messages, 1000)
		for _, tt := range tests {
			var rows []json.RawMessage
			if err := json.NewDecoder(s.open(t, tt.call).Body).Decode(&rows); err != nil {
				t.Errorf("%s: %v", tt.call, err)
			}
			next := 0
			for n := range messages {
				if tt.want(n) && next < len(rows) && bytes.Contains(rows[next], fmt.Appendf(nil, `{"n":%d,`, n)) {
					next++
				} else if tt.want(n) {
					t.Errorf("%s: row %d of %d is not message %d", tt.call, next, len(rows), n)
					break
				}
			}
			if next != len(rows) {
				t.Errorf("%s: %d rows, want %d", tt.call, len(rows), next)
			}
		}
	})
}

// TestLongAnswersNeedLittleMemory reads an answer of 16 MB and looks at the
// heap on the way. The client and the store are in the same process.
func TestLongAnswersNeedLittleMemory(t *testing.T) {
	testlong.NotRaced(t, "the detector needs memory of its own")
	const messages, size, most = 500, 32_000, 8 << 20
	matrix(t, false, func(t *testing.T, s store) {
		s.fill(t, messages, size)
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		before, peak, read := stats.HeapAlloc, stats.HeapAlloc, 0
		body := s.open(t, `["category.get","",{"batchSize":-1}]`).Body
		buf := make([]byte, 1<<20)
		for err := error(nil); err == nil; {
			var n int
			n, err = io.ReadFull(body, buf)
			read += n
			runtime.ReadMemStats(&stats)
			peak = max(peak, stats.HeapAlloc)
			if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
				t.Error(err)
			}
		}
		if read < messages*size || peak-before > most {
			t.Errorf("%d bytes were read, and the heap grew by %d", read, peak-before)
		}
	})
}

// TestStalledReadersHoldNothing leaves many long answers unread: writers and
// readers go on, and the stalled clients are cut off before the end.
func TestStalledReadersHoldNothing(t *testing.T) {
	const stalled = 25 // more than a store has connections to read with
	for _, where := range []string{"memory", "file"} {
		for _, kind := range kinds {
			t.Run(string(kind)+"/"+where, func(t *testing.T) {
				path := sqlite.Memory
				if where == "file" {
					path = t.TempDir() + "/events.db"
				}
				s := startLimited(t, kind, path, server.Options{Codec: server.CodecRaw, TestMode: true, Token: defaultToken}, Limits{Send: 500 * time.Millisecond})
				s.fill(t, 300, 32_000)
				call := `["category.get","a",{"batchSize":-1}]`
				request := fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(call), call)
				conns := map[string]net.Conn{}
				for range stalled {
					conn := s.dial(t, request)
					if _, err := conn.Read(make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
					conns[conn.LocalAddr().String()] = conn
				}
				s.write(t, "b-1", 20)
				s.wantAnswer(t, `["stream.version","b-1"]`, "19")
				for len(conns) > 0 {
					addr := <-s.closed
					if conn := conns[addr]; conn != nil {
						text, err := io.ReadAll(conn) // what the sockets held
						if bytes.HasSuffix(text, []byte("0\r\n\r\n")) {
							t.Errorf("all of %d bytes were sent (%v)", len(text), err)
						}
						delete(conns, addr)
					}
				}
			})
		}
	}
}

// TestAnswersAreCutShortVisibly deletes a namespace while a long answer from it
// is on its way: the client must see that it does not have all of it.
func TestAnswersAreCutShortVisibly(t *testing.T) {
	matrix(t, true, func(t *testing.T, s store) {
		s.fill(t, 300, 32_000)
		body := s.open(t, `["category.get","",{"batchSize":-1}]`).Body
		if status, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["ns.delete","default"]`)); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		text, err := io.ReadAll(body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || json.Valid(text) {
			t.Errorf("%d bytes came, ending with %v", len(text), err)
		}
	})
}

// TestLongAnswersToOldClients asks with HTTP/1.0, which has no chunks.
func TestLongAnswersToOldClients(t *testing.T) {
	limited(t, server.Options{}, Limits{}, func(t *testing.T, s store) {
		s.fill(t, 100, 10_000)
		call := `["category.get","a",{"batchSize":-1}]`
		answer, err := io.ReadAll(s.dial(t, fmt.Sprintf("POST /rpc HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(call), call)))
		_, rows, _ := strings.Cut(string(answer), "\r\n\r\n")
		var decoded []any
		if err != nil || json.Unmarshal([]byte(rows), &decoded) != nil || len(decoded) != 100 {
			t.Errorf("%d rows in %d bytes (%v): %.300s", len(decoded), len(answer), err, answer)
		}
	})
}
