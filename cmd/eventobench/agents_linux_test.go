package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// target is a server that counts requests, and knows when the last one came.
type target struct {
	url    string
	served atomic.Int64
	last   atomic.Int64 // ns since start
	start  time.Time
}

func newTarget(t *testing.T) *target {
	t.Helper()
	s := &target{start: time.Now()}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		s.served.Add(1)
		s.last.Store(int64(time.Since(s.start)))
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// children are the processes with a word in their command line that a process has
// started.
func children(t *testing.T, parent int, word string) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	of := regexp.MustCompile(`(?m)^PPid:\t` + strconv.Itoa(parent) + `$`)
	for _, path := range lines {
		command, _ := os.ReadFile(path) // of none, if it has ended
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
		if strings.Contains(string(command), "\x00"+word+"\x00") && of.Match(status) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// nameOf is the name that an agent was started with.
func nameOf(t *testing.T, pid int) string {
	t.Helper()
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(command), "\x00--name=")
	name, _, _ := strings.Cut(after, "\x00")
	return name
}

// strike is what happens to an agent.
type strike struct {
	name    string
	signal  syscall.Signal
	revived time.Duration // after which it goes on; 0 for never
	left    int           // agents at the end
}

// TestLostAgent: an agent is killed, frozen or held up at a moment that nobody chose.
// The experiment goes on with those that are left, and what it keeps is right.
func TestLostAgent(t *testing.T) {
	testlong.NotRaced(t, "what is killed cannot tell of a race")
	strikes := []strike{
		{"killed", syscall.SIGKILL, 0, 2},
		{"held up", syscall.SIGSTOP, 600 * time.Millisecond, 3},
		{"frozen", syscall.SIGSTOP, 0, 2},
	}
	rounds := 1
	if testlong.On() {
		rounds = 6 // -count=5 makes 30 of them
	}
	for n := range rounds {
		s := strikes[n%len(strikes)]
		t.Run(fmt.Sprintf("%d %s", n, s.name), func(t *testing.T) { loseAgent(t, s) })
	}
}

func loseAgent(t *testing.T, s strike) {
	a, b := newTarget(t), newTarget(t)
	r := &running{out: t.TempDir(), blocks: "4"}
	r.start(t, "--agents=3", "--spawn", "--profiles=none", "--slice=80ms", "--rounds=2", "--workers=6",
		"--subject=a=url:"+a.url, "--subject=b=url:"+b.url)
	agents := children(t, r.cmd.Process.Pid, "agent")
	if len(agents) != 3 {
		t.Fatalf("%d agents", len(agents))
	}
	victim, after := agents[rand.IntN(len(agents))], rand.N(300*time.Millisecond)
	name := nameOf(t, victim)
	t.Logf("%s is struck after %v", name, after)
	<-time.After(after) // this is the moment, and nothing waits for anything by it
	strikeAt(t, victim, s)
	code, text := r.end(t)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, text)
	}
	for _, pid := range agents {
		if testaid.Alive(pid) {
			t.Errorf("agent %d is still there", pid)
		}
	}
	dirs, err := filepath.Glob(filepath.Join(r.out, "*"))
	if err != nil || len(dirs) != 2 {
		t.Fatalf("folders %q, %v", dirs, err)
	}
	for _, dir := range dirs {
		checkLoss(t, dir, name, s, text)
	}
}

