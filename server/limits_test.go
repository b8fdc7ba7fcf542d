package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// codecCores are cores with all codecs that take bodies larger than a message.
func codecCores(t *testing.T) map[server.Codec]*server.Core {
	t.Helper()
	cores := map[server.Codec]*server.Core{}
	for _, codec := range server.Codecs() {
		cores[codec] = newCoreWith(t, server.Options{Codec: codec, MaxBody: 4 * server.MaxLine})
	}
	return cores
}

// exportLine is the only message of a core as export writes it.
func exportLine(t *testing.T, core *server.Core) []byte {
	t.Helper()
	_, answer := callWhole(t, core, []byte(`["category.get",""]`))
	var rows [][]json.RawMessage
	if err := json.Unmarshal(answer, &rows); err != nil || len(rows) != 1 {
		t.Fatalf("%d rows (%v)", len(rows), err)
	}
	r := rows[0]
	return fmt.Appendf(nil, `{"id":%s,"stream":%s,"type":%s,"pos":%s,"gpos":%s,"data":%s,"meta":%s,"time":%s}`,
		r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7])
}

// importLine replaces all messages of a core and returns the last frame.
func importLine(t *testing.T, core *server.Core, line []byte) string {
	t.Helper()
	im, err := core.Import(t.Context(), cred, "true", bytes.NewReader(append(line, "\r\n"...)))
	if err != nil {
		t.Fatal(err)
	}
	var sent frames
	if err := im.Run(t.Context(), &sent); err != nil || len(sent) != 1 {
		t.Fatalf("frames %.300q (%v)", sent, err)
	}
	return sent[0]
}

// nested is a JSON object that is nested n deep.
func nested(n int) string {
	return strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1)
}

// frameSize is the size of a line with two empty names, no data and metadata
// null.
const frameSize = len(`{"id":"00000000-0000-4000-8000-000000000000","stream":"","type":"","pos":9007199254740991,` +
	`"gpos":9007199254740991,"data":,"meta":null,"time":"2000-01-02T03:04:05.123456789Z"}`)

// TestWhatIsWrittenCanBeImported writes messages at and over each limit. What
// is accepted comes back from an export through an import as it was; what is
// refused by a write is refused by an import.
func TestWhatIsWrittenCanBeImported(t *testing.T) {
	testlong.NotRaced(t, "it is about sizes, one request after the other")
	fill := func(size int) string { return strings.Repeat("x", size) }
	room := server.MaxLine - frameSize
	const separators = 1000 // take 3 bytes each in a body, and 6 in a line
	escaped := "a-" + strings.Repeat("\u2028", separators)
	tests := []struct {
		name, stream, kind, data, metadata string
		accepted                           bool
	}{
		{"data", "a-1", "T", `{"x":"` + fill(room-len(`a-1T{"x":""}`)) + `"}`, "null", true},
		{"data, one more", "a-1", "T", `{"x":"` + fill(room-len(`a-1T{"x":""}`)+1) + `"}`, "null", false},
		{"metadata, one more", "a-1", "T", "{}", `{"x":"` + fill(room+len("null")-len(`a-1T{}{"x":""}`)+1) + `"}`, false},
		{"stream, one more", fill(room - len("T{}") + 1), "T", "{}", "null", false},
		{"type, one more", "a-1", fill(room - len("a-1{}") + 1), "{}", "null", false},
		{"escaped", escaped, fill(room - 6*separators - len("a-{}")), "{}", "null", true},
		{"escaped, one more", escaped, fill(room - 6*separators - len("a-{}") + 1), "{}", "null", false},
		{"deep data", "a-1", "T", nested(server.MaxDepth), "null", true},
		{"deep data, one more", "a-1", "T", nested(server.MaxDepth + 1), "null", false},
		{"deep metadata", "a-1", "T", "{}", nested(server.MaxDepth), true},
		{"deep metadata, one more", "a-1", "T", "{}", nested(server.MaxDepth + 1), false},
		{"no depth", "a-1", "T", `{"x":"` + strings.Repeat(`[\"`, server.MaxDepth+1) + `"}`, "null", true},
	}
	for codec, core := range codecCores(t) {
		decides := codec == server.CodecRaw || codec == server.CodecStd && testlong.On()
		for _, tt := range tests {
			const large = 1 << 20
			size := len(tt.stream) + len(tt.kind) + len(tt.data) + len(tt.metadata)
			if size > large && !decides {
				continue // codecs do not decide about sizes
			}
			importLine(t, core, nil) // empties it
			write := fmt.Appendf(nil, `["stream.write","%s",{"type":"%s","data":%s,"metadata":%s}]`,
				tt.stream, tt.kind, tt.data, tt.metadata)
			status, answer := callWhole(t, core, write)
			if status == 200 != tt.accepted || !tt.accepted && !strings.Contains(string(answer), `"INVALID_REQUEST"`) {
				t.Errorf("%s, %s: written with %d %.300s", codec, tt.name, status, answer)
			}
			line := fmt.Appendf(nil, `{"id":"00000000-0000-4000-8000-000000000001","stream":"%s","type":"%s",`+
				`"pos":0,"gpos":1,"data":%s,"meta":%s,"time":"2025-01-02T03:04:05Z"}`,
				tt.stream, tt.kind, tt.data, tt.metadata)
			if status == 200 {
				line = exportLine(t, core)
			}
			frame := importLine(t, core, line)
			if done := strings.Contains(frame, `"done":true,"imported":1,`); done != tt.accepted {
				t.Errorf("%s, %s: imported with %.300s", codec, tt.name, frame)
			}
			if tt.accepted && !bytes.Equal(exportLine(t, core), line) {
				t.Errorf("%s, %s: another line after the import", codec, tt.name)
			}
		}
	}
}

