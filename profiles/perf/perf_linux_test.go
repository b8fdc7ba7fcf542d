package perf

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	for err, want := range map[unix.Errno]string{
		unix.ENOENT: "no hardware counters, as in most virtual machines",
		unix.EACCES: "kernel.perf_event_paranoid is 4",
		unix.EPERM:  "kernel.perf_event_paranoid is 4",
		unix.ENOSYS: "built without it",
		unix.EMFILE: "perf_event_open: too many open files",
	} {
		got := explain(err, "4")
		if !strings.Contains(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "paranoid")
	if got := paranoid(file); got != "not there" {
		t.Errorf("without the file: %q", got)
	}
	if err := os.WriteFile(file, []byte("3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := paranoid(file); got != "3" {
		t.Errorf("paranoid %q", got)
	}
}

// TestOpenSaysWhy holds that a process that cannot be counted has a reason, everywhere.
func TestOpenSaysWhy(t *testing.T) {
	c, err := Open(os.Getpid())
	if err == nil {
		c.Close()
		t.Skip("this machine has hardware counters")
	}
	if probe := Probe("/proc/sys/kernel/perf_event_paranoid"); probe == nil || probe.Error() != err.Error() {
		t.Errorf("opening says %v, the probe %v", err, probe)
	}
}

// TestCounts has a program begin threads and processes, and counts them.
func TestCounts(t *testing.T) {
	if err := Probe("/proc/sys/kernel/perf_event_paranoid"); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c",
		"read go; for i in 1 2 3; do (i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done) & done; wait; echo done; read end")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read()
	if least := int64(3 * 20_000 * 10); err != nil || n < least {
		t.Errorf("%d instructions, %v, want at least %d", n, err, least)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the last read of the shell fails
}