// checkLoss holds that a folder has what was asked for, and from a moment on with those
// agents that are left. That the counts agree is for Open to hold.
func checkLoss(t *testing.T, dir, name string, s strike, said string) {
	t.Helper()
	run, err := runfolder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := run.Manifest
	if m.State != runfolder.StateComplete || len(m.Blocks) != 4 || len(m.Errors) > 0 {
		t.Errorf("%s: %s, %d blocks, errors %v, repeated %v; %s", dir, m.State, len(m.Blocks), m.Errors, m.Repeated, said)
	}
	agents := 3
	for i, b := range m.Blocks {
		if len(b.Agents) > agents {
			t.Errorf("block %d: %d agents after %d", i, len(b.Agents), agents)
		}
		agents = len(b.Agents)
		workers := 0
		for _, a := range b.Agents {
			workers += a.Workers
			if a.Name == name && agents < 3 {
				t.Errorf("block %d: %s is still there", i, name)
			}
		}
		if workers != 6 {
			t.Errorf("block %d: %d workers", i, workers)
		}
		// What an agent was held up for would show in its slowest request.
		if slowest := time.Duration(run.Latency.Block(i).Max()); s.revived > 0 && slowest > s.revived {
			t.Errorf("block %d: a request took %v", i, slowest)
		}
	}
	if agents != s.left {
		t.Errorf("%d agents are left, repeated: %v; %s", agents, m.Repeated, said)
	}
}

// TestRecorderKilled: agents do not go on without their recorder. Those that it had
// started end; one that was there before waits for the next recorder.
func TestRecorderKilled(t *testing.T) {
	s, err := agent.StartServer("127.0.0.1:0", "secret", "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	t.Setenv(tokenVariable, "secret")
	own := exec.CommandContext(t.Context(), "eventobench", "agent", "--nats="+s.URL, "--name=own")
	own.Stderr = t.Output()
	if err := own.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = own.Process.Signal(syscall.SIGTERM)
		if err := own.Wait(); err != nil || own.ProcessState.ExitCode() != exitOK {
			t.Errorf("the agent ended with %v", own.ProcessState)
		}
	}()
	load := newTarget(t)
	args := []string{"run", "--nats=" + s.URL, "--agents=2", "--spawn=1", "--profiles=none", "--warmup=10",
		"--subject=url:" + load.url, "--out=" + t.TempDir()}
	const slice = 30 * time.Second // for which the load would go on
	recorder := exec.CommandContext(t.Context(), "eventobench", append(args, "--blocks=1", "--rounds=1", "--slice="+slice.String())...)
	if err := recorder.Start(); err != nil {
		t.Fatal(err)
	}
	testaid.Until(t, "there is no load", func() bool { return load.served.Load() > 1000 })
	spawned := children(t, recorder.Process.Pid, "agent")
	if err := recorder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Since(load.start)
	_ = recorder.Wait() // it was killed
	for _, pid := range spawned {
		testaid.Until(t, "a spawned agent lives on", func() bool { return !testaid.Alive(pid) })
	}
	const quiet = 500 * time.Millisecond
	lastRequest := func() time.Duration { return time.Duration(load.last.Load()) }
	testaid.Until(t, "the load goes on", func() bool { return time.Since(load.start)-lastRequest() > quiet })
	if after := lastRequest() - killed; after > slice/2 {
		t.Errorf("the load went on for %v", after)
	}
	if len(spawned) != 1 || !testaid.Alive(own.Process.Pid) {
		t.Errorf("%d agents were spawned, and the other one is there: %v", len(spawned), testaid.Alive(own.Process.Pid))
	}
	next := exec.CommandContext(t.Context(), "eventobench", append(args, "--blocks=1", "--rounds=1", "--slice=100ms")...)
	if out, err := next.CombinedOutput(); err != nil || !strings.Contains(string(out), "load from 2 agents: local-1 (") {
		t.Errorf("the next recorder: %v\n%s", err, out)
	}
}

// hostStrikes are what happens to an agent that starts the subjects of a recorder.
var hostStrikes = []hostStrike{
	{"killed", syscall.SIGKILL, "", exitFailed},
	{"held up", syscall.SIGSTOP, "agent box does not answer", exitOK},
}

type hostStrike struct {
	name   string
	signal syscall.Signal
	said   string // by the recorder, before the agent goes on; empty if it does not
	code   int    // of the recorder
}

