package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
)

// publicServer is a public server in two versions, and what to ask it for.
type publicServer struct {
	module   string // path, as in a go.mod
	old, new string // versions
	pkg      string // the program, within the module
	targets  string
}

// TestPublicServers compares versions of public servers that know nothing of us: a file
// server, a key-value server, and one that answers as it is asked to. They are fetched and built.
func TestPublicServers(t *testing.T) {
	testlong.Need(t)
	t.Run("file server, exec", func(t *testing.T) {
		s := publicServer{"github.com/valyala/fasthttp", "v1.69.0", "v1.78.0", "./examples/fileserver",
			"GET /small.txt\n\nGET /large.txt\nAccept: text/plain\n"}
		dir := t.TempDir()
		write(t, filepath.Join(dir, "small.txt"), "a small file")
		write(t, filepath.Join(dir, "large.txt"), strings.Repeat("0123456789abcdef", 4096))
		start := " -addr={addr} -dir=" + dir
		report := s.compare(t,
			"--subject=old=exec:"+s.build(t, s.old)+start, "--subject=new=exec:"+s.build(t, s.new)+start)
		wantAll(t, report, "GET /small.txt", "GET /large.txt", "new against old",
			"memstats: unavailable", `import _ "net/http/pprof"`)
	})
	t.Run("key-value server, git", func(t *testing.T) {
		s := publicServer{"github.com/allegro/bigcache/v3", "v3.0.0", "v3.1.0", "./server",
			"PUT /api/v1/cache/key\n@value\n\nGET /api/v1/stats\n"}
		repo := s.repository(t)
		t.Chdir(repo)
		report := s.compare(t, "--subject=old=git:HEAD~1:./server", "--subject=new=git:HEAD:./server",
			"--build=go build -mod=mod -o {out} ./server", "--start={out} -port={port}")
		wantAll(t, report, "PUT /api/v1/cache/key", "new against old", "Allocated, B/op", "CPU time, us/op",
			"github.com/allegro/bigcache/v3")
	})
	t.Run("httpbin, commit and working tree", func(t *testing.T) {
		s := publicServer{"github.com/mccutchen/go-httpbin/v2", "v2.20.0", "v2.26.0", "./cmd/go-httpbin",
			"GET /get?a=b\n\nPOST /post\nContent-Type: application/json\n@value\n\nGET /uuid\n"}
		repo := s.repository(t)
		t.Chdir(repo)
		write(t, filepath.Join(repo, "cmd/go-httpbin/pprof.go"), pagesElsewhere)
		gitIn(t, repo, "reset", "--quiet", "--hard", "HEAD~1")
		write(t, filepath.Join(repo, "cmd/go-httpbin/pprof.go"), pagesElsewhere)
		gitIn(t, repo, "add", ".")
		gitIn(t, repo, "commit", "--quiet", "--message=with profiles on a port of their own")
		copyModule(t, s.module+"@"+s.new, repo)
		report := s.compare(t, "--subject=old=git:HEAD:./cmd/go-httpbin", "--subject=new=go:./cmd/go-httpbin",
			"--start={out} -host={host} -port={port}", "--env=PAGES={host}:{port2}", "--pprof={host}:{port2}")
		wantAll(t, report, "POST /post", "new against old", "Allocated, B/op", "github.com/mccutchen/go-httpbin/v2")
	})
}

// pagesElsewhere makes a program serve its profiles on another port.
const pagesElsewhere = `package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
)

func init() { go http.ListenAndServe(os.Getenv("PAGES"), nil) }
`

// compare records a short experiment of two subjects and returns the report.
func (s publicServer) compare(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "targets.txt"), s.targets)
	write(t, filepath.Join(dir, "value"), `{"some": "value"}`)
	args := append([]string{"run", "--quiet", "--targets=" + filepath.Join(dir, "targets.txt"),
		"--blocks=7", "--rounds=5", "--slice=40ms", "--warmup=100", "--out=" + filepath.Join(dir, "out")}, flags...)
	folders := strings.Fields(run(t, args...))
	if len(folders) != 2 {
		t.Fatalf("%d folders: %q", len(folders), folders)
	}
	report := run(t, append([]string{"compare"}, folders...)...)
	t.Log(report)
	return report
}

// run runs the program, which must succeed, and returns what it prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "eventobench", args...)
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+t.TempDir(), "GOCACHE="+goCache(t))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v", args, withStderr(err))
	}
	return string(out)
}

// build builds a version of the server's program.
func (s publicServer) build(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	copyModule(t, s.module+"@"+version, dir)
	program := filepath.Join(dir, "server-of-"+version)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, s.pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", s.pkg, err, out)
	}
	return program
}

// repository is one with a commit per version, whose programs serve profiles.
func (s publicServer) repository(t *testing.T) string {
	t.Helper()
	repo := t.TempDir()
	gitIn(t, repo, "init", "--quiet")
	for _, version := range []string{s.old, s.new} {
		copyModule(t, s.module+"@"+version, repo)
		write(t, filepath.Join(repo, s.pkg, "pprof.go"), "package main\n\nimport _ \"net/http/pprof\"\n")
		gitIn(t, repo, "add", ".")
		gitIn(t, repo, "commit", "--quiet", "--message="+version)
	}
	return repo
}

// copyModule puts the files of a module's version into a folder.
func copyModule(t *testing.T, module, to string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module).Output()
	if err != nil {
		t.Fatalf("fetching %s: %v", module, withStderr(err))
	}
	var fetched struct{ Dir string }
	if err := json.Unmarshal(out, &fetched); err != nil {
		t.Fatal(err)
	}
	copied := exec.CommandContext(t.Context(), "sh", "-c", `cp -r "$0"/. "$1" && chmod -R u+w "$1"`, fetched.Dir, to)
	if out, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("copying %s: %v: %s", module, err, out)
	}
}

func wantAll(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("the report does not say %q", w)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func gitIn(t *testing.T, repo string, args ...string) {
	t.Helper()
	who := []string{"-c", "user.name=a", "-c", "user.email=a@example.com"}
	cmd := exec.CommandContext(t.Context(), "git", append(who, args...)...)
	cmd.Dir = repo
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v: %s", args, err, out)
	}
}
