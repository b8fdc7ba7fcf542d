package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/profiles/subject"
)

// TestAgainCommand holds that a shell reads the command as what was asked for, with
// the programs in the working directory and without what becomes of the result.
func TestAgainCommand(t *testing.T) {
	var o gateOptions
	cmd := newGateCmd()
	err := cmd.ParseFlags([]string{
		"--base=git:main", "--head=git:HEAD", "--start={out} -listen {addr}", "--format=github", "--programs=keep",
		"--config=keep/found.yaml", "--env=GREETING=good day", "--metric=p99=10%", "--max-time=2m", "--tls",
	})
	if err != nil {
		t.Fatal(err)
	}
	base, err := o.subjects.settings("base", nil).stranger("/cache/1/server", nil)
	if err != nil {
		t.Fatal(err)
	}
	base.Name, base.Program = "base", "/cache/1/server"
	head := subject.Exec{
		Name: "head", Program: "/cache/2/server",
		Command: []string{"sh", "-c", `exec "$@" 2>/dev/null`, "x", "/cache/2/server", "-listen={addr}"},
	}
	got := againCommand("keep", []subject.Target{base, head}, givenFlags(cmd.Flags()))
	words, err := subject.SplitCommand(got)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"eventobench", "gate", "--base=base=exec:./base", "--env=base:PORT={port}",
		`--head=head=exec:sh -c 'exec "$@" 2>/dev/null' x ./head -listen={addr}`,
		"--config=./found.yaml", "--env=GREETING=good day", "--max-time=2m0s", "--metric=p99=10%", "--tls=true",
	}
	if diff := cmp.Diff(want, words); diff != "" {
		t.Errorf("%s\n%s", got, diff)
	}
}

// TestAgainStore: the store stays one, so that its own requests are sent to it.
func TestAgainStore(t *testing.T) {
	e, err := builtStore("/cache/1/server", map[string]string{"transport": "fasthttp", "codec": "std"})
	if err != nil {
		t.Fatal(err)
	}
	e.Name, e.Program = "base", "/cache/1/server"
	const want = "base=builtin:transport=fasthttp,codec=std,store=sqlite::memory:,binary=./base"
	spec := againSpec(e)
	if spec != want {
		t.Errorf("%s, want %s", spec, want)
	}
	parsed, err := subject.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := storeOf(parsed)
	if err != nil || again.Command[0] != "./base" || again.Options["codec"] != "std" {
		t.Errorf("%+v (%v)", again, err)
	}
}

// TestSide: what is given wins, but for the package that it leaves open.
func TestSide(t *testing.T) {
	c := projectConfig{Subjects: subjectList{"old=git:v1:./cmd/server", "new=go:./cmd/server", "other=exec:./x"}}
	for _, tt := range []struct{ given, configured, want string }{
		{"", "old", "old=git:v1:./cmd/server"},
		{"", "", ""},
		{"new", "old", "new=go:./cmd/server"},
		{"base=git:abc", "old", "base=git:abc:./cmd/server"},
		{"git:abc,go=1.26.7", "go:./cmd/server", "git:abc:./cmd/server,go=1.26.7"},
		{"git=go:,go=1.26.7", "old", "git=go:./cmd/server,go=1.26.7"},
		{"git:abc:./cmd/admin", "old", "git:abc:./cmd/admin"},
		{"git:abc", "other", "git:abc"},
		{"git:abc", "", "git:abc"},
		{"exec:./y", "old", "exec:./y"},
		{"git:", "old", "git:"},
	} {
		if got := c.side(tt.given, tt.configured); got != tt.want {
			t.Errorf("%q over %q is %q, want %q", tt.given, tt.configured, got, tt.want)
		}
	}
}
