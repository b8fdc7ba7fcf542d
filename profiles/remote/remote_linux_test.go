package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net/http"
	_ "net/http/pprof"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/agent"
	"github.com/eventobench/eventobench/loadgen/workload"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// TestMain makes this test binary the server under test too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "serve" {
		serve(os.Args[2])
	}
	os.Exit(m.Run())
}

// serve counts requests on /, and ends on /exit.
func serve(address string) {
	served := expvar.NewInt("served")
	http.HandleFunc("/", func(http.ResponseWriter, *http.Request) { served.Add(1) })
	http.HandleFunc("/served", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, served) })
	http.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { fmt.Println("so be it"); os.Exit(3) })
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, nil))
	os.Exit(1)
}

// server is the server under test as a subject.
func server(name string) subject.Exec {
	return subject.Exec{
		Name: name, Kind: subject.KindExec, Command: []string{os.Args[0], "serve", subject.ChosenAddress}, Ready: "/served",
	}
}

// allowAll lets recorders start the server under test, in every way.
func allowAll() Policy {
	return Policy{
		Listen: Loopback, Programs: []string{os.Args[0]}, Upload: true,
		Store: func(options map[string]string, profiles []string) (subject.Exec, error) {
			if options["transport"] != "nethttp" {
				return subject.Exec{}, errors.New("there is no such transport")
			}
			return server("store"), nil
		},
	}
}

// machine is one on which an agent starts subjects.
type machine struct {
	bus  *agent.Server
	stop context.CancelFunc // the agent
}