// TestImportTakesWhatItExports imports lines at and over the limits of their
// fields. What is taken is exported and imported again.
func TestImportTakesWhatItExports(t *testing.T) {
	const good = `{"id":"00000000-0000-4000-8000-000000000001","stream":"a-1","type":"T","pos":0,"gpos":1,` +
		`"data":{},"meta":null,"time":"2025-01-02T03:04:05Z"}`
	tests := []struct{ old, new, failure string }{
		{`"pos":0`, `"pos":9007199254740991`, ""},
		{`"pos":0`, `"pos":9007199254740992`, "pos or gpos is above 9007199254740991"},
		{`"gpos":1`, `"gpos":9007199254740991`, ""},
		{`"gpos":1`, `"gpos":9007199254740992`, "pos or gpos is above 9007199254740991"},
		{`"gpos":1`, `"gpos":9223372036854775807`, "pos or gpos is above 9007199254740991"},
		{`2025-01-02T03:04:05Z`, `1700-01-01T00:00:00Z`, ""},
		{`2025-01-02T03:04:05Z`, `1700-01-01T00:00:00+01:00`, "time must be an RFC 3339 time between 1700 and 2200"},
		{`2025-01-02T03:04:05Z`, `1699-12-31T23:30:00-01:00`, ""},
		{`2025-01-02T03:04:05Z`, `2200-12-31T23:59:59.999999999Z`, ""},
		{`2025-01-02T03:04:05Z`, `2200-12-31T23:59:59-01:00`, "time must be an RFC 3339 time between 1700 and 2200"},
		{`"id":"0`, `"id":"urn:uuid:0`, ""},
		{`"a-1"`, `"\u0000\u2028-\ud83d\ude00"`, ""},
		{`"meta":null`, `"meta":{"a":1,"a":2}`, ""},
		{good, good + strings.Repeat(" ", server.MaxLine-len(good)), ""},
		{good, strings.Repeat(" ", server.MaxLine+1-len(good)) + good, "The line is longer than 16777216 bytes"},
		{good, `"` + strings.Repeat("x", server.MaxLine) + `"`, "The line is longer than 16777216 bytes"},
	}
	for codec, core := range codecCores(t) {
		for _, tt := range tests {
			line := []byte(strings.Replace(good, tt.old, tt.new, 1))
			frame := importLine(t, core, line)
			if tt.failure != "" {
				if !strings.Contains(frame, tt.failure) || !strings.Contains(frame, `"line":1`) {
					t.Errorf("%s, %.60s: %.300s, want %s", codec, tt.new, frame, tt.failure)
				}
				continue
			}
			exported := exportLine(t, core)
			again := importLine(t, core, exported)
			if !strings.Contains(frame, `"imported":1`) || !strings.Contains(again, `"imported":1`) {
				t.Errorf("%s, %.60s: %.300s, and exported %.300s", codec, tt.new, frame, again)
			}
		}
	}
}

