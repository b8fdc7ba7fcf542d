// Package powercut shows what a power cut may leave of a program's files. It
// records the calls that changed them, with strace, and builds from these every
// state that a disk may be in when the power goes: what was synced is there,
// and of the rest anything. It is for tests, and knows nothing of what the files
// hold.
package powercut

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kind is what a call did.
type Kind string

// The kinds of calls. Any other that changes a file of the directory makes
// Record fail: what is not understood must not pass for harmless.
const (
	Create   Kind = "create"   // Name came into the directory, as File
	Remove   Kind = "remove"   // Name left the directory
	Write    Kind = "write"    // Data went to Offset of File
	Truncate Kind = "truncate" // File has Offset bytes
	Sync     Kind = "sync"     // File is on disk, or is not if it Failed
	SyncDir  Kind = "sync dir" // so is the directory
	Mark     Kind = "mark"     // the program wrote Data to its marks
	None     Kind = "none"     // nothing, in place of a sync; see Without
)

// Op is a call that succeeded, or a sync that failed. A mark has the place of its
// beginning among the others, which have that of their end: what a mark tells of
// was over before.
type Op struct {
	Kind   Kind
	File   int    // a number of its own for each file there ever was
	Name   string // within the directory
	Offset int64  // bytes
	Data   []byte
	Failed bool // of Sync: what was to be synced may be lost for good
	Time   time.Time
}

// Trace is what a program did to one directory, in order.
type Trace struct {
	Ops      []Op
	Injected []string // the calls that strace made fail, as it shows them
}

// Without is the trace as if some of its syncs had not been made. All other calls
// keep their places.
func (t Trace) Without(syncs ...int) Trace {
	t.Ops = slices.Clone(t.Ops)
	for _, i := range syncs {
		t.Ops[i] = Op{Kind: None, Time: t.Ops[i].Time}
	}
	return t
}

// Recorder records programs.
type Recorder struct {
	Dir      string            // of the files; empty at first, and without folders
	Marks    string            // path that the program writes its marks to, one per call
	Volatile func(string) bool // names of files that do not outlive the program; nil for none
	Inject   []string          // strace's --inject expressions; see strace(1)
}

// changing are the calls that may change files: those that are understood, and
// those whose use on a file of the directory is an error.
var changing = []string{
	"open", "openat", "close", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "unlinkat",
	"creat", "openat2", "writev", "pwritev", "pwritev2", "truncate", "fallocate", "rename", "renameat", "renameat2",
	"link", "linkat", "symlink", "symlinkat", "sendfile", "splice", "copy_file_range", "sync_file_range", "syncfs",
	"sync", "mmap", "msync", "dup", "dup2", "dup3", "io_uring_setup",
}

// ErrNoStrace says that strace is not installed.
var ErrNoStrace = errors.New("strace is not installed")

// Record runs a program to its end. The error is that of the program, if it
// failed and no errors were injected, or tells which call is not understood.
func (r Recorder) Record(ctx context.Context, program string, args, env []string) (t Trace, err error) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return t, ErrNoStrace
	}
	out, err := os.CreateTemp("", "powercut-*.strace")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, out.Close(), os.Remove(out.Name())) }()
	// All threads; whole strings, in hexadecimal; microseconds; other calls unhindered.
	flags := []string{"-f", "-xx", "-s", "100000000", "-ttt", "--seccomp-bpf", "-q", "-o", out.Name(),
		"-e", "trace=" + strings.Join(changing, ",")}
	for _, expression := range r.Inject {
		flags = append(flags, "-e", "inject="+expression)
	}
	cmd := exec.CommandContext(ctx, strace, slices.Concat(flags, []string{"--", program}, args)...)
	cmd.Env = append(os.Environ(), env...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return t, fmt.Errorf("recording %s: %w: %s", program, err, said)
	}
	return r.read(out)
}

