package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/testlong"
)

// TestSelftestGoesOn holds that a selftest which is stopped after an experiment keeps it,
// and that the next call does the rest.
func TestSelftestGoesOn(t *testing.T) {
	for signal, code := range map[os.Signal]int{os.Interrupt: exitInterrupted, syscall.SIGKILL: -1} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			if signal == os.Interrupt {
				testlong.Need(t) // TestCtrlC has it in short
			}
			dir := t.TempDir()
			state := filepath.Join(dir, "state.jsonl")
			args := []string{
				"selftest", "--blocks=1", "--rounds=1", "--slice=5ms", "--warmup=5", "--profiles=none", "--state=" + state,
				"--out=" + dir,
			}
			r := &running{cmd: exec.CommandContext(t.Context(), "eventobench", append(args, "--case=none:50")...)}
			var stdout strings.Builder
			r.cmd.Stdout = &stdout
			stderr, err := r.cmd.StderrPipe()
			if err == nil {
				err = r.cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			r.text = bufio.NewReader(stderr)
			r.waitFor(t, "none: ")
			r.waitFor(t, "none: ") // so that the first is in the file
			if err := r.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if got, text := r.end(t); got != code {
				t.Errorf("exit code %d: %s", got, text)
			}
			if code == exitInterrupted && !strings.Contains(stdout.String(), "called improved or regressed") {
				t.Errorf("what was there is not shown: %s", stdout.String())
			}
			there, cut, err := compare.ReadTrials(state)
			if err != nil || len(cut) > 0 || len(there) < 1 {
				t.Fatalf("%d trials, lines %v cut off: %v", len(there), cut, err)
			}
			again := exec.CommandContext(t.Context(), "eventobench", append(args, "--case=none:3")...)
			if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), " of 3: at most ") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