// TestEncodingsAreNamed imports texts that are not plain UTF-8.
func TestEncodingsAreNamed(t *testing.T) {
	utf16 := func(text string) (little, big string) {
		for _, c := range []byte(text) {
			little, big = little+string([]byte{c, 0}), big+string([]byte{0, c})
		}
		return little, big
	}
	little, big := utf16("{\"id\":1}\r\n")
	tests := []struct{ text, name string }{
		{"\xef\xbb\xbf{}", "UTF-8 with a byte order mark"},
		{"\xef\xbb\xbf", "UTF-8 with a byte order mark"},
		{"\xff\xfe" + little, "UTF-16"},
		{"\xfe\xff" + big, "UTF-16"},
		{little, "UTF-16"},
		{big, "UTF-16"},
		{"\xff\xfe\x00\x00{\x00\x00\x00", "UTF-32"},
		{"\x00\x00\xfe\xff\x00\x00\x00{", "UTF-32"},
		{"{\x00\x00\x00", "UTF-32"},
		{"\x00\x00\x00{", "UTF-32"},
	}
	core := newCoreWith(t, server.Options{Codec: server.CodecRaw})
	for _, tt := range tests {
		frame := importLine(t, core, []byte(tt.text))
		want := `data: {"error":"INVALID_JSON","message":"The text is ` + tt.name +
			"; convert it to UTF-8 without a byte order mark"
		if !strings.HasPrefix(frame, want) || !strings.Contains(frame, `"line":1}`) {
			t.Errorf("%q: %s", tt.text, frame)
		}
	}
	if frame := importLine(t, core, []byte("\n\n{\x01")); strings.Contains(frame, "UTF") || !strings.Contains(frame, `"line":3}`) {
		t.Errorf("other faults: %s", frame)
	}
}

// pokeCounter counts pokes and ends a subscription after some.
type pokeCounter struct {
	left, longest int
	end           context.CancelFunc
}

func (c *pokeCounter) Send(frames []byte) error {
	c.longest = max(c.longest, len(frames))
	c.left -= bytes.Count(frames, []byte("event: poke\n"))
	if c.left <= 0 {
		c.end()
	}
	return nil
}

// TestPokesOfLongNames subscribes to streams with long names: what is held at a
// time is bounded, and none is left out.
func TestPokesOfLongNames(t *testing.T) {
	core := newCoreWith(t, server.Options{Codec: server.CodecRaw})
	const streams, size = 50, 10_000
	for n := range streams {
		name := fmt.Sprintf("a-%d-%s", n, strings.Repeat("x", size))
		callWhole(t, core, fmt.Appendf(nil, `["stream.write",%q,{"type":"T","data":{}}]`, name))
	}
	params := map[string]string{"category": "a"}
	sub, err := core.Subscribe(t.Context(), cred, func(name string) string { return params[name] })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	counter := &pokeCounter{left: streams, end: cancel}
	if err := sub.Run(ctx, counter); err != nil || counter.left != 0 {
		t.Errorf("%d pokes are left (%v)", counter.left, err)
	}
	if counter.longest > 100_000 {
		t.Errorf("%d bytes at once", counter.longest)
	}
}

func newCoreWith(t testing.TB, o server.Options) *server.Core {
	t.Helper()
	return newCoreOn(t, openMemory(t), o)
}

// openMemory opens a store for the time of a test.
func openMemory(t testing.TB) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(sqlite.Memory, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func newCoreOn(t testing.TB, store server.Store, o server.Options) *server.Core {
	t.Helper()
	o.Token, o.Version = token, "test"
	core, _, err := server.NewCore(t.Context(), store, o)
	if err != nil {
		t.Fatal(err)
	}
	return core
}
