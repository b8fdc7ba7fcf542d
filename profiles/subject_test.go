package profiles

import (
	"bytes"
	"expvar"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// subjectMode is the environment variable that makes the test binary a server
// to be measured, and says how it shall behave.
const subjectMode = "PROFILES_TEST_SUBJECT"

func TestMain(m *testing.M) {
	if mode := os.Getenv(subjectMode); mode != "" {
		serve(mode)
		return
	}
	os.Exit(m.Run())
}

// workBytes is what one request allocates at least: so much that the megabyte
// which reading the counters can allocate does not hide it in a short window.
const workBytes = 256 << 10

var kept atomic.Pointer[[]byte]

// serve is a small real server. In mode fine it has net/http/pprof, in expvar
// that and expvar, in bare none of them, in contended its requests
// wait for locks. In others it misbehaves: silent=FIFO
// hangs before it listens, frozen=FIFO at its hundredth request, and killed,
// error and broken do what they say; of flaky's requests every hundredth fails.
// mute does not say where it listens; its address follows as mute=ADDRESS. lean
// and lean-expvar are leanHandler's. Those of strangers are in strangers_test.go.
func serve(mode string) {
	if mode == "broken" {
		fmt.Println("no such option: --fast")
		os.Exit(3)
	}
	if fifo, ok := strings.CutPrefix(mode, "silent="); ok {
		hang(fifo)
	}
	if name, argument, ok := strings.Cut(mode, ":"); ok && strangers[name] != nil {
		strangers[name](argument)
	}
	address, mute := strings.CutPrefix(mode, "mute=")
	if !mute {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	if !mute {
		fmt.Printf("listening on http://%s\n", listener.Addr())
	}
	if strings.HasPrefix(mode, "lean") {
		panic(fasthttp.Serve(listener, leanHandler(debugPages(mode == "lean-expvar"))))
	}
	panic(http.Serve(listener, handler(mode)))
}

func handler(mode string) http.Handler {
	if mode == "contended" {
		runtime.SetMutexProfileFraction(1)
		runtime.SetBlockProfileRate(1)
	}
	mux := http.NewServeMux()
	if mode != "bare" {
		mux = debugPages(mode == "expvar")
	}
	var served atomic.Int64
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {})
	mux.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
		n := served.Add(1)
		if mode == "flaky" && n%100 == 0 {
			http.Error(w, "out of luck", http.StatusInternalServerError)
			return
		}
		if n == 100 {
			misbehave(mode, w)
		}
		if mode == "contended" {
			contend()
		}
		garbage := make([]byte, workBytes)
		kept.Store(&garbage)
		fmt.Fprint(w, "done")
	})
	return mux
}

// debugPages serves what a program gets by importing net/http/pprof, and expvar
// if that is wanted: it must not be on the default mux here, where both are.
func debugPages(withExpvar bool) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	if withExpvar {
		mux.Handle("/debug/vars", expvar.Handler())
	}
	return mux
}

// leanBytes is exactly what a request to a lean server allocates.
const leanBytes = 48

// leanHandler answers with one allocation per request; fasthttp adds none.
func leanHandler(pages http.Handler) fasthttp.RequestHandler {
	debug := fasthttpadaptor.NewFastHTTPHandler(pages)
	return func(ctx *fasthttp.RequestCtx) {
		if bytes.HasPrefix(ctx.Path(), []byte("/debug/")) {
			debug(ctx)
			return
		}
		garbage := new([leanBytes]byte)
		lean.Store(garbage)
		ctx.SetBodyString("done")
	}
}

var lean atomic.Pointer[[leanBytes]byte]

// contend has one goroutine wait for another one that holds a lock.
func contend() {
	var lock sync.Mutex
	lock.Lock()
	done := make(chan bool)
	go func() {
		lock.Lock()
		defer lock.Unlock()
		close(done)
	}()
	for !childWaits() {
		runtime.Gosched()
	}
	lock.Unlock()
	<-done
}

// childWaits reports whether a goroutine that the calling one started waits for
// a lock.
func childWaits() bool {
	all := stacks()
	caller, _, _ := bytes.Cut(all, []byte(" [running]"))
	for stack := range bytes.SplitSeq(all, []byte("\n\n")) {
		state, frames, _ := bytes.Cut(stack, []byte("\n"))
		if bytes.Contains(state, []byte(" [sync.Mutex.Lock")) &&
			bytes.Contains(frames, slices.Concat([]byte(" in "), caller, []byte("\n"))) {
			return true
		}
	}
	return false
}

// stacks are those of all goroutines, that of the calling one first.
func stacks() []byte {
	buf := make([]byte, workBytes)
	return buf[:runtime.Stack(buf, true)]
}

func misbehave(mode string, w http.ResponseWriter) {
	switch mode {
	case "killed":
		fmt.Println("about to be killed")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "error":
		http.Error(w, "out of cheese", http.StatusInternalServerError)
	}
	if fifo, ok := strings.CutPrefix(mode, "frozen="); ok {
		hang(fifo)
	}
}

// hang tells its process id to whoever reads the pipe, and stands still.
func hang(fifo string) {
	if err := os.WriteFile(fifo, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		panic(err)
	}
	select {}
}

// work is traffic for serve.
type work struct{}

func (work) Name() string                         { return "work" }
func (work) Kinds() []string                      { return []string{"work"} }
func (w work) Source(uint64, int) loadgen.Source  { return w }
func (work) Check(_ int, a *loadgen.Answer) error { return a.CheckStatus() }
func (work) Next(req *loadgen.Request) int {
	req.Target = "/work"
	return 0
}

// defaultKinds are the profiles that are recorded unless asked otherwise.
func defaultKinds() []runfolder.ProfileKind {
	kinds, err := runfolder.ParseKinds(nil)
	if err != nil {
		panic(err)
	}
	return kinds
}

// testSubject is the test binary as a server in one of serve's modes.
func testSubject(t *testing.T, name, mode string) subject.Exec {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return subject.Exec{
		Name: name, Kind: "test", Ready: "/health",
		Command: []string{"/usr/bin/env", subjectMode + "=" + mode, program},
	}
}

func testExperiment(t *testing.T, subjects ...subject.Target) Experiment {
	t.Helper()
	e := Experiment{
		Subjects: subjects,
		Plan:     runfolder.Plan{Blocks: 2, Rounds: 3, Slice: 5 * time.Millisecond, Warmup: 10, Seed: 1},
		Profiles: defaultKinds(),
		Out:      t.TempDir(),
		Label:    "a test",
		Tool:     "test",
	}
	e.setLoad(loadgen.Load{Workload: work{}.Name(), Kinds: work{}.Kinds(), Workers: 2, Timeout: 10 * time.Second})
	return e
}

// setLoad has the workload work under a load.
func (e *Experiment) setLoad(l loadgen.Load) {
	e.Load, e.NewGenerator = l, Drive(work{}, l, loadgen.Connect{})
}
