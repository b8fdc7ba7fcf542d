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
	return []string{
		t.program, "--quiet", "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes",
		"--cachegrind-out-file=" + strings.ReplaceAll(folder, "%", "%%") + "/%p",
	}
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
