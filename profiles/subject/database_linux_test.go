package subject

import (
	"bufio"
	"io"
	"os/exec"
	"testing"
	"time"
)

// TestTreeCPU has a process start one that works and ends, and holds that its CPU time
// is seen while it runs and stays when it has ended.
func TestTreeCPU(t *testing.T) {
	const script = `echo ready; read -r _; (i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read -r _ ); echo ended; read -r _`
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	var used [3]time.Duration
	for i := range used {
		lines.Scan()
		if used[i], err = treeCPU(cmd.Process.Pid); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(stdin, "\n") // fails only if the process has ended, which shows above
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	const tick = 10 * time.Millisecond // that the kernel cuts off the time of what has ended, twice
	if used[1] < used[0]+2*tick || used[2] < used[1]-2*tick {
		t.Errorf("CPU time %v: want it to grow with the work and to stay", used)
	}
	if _, err := treeCPU(1 << 30); err == nil {
		t.Error("a process that is not there has CPU time")
	}
}
