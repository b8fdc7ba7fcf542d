package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestDiskIsFull records onto file systems that are full from the start, and
// after the first block.
func TestDiskIsFull(t *testing.T) {
	for _, size := range []string{"8k", "64k"} {
		t.Run(size, func(t *testing.T) {
			out := t.TempDir()
			if err := syscall.Mount("tmpfs", out, "tmpfs", 0, "size="+size); err != nil {
				t.Skipf("mounting a small tmpfs needs root: %v", err)
			}
			defer func() {
				if err := syscall.Unmount(out, 0); err != nil {
					t.Error(err)
				}
			}()
			cmd := exec.CommandContext(t.Context(), "eventobench", "run", "--transport=fasthttp", "--rounds=2", "--slice=5ms", "--warmup=5", "--out="+out)
			text, _ := cmd.CombinedOutput() // the exit code is looked at
			if code := cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(string(text), "no space left on device") {
				t.Errorf("exit code %d: %s", code, text)
			}
			entries, err := os.ReadDir(out)
			if err != nil || len(entries) > 0 {
				t.Errorf("left on the full disk: %v (%v)", entries, err)
			}
		})
	}
}
