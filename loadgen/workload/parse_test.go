package workload

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// utf16le is a text as PowerShell writes it.
func utf16le(text string) string {
	b := []byte{0xff, 0xfe}
	for _, c := range utf16.Encode([]rune(text)) {
		b = append(b, byte(c), byte(c>>8))
	}
	return string(b)
}

// parseText reads targets from the bytes of a file. There is one file with a body.
func parseText(data string) ([]Target, error) {
	text, err := decodeText("t", []byte(data))
	if err != nil {
		return nil, err
	}
	return parseTargets("t", text, func(name string) ([]byte, error) {
		if name != "body" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte("BODY"), nil
	})
}

func TestReadsTargets(t *testing.T) {
	two := []Target{
		{Method: "POST", URL: "http://h/ü", Header: http.Header{"A": {"1"}}, Body: []byte("BODY")},
		{Method: "GET", URL: "/x", Header: http.Header{}},
	}
	const text = "POST http://h/ü\nA: 1\n@body\n\nGET /x\n"
	for name, data := range map[string]string{
		"plain":             text,
		"no newline at end": strings.TrimSuffix(text, "\n"),
		"CRLF":              strings.ReplaceAll(text, "\n", "\r\n"),
		"byte order mark":   "\ufeff" + text,
		"UTF-16":            utf16le(text),
		"UTF-16 and CRLF":   utf16le(strings.ReplaceAll(text, "\n", "\r\n")),
		"no blank line":     strings.ReplaceAll(text, "\n\n", "\n"),
		"comments":          "# c\n" + strings.Replace(text, "\nA", "\n# c\n// d\n  # e\nA", 1) + "# f",
		"many blank lines":  "\n\n" + strings.ReplaceAll(text, "\n\n", "\n \n\t\n\n"),
		"space around":      "  POST\t http://h/ü \n  A :1\n @body\n\nGET   /x  \n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseText(data)
			if diff := cmp.Diff(two, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestReadsJSONTargets(t *testing.T) {
	at := int64(5)
	want := []Target{
		{Method: "POST", URL: "http://h/", Header: http.Header{"a-B": {"2", "1"}}, Body: []byte("Foo")},
		{Method: "GET", URL: "/x", At: &at},
	}
	const text = `{"method":"POST","url":"http://h/","header":{"a-B":["2","1"]},"body":"Rm9v"}` + "\n" +
		`{"method":"GET","url":"/x","at_ns":5}` + "\n"
	for name, data := range map[string]string{
		"plain":             text,
		"no newline at end": strings.TrimSuffix(text, "\n"),
		"CRLF, blank lines": "\r\n" + strings.ReplaceAll(text, "\n", "\r\n\r\n"),
		"UTF-16":            utf16le(text),
		"over several":      strings.ReplaceAll(text, ",", ",\n"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseText(data)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// What cannot be read is refused with its place and what to do.
func TestRefusesTargets(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "t: no targets in it"},
		{"\ufeff\n# nothing\n\n", "t: no targets in it"},
		{"GET /a\n\nGET /b HTTP/1.1\n", `t:3:8: remove "HTTP/1.1": a URL ends its line`},
		{"GET\n", `t:1:1: "GET": want METHOD URL, such as GET http://localhost/`},
		{"http://h/\n", `t:1:1: "http://h/": want METHOD URL, such as GET http://localhost/`},
		{"get http://h/\n", `t:1:1: "get http://h/": want METHOD URL, such as GET http://localhost/`},
		{"  GET h/x\n", `t:1:7: bad URL "h/x": write http://HOST/PATH, or /PATH`},
		{"GET //h/x\n", `t:1:5: bad URL "//h/x": write http://HOST/PATH, or /PATH`},
		{"GET ftp://h/x\n", `t:1:5: bad URL "ftp://h/x": write http://HOST/PATH, or /PATH`},
		{"GET /%zz\n", `t:1:5: bad URL "/%zz": invalid URL escape "%zz"`},
		{"GET /a?b=c d\n", `t:1:5: bad URL "/a?b=c d": write %20 for a space`},
		{"GET /a\nnonsense\n",
			`t:2:1: "nonsense": want a header field (Name: value), @FILE with a body, or a blank line`},
		{"GET /a\nA: 1\n ü b: 2\n", `t:3:2: bad name of a header field: "ü b"`},
		{"GET /a\n: 2\n", `t:2:1: bad name of a header field: ""`},
		{"GET /a\nA: \x01\n", `t:2:1: bad value of header field A: "\x01"`},
		{"GET /a\n  @none\n", `t:2:4: reading the body: open none: file does not exist`},
		{"GET /ü\x00", "t:1:7: a zero byte: this is no text, or UTF-16 without a byte order mark; save it as UTF-8"},
		{"GET /ü\nA: caf\xe9\n", "t:2:7: the byte 0xe9 is not UTF-8; save the file as UTF-8"},
		{"{\"method\":\"GET\",\"url\":\"/\xff\"}", "t:1:25: the byte 0xff is not UTF-8; save the file as UTF-8"},
		{`[{"method":"GET","url":"/"}]`, `t:1:1: want an object per line, {"method": …, "url": …}, not [`},
		{`{"method":"GET","url":"/"}` + "\n7", `t:2:1: want an object per line, {"method": …, "url": …}, not number`},
		{"{\"method\":\"GET\",\n \"uri\":\"/\"}",
			`t:2:2: unknown name "uri"; a target has method, url, header, body and at_ns`},
		{`{"method":"GET"}`, `t:1:1: a target needs a "url"`},
		{` {"url":"/"}`, `t:1:2: a target needs a "method"`},
		{`{"method":"G T","url":"/"}`, `t:1:1: net/http: invalid method "G T"`},
		{`{"method":"GET","url":"x"}`, `t:1:1: bad URL "x": write http://HOST/PATH, or /PATH`},
		{`{"method":"GET","url":"/"`, `t:1:26: no JSON: unexpected EOF`},
		{`{"method":"GET","url":"/",}`, `t:1:26: no JSON: invalid character ',' at start of value`},
		{`{"method":7,"url":"/"}`, `t:1:11: method must not be a number`},
		{`{"method":"GET","url":"/","header":{"A":"1"}}`, `t:1:41: A must not be a string`},
		{`{"method":"GET","url":"/","header":{"A":[]}}`, `t:1:1: header field A has no value`},
		{`{"method":"GET","url":"/","body":"?"}`, `t:1:34: body: illegal base64 data at input byte 0`},
		{`{"method":"GET","url":"/","url":"/b"}`, `t:1:27: no JSON: duplicate object member name`},
	} {
		got, err := parseText(c.text)
		if fmt.Sprint(err) != c.want {
			t.Errorf("%q:\n got %v, %v\nwant %s", c.text, got, err, c.want)
		}
	}
}

// Bodies lie beside the targets or, as vegeta has it, in the working directory.
func TestBodyFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	for file, text := range map[string]string{
		filepath.Join(dir, "targets"): "POST /a\n@both\n\nPOST /b\n@here\n",
		filepath.Join(dir, "both"):    "beside", "both": "not this", "here": "working directory",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w, err := ReadTargets(filepath.Join(dir, "targets"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := string(w.all[0].Body), string(w.all[1].Body); a != "beside" || b != "working directory" {
		t.Errorf("the bodies are %q and %q", a, b)
	}
}

// The name tells workloads apart that send different requests, and no others.
func TestNameTellsContent(t *testing.T) {
	dir := t.TempDir()
	name := func(targets, body string) string {
		file := filepath.Join(dir, "targets")
		err := errors.Join(
			os.WriteFile(file, []byte(targets), 0o644), os.WriteFile(filepath.Join(dir, "b"), []byte(body), 0o644))
		w, readErr := ReadTargets(file)
		if errors.Join(err, readErr) != nil {
			t.Fatal(err, readErr)
		}
		return w.Name()
	}
	first := name("POST /a\n@b", "1")
	same := name("# comment\nPOST http://h:1/a\n@b\n", "1")
	if same != first || !strings.HasPrefix(first, "targets (sha256 ") {
		t.Errorf("%s and %s", first, same)
	}
	for _, other := range []string{name("POST /a\n@b", "2"), name("PUT /a\n@b", "1"), name("POST /a\nX: y\n@b", "1")} {
		if other == first {
			t.Errorf("%s twice", first)
		}
	}
}

func TestGroupKinds(t *testing.T) {
	numbered := func(format string, n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf(format, i))
		}
		return names
	}
	paths := func(letters string) (names []string) {
		for _, letter := range letters {
			names = append(names, "GET /"+string(letter))
		}
		return names
	}
	for _, c := range []struct {
		name  string
		names []string
		kinds []string
		of    []int
	}{
		{"equal names", []string{"GET /a", "POST /a", "GET /a"}, []string{"GET /a", "POST /a"}, []int{0, 1, 0}},
		{"few numbers", numbered("GET /%d", 12), numbered("GET /%d", 12), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"identifiers", append(numbered("GET /v1/cart/%d/item", 12), "PUT /x/0a1b2c3d-1", "PUT /deadbeef"),
			[]string{"GET /v1/cart/{id}/item", "PUT /x/{id}", "PUT /deadbeef"},
			[]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2}},
		{"too many", paths("abcdefghijklmml"),
			slices.Concat(paths("abcdefghi"), []string{"other"}, paths("lm")),
			[]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 11, 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kinds, of := groupKinds(c.names)
			if diff := cmp.Diff(c.kinds, kinds) + cmp.Diff(c.of, of); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever is read can be sent, and its place is known if it cannot.
func FuzzTargets(f *testing.F) {
	for _, file := range []string{"targets.txt", "targets.jsonl"} {
		text, err := os.ReadFile("testdata/vegeta/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		f.Add(utf16le(string(text)))
	}
	f.Add("GET /a\n: 2\nx\n@none")
	f.Add(`{"method":"GET","url":"/","header":{"A":[1]}}`)
	f.Fuzz(func(t *testing.T, data string) {
		targets, err := parseText(data)
		if err != nil {
			if text := err.Error(); !strings.HasPrefix(text, "t:") || strings.Contains(text, "\n") {
				t.Errorf("an error without place, or of several lines: %v", err)
			}
			return
		}
		r, err := newRequests("", targets)
		if err != nil {
			t.Fatalf("read without an error, but: %v", err)
		}
		for _, req := range r.all {
			checkWire(t, string(req.Wire("h")), string(req.Body))
		}
	})
}
