package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/server"
)

// TestExportAndImport carries a store's messages to another one and back, and
// wants the same lines.
func TestExportAndImport(t *testing.T) {
	a, b := startServe(t, "--test-mode", "--transport=fasthttp"), startServe(t, "--test-mode")
	const messages = 2100 // three pages
	for i := range messages {
		a.call(t, "", fmt.Sprintf(`["stream.write","%s-%d",{"type":"T","data":{"n":%d.0},"metadata":{"b":1,"a":2}}]`, []string{"x", "y"}[i%2], i%7, i))
	}
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	run := func(want string, args ...string) {
		t.Helper()
		if text, err := exec.CommandContext(t.Context(), "eventobench", args...).CombinedOutput(); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v: %s (%v), want %q", args, text, err, want)
		}
	}
	run("exported 2100 messages\n", "export", "--url="+a.url, "--out="+first)
	run("imported 2100 messages\n", "import", "--url="+b.url, first)
	run("exported 2100 messages\n", "export", "--url="+b.url, "--out="+second)
	lines := readFile(t, first)
	if again := readFile(t, second); again != lines || strings.Count(lines, "\n") != messages {
		t.Errorf("%d lines, and after import and export again %d; the same: %v", strings.Count(lines, "\n"), strings.Count(again, "\n"), again == lines)
	}
	run("", "export", "--url="+b.url, "--out="+second, "--category=x")
	if n := strings.Count(readFile(t, second), "\n"); n != messages/2 {
		t.Errorf("%d lines of one category", n)
	}
	run("imported 1050 messages\n", "import", "--url="+b.url, "--force", second)
	for _, bad := range [][]string{
		{"import", "--url=" + b.url, second},
		{"import", "--url=" + b.url, filepath.Join(dir, "missing")},
		{"import", "--url=http://127.0.0.1:1", second},
		{"export", "--url=http://127.0.0.1:1", "--out=" + filepath.Join(dir, "none")},
	} {
		text, err := exec.CommandContext(t.Context(), "eventobench", bad...).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(text), "eventobench: ") || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%v: %s (%v)", bad, text, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a failed export left a file")
	}
	a.stop(t)
	b.stop(t)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLargeMessagesAreCarried carries a message of 3 MiB, one of the greatest
// depth and one with a long name from a store with few messages per answer to
// another one with the default limits.
func TestLargeMessagesAreCarried(t *testing.T) {
	a := startServe(t, "--test-mode", "--max-body=8388608", "--max-batch=2")
	b := startServe(t, "--test-mode", "--codec=std", "--transport=fasthttp")
	name, depth := strings.Repeat("x", 100_000), server.MaxDepth-1
	for i, message := range []string{
		`"a-1",{"type":"T","data":{"x":"` + strings.Repeat("x", 3<<20) + `"}}`,
		`"a-1",{"type":"T","data":{"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}}`,
		`"a-` + name + `",{"type":"T","data":{}}`,
	} {
		got := a.call(t, "", `["stream.write",`+message+`]`)
		if !strings.Contains(got, fmt.Sprintf(`"globalPosition":%d}`, i+1)) {
			t.Fatalf("message %d: %.300s", i, got)
		}
	}
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	for _, args := range [][]string{
		{"export", "--url=" + a.url, "--out=" + first},
		{"import", "--url=" + b.url, first},
		{"export", "--url=" + b.url, "--out=" + second},
	} {
		if text, err := exec.CommandContext(t.Context(), "eventobench", args...).CombinedOutput(); err != nil {
			t.Errorf("%v: %.300s (%v)", args, text, err)
		}
	}
	if lines := readFile(t, first); strings.Count(lines, "\n") != 3 || lines != readFile(t, second) {
		t.Errorf("%d lines, or other ones after an import and an export", strings.Count(lines, "\n"))
	}
	wantImportFailure(t, b, first, ": line 1: POSITION_EXISTS: ")
	last := filepath.Join(dir, "last")
	lines := strings.SplitAfter(readFile(t, first), "\n")
	if err := os.WriteFile(last, []byte("\n\n"+lines[2]), 0o600); err != nil {
		t.Fatal(err)
	}
	wantImportFailure(t, b, last, `position 0 of stream "a-`+name+`" is taken`)
	a.stop(t)
	b.stop(t)
}

// TestImportNamesTheEncoding imports what PowerShell and some editors write.
func TestImportNamesTheEncoding(t *testing.T) {
	s := startServe(t, "--test-mode")
	for text, want := range map[string]string{
		"\xef\xbb\xbf{}\n":              ": line 1: INVALID_JSON: The text is UTF-8 with a byte order mark; convert it to UTF-8",
		"\xff\xfe{\x00}\x00\n\x00":      ": line 1: INVALID_JSON: The text is UTF-16; convert it to UTF-8 without a byte order mark",
		"\n{\"id\":1}\n":                ": line 2: INVALID_RECORD: Record: id must be a string",
		"\n\n" + strings.Repeat("[", 9): ": line 3: INVALID_JSON: ",
	} {
		path := filepath.Join(t.TempDir(), "events")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		wantImportFailure(t, s, path, want)
	}
	s.stop(t)
}

// wantImportFailure imports a file, which must fail with one line that names the
// file and has the text wanted.
func wantImportFailure(t *testing.T, s *serving, path, want string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "eventobench", "import", "--url="+s.url, path)
	out, err := cmd.CombinedOutput()
	text, begin := string(out), "eventobench: importing "+path+": "
	if err == nil || !strings.HasPrefix(text, begin) || !strings.Contains(text, want) || strings.Count(text, "\n") != 1 {
		t.Errorf("it says %.500q (%v), want %s…%.200s", text, err, begin, want)
	}
}
