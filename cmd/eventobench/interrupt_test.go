package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// running is an experiment in a process of its own, past its first block.
type running struct {
	cmd  *exec.Cmd
	out  string
	text *bufio.Reader // what it prints on stderr

	blocks string   // 1000 if empty
	env    []string // that of this process if nil
}

func startRun(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{out: t.TempDir()}
	r.start(t, append(args, "--transport=fasthttp,nethttp")...)
	return r
}

// start starts the run and waits for its first block.
func (r *running) start(t *testing.T, args ...string) {
	t.Helper()
	blocks := cmp.Or(r.blocks, "1000")
	r.launch(t, append([]string{
		"run", "--blocks=" + blocks, "--rounds=2", "--slice=5ms", "--warmup=5", "--out=" + r.out,
	}, args...)...)
	r.waitFor(t, "1 of "+blocks+" blocks")
}

// launch starts the process.
func (r *running) launch(t *testing.T, args ...string) {
	t.Helper()
	r.cmd = exec.CommandContext(t.Context(), "eventobench", args...)
	r.cmd.Env = r.env
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.text = bufio.NewReader(stderr)
}

// waitFor reads stderr up to a line with the given text.
func (r *running) waitFor(t *testing.T, text string) {
	t.Helper()
	var seen strings.Builder
	for {
		line, err := r.text.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if seen.WriteString(line); err != nil {
			t.Fatalf("the run ended without saying %q: %s", text, seen.String())
		}
	}
}

// end waits for the run and returns its exit code and what else it said.
func (r *running) end(t *testing.T) (code int, text string) {
	t.Helper()
	var rest strings.Builder
	if _, err := r.text.WriteTo(&rest); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait() // the code tells how it ended
	return r.cmd.ProcessState.ExitCode(), rest.String()
}

// subjects returns the process ids of the servers the run has started.
func (r *running) subjects(t *testing.T) []int {
	t.Helper()
	status, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	parent := regexp.MustCompile(`(?m)^PPid:\t` + strconv.Itoa(r.cmd.Process.Pid) + `$`)
	for _, path := range status {
		command, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")) // of none, if it has ended
		if !strings.Contains(string(command), "\x00serve\x00") {
			continue // the run has other children, that clean up
		}
		if text, err := os.ReadFile(path); err == nil && parent.Match(text) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// endByKilling kills the newest subject until the run has ended, and is like end. One
// that is killed while it is being stopped is no failure, so a single one is not enough.
func (r *running) endByKilling(t *testing.T) (code int, text string) {
	t.Helper()
	ended := make(chan struct{})
	var killing sync.WaitGroup
	killing.Go(func() {
		next := time.NewTicker(5 * time.Millisecond)
		defer next.Stop()
		for {
			if pids := r.subjects(t); len(pids) > 0 {
				_ = syscall.Kill(pids[len(pids)-1], syscall.SIGKILL) // it may have ended
			}
			select {
			case <-next.C:
			case <-ended:
				return
			}
		}
	})
	code, text = r.end(t)
	close(ended)
	killing.Wait()
	return code, text
}

// checkFolders holds that both folders can be read, are in the given state,
// and are all there is.
func (r *running) checkFolders(t *testing.T, state runfolder.State) {
	t.Helper()
	entries, err := os.ReadDir(r.out)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries in the folder of run folders (%v)", len(entries), err)
	}
	for _, e := range entries {
		run, err := runfolder.Open(filepath.Join(r.out, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if run.Manifest.State != state || len(run.Manifest.Blocks) == 0 || run.Totals().TotalOps == 0 {
			t.Errorf("%s: %s with %d blocks", e.Name(), run.Manifest.State, len(run.Manifest.Blocks))
		}
	}
}

func TestCtrlC(t *testing.T) {
	t.Parallel()
	r := startRun(t)
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code, text := r.end(t)
	if code != exitInterrupted || !strings.Contains(text, "interrupted after") {
		t.Errorf("exit code %d: %s", code, text)
	}
	if left := r.subjects(t); len(left) > 0 {
		t.Errorf("processes left behind: %v", left)
	}
	r.checkFolders(t, runfolder.StateInterrupted)
}

func TestSubjectIsKilled(t *testing.T) {
	t.Parallel()
	r := startRun(t)
	code, text := r.endByKilling(t)
	if code != exitFailed || !regexp.MustCompile(`eventobench: block \d+ of 1000: subject (fasthttp|nethttp) died .*\(signal: killed\)`).MatchString(text) {
		t.Errorf("exit code %d: %s", code, text)
	}
	if strings.Contains(text, "goroutine ") {
		t.Errorf("a stack trace: %s", text)
	}
	r.checkFolders(t, runfolder.StateFailed)
}

// TestRecorderIsKilled holds that servers do not outlive a recorder that could
// not stop them, and that what was complete can still be read.
func TestRecorderIsKilled(t *testing.T) {
	t.Parallel()
	r := startRun(t)
	var pids []int
	testaid.Until(t, "the run started no subject", func() bool {
		pids = r.subjects(t)
		return len(pids) > 0
	})
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.end(t)
	for _, pid := range pids { // the kernel ends them, in its own time
		testaid.Until(t, fmt.Sprintf("subject %d outlived its recorder", pid), func() bool { return !testaid.Alive(pid) })
	}
	r.checkFolders(t, runfolder.StateRecording)
}
