package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// tinyPlan are flags for an experiment that only has to work.
var tinyPlan = []string{"--blocks=1", "--rounds=2", "--slice=20ms", "--warmup=20", "--profiles=none"}

// ourServe is a command that starts the store as a stranger's server would be.
const ourServe = "eventobench serve --store=sqlite::memory: --log-level=warn --token=" + benchToken

// eventobench runs the program in a folder, with a cache of its own, and returns
// its exit code and what it printed.
func eventobench(t *testing.T, dir, cache string, args ...string) (code int, text string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "eventobench", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache, "GOCACHE="+goCache(t))
	out, _ := cmd.CombinedOutput() // the exit code is looked at
	return cmd.ProcessState.ExitCode(), string(out)
}

// goCache is the build cache that this test was built with.
func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// manifests are those of the runs below a folder, by the name of their subject.
func manifests(t *testing.T, out string) map[string]runfolder.Manifest {
	t.Helper()
	entries, err := runfolder.List(out)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]runfolder.Manifest{}
	for _, e := range entries {
		if e.Err != nil {
			t.Fatal(e.Err)
		}
		all[e.Manifest.Subject.Name] = e.Manifest
	}
	return all
}

// serveStore starts a store that is nobody's subject and returns its URL.
func serveStore(t *testing.T) (url string) {
	t.Helper()
	args := append(strings.Fields(ourServe)[1:], "--addr=127.0.0.1:0")
	cmd := exec.CommandContext(t.Context(), "eventobench", args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context ends it
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

// TestStrangers measures a command and a server that is running, with flags for
// both and for one of them.
func TestStrangers(t *testing.T) {
	url, dir := serveStore(t), t.TempDir()
	code, text := eventobench(t, dir, dir, append(tinyPlan, "run", "--out=out", "--get=/health",
		"--subject=cmd=exec:"+ourServe+" --addr={addr} --transport=${UNSET:-fasthttp}", "--subject=there=url:"+url,
		"--env=GOMAXPROCS=2", "--env=cmd:GOGC=200", "--ready=cmd:/health", "--ready=there:tcp")...)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, text)
	}
	all := manifests(t, filepath.Join(dir, "out"))
	if s := all["cmd"].Subject; s.Kind != "exec" || s.Command[0] != "eventobench" || s.Binary.GoVersion == "" {
		t.Errorf("cmd: %+v", s)
	}
	s := all["there"].Subject
	if s.Kind != "url" || s.Command != nil || s.Options["url"] != url || s.Binary.SHA256 == "" {
		t.Errorf("there: %+v", s)
	}
	for name, m := range all {
		if _, missing := m.Unavailable[runfolder.SourceCPUClock]; missing || m.State != runfolder.StateComplete {
			t.Errorf("%s: %s, unavailable %v", name, m.State, m.Unavailable)
		}
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal("the server that was running is not any more:", err)
	}
	_ = conn.Close()
}