// TestSubjectAgent: when an agent that starts the subjects is held up, the block is
// recorded again, and when it is killed, nothing of them is left.
func TestSubjectAgent(t *testing.T) {
	for _, s := range hostStrikes {
		t.Run(s.name, func(t *testing.T) {
			if s.code == exitOK {
				testlong.Need(t)
			}
			bus, box := startBox(t)
			r := &running{out: t.TempDir(), blocks: "4"}
			r.start(t, "--nats="+bus.URL, "--subject-agent=box", "--profiles=none", "--transport=fasthttp,nethttp",
				"--rounds=10", "--slice=20ms")
			text := strikeBox(t, r, box, s)
			checkHosted(t, r.out, s.code, s.said, text)
		})
	}
}

// TestSubjectAgentOfSearch: the same of a search for the capacity.
func TestSubjectAgentOfSearch(t *testing.T) {
	for _, s := range hostStrikes {
		t.Run(s.name, func(t *testing.T) {
			if s.code == exitOK {
				testlong.Need(t)
			}
			bus, box := startBox(t)
			r := &running{out: t.TempDir()}
			r.launch(t, "capacity", "--p99=5s", "--max-rate=500/s", "--blocks=4", "--rounds=6", "--slice=50ms", "--warmup=20",
				"--nats="+bus.URL, "--subject-agent=box", "--transport=fasthttp,nethttp", "--out="+r.out)
			text := strikeBox(t, r, box, s)
			files, err := filepath.Glob(filepath.Join(r.out, "*-capacity.json"))
			if err != nil || len(files) != 1 {
				t.Fatalf("files %q, %v", files, err)
			}
			c, err := runfolder.ReadCapacity(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if a := c.SubjectAgent; a == nil || a.Name != "box" || a.Elsewhere || len(c.Unavailable) > 0 {
				t.Errorf("agent %+v, unavailable %v", a, c.Unavailable)
			}
			blocks := len(c.Subjects[0].Blocks)
			if s.code == exitOK && (c.State != runfolder.StateComplete || blocks != 4 || len(c.Repeated) == 0 ||
				!strings.Contains(c.Repeated[0].Reason, s.said)) {
				t.Errorf("%s, %d blocks, repeated %v; %s", c.State, blocks, c.Repeated, text)
			}
			if s.code != exitOK && (c.State != runfolder.StateFailed || blocks == 0 || !strings.Contains(c.Reason, "agent box")) {
				t.Errorf("%s after %d blocks: %s", c.State, blocks, c.Reason)
			}
		})
	}
}

// TestNothingOnDisk: an agent that is killed leaves no file: neither a subject's folder nor
// a program that was sent.
func TestNothingOnDisk(t *testing.T) {
	program, err := exec.LookPath("eventobench")
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	bus, box := startBox(t, "--allow-upload", "--allow-exec="+program)
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(temp, "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	r := &running{out: t.TempDir()}
	r.launch(t, "run", "--nats="+bus.URL, "--subject-agent=box", "--profiles=none", "--get=/health", "--blocks=2",
		"--slice=1s", "--rounds=100", "--warmup=5", "--out="+r.out, "--subject=sent=builtin:fasthttp,binary="+program,
		"--subject=there=exec:"+program+" serve --addr={addr} --store=sqlite:{dir}/bench.db")
	testaid.Until(t, "there is no folder of a subject", func() bool { return len(files()) > 0 })
	servers := nextServers(t, box.Process.Pid, nil)
	strikeAt(t, box.Process.Pid, strike{signal: syscall.SIGKILL})
	_ = box.Wait() // it was killed
	if code, text := r.end(t); code != exitFailed {
		t.Errorf("exit code %d: %s", code, text)
	}
	for _, pid := range servers {
		testaid.Until(t, "a server lives on", func() bool { return !testaid.Alive(pid) })
	}
	testaid.Until(t, "something is left on disk", func() bool {
		left, err := os.ReadDir(temp)
		return err == nil && len(left) == 0
	})
}

// startBox starts NATS and an agent that starts subjects, box, with more flags.
func startBox(t *testing.T, flags ...string) (bus *agent.Server, box *exec.Cmd) {
	t.Helper()
	bus, err := agent.StartServer("127.0.0.1:0", "secret", "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Stop)
	t.Setenv(tokenVariable, "secret")
	box = exec.CommandContext(t.Context(), "eventobench",
		append([]string{"agent", "--subjects", "--nats=" + bus.URL, "--name=box"}, flags...)...)
	box.Stderr = t.Output()
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	return bus, box
}

// strikeBox strikes an agent while its servers of the second block or a later one are
// measured, holds that none of them is left when the recorder has ended, and returns what
// that said.
func strikeBox(t *testing.T, r *running, box *exec.Cmd, s hostStrike) (text string) {
	t.Helper()
	// Those that are seen first may be of a block that is complete: what is lost while they
	// are stopped is no reason to record it again.
	servers := nextServers(t, box.Process.Pid, nil)
	servers = nextServers(t, box.Process.Pid, servers)
	strikeAt(t, box.Process.Pid, strike{signal: s.signal})
	if s.said != "" {
		r.waitFor(t, s.said)
		strikeAt(t, box.Process.Pid, strike{signal: syscall.SIGCONT})
	}
	code, text := r.end(t)
	if code != s.code {
		t.Errorf("exit code %d: %s", code, text)
	}
	for _, pid := range servers {
		testaid.Until(t, "a server lives on", func() bool { return !testaid.Alive(pid) })
	}
	_ = box.Process.Signal(syscall.SIGTERM)
	_ = box.Wait() // it may have been killed
	return text
}

// nextServers waits for the servers of both subjects that an agent has started, none of
// them of those before.
func nextServers(t *testing.T, box int, before []int) (servers []int) {
	t.Helper()
	isOld := func(pid int) bool { return slices.Contains(before, pid) }
	testaid.Until(t, "there are no servers", func() bool {
		servers = children(t, box, "serve")
		return len(servers) == 2 && !slices.ContainsFunc(servers, isOld)
	})
	return servers
}

// strikeAt does to a process what a strike says.
func strikeAt(t *testing.T, pid int, s strike) {
	t.Helper()
	if err := syscall.Kill(pid, s.signal); err != nil {
		t.Fatal(err)
	}
	if s.revived > 0 {
		<-time.After(s.revived)
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
}

func checkHosted(t *testing.T, out string, code int, repeated, text string) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(dirs) != 2 {
		t.Fatalf("folders %q, %v", dirs, err)
	}
	for _, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		m := run.Manifest
		if code == exitOK && (m.State != runfolder.StateComplete || len(m.Blocks) != 4) || len(m.Errors) > 0 {
			t.Errorf("%s, %d blocks, errors %v; %s", m.State, len(m.Blocks), m.Errors, text)
		}
		if m.SubjectAgent == nil || m.SubjectAgent.Name != "box" || m.SubjectAgent.Elsewhere || run.Totals().CPUPerOp == nil {
			t.Errorf("agent %+v", m.SubjectAgent)
		}
		if repeated != "" && (len(m.Repeated) == 0 || !strings.Contains(m.Repeated[0].Reason, repeated)) {
			t.Errorf("repeated: %v; %s", m.Repeated, text)
		}
	}
}

// TestHostedStoreShowsProfiles: the recorder reads the pages of a store that an agent has
// started for others, and nobody else's who need not.
func TestHostedStoreShowsProfiles(t *testing.T) {
	for listen, want := range map[string]bool{"127.0.0.1": false, "10.0.0.2": true, "box.example": true} {
		o := hostOptions{on: true, listen: listen}
		p, err := o.policy()
		if err != nil {
			t.Fatal(err)
		}
		e, err := p.Store(map[string]string{"transport": "fasthttp", "store": "sqlite::memory:"}, nil)
		if err != nil || slices.Contains(e.Command, "--pprof-anywhere") != want {
			t.Errorf("on %s: %q, %v", listen, e.Command, err)
		}
	}
}
