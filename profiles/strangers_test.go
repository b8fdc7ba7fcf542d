package profiles

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// strangers are servers that know nothing of being measured, by the mode of the
// test binary: NAME:ARGUMENT.
var strangers = map[string]func(argument string){
	"plain":  func(address string) { serveAt(address, requestMux(nil)) },
	"two":    func(address string) { openBoth(address) },
	"prints": func(address string) { openBoth(address) },
	"heeds": func(string) { // opens other ports first
		listenAt("127.0.0.1:0")
		listenAt("127.0.0.1:0")
		serveAt(os.Getenv("LISTEN"), requestMux(nil))
	},
	"told": func(arguments string) { // says where it will listen, and is told whether to
		address, fifo, _ := strings.Cut(arguments, ",")
		fmt.Println(address)
		order, err := os.ReadFile(fifo)
		if err != nil || string(order) == "die" {
			os.Exit(1)
		}
		serveAt(address, requestMux(nil))
	},
	"late":   serveLate,
	"daemon": daemonize,
	"apart": func(arguments string) {
		address, pages, _ := strings.Cut(arguments, ",")
		go serveAt(pages, pagesBelow("/internal"))
		serveAt(address, requestMux(nil))
	},
	"shy": func(arguments string) { // does without pages of its own if their port is taken
		address, pages, _ := strings.Cut(arguments, ",")
		go func() {
			l, err := net.Listen("tcp", pages)
			if err == nil {
				panic(http.Serve(l, pagesBelow("")))
			}
		}()
		serveAt(address, requestMux(nil))
	},
	"moody": func(arguments string) {
		address, mood, _ := strings.Cut(arguments, ",")
		s := http.Server{Handler: http.HandlerFunc(moods[mood]), Protocols: new(http.Protocols)}
		s.Protocols.SetHTTP1(mood != "h2c")
		s.Protocols.SetUnencryptedHTTP2(mood == "h2c")
		panic(s.Serve(listenAt(address)))
	},
	"answers": func(arguments string) {
		address, answer, _ := strings.Cut(arguments, ",")
		serveAt(address, requestMux(answers[answer]))
	},
}

// moods are what a server may do to all requests but those for /work.
var moods = map[string]func(http.ResponseWriter, *http.Request){
	"503": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/work" {
			http.Error(w, "no such service", http.StatusServiceUnavailable)
		}
	},
	"hang-up": func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/work" {
			panic(http.ErrAbortHandler)
		}
	},
	"h2c": func(http.ResponseWriter, *http.Request) {},
}

// answers are what a server may do to a request, given its number.
var answers = map[string]func(n int64, w http.ResponseWriter){
	"crash": func(n int64, _ http.ResponseWriter) {
		if n == 10 {
			fmt.Println("out of memory, or so")
			os.Exit(7)
		}
	},
	"some-500": func(n int64, w http.ResponseWriter) {
		if n%100 == 0 {
			http.Error(w, "out of cheese", http.StatusInternalServerError)
		}
	},
	"all-302": func(_ int64, w http.ResponseWriter) {
		w.Header().Set("Location", "/login")
		w.WriteHeader(http.StatusFound)
	},
	"third-429": func(n int64, w http.ResponseWriter) {
		if n%3 == 0 {
			w.WriteHeader(http.StatusTooManyRequests)
		}
	},
	"leak":  func(int64, http.ResponseWriter) { go func() { select {} }() },
	"close": func(_ int64, w http.ResponseWriter) { w.Header().Set("Connection", "close") },
}

// requestMux serves the pages of net/http/pprof where everybody does, and work.
func requestMux(answer func(n int64, w http.ResponseWriter)) http.Handler {
	mux := pagesBelow("")
	var served atomic.Int64
	mux.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
		if answer != nil {
			answer(served.Add(1), w)
		}
		fmt.Fprint(w, "done")
	})
	return mux
}