// TestStores holds that built-in stores of other flags get what the flags about subjects say.
func TestStores(t *testing.T) {
	var o subjectOptions
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	o.addFlags(f)
	err := f.Parse([]string{"--env=GOGC=400", "--env=fasthttp-2:GOMAXPROCS=1", "--ready-timeout=7s", "--allow-remote"})
	if err != nil {
		t.Fatal(err)
	}
	all, err := o.stores([]subject.Exec{{Name: "fasthttp", Ready: "/health"}, {Name: "fasthttp", Env: []string{"A=b"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []subject.Target{
		subject.Exec{
			Name: "fasthttp", Ready: "/health", Env: []string{"GOGC=400"}, Timeout: 7 * time.Second, Remote: true,
		},
		subject.Exec{
			Name: "fasthttp-2", Env: []string{"A=b", "GOGC=400", "GOMAXPROCS=1"}, Timeout: 7 * time.Second, Remote: true,
		},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}

func TestSubjectErrors(t *testing.T) {
	dir := t.TempDir()
	baseline, err := filepath.Abs(filepath.Join(recordedFolders, "pair", "20261125_065941-nethttp"))
	if err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		`--codec and --subject cannot be used together`:                           {"run", "--subject=fasthttp", "--codec=std"},
		`--env FOO: write KEY=VALUE`:                                              {"run", "--subject=exec:true", "--env=FOO"},
		`--ready health: write a path such as /health`:                            {"run", "--subject=exec:true", "--ready=health"},
		`--ready-timeout soon: write a time`:                                      {"run", "--subject=exec:true", "--ready-timeout=soon"},
		`"nope": executable file not found`:                                       {"run", "--subject=exec:nope {addr}"},
		`--allow-remote permits it`:                                               {"run", "--subject=url:http://192.0.2.1"},
		`a running server cannot be compared with itself; use exec:, go: or git:`: {"selftest", "--subject=url:http://127.0.0.1:1"},
		`can be planted in the built-in store only`:                               {"selftest", "--subject=exec:true", "--case=cpu=5%:1"},
		`no subject of this run can use --build go build`:                         {"run", "--transport=fasthttp", "--build=go build"},
		`--dir nowhere: no such folder`:                                           {"run", "--transport=fasthttp", "--dir=nowhere"},
		`--transport has no effect with --subject`:                                {"selftest", "--subject=exec:true", "--transport=nethttp"},
		`--max-time has no effect without --case; --time-limit`:                   {"selftest", "--max-time=1m"},
		`--case has no effect with --recorded`:                                    {"selftest", "--recorded=x", "--case=none:1"},
		`--resamples=0: draw at least 1`:                                          {"selftest", "--recorded=x", "--resamples=0"},
		`--nats-listen is for --agents`:                                           {"run", "--nats-listen=127.0.0.1:4222"},
		`--p99 has no effect with --from`:                                         {"capacity", "--from=x", "--p99=5ms"},
		`--blocks has no effect on what is recorded already`:                      {"gate", "a", "b", "--blocks=3"},
		`--layouts=4: a head without --base has one layout`:                       {"gate", "--head=exec:false", "--layouts=4", "--baseline=" + baseline},
		`--max-time has no effect without --case`:                                 {"selftest", "--subject=exec:true", "--max-time=1m"},
		`--baseline has no effect beside both sides`:                              {"gate", "--base=nethttp", "--head=fasthttp", "--baseline=c"},
		`no subject of this run can use --tls`:                                    {"run", "--transport=fasthttp", "--tls"},
		`--nats-listen is for a NATS server that is started`: {"run", "--agents=1", "--nats=nats://127.0.0.1:1",
			"--nats-listen=127.0.0.1:4222"},
		`--agents-wait is for --agents`: {"run", "--agents-wait=5s"},
		`--layouts=4: counts are the same in every layout`: {"gate", "--base=nethttp", "--head=fasthttp", "--layouts=4",
			"--metric-set=allocs"},
		`did not answer on http://127.0.0.1:1 within 50ms; is it running?`: {"run",
			"--subject=url:http://127.0.0.1:1", "--ready-timeout=50ms"},
		`subject sh died before it was ready (exit status 3); its last output:` + "\n  no such flag": {"run",
			"--subject=exec:sh -c 'echo no such flag; exit 3' {addr}"},
	} {
		if code, text := eventobench(t, dir, dir, args...); code != exitFailed || !strings.Contains(text, want) {
			t.Errorf("%v: exit code %d, want %q: %s", args, code, want, text)
		}
	}
}

// TestUselessValues: what no subject can use is an error before anything is built.
func TestUselessValues(t *testing.T) {
	dir := t.TempDir()
	const cannot = "no subject of this run can use "
	for want, args := range map[string][]string{
		`--env nwe:GOGC=50: write KEY=VALUE, or NAME:KEY=VALUE with the name of a subject (old, new)`: {"--env=nwe:GOGC=50"},
		`--env 1A=50: write KEY=VALUE`:          {"--env=new:1A=50"},
		`--ready typo:/x: write a path`:         {"--ready=typo:/x", "--ready=/y"},
		`--ready-timeout typo:1s: write a time`: {"--ready-timeout=typo:1s", "--ready-timeout=2s"},
		`--dir /nonexistent: no such folder`:    {"--dir=/nonexistent", "--subject=git:HEAD"},
		cannot + `--start {out}`:                {"--start={out}"},
		cannot + `--start new:{out}`:            {"--start=new:{out}", "--subject=go:"},
		cannot + `--build make {out}`:           {"--build=make {out}"},
		cannot + `--env new:A=1`:                {"--env=new:A=1"},
		cannot + `--dir there:.`:                {"--dir=there:.", "--subject=there=url:http://127.0.0.1:1"},
	} {
		args = append([]string{"run", "--subject=old=exec:nope", "--subject=new=url:http://127.0.0.1:1"}, args...)
		if code, text := eventobench(t, dir, dir, args...); code != exitFailed || !strings.Contains(text, want) {
			t.Errorf("%v: exit code %d, want %q: %s", args, code, want, text)
		}
	}
	code, text := eventobench(t, dir, dir, "run", "--subject=url:http://127.0.0.1:1", "--tls")
	if want := cannot + "--tls"; code != exitFailed || !strings.Contains(text, want) {
		t.Errorf("exit code %d, want %q: %s", code, want, text)
	}
}

// TestConfiguredValues: those of the project may be for other subjects.
func TestConfiguredValues(t *testing.T) {
	dir := t.TempDir()
	err := os.WriteFile(filepath.Join(dir, "eventobench.yaml"), []byte("workload:\n  start: \"{out}\"\n  env: A=1\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, text := eventobench(t, dir, dir, "run", "--subject=url:http://127.0.0.1:1", "--ready-timeout=50ms")
	if want := "did not answer on http://127.0.0.1:1 within 50ms"; !strings.Contains(text, want) {
		t.Errorf("want %q: %s", want, text)
	}
}

func TestSelftestOfStranger(t *testing.T) {
	dir := t.TempDir()
	code, text := eventobench(t, dir, dir, append(tinyPlan, "selftest", "--case=none:1", "--get=/health",
		"--subject=exec:"+ourServe+" --addr={addr}")...)
	if code != exitOK || !strings.Contains(text, "\nnone                1 ") {
		t.Errorf("exit code %d: %s", code, text)
	}
}

// ourRepository is a repository of our module's name in two commits. Its program
// is what PATH has as eventobench, so that building takes no time.
func ourRepository(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	program, err := exec.LookPath("eventobench")
	if err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet")
	write("go.mod", "module "+ourModule+"\n")
	for _, comment := range []string{"old", "new"} {
		write("main.go", fmt.Sprintf(`package main // %s

import (
	"os"
	"syscall"
)

func main() { panic(syscall.Exec(%[2]q, append([]string{%[2]q}, os.Args[1:]...), os.Environ())) }
`, comment, program))
		git("add", ".")
		git("-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", comment)
	}
	return dir
}

// TestGateOfCommits is what our own pull requests need: one command.
func TestGateOfCommits(t *testing.T) {
	dir, cache := ourRepository(t), t.TempDir()
	code, text := eventobench(t, dir, cache, append(tinyPlan, "gate",
		"--base=git:HEAD~1", "--head=go:,codec=std", "--inconclusive=pass")...)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, text)
	}
	all := manifests(t, filepath.Join(dir, "profiles"))
	base, head := all["HEAD-1"].Subject, all["go"].Subject
	if base.Kind != "git" || base.Build.Ref != "HEAD~1" || base.Build.Dirty || base.Options["transport"] != "nethttp" {
		t.Errorf("base %+v, build %+v", base, base.Build)
	}
	if head.Kind != "go" || head.Build.Commit == base.Build.Commit || head.Options["codec"] != "std" {
		t.Errorf("head %+v, build %+v", head, head.Build)
	}
}

// TestCtrlCInBuild: nothing is left of a build that is interrupted.
func TestCtrlCInBuild(t *testing.T) {
	dir, cache := ourRepository(t), t.TempDir()
	fifo := filepath.Join(t.TempDir(), "pid")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "eventobench", "run", "--subject=git:HEAD",
		"--build=sh -c 'sleep 600 & echo $! > "+fifo+"; wait' {out}")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "XDG_CACHE_HOME="+cache)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fifo) // returns once the build is at work
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	testaid.Until(t, "the build goes on", func() bool { return !runs(pid) })
	for _, pattern := range []string{
		cache + "/eventobench/worktrees/*-*", dir + "/.git/worktrees/*", cache + "/eventobench/builds/*",
	} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// runs reports whether a process has not ended, collected or not.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

// TestKilledRecorderLeavesNoDaemon: a server that went into the background is
// ended too when the recorder cannot do it.
func TestKilledRecorderLeavesNoDaemon(t *testing.T) {
	for _, daemon := range []string{
		"setsid " + ourServe + " --addr={addr} & exit 0",
		"env -i PATH=$PATH setsid " + ourServe + " --addr={addr} & exit 0",
	} {
		r := &running{out: t.TempDir()}
		r.start(t, "--subject=a=exec:sh -c '"+daemon+"'", "--subject=b=fasthttp", "--get=/health")
		var pids []int
		testaid.Until(t, "there are not two servers", func() bool {
			pids = r.subjects(t)
			return len(pids) == 2
		})
		if err := r.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		r.end(t)
		for _, pid := range pids {
			testaid.Until(t, fmt.Sprintf("server %d outlived its recorder", pid), func() bool { return !runs(pid) })
		}
	}
}

func TestAddressee(t *testing.T) {
	specs, err := parseSpecs([]string{"a=exec:x", "http=exec:y", "fasthttp", "fasthttp"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range specs {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"a", "http", "fasthttp", "fasthttp-2"}, names); diff != "" {
		t.Error(diff)
	}
	given := []string{"a:A=1", "B=2", "http://127.0.0.1:1", "c:C=3", "fasthttp-2:D=4"}
	for name, want := range map[string][]string{
		"a":          {"B=2", "http://127.0.0.1:1", "c:C=3", "A=1"},
		"http":       {"B=2", "http://127.0.0.1:1", "c:C=3"},
		"fasthttp-2": {"B=2", "http://127.0.0.1:1", "c:C=3", "D=4"},
	} {
		if diff := cmp.Diff(want, valuesFor(name, specs, given)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestStranger: how a program is started that nothing is said about.
func TestStranger(t *testing.T) {
	e, err := settings{}.stranger("/bin/x", nil)
	want := subject.Exec{Command: []string{"/bin/x"}, Env: []string{"PORT={port}"}}
	if diff := cmp.Diff(want, e); diff != "" || err != nil {
		t.Error(err, diff)
	}
	e, err = settings{start: "sh -c '{out} -l {addr}'"}.stranger("/bin/x", nil)
	want = subject.Exec{Command: []string{"sh", "-c", "/bin/x -l {addr}"}}
	if diff := cmp.Diff(want, e); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := (settings{}).stranger("/bin/x", map[string]string{"codec": "std"}); err == nil {
		t.Error("an option of the store is one of any server")
	}
}
