package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server/postgres/cluster"
)

// throwawayRounds is how often each end of a run is tried.
func throwawayRounds() int {
	if testlong.On() {
		return 3
	}
	return 1
}

// TestThrowawayCluster ends runs on PostgreSQL in every way there is, and holds that
// nothing of the cluster is left: no process, no folder, no socket. It takes seconds
// because each round creates a cluster.
func TestThrowawayCluster(t *testing.T) {
	testlong.NotRaced(t, "what is killed cannot tell of a race")
	for name, end := range map[string]struct {
		blocks string
		signal os.Signal // to the run after the first block; nil for none
		victim bool      // subjects are killed instead
		code   int
	}{
		"success":            {"1", nil, false, exitOK},
		"failure":            {"1000", nil, true, exitFailed},
		"Ctrl-C":             {"1000", os.Interrupt, false, exitInterrupted},
		"recorder is killed": {"1000", syscall.SIGKILL, false, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range throwawayRounds() {
				temp := sharedTempDir(t)
				r := &running{out: t.TempDir()}
				r.startPostgres(t, temp, end.blocks)
				finish := r.end
				if end.victim {
					finish = r.endByKilling
				} else if end.signal != nil {
					if len(processesIn(temp)) < 3 {
						t.Errorf("processes of the cluster: %v", processesIn(temp))
					}
					if err := r.cmd.Process.Signal(end.signal); err != nil {
						t.Error(err)
					}
				}
				if code, text := finish(t); code != end.code {
					t.Errorf("exit code %d, want %d: %s", code, end.code, text)
				}
				wantNothingLeft(t, temp)
			}
		})
	}
}

// sharedTempDir is a folder for temporary files that every user can enter.
func sharedTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(cluster.Passing().Dir, "throwaway-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startPostgres starts a run on PostgreSQL and waits for its first block, or skips
// the test where there is none.
func (r *running) startPostgres(t *testing.T, temp, blocks string) {
	t.Helper()
	if !cluster.Installed() {
		t.Skip(cluster.ErrNotInstalled)
	}
	r.blocks = blocks
	r.env = append(os.Environ(), "TMPDIR="+temp)
	r.start(t, "--store=postgres", "--transport=fasthttp", "--profiles=none")
}

// processesIn are the processes that work below a folder, or have it among their
// arguments.
func processesIn(dir string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, p := range all {
		cwd, _ := os.Readlink(p + "/cwd") // of none, if it has ended
		command, _ := os.ReadFile(p + "/cmdline")
		if strings.HasPrefix(cwd, dir) || strings.Contains(string(command), dir) {
			pids = append(pids, filepath.Base(p))
		}
	}
	return pids
}

func wantNothingLeft(t *testing.T, temp string) {
	t.Helper()
	left := func() []string {
		files, _ := filepath.Glob(temp + "/*")
		return slices.Concat(processesIn(temp), files)
	}
	testaid.Until(t, fmt.Sprintf("left behind in %s", temp), func() bool { return len(left()) == 0 })
	if sockets, err := os.ReadFile("/proc/net/unix"); err == nil && strings.Contains(string(sockets), temp) {
		t.Error("a socket is left")
	}
}
