package workload

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/loadgen"
)

func at(d time.Duration) *int64 {
	ns := d.Nanoseconds()
	return &ns
}

// harOf is a recording of one request.
func harOf(started, url string) string {
	return fmt.Sprintf(`{"log":{"entries":[{"startedDateTime":%q,`+
		`"request":{"method":"GET","url":%q},"response":{"status":200}}]}}`, started, url)
}

func TestImportsHAR(t *testing.T) {
	const file = "testdata/recording.har"
	header := http.Header{"Accept-Encoding": {"br"}, "X-A": {"2", "1"}}
	want := Recording{
		Targets: []Target{
			{Method: "POST", URL: "https://shop/order", Header: header, Body: []byte("hé"), At: at(0)},
			{Method: "GET", URL: "https://shop/b?c=d", Header: http.Header{}, At: at(1250 * time.Millisecond)},
			{Method: "POST", URL: "https://shop/form", Header: http.Header{}, Body: []byte("a+b=1%262&c="),
				At: at(1750 * time.Millisecond)},
		},
		Notes: []string{
			"left out 1 request that was answered with status 404", "left out 1 request that was not HTTP",
			"left out 1 request that was not answered",
			"left out 1 request to cdn:444", "left out 1 request whose body is not in the recording",
		},
	}
	got, err := Import(file, "")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	got, err = Import(file, "cdn:444")
	if err != nil || len(got.Targets) != 1 || got.Targets[0].URL != "https://cdn:444/x" {
		t.Errorf("of cdn:444: %v, %v", got, err)
	}
}

// TestBodyNotSaved: a request that says that it had a body is not sent without it.
func TestBodyNotSaved(t *testing.T) {
	for more, taken := range map[string]bool{
		``:              true,
		`,"bodySize":0`: true, `,"bodySize":-1`: true, `,"bodySize":7`: false,
		`,"bodySize":7,"postData":{"text":""}`:                                          false,
		`,"bodySize":7,"postData":{"text":"a b c d"}`:                                   true,
		`,"headers":[{"name":"content-length","value":"52431"}]`:                        false,
		`,"headers":[{"name":"Content-Length","value":"52431"}],"postData":{"text":""}`: false,
		`,"headers":[{"name":"Content-Length","value":"0"}]`:                            true,
	} {
		text := strings.Replace(harOf("2026-11-24T10:00:00Z", "http://h/"), `"GET"`, `"POST"`+more, 1)
		got, err := parseRecording("r", text, "")
		if taken && (err != nil || len(got.Targets) != 1) {
			t.Errorf("%s: %v, %v", more, got, err)
		}
		const why = "r: no requests to take; left out 1 request whose body is not in the recording"
		if !taken && fmt.Sprint(err) != why {
			t.Errorf("%s: %v, %v, want %s", more, got, err, why)
		}
	}
}