// pagesBelow serves the pages of net/http/pprof below a path.
func pagesBelow(prefix string) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(prefix+"/debug/pprof/", http.StripPrefix(prefix, http.HandlerFunc(pprof.Index)))
	mux.HandleFunc(prefix+"/debug/pprof/profile", pprof.Profile)
	return mux
}

func serveAt(address string, h http.Handler) { panic(http.Serve(listenAt(address), h)) }

func listenAt(address string) net.Listener {
	l, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	return l
}

// openBoth has another port open beside the one that serves, and says where that
// is if it was told a word for it.
func openBoth(word string) {
	listenAt("127.0.0.1:0")
	l := listenAt("127.0.0.1:0")
	if word != "" {
		fmt.Printf("%s http://%s/ (press Ctrl-C to end)\n", word, l.Addr())
	}
	panic(http.Serve(l, requestMux(nil)))
}

// serveLate tells its id to whoever reads one pipe, and begins when another one
// is written to.
func serveLate(arguments string) {
	f := strings.Split(arguments, ",")
	if err := os.WriteFile(f[1], []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		panic(err)
	}
	if _, err := os.ReadFile(f[2]); err != nil {
		panic(err)
	}
	serveAt(f[0], requestMux(nil))
}

// daemonize starts the server in a session of its own and ends. Its environment
// is passed on, or forgotten.
func daemonize(arguments string) {
	address, environment, _ := strings.Cut(arguments, ",")
	cmd := exec.Command(os.Args[0])
	cmd.Env = os.Environ()
	if environment == "forgotten" {
		cmd.Env = nil
	}
	cmd.Env = append(cmd.Env, subjectMode+"=plain:"+address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	os.Exit(0)
}

// stranger is the test binary as one of the strangers.
func stranger(t *testing.T, name, mode string) subject.Exec {
	t.Helper()
	s := testSubject(t, name, mode)
	s.Ready = ""
	return s
}

// TestListenerIsFound holds that the process that listens is measured, however
// it came to be, and that nothing listens when it is stopped.
func TestListenerIsFound(t *testing.T) {
	behind := func(before, after string) func(subject.Exec) subject.Exec {
		return func(s subject.Exec) subject.Exec {
			s.Command = []string{"sh", "-c", before + strings.Join(s.Command, " ") + after}
			return s
		}
	}
	withEnv := func(variable string) func(subject.Exec) subject.Exec {
		return func(s subject.Exec) subject.Exec {
			s.Env = []string{variable}
			return s
		}
	}
	for _, tt := range []struct {
		name, mode string
		change     func(subject.Exec) subject.Exec
	}{
		{"told where to listen", "plain:{addr}", nil},
		{"told nothing", "plain:127.0.0.1:0", nil},
		{"on all addresses", "plain::{port}", nil},
		{"prints some line with its URL", "prints:running at", nil},
		{"heeds its environment", "heeds:", withEnv("LISTEN={addr}")},
		{"does not heed its environment", "plain:127.0.0.1:0", withEnv("PORT={port}")},
		{"a shell waits for it", "plain:{addr}", behind("", "; echo ended")},
		{"a shell leaves it alone", "plain:{addr}", behind("", " & exit 0")},
		{"told nothing, in a session of its own", "plain:127.0.0.1:0", behind("setsid ", " & exit 0")},
		{"a daemon", "daemon:{addr}", nil},
		{"a daemon that forgets its environment", "daemon:{addr},forgotten", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := stranger(t, "one", tt.mode)
			if tt.change != nil {
				s = tt.change(s)
			}
			checkMeasured(t, s)
		})
	}
}

