package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
