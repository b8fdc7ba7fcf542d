package subject

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// repository is a Git repository of a module with two commits, whose program
// prints first and second.
func repository(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "go.mod", "module example.com/tiny\n")
	git(t, dir, "init", "--quiet")
	for _, text := range []string{"first", "second"} {
		write(t, dir, "main.go", "package main\n\nfunc main() { println(\""+text+"\") }\n")
		commit(t, dir, text)
	}
	return dir
}

func commit(t *testing.T, dir, message string) {
	t.Helper()
	git(t, dir, "add", ".")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", message)
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkNoWorktrees holds that nothing but the repository itself is checked out.
func checkNoWorktrees(t *testing.T, dir, cache string) {
	t.Helper()
	if list := git(t, dir, "worktree", "list"); strings.Contains(list, "\n") {
		t.Errorf("worktrees:\n%s", list)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "worktrees", "*-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "builds", "new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBuild(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	head := git(t, dir, "rev-parse", "HEAD")
	write(t, dir, "main.go", "package main\n\nfunc main() { println(\"third\") }\n")
	for _, tt := range []struct {
		ref, prints, commit string
		dirty, again        bool // again: it was built before
	}{
		{ref: "HEAD~1", prints: "first", commit: git(t, dir, "rev-parse", "HEAD~1")},
		{ref: "HEAD", prints: "second", commit: head},
		{ref: "", prints: "third", commit: head, dirty: true},
		{ref: head, prints: "second", commit: head, again: true},
		{ref: "", prints: "third", commit: head, dirty: true},
	} {
		var log bytes.Buffer
		built, err := Build{Dir: dir, Ref: tt.ref, Cache: cache, Log: &log}.Make(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), built.Program).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != tt.prints {
			t.Errorf("%q prints %s (%v), want %s", tt.ref, out, err, tt.prints)
		}
		i := built.Info
		if i.Ref != tt.ref || i.Commit != tt.commit || i.Dirty != tt.dirty || i.GoVersion != runtime.Version() {
			t.Errorf("%q: %+v", tt.ref, i)
		}
		got := strings.Join(i.Command, " ")
		if got != "go build -o {out} example.com/tiny" || built.Module != "example.com/tiny" {
			t.Errorf("%q: built by %q, of module %q", tt.ref, got, built.Module)
		}
		if (log.Len() == 0) != tt.again {
			t.Errorf("%q: said %q", tt.ref, log.String())
		}
		checkNoWorktrees(t, dir, cache)
	}
}

// TestBuildDir: a module tells its folder in the repository, wherever in it the
// build was asked for, at a commit as in the working tree.
func TestBuildDir(t *testing.T) {
	top, cache := t.TempDir(), t.TempDir()
	write(t, top, "backend/go.mod", "module example.com/tiny\n")
	write(t, top, "backend/cmd/tiny/main.go", "package main\n\nfunc main() {}\n")
	git(t, top, "init", "--quiet")
	commit(t, top, "first")
	for _, dir := range []string{"backend", "backend/cmd/tiny"} {
		for _, ref := range []string{"", "HEAD"} {
			built, err := Build{Dir: filepath.Join(top, dir), Ref: ref, Cache: cache}.Make(t.Context())
			if err != nil || built.Info.Dir != "backend" || built.Module != "example.com/tiny" {
				t.Errorf("%q of %s: %+v (%v)", ref, dir, built, err)
			}
			binary, err := readBinary(built.Program)
			if err != nil || binary.Package != "example.com/tiny/cmd/tiny" {
				t.Errorf("%q of %s: %+v (%v)", ref, dir, binary, err)
			}
			if tree := strings.HasPrefix(filepath.Base(filepath.Dir(built.Program)), treePrefix); tree != (ref == "") {
				t.Errorf("%q of %s is kept as %s", ref, dir, built.Program)
			}
			wrapped := Exec{Name: "a", Command: []string{"env", built.Program}, Program: built.Program}
			if info, err := wrapped.Info(); err != nil || info.Binary.Package != binary.Package {
				t.Errorf("of %v it is said: %+v (%v)", wrapped.Command, info.Binary, err)
			}
		}
	}
}

// TestDirty: files that Git does not know count if Go builds or embeds them.
func TestDirty(t *testing.T) {
	dir := repository(t)
	write(t, dir, "pages/pages.go", "package pages\n\nimport _ \"embed\"\n\n//go:embed *.html\nvar Page string\n")
	write(t, dir, "pages/page.html", "<p>")
	commit(t, dir, "pages")
	for name, want := range map[string]bool{
		"profiles/20260101-one/run.json": false,
		"eventobench.yaml":               false,
		"more_test.go":                   false,
		"a b.txt":                        false,
		"more.go":                        true,
		"deep/er/table.s":                true,
		"go.sum":                         true,
		"pages/ä new.html":               true,
		"pages/page.html":                true, // which is known, and changed
	} {
		write(t, dir, name, "package main\n")
		for _, below := range []string{dir, filepath.Join(dir, "pages")} {
			dirty, err := Build{Dir: below}.dirty(t.Context())
			if err != nil || dirty != want {
				t.Errorf("%s, seen from %s: dirty %v (%v), want %v", name, below, dirty, err, want)
			}
		}
		git(t, dir, "clean", "--quiet", "--force", "-d")
		git(t, dir, "checkout", "--quiet", ".")
	}
}

func TestBuildErrors(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	write(t, dir, "main.go", "package main\n\nfunc main() { nope() }\n")
	write(t, dir, "cmd/a/main.go", "package main\n\nfunc main() {}\n")
	commit(t, dir, "broken")
	for _, tt := range []struct {
		build Build
		want  []string
	}{
		{Build{Ref: "HEAD", Package: "."}, []string{"building HEAD .: go build -o ", "main.go:3:15: undefined: nope"}},
		{Build{Package: "."}, []string{"building .: go build", "main.go:3:15: undefined: nope"}},
		{Build{Ref: "HEAD"}, []string{"has 2 main packages; name one",
			"\n  example.com/tiny\n  example.com/tiny/cmd/a"}},
		{Build{Ref: "nowhere"}, []string{`building nowhere: "nowhere" is no commit of the repository in ` + dir}},
		{Build{Command: "go build -o x ./cmd/a"}, []string{"does not say where the program goes; it needs {out}"}},
		{Build{Command: "true {out}"}, []string{"the command made no program in place of {out}"}},
		{Build{Command: "go 'build"}, []string{"splitting the command"}},
	} {
		tt.build.Dir, tt.build.Cache = dir, cache
		_, err := tt.build.Make(t.Context())
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %v, want %q", tt.build, err, want)
			}
		}
		checkNoWorktrees(t, dir, cache)
	}
}