// checkMeasured starts a subject, loads it, and expects to see the work.
func checkMeasured(t *testing.T, s subject.Exec) {
	t.Helper()
	i, err := s.Start(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	address := i.URL().Host
	stopped := false
	defer func() {
		if !stopped {
			i.Stop()
		}
	}()
	missing := i.Missing()
	delete(missing, runfolder.SourceInstructions) // which few machines count
	if len(missing) != 0 {
		t.Errorf("missing: %v", missing)
	}
	before, err := i.CPU()
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		get(t, i.URL().JoinPath("/work"))
	}
	after, err := i.CPU()
	if err != nil || after-before < 100*time.Microsecond {
		t.Errorf("%v of CPU time in 50 requests (%v)", after-before, err)
	}
	if b, err := i.Binary(); err != nil || b.GoVersion != runtime.Version() {
		t.Errorf("binary %+v (%v)", b, err)
	}
	i.Stop()
	stopped = true
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Errorf("something listens on %s still", address)
	}
}

func get(t *testing.T, u *url.URL) {
	t.Helper()
	resp, err := http.Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	_ = resp.Body.Close()
}

// TestGoRun: the server is a child of the go command.
func TestGoRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/hello\n")
	write(t, filepath.Join(dir, "main.go"), `package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	panic(http.ListenAndServe(os.Args[1], nil))
}
`)
	checkMeasured(t, subject.Exec{
		Name: "one", Command: []string{"go", "run", ".", subject.ChosenAddress}, Dir: dir, Timeout: time.Minute,
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLateStart: a server may take its time, and is waited for.
func TestLateStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun, proceed := filepath.Join(dir, "begun"), filepath.Join(dir, "proceed")
	for _, fifo := range []string{begun, proceed} {
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		_, _ = os.ReadFile(begun) // returns once the server runs, and does not listen
		_ = os.WriteFile(proceed, []byte("go"), 0)
	}()
	checkMeasured(t, stranger(t, "one", "late:{addr},"+begun+","+proceed))
}

// TestSeveralPorts: of two ports none can be told to be the server's.
func TestSeveralPorts(t *testing.T) {
	t.Parallel()
	i, err := stranger(t, "one", "two:").Start(t.Context(), io.Discard)
	if err == nil {
		i.Stop()
		t.Fatalf("took %s for the server", i.URL())
	}
	if !strings.Contains(err.Error(), "subject one listens on several ports (http://127.0.0.1:") ||
		!strings.Contains(err.Error(), "{addr} or {port}") {
		t.Error(err)
	}
}

// TestListenerIsNotOurs: the figures of a process that the command did not start
// cannot be had, and those of the command do not stand in for them.
func TestListenerIsNotOurs(t *testing.T) {
	t.Parallel()
	socket, address := bind(t)
	onceBegun := writerFunc(func(b []byte) (int, error) { // this process listens, which is nobody's child
		return len(b), syscall.Listen(socket, 16)
	})
	i, err := subject.Exec{
		Name: "one", Command: []string{"sh", "-c", "echo begun; exec sleep 600"},
		Address: address, Ready: subject.ReadyTCP,
	}.Start(t.Context(), onceBegun)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Stop()
	for _, source := range []runfolder.Source{
		runfolder.SourceCPUClock, runfolder.SourceRSS, runfolder.SourceSwitches, runfolder.SourceIO,
	} {
		if reason := i.Missing()[source]; !strings.Contains(reason, "was not found") {
			t.Errorf("%s is missing because of %q", source, reason)
		}
	}
}

// bind takes a port, which nobody else can have then, and does not listen yet.
func bind(t *testing.T) (socket int, address string) {
	t.Helper()
	syscall.ForkLock.RLock() // no process started meanwhile inherits the socket
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(socket)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return socket, fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestLostPort: a server that cannot have the port that was chosen for it is given
// another one, once.
func TestLostPort(t *testing.T) {
	t.Parallel()
	for _, orders := range [][]string{{"die", "serve"}, {"die", "die"}} {
		fifo := filepath.Join(t.TempDir(), "order")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		var addresses []string
		log := writerFunc(func(b []byte) (int, error) {
			order := orders[len(addresses)]
			addresses = append(addresses, strings.TrimSpace(string(b)))
			if order == "die" {
				l := listenAt(addresses[len(addresses)-1])
				t.Cleanup(func() { _ = l.Close() })
			}
			return len(b), os.WriteFile(fifo, []byte(order), 0)
		})
		s := stranger(t, "one", "told:{addr},"+fifo)
		s.Ready = "/debug/pprof/"
		i, err := s.Start(t.Context(), log)
		if err == nil {
			defer i.Stop()
		}
		if len(addresses) != 2 || addresses[0] == addresses[1] {
			t.Errorf("%v: it was to listen on %v", orders, addresses)
		}
		if served := orders[1] == "serve"; served != (err == nil) || served && i.URL().Host != addresses[1] {
			t.Errorf("%v: error %v", orders, err)
		}
	}
}

// TestPagesApart: profiling pages may be on a port of their own and below
// another path, and the usual place then is not looked at.
func TestPagesApart(t *testing.T) {
	t.Parallel()
	s := stranger(t, "one", "apart:{addr},127.0.0.1:{port2}")
	s.Debug = "http://127.0.0.1:{port2}/internal/debug/pprof"
	run := record(t, testExperiment(t, s))
	m, kinds := run.Manifest, len(defaultKinds())
	if m.Capture.Counters != subject.HeapPage || len(run.Profiles()) != kinds {
		t.Errorf("counters of %q, profiles %v, unavailable %v", m.Capture.Counters, run.Profiles(), m.Unavailable)
	}
	s.Debug = "127.0.0.1:{port2}"
	run = record(t, testExperiment(t, s))
	reason := run.Manifest.Unavailable[runfolder.SourceMemStats]
	if !strings.HasPrefix(reason, "GET http://127.0.0.1:") || !strings.Contains(reason, `import _ "expvar"`) {
		t.Errorf("memstats: %q", reason)
	}
	s = stranger(t, "one", "plain:{addr}")
	s.Debug = "127.0.0.1:{port2}"
	const nothing = "nothing listens where its profiling pages are said to be"
	var err error
	for s.Timeout = time.Second; s.Timeout < 20*time.Second; s.Timeout *= 2 { // for it to start, on a busy machine
		_, err = testExperiment(t, s).Record(t.Context())
		if err == nil || strings.Contains(err.Error(), nothing) {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), nothing) {
		t.Errorf("error %v", err)
	}
}

// TestPagesOfAnother: of two subjects with the same port for their pages, one would
// be given the other's figures.
func TestPagesOfAnother(t *testing.T) {
	t.Parallel()
	pages := testaid.FreeAddress(t)
	start := func(name string) (subject.Instance, error) {
		s := stranger(t, name, "shy:{addr},"+pages)
		s.Debug = pages
		return s.Start(t.Context(), io.Discard)
	}
	first, err := start("one")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Stop()
	second, err := start("two")
	if err == nil {
		second.Stop()
		t.Fatal("it was given the pages of another process")
	}
	want := "subject two: the profiling pages at http://" + pages + "/debug/pprof belong to another process; " +
		"give each subject its own port with {port2}"
	if err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// TestMoodyStrangers: a server that fails when it is asked for pages it does not
// have, or does not speak HTTP/1.1, can be measured without them.
func TestMoodyStrangers(t *testing.T) {
	t.Parallel()
	for mood, want := range map[string]string{
		"503":     "was answered with 503 Service Unavailable: no such service; ",
		"hang-up": ": EOF; ",
		"h2c":     "reading a debug page: Get \"http://127.0.0.1:",
	} {
		t.Run(mood, func(t *testing.T) {
			s := stranger(t, "one", "moody:{addr},"+mood)
			s.Ready = subject.ReadyTCP
			e := testExperiment(t, s)
			if mood == "h2c" {
				load := e.Load
				load.Protocol = loadgen.ProtocolH2
				e.setLoad(load)
			}
			run := record(t, e)
			sources := []runfolder.Source{runfolder.SourceMemStats, runfolder.SourceGoroutines}
			for _, k := range e.Profiles {
				sources = append(sources, k.Source())
			}
			for _, source := range sources {
				if reason := run.Manifest.Unavailable[source]; !strings.Contains(reason, want) {
					t.Errorf("%s is missing because of %q, want %q", source, reason, want)
				}
			}
			if totals := run.Totals(); totals.TotalOps == 0 || totals.Errors != 0 {
				t.Errorf("totals %+v", totals)
			}
		})
	}
}

// TestAnswersOfStrangers: whatever a server answers ends in the right error, or
// in figures that say so.
func TestAnswersOfStrangers(t *testing.T) {
	for _, tt := range []struct {
		answer  string
		allowed float64 // share of failed requests
		want    string  // in the error; none if empty
		check   func(t *testing.T, run *runfolder.Run)
	}{
		{"crash", 0, "subject one died while it was measured (exit status 7); " +
			"its last output:\n  out of memory, or so", nil},
		{"some-500", 0, "/work was answered with status 500", nil},
		{"some-500", 0.5, "", func(t *testing.T, run *runfolder.Run) { checkFailed(t, run, 500, 100) }},
		{"third-429", 0.1, "/work was answered with status 429", nil},
		{"third-429", 0.5, "", func(t *testing.T, run *runfolder.Run) { checkFailed(t, run, 429, 3) }},
		{"all-302", 0, "", func(t *testing.T, run *runfolder.Run) {
			if s := run.Manifest.Blocks[0].Answers[0].Statuses; s[302] == 0 || len(s) != 1 {
				t.Errorf("statuses %v", s)
			}
		}},
		{"leak", 0, "", func(t *testing.T, run *runfolder.Run) {
			b := run.Manifest.Blocks[0]
			if leaked := b.Goroutines - b.GoroutinesBefore; leaked < run.Totals().TotalOps/2 {
				t.Errorf("%d goroutines more after %d requests", leaked, run.Totals().TotalOps)
			}
		}},
		{"close", 0, "", func(t *testing.T, run *runfolder.Run) {
			if totals := run.Totals(); totals.TotalOps == 0 || totals.Errors != 0 {
				t.Errorf("totals %+v", totals)
			}
		}},
	} {
		t.Run(fmt.Sprintf("%s, %g allowed", tt.answer, tt.allowed), func(t *testing.T) {
			t.Parallel()
			e := testExperiment(t, stranger(t, "one", "answers:{addr},"+tt.answer))
			e.Plan = runfolder.Plan{Blocks: 1, Rounds: 1, Slice: 50 * time.Millisecond, Warmup: 300, Seed: 1}
			e.Profiles = nil
			e.setLoad(loadgen.Load{
				Workload: "work", Kinds: work{}.Kinds(), Workers: 2, Timeout: 10 * time.Second, AllowErrors: tt.allowed,
			})
			dirs, err := e.Record(t.Context())
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if tt.check == nil {
				return
			}
			run, err := runfolder.Open(dirs[0])
			if err != nil {
				t.Fatal(err)
			}
			tt.check(t, run)
		})
	}
}

// checkFailed holds that of requests that a server numbers as they come every
// nth failed. Both ends of what was measured may divide n of them.
func checkFailed(t *testing.T, run *runfolder.Run, status int, n int64) {
	t.Helper()
	a := run.Manifest.Blocks[0].Answers[0]
	all := a.Failed + run.Totals().TotalOps
	if off := n*a.Failed - all; off < -n || off > n {
		t.Errorf("%d of %d failed, want every %dth", a.Failed, all, n)
	}
	if a.Statuses[status] != a.Failed {
		t.Errorf("%d failed, statuses %v", a.Failed, a.Statuses)
	}
}
