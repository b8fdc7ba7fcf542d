package cachegrind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Tool is an installed valgrind.
type Tool struct {
	program string
	Version string // "valgrind-3.19.0"
}

// Find looks for valgrind on the PATH. Its error says how to install it.
func Find(ctx context.Context) (Tool, error) {
	program, err := exec.LookPath("valgrind")
	if err != nil {
		return Tool{}, errors.New("valgrind is not installed; apt-get install valgrind, or what your system has for that")
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return Tool{}, fmt.Errorf("asking %s for its version: %w", program, err)
	}
	return Tool{program: program, Version: strings.TrimSpace(string(out))}, nil
}

// Command is what comes before the words of a command to have its instructions counted,
// and those of the programs that it starts, into files in an existing folder.
func (t Tool) Command(folder string) []string {
	command := []string{
		t.program, "--quiet", "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes",
		"--cachegrind-out-file=" + strings.ReplaceAll(folder, "%", "%%") + "/%p",
	}
	if t.knowsChase() {
		command = append(command, "--vex-guest-chase=no")
	}
	return command
}

// knowsChase reports whether valgrind can be told to translate code once, rather than once
// more with all code that jumps to it. It takes less long for code that runs a few times only, as that of
// a start does, and counts the same.
func (t Tool) knowsChase() bool {
	var major, minor int
	_, err := fmt.Sscanf(t.Version, "valgrind-%d.%d", &major, &minor)
	const since = 17 // of version 3
	return err == nil && (major > 3 || major == 3 && minor >= since)
}

// Read reads the counts of a process that has ended.
func Read(folder string, pid int) (Counts, error) {
	f, err := os.Open(filepath.Join(folder, strconv.Itoa(pid)))
	if err != nil {
		return nil, fmt.Errorf("valgrind did not count process %d, or it was killed before it could end: %w", pid, err)
	}
	defer f.Close()
	counts, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("what valgrind counted of process %d: %w", pid, err)
	}
	return counts, nil
}
