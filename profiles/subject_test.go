package profiles

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // the subject of these tests is measured through it
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

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

// serve is a small real server with net/http/pprof. It misbehaves in modes
// other than fine: silent=FIFO hangs before it listens, frozen=FIFO at its
// hundredth request, and killed, error and broken do what they say.
func serve(mode string) {
	if mode == "broken" {
		fmt.Println("no such option: --fast")
		os.Exit(3)
	}
	if fifo, ok := strings.CutPrefix(mode, "silent="); ok {
		hang(fifo)
	}
	var served atomic.Int64
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {})
	http.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) == 100 {
			misbehave(mode, w)
		}
		garbage := make([]byte, workBytes)
		kept.Store(&garbage)
		fmt.Fprint(w, "done")
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	panic(http.Serve(listener, nil))
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

func (work) Name() string                        { return "work" }
func (work) Kinds() []string                     { return []string{"work"} }
func (w work) Source(uint64, int) loadgen.Source { return w }
func (work) Check(int, []byte) error             { return nil }
func (work) Next(req *fasthttp.Request) int {
	req.SetRequestURI("/work")
	return 0
}

// testSubject is the test binary as a server in one of serve's modes.
func testSubject(t *testing.T, name, mode string) subject.Subject {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return subject.Subject{Name: name, Kind: "test", Command: []string{"/usr/bin/env", subjectMode + "=" + mode, program}, Health: "/health"}
}

func testExperiment(t *testing.T, subjects ...subject.Subject) Experiment {
	t.Helper()
	return Experiment{
		Subjects: subjects,
		Workload: work{},
		Workers:  2,
		Timeout:  10 * time.Second,
		Plan:     runfolder.Plan{Blocks: 2, Rounds: 3, Slice: 5 * time.Millisecond, Warmup: 10, Seed: 1},
		Out:      t.TempDir(),
		Label:    "a test",
		Tool:     "test",
	}
}
