package subject

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testlong"
)

// TestLayouts: every seed gives another program that does the same, of a commit and
// of the working tree, whatever -ldflags there are beside it.
func TestLayouts(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	for _, tt := range []struct{ name, ref, command, goflags string }{
		{name: "a commit", ref: "HEAD"},
		{name: "the working tree", goflags: "-buildvcs=false '-ldflags=-s -w'"},
		{name: "flags of its own", command: "go build -ldflags '-X main.x=1' -o {out} ."},
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
			layouts, err := b.Layouts(t.Context(), built, []int64{1, 2})
			if err != nil {
				t.Fatal(err)
			}
			programs := map[string]bool{built.Program: true}
			for _, l := range layouts {
				programs[l.Program] = true
				out, err := exec.CommandContext(t.Context(), l.Program).CombinedOutput()
				if err != nil || strings.TrimSpace(string(out)) != "second" {
					t.Errorf("%s prints %q (%v)", l.Program, out, err)
				}
			}
			again, err := b.Layouts(t.Context(), built, []int64{1, 2})
			if err != nil || len(programs) != 3 || again[1].Program != layouts[1].Program {
				t.Errorf("programs %v, then %v (%v)", programs, again, err)
			}
		})
	}
	checkNoWorktrees(t, dir, cache)
}

// TestLayoutErrors: what cannot be linked in another order is said, in a line.
func TestLayoutErrors(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	for _, tt := range []struct{ command, after, want string }{
		{command: "sh -c 'GOFLAGS= go build -o {out} .'", want: "does not hand -ldflags of GOFLAGS on to Go's linker"},
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
		_, err = b.Layouts(t.Context(), built, []int64{1})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

// TestLayoutsOfACommit: a branch that moves meanwhile is not followed.
func TestLayoutsOfACommit(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	b := Build{Dir: dir, Ref: "HEAD", Cache: cache}
	built, err := b.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "main.go", "package main\n\nfunc main() { println(\"third\") }\n")
	commit(t, dir, "third")
	layouts, err := b.Layouts(t.Context(), built, []int64{1})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), layouts[0].Program).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "second" {
		t.Errorf("prints %q (%v), want second", out, err)
	}
}

func TestWithLayout(t *testing.T) {
	for goflags, want := range map[string]string{
		"":                                 "-ldflags=-randlayout=7",
		"-trimpath":                        "-trimpath -ldflags=-randlayout=7",
		"-ldflags=-s":                      "'-ldflags=-s -randlayout=7'",
		"-mod=mod '-ldflags=-s -w' -v":     "-mod=mod '-ldflags=-s -w -randlayout=7' -v",
		`"--ldflags=-X 'main.v=1'" -mod=x`: `"--ldflags=-X 'main.v=1' -randlayout=7" -mod=x`,
	} {
		if got := withLayout(goflags, 7); got != want {
			t.Errorf("%s: %s, want %s", goflags, got, want)
		}
	}
}

func TestLayoutCommand(t *testing.T) {
	for command, want := range map[string]string{
		"go build -o {out}":                         "go build -o {out}",
		"go build -ldflags=-s -o {out}":             "go build -ldflags=-s -randlayout=7 -o {out}",
		"/usr/local/bin/go build --ldflags -s -o x": "/usr/local/bin/go build --ldflags -s -randlayout=7 -o x",
		"make -ldflags -s":                          "make -ldflags -s",
	} {
		got := Build{layout: 7}.layoutCommand(strings.Fields(command))
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
		if own := (Build{}).layoutCommand(strings.Fields(command)); !slices.Equal(own, strings.Fields(command)) {
			t.Errorf("%s: %s for the linker's own order", command, own)
		}
	}
}

func TestFunctionOrder(t *testing.T) {
	if order, err := functionOrder("/bin/sh"); err == nil {
		t.Errorf("order %s of what is not Go's", order)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if order, err := functionOrder(self); err != nil || len(order) != 64 {
		t.Errorf("order %q (%v)", order, err)
	}
}

// TestLayoutsAreForgotten: there are many of them, so they do not stay as long.
func TestLayoutsAreForgotten(t *testing.T) {
	b := Build{Cache: t.TempDir()}
	commit, tree := Build{Ref: "HEAD", layout: 1}, Build{layout: 1}
	for key, left := range map[string]bool{"a": true, commit.key("b"): true, tree.key("c"): false} {
		dir := filepath.Join(b.builds(), key)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		before := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(dir, before, before); err != nil {
			t.Fatal(err)
		}
		b.forgetOld()
		if _, err := os.Stat(dir); (err == nil) != left {
			t.Errorf("%s: %v", key, err)
		}
	}
}