func TestImportsLogs(t *testing.T) {
	text := strings.Join([]string{
		`1.2.3.4 - - [24/Nov/2026:10:00:01 +0000] "GET /a?b=c HTTP/1.1" 200 12`,
		`::1 - ann [24/Nov/2026:12:00:00 +0200] "HEAD /first HTTP/2.0" 304 - "https://r/\"x\"" "Agent \x41"`,
		`h - - [24/Nov/2026:10:00:01 +0000] "GET /b HTTP/1.1" 200 - "-" "-" 0.003 upstream`,
		`h - - [24/Nov/2026:10:00:03 +0000] "POST /c HTTP/1.1" 200 1`,
		`h - - [24/Nov/2026:10:00:03 +0000] "GET /d HTTP/1.1" 503 1`,
		`h - - [24/Nov/2026:10:00:03 +0000] "\x16\x03\x01" 200 1`,
		`h - - [24/Nov/2026:10:00:03 +0000] "-" 408 -`,
		`h - - [24/Nov/2026:10:00:03 +0000] "OPTIONS * HTTP/1.1" 200 -`,
		``,
		`h - - [24/Nov/2026:10:00:03 +0000] "GET /e HTTP/1.1" 200 1`,
	}, "\r\n")
	want := Recording{
		Targets: []Target{
			{Method: "HEAD", URL: "/first", At: at(0),
				Header: http.Header{"Referer": {`https://r/"x"`}, "User-Agent": {"Agent A"}}},
			{Method: "GET", URL: "/a?b=c", Header: http.Header{}, At: at(time.Second)},
			{Method: "GET", URL: "/b", Header: http.Header{}, At: at(1500 * time.Millisecond)},
			{Method: "GET", URL: "/e", Header: http.Header{}, At: at(3 * time.Second)},
		},
		Notes: []string{
			"left out 2 requests without a request line",
			`left out 1 request that cannot be sent (bad URL "*": write http://HOST/PATH, or /PATH)`,
			"left out 1 request that was answered with status 503",
			"left out 1 request with method POST, whose bodies are not in a log",
		},
	}
	for _, data := range []string{text, utf16le(text)} {
		decoded, err := decodeLog("r", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseRecording("r", decoded, "")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

// TestLogNotUTF8: bytes that are not UTF-8, escaped or not, do not keep a log from being
// imported. Of a target they are escaped.
func TestLogNotUTF8(t *testing.T) {
	for _, e := range []string{`\xE9`, "\xe9"} {
		text := `h - - [24/Nov/2026:10:00:03 +0000] "GET /search?q=caf` + e + ` HTTP/1.1" 200 1 "-" "Agent ` + e + `"`
		decoded, err := decodeLog("r", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want := Recording{
			Targets: []Target{{Method: "GET", URL: "/search?q=caf%E9", Header: http.Header{}, At: at(0)}},
			Notes:   []string{"left out 1 User-Agent not in UTF-8"},
		}
		got, err := parseRecording("r", decoded, "")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", e, err, diff)
		}
		if err := WriteTargets(io.Discard, got.Targets); err != nil {
			t.Errorf("%q: %v", e, err)
		}
	}
}

func TestRefusesRecordings(t *testing.T) {
	const fine = `h - - [24/Nov/2026:10:00:03 +0000] "GET /e HTTP/1.1" 200 1`
	for _, c := range []struct{ text, host, want string }{
		{"", "", "r: no requests to take; it is empty"},
		{fine + "\n  nonsense", "",
			`r:2:3: want HOST IDENT USER [TIME] "METHOD PATH PROTOCOL" STATUS SIZE, not "nonsense"`},
		{strings.Replace(fine, "Nov", "Nev", 1), "",
			`r:1:8: the time is "24/Nev/2026:10:00:03 +0000"; want one such as 24/Nov/2026:10:00:00 +0000`},
		{fine, "h", "r: an access log tells no hosts to choose from; leave out --host"},
		{strings.Replace(fine, "200", "500", 1), "",
			"r: no requests to take; left out 1 request that was answered with status 500"},
		{" {}", "", `r:1:2: no HAR: it has no "log"`},
		{"{\n\"log\": 7}", "", "r:2:8: log must not be a number"},
		{`{"log": {`, "", "r:1:10: no JSON: unexpected EOF"},
		{`{"log":{}}`, "", "r: no requests to take; it is empty"},
		{harOf("noon", "http://h/"), "",
			`r:1:39: the time of a request is "noon"; want one such as 2026-11-24T10:00:00.123Z`},
		{harOf("2026-11-24T10:00:00Z", "http://h/"), "x", "r: no requests to x; there are some to h"},
	} {
		got, err := parseRecording("r", c.text, c.host)
		if fmt.Sprint(err) != c.want {
			t.Errorf("%.100q:\n got %v, %v\nwant %s", c.text, got, err, c.want)
		}
	}
}

// What was imported is read as targets, in a rhythm that Replay keeps.
func TestReplayOfTargets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.jsonl")
	read := func(times ...any) (*Requests, error) {
		var text bytes.Buffer
		for i, at := range times {
			target := Target{Method: "GET", URL: fmt.Sprintf("/%d", i)}
			if ns, ok := at.(int); ok {
				long := int64(ns) * 1e6
				target.At = &long
			}
			if err := WriteTargets(&text, []Target{target}); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return ReadTargets(file)
	}
	r, err := read(100, 200, 200, 400)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := r.Replay(2)
	if err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	due, length := twice.Times()
	diff := cmp.Diff([]time.Duration{0, 50 * ms, 50 * ms, 150 * ms}, due)
	if diff != "" || length != 200*ms || twice.Rate() != 20 {
		t.Errorf("the length is %v, the rate %v/s%s", length, twice.Rate(), diff)
	}
	if want := r.Name() + ", replayed at 2 times the speed"; twice.Name() != want {
		t.Errorf("it is named %s, want %s", twice.Name(), want)
	}
	req := loadgen.Request{Number: 6}
	if kind := twice.Source(1, 3).Next(&req); kind != 2 || req.Target != "/2" {
		t.Errorf("request 6 is %s of kind %d", req.Target, kind)
	}
	for _, c := range []struct {
		times []any
		speed float64
		want  string
	}{
		{[]any{1, nil}, 1, "cannot be replayed: not every target has a time (at_ns)"},
		{[]any{1}, 1, "cannot be replayed: all its requests have the same time"},
		{[]any{1, 1}, 1, "cannot be replayed: all its requests have the same time"},
		{[]any{2, 1}, 1, "the times (at_ns) are not in order"},
		{[]any{1, 2}, 0, "a recording cannot be replayed at 0 times its speed"},
	} {
		r, err := read(c.times...)
		if err == nil {
			_, err = r.Replay(c.speed)
		}
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%v: %v, want %s", c.times, err, c.want)
		}
	}
}

// Whatever is imported can be written, read again and sent.
func FuzzImport(f *testing.F) {
	f.Add(harOf("2026-11-24T10:00:00Z", "http://h/"))
	f.Add(`h - - [24/Nov/2026:10:00:03 +0000] "GET /e HTTP/1.1" 200 1 "a\"\x41" "b"`)
	f.Add(`h - - [24/Nov/2026:10:00:03 +0000] "GET /\xE9?q=` + "\xe9" + ` HTTP/1.1" 200 1 "\xE9" "` + "\xe9" + `"`)
	f.Fuzz(func(t *testing.T, text string) {
		recording, err := parseRecording("r", text, "")
		if err != nil {
			if text := err.Error(); !strings.HasPrefix(text, "r:") || strings.Contains(text, "\n") {
				t.Errorf("an error without place, or of several lines: %v", err)
			}
			return
		}
		var written bytes.Buffer
		if err := WriteTargets(&written, recording.Targets); err != nil {
			t.Fatal(err)
		}
		again, err := parseText(written.String())
		if err != nil {
			t.Fatalf("%v: %s", err, &written)
		}
		r, err := newRequests("", again)
		if err != nil || len(r.at) != len(recording.Targets) {
			t.Fatalf("%d of %d with times, %v", len(r.at), len(recording.Targets), err)
		}
	})
}

func TestLeftOut(t *testing.T) {
	for _, tt := range []struct {
		n               int
		what, why, want string
	}{
		{1, "request", "that was not answered", "left out 1 request that was not answered"},
		{2, "request", "that was not answered", "left out 2 requests that were not answered"},
		{2, "Referer", "not in UTF-8", "left out 2 Referers not in UTF-8"},
		{2, "request", "to cdn:444", "left out 2 requests to cdn:444"},
	} {
		if got := (omission{tt.what, tt.why}).times(tt.n); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
