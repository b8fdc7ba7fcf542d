package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"github.com/google/renameio/v2"

	"github.com/eventobench/eventobench/loadgen"
)

// A folder that is being recorded has the name it will have, hidden and with a
// suffix: ".20261124_120000-fasthttp.partial".
const (
	partialPrefix = "."
	partialSuffix = ".partial"
)

// FolderName matches the base names of run folders: the second in which the
// experiment began, and the subject.
var FolderName = regexp.MustCompile(`^\d{8}_\d{6}-`)

// Writer is one run in progress: what will be its folder, and the folder
// itself under its temporary name.
type Writer struct {
	Manifest Manifest
	Progress SubjectProgress // as of the last Save

	out, name string // the final place
	log       *serverLog
	slices    []Slice
	latency   Latency                     // from when requests were due
	sent      Latency                     // from when they were sent; of an open loop
	profiles  map[string]*profile.Profile // by file, merged over blocks
}

// SubjectProgress sums up what one subject did so far; before the first block
// is complete its figures are zero.
type SubjectProgress struct {
	Name      string
	OpsPerSec float64
	P99Ms     float64
}

// Create makes the temporary folders of all runs of an experiment. Their
// names share the time of its start, moved on to the first second that has no
// folders yet; that stamp is the experiment's id.
func Create(out string, start time.Time, manifests []Manifest) ([]*Writer, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("creating the folder for run folders: %w", err)
	}
	for stamp := start; ; stamp = stamp.Add(time.Second) {
		runs, err := createStamped(out, stamp.Format("20060102_150405"), manifests)
		if !errors.Is(err, fs.ErrExist) {
			return runs, err
		}
	}
}