func newMachine(t *testing.T, p Policy) *machine {
	t.Helper()
	bus, err := agent.StartServer("127.0.0.1:0", "token", "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Stop)
	nc, err := bus.Connect("agent", false, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- agent.Serve(ctx, nc, agent.Options{
			Name: "box", Version: "test", MaxTime: time.Hour, Offers: p.String(), Host: func() agent.Host { return NewHost(p) },
			Log: func(text string) { t.Log(text) },
		})
	}()
	ended := false
	stop := func() {
		if cancel(); !ended {
			if err := <-done; err != nil {
				t.Error(err)
			}
			nc.Close()
		}
		ended = true
	}
	t.Cleanup(stop)
	return &machine{bus, stop}
}

// dial is a recorder's link, and what cuts it off without a word.
func (m *machine) dial(t *testing.T) (link *agent.Link, cut func()) {
	t.Helper()
	nc, err := m.bus.Connect("recorder", false, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if link, err = agent.Dial(ctx, nc, "box", func(text string) { t.Log(text) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return link, nc.Close
}

func begin(t *testing.T, target subject.Target) subject.Instance {
	t.Helper()
	i, err := target.Start(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Stop)
	return i
}

func get(t *testing.T, server *url.URL, path string) string {
	t.Helper()
	resp, err := http.Get(server.JoinPath(path).String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clock reads the CPU clock of a process on this machine.
func clock(t *testing.T, pid int) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// TestFigures: in all ways of starting it, a subject has the figures that this machine
// tells of its process.
func TestFigures(t *testing.T) {
	link, _ := newMachine(t, allowAll()).dial(t)
	own, err := server("own").Info()
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]*Target{
		"store":   Store(link, server("a"), map[string]string{"transport": "nethttp"}, nil),
		"program": Program(link, server("a")),
		"upload":  Upload(link, server("a"), os.Args[0]),
	} {
		t.Run(name, func(t *testing.T) {
			info, err := target.Info()
			if err != nil || info.Name != "a" || info.Binary != own.Binary {
				t.Errorf("%+v, %v", info, err)
			}
			i := begin(t, target)
			if binary, err := i.Binary(); err != nil || binary.SHA256 != own.Binary.SHA256 {
				t.Errorf("%+v, %v", binary, err)
			}
			for range 3 {
				checkFigures(t, i)
			}
			i.Stop()
			if testaid.Alive(i.Process()) {
				t.Error("the server is still there")
			}
		})
	}
}

// checkFigures holds that the CPU clock was read meanwhile, and after the requests.
func checkFigures(t *testing.T, i subject.Instance) {
	t.Helper()
	earlier, err := i.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		get(t, i.URL(), "/")
	}
	before := clock(t, i.Process())
	got, err := i.CPU()
	if after := clock(t, i.Process()); err != nil || got < before || got > after {
		t.Errorf("CPU time %v is not between %v and %v, %v", got, before, after, err)
	}
	later, err := i.Counters()
	if err != nil || later.VoluntarySwitches <= earlier.VoluntarySwitches {
		t.Errorf("counters %+v after %+v, %v", later, earlier, err)
	}
	if rss, err := i.RSSPeak(); err != nil || rss < 1<<20 {
		t.Errorf("peak memory %d, %v", rss, err)
	}
	if len(i.Missing()) > 1 { // without hardware counters
		t.Errorf("missing: %v", i.Missing())
	}
}

// counting is a subject that tells how many requests it had answered at every reading
// of its CPU clock.
type counting struct {
	subject.Target
	t     *testing.T
	reads *[][]reading // of each start
}

type reading struct {
	served string // before and after the reading
	cpu    time.Duration
}

func (c counting) Start(ctx context.Context, log io.Writer) (subject.Instance, error) {
	i, err := c.Target.Start(ctx, log)
	*c.reads = append(*c.reads, nil)
	return countingInstance{i, c}, err
}

type countingInstance struct {
	subject.Instance
	c counting
}

func (i countingInstance) CPU() (time.Duration, error) {
	served := get(i.c.t, i.URL(), "/served")
	cpu, err := i.Instance.CPU()
	if again := get(i.c.t, i.URL(), "/served"); again != served {
		i.c.t.Errorf("%s requests were answered before the CPU clock was read and %s after it", served, again)
	}
	last := len(*i.c.reads) - 1
	(*i.c.reads)[last] = append((*i.c.reads)[last], reading{served, cpu})
	return cpu, err
}

// TestExperiment: the CPU time of every slice is that between two readings, with exactly
// its requests between them, of a subject that an agent starts as of one at home.
func TestExperiment(t *testing.T) {
	link, _ := newMachine(t, allowAll()).dial(t)
	targets := []subject.Target{server("home"), Program(link, server("away"))}
	w, err := workload.Get([]string{"/"})
	if err != nil {
		t.Fatal(err)
	}
	load := loadgen.Load{Workload: w.Name(), Kinds: w.Kinds(), Workers: 3, Timeout: 10 * time.Second}
	for blocks, target := range targets {
		t.Run(fmt.Sprint(target), func(t *testing.T) {
			kinds, err := runfolder.ParseKinds(nil)
			if err != nil {
				t.Fatal(err)
			}
			var reads [][]reading
			dirs, err := profiles.Experiment{
				Subjects: []subject.Target{counting{target, t, &reads}}, Load: load, Profiles: kinds,
				Plan: runfolder.Plan{Blocks: blocks + 1, Rounds: 4, Slice: 10 * time.Millisecond, Warmup: 20, Seed: 1},
				Out:  t.TempDir(), Tool: "test", NewGenerator: profiles.Drive(w, load, loadgen.Connect{}),
				Machine: Machine{link}, SubjectAgent: &runfolder.SubjectAgent{Name: "box", Version: "test", Elsewhere: true},
			}.Record(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			run, err := runfolder.Open(dirs[0])
			if err != nil {
				t.Fatal(err)
			}
			checkRun(t, run, reads)
		})
	}
}

func checkRun(t *testing.T, run *runfolder.Run, reads [][]reading) {
	t.Helper()
	m := run.Manifest
	for _, s := range []runfolder.Source{
		runfolder.SourceCPUClock, runfolder.SourceMemStats, runfolder.SourceRSS, runfolder.SourceSwitches, runfolder.SourceIO,
		runfolder.SourceGoroutines, runfolder.Source("cpu_profile"), runfolder.SourceMachineCPU,
	} {
		if why, missing := m.Unavailable[s]; missing {
			t.Errorf("%s is unavailable: %s", s, why)
		}
	}
	if m.Host.Affinity == 0 || m.Blocks[0].Machine == nil || m.Blocks[0].Machine.Ours == nil || m.SubjectAgent.Name != "box" {
		t.Errorf("the machine is %+v, in the first block %+v", m.Host, m.Blocks[0].Machine)
	}
	if len(reads) != len(m.Blocks) {
		t.Fatalf("%d starts for %d blocks", len(reads), len(m.Blocks))
	}
	for n, s := range run.Slices {
		r := reads[s.Block][s.Round : s.Round+2]
		var before, after int64
		_, _ = fmt.Sscan(r[0].served, &before)
		_, _ = fmt.Sscan(r[1].served, &after)
		if s.Ops() == 0 || after-before != s.Ops() || r[1].cpu-r[0].cpu != s.ServerCPU {
			t.Errorf("slice %d: %d requests in %v of CPU, by the server %d in %v", n, s.Ops(), s.ServerCPU, after-before,
				r[1].cpu-r[0].cpu)
		}
	}
}

// TestRefused: an agent starts nothing but what it was told to on its own side.
func TestRefused(t *testing.T) {
	closed := allowAll()
	closed.Upload, closed.Programs = false, nil
	shut, _ := newMachine(t, closed).dial(t)
	open, _ := newMachine(t, allowAll()).dial(t)
	with := func(change func(*subject.Exec)) subject.Exec {
		e := server("a")
		change(&e)
		return e
	}
	for want, target := range map[string]*Target{
		"not among the programs that it starts (--allow-exec)": Program(shut, server("a")),
		"takes no programs from recorders (--allow-upload)":    Upload(shut, server("a"), os.Args[0]),
		"there is no such transport":                           Store(shut, server("a"), map[string]string{"transport": "x"}, nil),
		"/bin/sh is not among":                                 Program(open, with(func(e *subject.Exec) { e.Command[0] = "/bin/sh" })),
		"does not take LD_PRELOAD from a recorder": Program(open, with(func(e *subject.Exec) {
			e.Env = []string{"GOGC=50", "LD_PRELOAD=/tmp/x.so"}
		})),
		"more than 10m0s": Program(open, with(func(e *subject.Exec) { e.Timeout = time.Hour })),
	} {
		i, err := target.Start(t.Context(), t.Output())
		if err == nil {
			i.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if i := begin(t, Program(open, with(func(e *subject.Exec) { e.Env = []string{"GOGC=50"} }))); i.Process() == 0 {
		t.Error("what comes after a refusal is not started")
	}
}

// TestAddress: subjects are reached by the address that the agent was told, wherever else
// they listen.
func TestAddress(t *testing.T) {
	p := allowAll()
	p.Listen = "127.0.0.2" // which Linux has, as all others of that network
	link, _ := newMachine(t, p).dial(t)
	for _, tt := range []struct{ address, pages, want string }{
		{subject.ChosenAddress, "", ""},
		{"0.0.0.0:0", "", ""},
		{":" + subject.ChosenPort, subject.ChosenAddress, ""},
		{"127.0.0.1:0", "", "is not on 127.0.0.2, by which others reach this machine; use {addr} or {host}:{port2}"},
		{subject.ChosenAddress, "127.0.0.1:" + subject.SecondPort, "/debug/pprof is not on 127.0.0.2"},
	} {
		e := server("a")
		e.Command = []string{os.Args[0], "serve", tt.address}
		e.Debug = tt.pages
		i, err := Program(link, e).Start(t.Context(), t.Output())
		if tt.want != "" {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		if host := i.URL().Hostname(); host != p.Listen || i.Debug().Pprof.Host != i.URL().Host || i.Process() == 0 {
			t.Errorf("%+v: %s, pages at %s, process %d", tt, host, i.Debug().Pprof, i.Process())
		}
		get(t, i.URL(), "/served")
		i.Stop()
	}
}

// TestNothingLeft: whatever ends a session, its subject ends with it, and what the
// recorder asks then is lost and no failure of the subject.
func TestNothingLeft(t *testing.T) {
	for name, end := range map[string]func(m *machine, link *agent.Link, cut func()){
		"recorder done":   func(_ *machine, link *agent.Link, _ func()) { link.Close() },
		"recorder silent": func(_ *machine, _ *agent.Link, cut func()) { cut() },
		"agent ended":     func(m *machine, _ *agent.Link, _ func()) { m.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, allowAll())
			link, cut := m.dial(t)
			i := begin(t, Program(link, server("a")))
			end(m, link, cut)
			testaid.Until(t, "the subject lives on", func() bool { return !testaid.Alive(i.Process()) })
			<-i.Exited()
			_, cpuErr := i.CPU()
			for _, err := range []error{cpuErr, i.Death("now")} {
				if _, lost := errors.AsType[*loadgen.LostError](err); !lost {
					t.Errorf("%v is no loss", err)
				}
			}
		})
	}
}

// TestDeath: that a subject ends by itself is noticed, and explained by what it said.
func TestDeath(t *testing.T) {
	link, _ := newMachine(t, allowAll()).dial(t)
	i := begin(t, Program(link, server("a")))
	if resp, err := http.Get(i.URL().JoinPath("/exit").String()); err == nil {
		_ = resp.Body.Close()
	}
	<-i.Exited()
	if err := i.Death("while it was asked to"); err == nil || !strings.Contains(err.Error(), "so be it") ||
		!strings.Contains(err.Error(), "died while it was asked to (exit status 3)") {
		t.Error(err)
	}
}

// FuzzHost: whatever a host is asked, it answers.
func FuzzHost(f *testing.F) {
	for _, r := range []request{
		{Do: doInfo, Start: &start{Store: map[string]string{}}}, {Do: doStart, Subject: 1, Start: &start{Command: []string{"x"}}},
		{Do: doUpload, Piece: &agent.Piece{Hash: "ab", Data: []byte("x"), Last: true}}, {Do: doCPU, Subject: 1}, {Do: doMachine},
		{Do: doFollow}, {Do: doLook}, {Do: doClose},
	} {
		f.Add(agent.Encode(r))
	}
	nothing := Policy{Listen: Loopback, Store: func(map[string]string, []string) (subject.Exec, error) {
		return subject.Exec{}, errors.New("there is no store")
	}}
	h := NewHost(nothing)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r reply
		if err := decode(h.Do(t.Context(), data), &r); err != nil || r.Started != nil {
			t.Errorf("%v, or something was started: %+v", err, r.Started)
		}
	})
}

// TestPrograms: of programs that were sent, the latest are kept; one that is not what
// it is said to be is none of them.
func TestPrograms(t *testing.T) {
	ps := &programs{}
	defer ps.close()
	nothingRuns := func(string) bool { return false }
	var hashes []string
	for n := range maxPrograms + 1 {
		text := fmt.Sprintf("program %d", n)
		sum := sha256.Sum256([]byte(text))
		hashes = append(hashes, hex.EncodeToString(sum[:]))
		for i, part := range []string{text[:3], text[3:]} {
			if err := ps.receive(agent.Piece{Hash: hashes[n], Data: []byte(part), Last: i == 1}, nothingRuns); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := ps.receive(agent.Piece{Hash: hashes[0], Data: []byte("another"), Last: true}, nothingRuns); err == nil {
		t.Error("a program is kept that is another one")
	}
	again := agent.Piece{Hash: hashes[1], Data: []byte("program 1"), Last: true}
	if err := ps.receive(again, nothingRuns); err != nil || len(ps.all) != maxPrograms {
		t.Errorf("of a program that is sent again: %v, %d are kept", err, len(ps.all))
	}
	for n, hash := range hashes {
		path, there := ps.path(hash)
		if there != (n > 0) {
			t.Errorf("program %d is there: %v", n, there)
		}
		if text, err := os.ReadFile(path); there && (err != nil || string(text) != fmt.Sprintf("program %d", n)) {
			t.Errorf("program %d is %q, %v", n, text, err)
		}
	}
}

// TestRoomForPrograms: programs take no more than some memory, those that run included:
// of the others the oldest goes, and where all run no other is taken.
func TestRoomForPrograms(t *testing.T) {
	ps := &programs{}
	defer ps.close()
	runs := map[string]bool{}
	send := func(text string, claimed int) error {
		hash := agent.HashOf([]byte(text))
		err := ps.receive(agent.Piece{Hash: hash, Data: []byte(text), Last: true}, func(h string) bool { return runs[h] })
		if n := len(ps.all); err == nil {
			ps.all[n-1].size = claimed // as if it were as large
		}
		return err
	}
	for _, text := range []string{"a", "b"} {
		if err := send(text, maxProgram); err != nil {
			t.Fatal(err)
		}
	}
	runs[agent.HashOf([]byte("a"))] = true
	if err := send("c", maxProgram); err != nil {
		t.Fatal(err)
	}
	for text, kept := range map[string]bool{"a": true, "b": false, "c": true} {
		if _, there := ps.path(agent.HashOf([]byte(text))); there != kept {
			t.Errorf("program %s is there: %v", text, there)
		}
	}
	runs[agent.HashOf([]byte("c"))] = true
	if err := send("d", 1); err == nil || !strings.Contains(err.Error(), "programs of 512 MiB at a time") {
		t.Errorf("one more: %v", err)
	}
}