// read turns what strace wrote into a trace.
func (r Recorder) read(out io.Reader) (Trace, error) {
	m := machine{Recorder: r, open: map[int]handle{}, names: map[string]int{}}
	lines := bufio.NewReader(out)
	var joined joiner
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			c, event, err := joined.add(strings.TrimSuffix(line, "\n"))
			if err == nil && event != nothing {
				err = m.take(c, event)
			}
			if err != nil {
				return m.trace, fmt.Errorf("reading strace's output: %w", err)
			}
		}
		if err == io.EOF {
			return m.trace, nil
		}
		if err != nil {
			return m.trace, err
		}
	}
}

// machine follows which descriptors stand for which files.
type machine struct {
	Recorder
	trace Trace
	open  map[int]handle // by descriptor
	names map[string]int // files that are in the directory
	files int
}

// handle is what a descriptor stands for.
type handle struct {
	name       string // of a file in the directory
	file       int
	dir, marks bool
}

// take adds what a call did.
func (m *machine) take(c call, e event) error {
	if fd, ok := c.descriptor(); ok && c.name == "write" && m.open[fd].marks {
		if e == begun || !c.resumed {
			m.add(c, Op{Kind: Mark, Data: c.data(1)})
		}
		return nil
	}
	if e == begun {
		return nil
	}
	if c.injected {
		m.trace.Injected = append(m.trace.Injected, c.text)
	}
	switch c.name {
	case "open", "openat", "creat":
		return m.opened(c)
	case "unlink", "unlinkat":
		return m.unlinked(c)
	case "close":
		if fd, ok := c.descriptor(); ok {
			delete(m.open, fd)
		}
		return nil
	}
	return m.used(c)
}

// opened follows a descriptor, and a file that came to be.
func (m *machine) opened(c call) error {
	if c.failed {
		return nil
	}
	path := c.path()
	h := handle{dir: path == m.Dir, marks: path == m.Marks}
	if name, ours := m.inside(path); ours {
		file, there := m.names[name]
		if !there {
			m.files++
			file = m.files
			m.names[name] = file
			m.add(c, Op{Kind: Create, File: file, Name: name})
		}
		h.name, h.file = name, file
		if strings.Contains(c.text, "O_TRUNC") || c.name == "creat" {
			return c.unknown()
		}
	}
	m.open[int(c.result)] = h
	return nil
}

func (m *machine) unlinked(c call) error {
	name, ours := m.inside(c.path())
	if !ours || c.failed {
		return nil
	}
	delete(m.names, name)
	m.add(c, Op{Kind: Remove, Name: name})
	return nil
}

// inside is the name of a path within the directory, if it is in it and lasts.
func (m *machine) inside(path string) (name string, ours bool) {
	name, err := filepath.Rel(m.Dir, path)
	if err != nil || strings.HasPrefix(name, ".") {
		return "", false
	}
	return name, m.Volatile == nil || !m.Volatile(name)
}

// used is what was done through a descriptor, or to a path by a call that is not
// understood.
func (m *machine) used(c call) error {
	fd, ok := c.descriptor()
	h := m.open[fd]
	switch {
	case !ok:
		return m.elsewhere(c)
	case h.dir && (c.name == "fsync" || c.name == "fdatasync"):
		m.add(c, Op{Kind: SyncDir, Failed: c.failed})
		return nil
	case h.file == 0:
		return nil
	}
	op := Op{File: h.file, Name: h.name}
	switch c.name {
	case "fsync", "fdatasync":
		op.Kind, op.Failed = Sync, c.failed
	case "ftruncate":
		op.Kind, op.Offset = Truncate, c.number(1)
	case "pwrite64":
		op.Kind, op.Data, op.Offset = Write, c.data(1), c.number(3)
		op.Data = op.Data[:min(max(c.result, 0), int64(len(op.Data)))]
	default:
		return c.unknown()
	}
	if op.Offset < 0 {
		return c.unknown()
	}
	if op.Kind == Sync || !c.failed && !c.injected {
		m.add(c, op)
	}
	return nil
}

// elsewhere accepts a call that names no file of the directory.
func (m *machine) elsewhere(c call) error {
	for i := range c.args {
		if _, ours := m.inside(string(c.data(i))); ours && !c.failed {
			return c.unknown()
		}
	}
	return nil
}

func (m *machine) add(c call, op Op) {
	op.Time = c.time
	m.trace.Ops = append(m.trace.Ops, op)
}