func createStamped(out, stamp string, manifests []Manifest) ([]*Writer, error) {
	var runs []*Writer
	var names []string
	for _, m := range manifests {
		names = append(names, stamp+"-"+m.Subject.Name)
	}
	for i, m := range manifests {
		m.Experiment, m.Folders = stamp, names
		run, err := newWriter(out, names[i], m)
		if err != nil {
			for _, other := range runs {
				other.Discard()
			}
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}

func newWriter(out, name string, m Manifest) (*Writer, error) {
	m.Format, m.Schema = Format, Schema
	m.Capture.Profiles = []string{}
	run := &Writer{out: out, name: name, Manifest: m, profiles: map[string]*profile.Profile{}}
	if _, err := os.Stat(filepath.Join(out, name)); err == nil {
		return nil, fs.ErrExist
	}
	if err := os.Mkdir(run.dir(), 0o755); err != nil {
		return nil, fmt.Errorf("creating a run folder: %w", err)
	}
	log, err := os.Create(filepath.Join(run.dir(), FileServerLog))
	if err == nil {
		run.log = &serverLog{file: log}
		err = run.Save() // a full or read-only disk shows now, not after minutes of work
	}
	if err != nil {
		run.Discard()
		return nil, run.writeError(err)
	}
	return run, nil
}

// dir is where the run is while it is recorded.
func (run *Writer) dir() string {
	return filepath.Join(run.out, partialPrefix+run.name+partialSuffix)
}

// Log takes what the subject prints, from any goroutine. Writing to it never
// fails, so that a full disk does not reach the subject: the next Add does.
func (run *Writer) Log() io.Writer { return run.log }

// serverLog keeps the first error of writing the file.
type serverLog struct {
	mu   sync.Mutex
	file *os.File
	err  error
}

func (l *serverLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(b); err != nil && l.err == nil {
		l.err = fmt.Errorf("writing %s: %w", FileServerLog, err)
	}
	return len(b), nil
}

func (l *serverLog) firstError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Add takes in a complete block: its slices in order, its latencies, and what
// was captured of each kind of profile, by the kind's name. What was captured of a
// block of another layout is not kept: profiles are of the program as built.
func (run *Writer) Add(b Block, slices []Slice, latency loadgen.Latency, captured map[string]Captured) error {
	if err := run.log.firstError(); err != nil {
		return err
	}
	if b.Layout != 0 {
		run.Manifest.LayoutBlocks = append(run.Manifest.LayoutBlocks, b)
	} else if err := run.addProfiles(b, captured); err != nil {
		return err
	} else {
		run.Manifest.Blocks = append(run.Manifest.Blocks, b)
	}
	run.slices = append(run.slices, slices...)
	run.latency = append(run.latency, latency.Due)
	if latency.Sent != nil {
		run.sent = append(run.sent, latency.Sent)
	}
	return nil
}

func (run *Writer) addProfiles(b Block, captured map[string]Captured) error {
	for _, k := range Kinds {
		c, ok := captured[k.Name]
		if !ok {
			continue
		}
		if err := run.addProfile(k, b.Block, c); err != nil {
			return err
		}
	}
	return nil
}

// addProfile merges what a block captured of a kind into the kind's files.
func (run *Writer) addProfile(k ProfileKind, block int, c Captured) error {
	files, err := c.files(k, block)
	if err != nil {
		return err
	}
	for file, p := range files {
		if err := run.merge(file, p); err != nil {
			return err
		}
	}
	run.noteCapture(k, c.After.Period)
	return nil
}

// AddInstructions takes in what was counted of the subject beside its timed blocks, with a
// profile of each block of counts.
func (run *Writer) AddInstructions(i Instructions, profiles []*profile.Profile) error {
	kind, _ := KindNamed("instructions")
	for b, p := range profiles {
		p.SetNumLabel(blockLabel, []int64{int64(b) + 1}, nil)
		if err := run.merge(kind.File, p); err != nil {
			return err
		}
	}
	run.Manifest.Instructions = &i
	run.Manifest.Capture.Profiles = append(run.Manifest.Capture.Profiles, kind.Name)
	delete(run.Manifest.Unavailable, SourceInstructions)
	return nil
}

// LackInstructions notes why nothing counted the instructions, beside why the hardware did
// not, unless something did.
func (run *Writer) LackInstructions(why string) {
	if run.Manifest.Instructions != nil {
		return
	}
	if hardware := run.Manifest.Unavailable[SourceInstructions]; hardware != "" {
		why = hardware + "; " + why
	}
	run.Manifest.Unavailable[SourceInstructions] = why
}

// Scratch makes a folder for what is not kept. The caller removes it.
func (run *Writer) Scratch() (string, error) {
	dir, err := os.MkdirTemp(run.dir(), "scratch-")
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return "", fmt.Errorf("making a folder in run folder %s: %w", run.dir(), err)
	}
	return dir, nil
}

// merge adds a block's profile to the sum of the blocks before it.
func (run *Writer) merge(file string, p *profile.Profile) error {
	if sum := run.profiles[file]; sum != nil {
		var err error
		if p, err = profile.Merge([]*profile.Profile{sum, p}); err != nil {
			return fmt.Errorf("merging %s of two blocks: %w", file, err)
		}
	}
	run.profiles[file] = p
	return nil
}

// noteCapture puts a kind that was captured into the manifest.
func (run *Writer) noteCapture(k ProfileKind, period int64) {
	c := &run.Manifest.Capture
	if !slices.Contains(c.Profiles, k.Name) {
		c.Profiles = append(c.Profiles, k.Name)
	}
	if c.Periods == nil {
		c.Periods = map[string]int64{}
	}
	c.Periods[k.Name] = period
}

// CountErrors adds failed requests, in or out of a complete block.
func (run *Writer) CountErrors(e loadgen.Errors) {
	for kind, n := range e.Kinds {
		if run.Manifest.Errors == nil {
			run.Manifest.Errors = map[string]int64{}
		}
		run.Manifest.Errors[kind] += n
	}
}

// View is the run so far, as Open will give it back.
func (run *Writer) View() *Run {
	all := &Run{Dir: run.dir(), Manifest: run.Manifest, Slices: run.slices, Latency: run.latency, Sent: run.sent}
	return all.split()
}

// Save writes all files as they stand, so that what is complete survives the
// recorder.
func (run *Writer) Save() error {
	run.Manifest.End = time.Now().UTC()
	totals := run.View().Totals()
	run.Progress = SubjectProgress{Name: run.Manifest.Subject.Name, OpsPerSec: totals.OpsPerSec, P99Ms: totals.P99Ms}
	m := run.Manifest
	writers := map[string]func(io.Writer) error{
		FileManifest: func(w io.Writer) error { return writeJSON(w, m) },
		FileTotals:   func(w io.Writer) error { return writeJSON(w, totals) },
		FileSamples:  func(w io.Writer) error { return writeSamples(w, m.Load.Kinds, run.slices) },
		FileLatency: func(w io.Writer) error {
			return writeLatency(w, m, run.latency, run.sent, blockEnds(run.slices, len(m.allBlocks())))
		},
		FileReadme: func(w io.Writer) error { return writeReadme(w, run.name, m, totals) },
	}
	for file, p := range run.profiles {
		writers[file] = p.Write
	}
	for file, write := range writers {
		if err := WriteFile(filepath.Join(run.dir(), file), write); err != nil {
			return run.writeError(err)
		}
	}
	return nil
}

// Complete writes the folder's final state.
func (run *Writer) Complete(state State, reason string) error {
	run.Manifest.State, run.Manifest.Reason = state, reason
	return errors.Join(run.Save(), run.log.file.Close())
}

// Publish gives a complete folder its final name, and returns its path.
func (run *Writer) Publish() (string, error) {
	final := filepath.Join(run.out, run.name)
	if err := os.Rename(run.dir(), final); err != nil {
		return "", run.writeError(err)
	}
	return final, nil
}

// Discard removes what cannot be completed.
func (run *Writer) Discard() {
	if run.log != nil {
		_ = run.log.file.Close()
	}
	_ = os.RemoveAll(run.dir())
}

func (run *Writer) writeError(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("writing run folder %s: %w; nothing is kept of it; make room or choose another --out",
		filepath.Join(run.out, run.name), err)
}

// WriteFile replaces a file as a whole: a reader, a full disk or a crash never
// finds half of it. What is there and no plain file, such as /dev/null, a pipe or a
// link, is written to and stays what it is.
func WriteFile(path string, write func(io.Writer) error) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return writeInto(path, write)
	}
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		return errors.Join(err, f.Cleanup())
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return errors.Join(err, f.Cleanup())
	}
	return nil
}

func writeInto(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// finalName is the name a folder has or will have once it is recorded.
func finalName(base string) string {
	return strings.TrimSuffix(strings.TrimPrefix(base, partialPrefix), partialSuffix)
}
