//go:build linux

package subject

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestJanitorKnowsTheOutput: a process that nobody told the janitor of, and that
// has neither the environment, the group nor a parent in common with its
// instance, is known by where it prints.
func TestJanitorKnowsTheOutput(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	j, err := startJanitor(newMarker(), t.TempDir(), reader)
	if err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("env", "-i", "sleep", "60")
	daemon.Stdout = writer
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	_ = j.stdin.Close() // as if this process had been killed
	_ = daemon.Wait()
	if status := daemon.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("the daemon ended otherwise: %v", daemon.ProcessState)
	}
	if err := j.cmd.Wait(); err != nil {
		t.Errorf("the janitor failed: %v", err)
	}
}