func TestBuildOutsideOfRepository(t *testing.T) {
	_, err := Build{Dir: t.TempDir(), Ref: "HEAD", Cache: t.TempDir()}.Make(t.Context())
	if err == nil || err.Error() != "building HEAD: this is not a Git repository" {
		t.Errorf("error %v", err)
	}
}

// TestToolchain: the version of Go that was asked for is in the environment of
// the build. It is the one that is here, so that none is fetched.
func TestToolchain(t *testing.T) {
	version, _, _ := strings.Cut(runtime.Version(), " ")
	built, err := Build{
		Dir: repository(t), Cache: t.TempDir(), Toolchain: strings.TrimPrefix(version, "go"),
		Command: `sh -c 'echo $GOTOOLCHAIN > {out}'`,
	}.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(built.Program); err != nil || strings.TrimSpace(string(text)) != version {
		t.Errorf("toolchain %q, want %s (%v)", text, version, err)
	}
}

// TestStaleWorktrees: what a killed recorder left is removed by the next one, and
// the worktree of one that is at work is not.
func TestStaleWorktrees(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	b := Build{Dir: dir, Ref: "HEAD", Cache: cache}
	if err := os.MkdirAll(b.worktrees(), 0o755); err != nil {
		t.Fatal(err)
	}
	add := func() *worktree {
		tree, err := b.addWorktree(t.Context(), git(t, dir, "rev-parse", "HEAD"))
		if err != nil {
			t.Fatal(err)
		}
		return tree
	}
	stale, used := add(), add()
	if err := stale.lock.Close(); err != nil { // as the kernel does for the dead
		t.Fatal(err)
	}
	if _, err := b.Make(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := git(t, dir, "worktree", "list")
	if strings.Contains(list, stale.dir) || !strings.Contains(list, used.dir) {
		t.Errorf("worktrees, of which %s alone is in use:\n%s", used.dir, list)
	}
	if err := used.remove(); err != nil {
		t.Error(err)
	}
	checkNoWorktrees(t, dir, cache)
}

// TestBuildsAtOnce: builds do not disturb each other.
func TestBuildsAtOnce(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	var wg sync.WaitGroup
	for _, ref := range []string{"HEAD", "HEAD", "HEAD~1", ""} {
		wg.Go(func() {
			built, err := Build{Dir: dir, Ref: ref, Cache: cache}.Make(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(built.Program); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkNoWorktrees(t, dir, cache)
}

func TestBuildIsCancelled(t *testing.T) {
	dir, cache := repository(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Build{Dir: dir, Ref: "HEAD", Cache: cache}.Make(ctx)
	if err == nil || err.Error() != "interrupted while building HEAD" {
		t.Errorf("error %v", err)
	}
	checkNoWorktrees(t, dir, cache)
}
