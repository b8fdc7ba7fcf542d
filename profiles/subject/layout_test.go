package subject

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testlong"
)

// link links a program with its functions in the order of a seed.
func link(t *testing.T, l *Linker, seed int64) string {
	t.Helper()
	built, err := l.Link(t.Context(), seed)
	if err != nil {
		t.Fatal(err)
	}
	return built.Program
}

// TestLinker: every seed gives another program that does the same, of a commit and of
// the working tree, whatever flags there are and whoever calls go build. Nothing is left.
func TestLinker(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	for _, tt := range []struct{ name, ref, command, goflags string }{
		{name: "a commit", ref: "HEAD"},
		{name: "the working tree", goflags: "-buildvcs=false '-ldflags=-s -w'"},
		{name: "flags of its own", command: "go build -trimpath -ldflags '-X main.x=1 -X \"main.y=a b\"' -o {out} ."},
		{name: "a script", command: "sh -c 'go build -ldflags=-s -o {out} .'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ref+tt.command == "" {
				testlong.Need(t) // it differs from a commit in what is linked, not in how
			}
			t.Setenv("GOFLAGS", tt.goflags)
			b := Build{Dir: dir, Ref: tt.ref, Command: tt.command, Cache: cache}
			built, err := b.Make(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			l, err := b.Linker(t.Context(), built)
			if err != nil {
				t.Fatal(err)
			}
			first := link(t, l, 1)
			one, err := hashFile(first)
			if err != nil {
				t.Fatal(err)
			}
			second := link(t, l, 2)
			out, err := exec.CommandContext(t.Context(), second).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != "second" {
				t.Errorf("%s prints %q (%v)", second, out, err)
			}
			if two, err := hashFile(second); err != nil || one == two {
				t.Errorf("the same program twice (%v)", err)
			}
			if _, err := os.Stat(first); !os.IsNotExist(err) {
				t.Errorf("the first program is left (%v)", err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	checkNoWorktrees(t, dir, cache)
	if left, _ := filepath.Glob(filepath.Join(cache, "builds", linksPrefix+"*")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestLinkerErrors: what cannot be linked in another order is said, in a line.
func TestLinkerErrors(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	for _, tt := range []struct{ command, after, want string }{
		{command: "sh -c 'GOFLAGS= go build -o {out} .'", want: "it does not hand GOFLAGS on to go build"},
		{command: "sh -c 'go build -o {out} . 2>/dev/null'", want: "or does not print what that prints"},
		{after: "package main\n\nfunc main() { println(\"changed\") }\n",
			want: "the source of the working tree changed while it was measured"},
	} {
		b := Build{Dir: dir, Command: tt.command, Cache: cache}
		built, err := b.Make(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if tt.after != "" {
			write(t, dir, "main.go", tt.after)
		}
		if _, err = b.Linker(t.Context(), built); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

// TestSameOrder: that functions really are in another order is read from the program.
func TestSameOrder(t *testing.T) {
	dir := repository(t)
	b := Build{Dir: dir, Cache: t.TempDir()}
	built, err := b.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := b.Linker(t.Context(), built)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := l.check(built.Program); err == nil || !strings.Contains(err.Error(), "gives functions no other order") {
		t.Errorf("error %v", err)
	}
}

// TestLinkerOfACommit: a branch that moves meanwhile is not followed.
func TestLinkerOfACommit(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	b := Build{Dir: dir, Ref: "HEAD", Cache: cache}
	built, err := b.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "main.go", "package main\n\nfunc main() { println(\"third\") }\n")
	commit(t, dir, "third")
	l, err := b.Linker(t.Context(), built)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	out, err := exec.CommandContext(t.Context(), link(t, l, 1)).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "second" {
		t.Errorf("prints %q (%v), want second", out, err)
	}
}

func TestFunctions(t *testing.T) {
	if order, _, err := functions("/bin/sh"); err == nil {
		t.Errorf("order %s of what is not Go's", order)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if order, names, err := functions(self); err != nil || len(order) != 64 || len(names) != 64 || order == names {
		t.Errorf("order %q, names %q (%v)", order, names, err)
	}
}

// TestForgotten: what a build or a linker that was killed has left does not stay as long as a
// program of the working tree, nor that as long as one of a commit.
func TestForgotten(t *testing.T) {
	b := Build{Cache: t.TempDir()}
	for name, after := range map[string]time.Duration{
		"a": 720 * time.Hour, linksPrefix + "b": 3 * time.Hour, newPrefix + "c": 3 * time.Hour, treePrefix + "d": 168 * time.Hour,
	} {
		dir := filepath.Join(b.builds(), name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, left := range []bool{true, false} {
			age := after + time.Hour
			if left {
				age = after - time.Hour
			}
			before := time.Now().Add(-age)
			if err := os.Chtimes(dir, before, before); err != nil {
				t.Fatal(err)
			}
			b.forgetOld()
			if _, err := os.Stat(dir); (err == nil) != left {
				t.Errorf("%s after %v: %v", name, age, err)
			}
		}
	}
}
