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
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"
)

// A folder that is being recorded has the name it will have, hidden and with a
// suffix: ".20261124_120000-fasthttp.partial".
const (
	partialPrefix = "."
	partialSuffix = ".partial"
)

var FolderName = regexp.MustCompile(`^\d{8}_\d{6}-`)

// Writer is one run in progress: what will be its folder, and the folder
// itself under its temporary name.
type Writer struct {
	out, name string // the final place
	Log       *os.File

	Manifest Manifest
	samples  []Slice
	latency  Latency                     // from when requests were due
	sent     Latency                     // from when they were sent; of an open loop
	profiles map[string]*profile.Profile // merged over blocks
	Progress SubjectProgress             // as of the last save
}

// create makes the temporary folders of all runs of an experiment. Their
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
		run, err := newFolder(out, names[i], m)
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

func newFolder(out, name string, m Manifest) (*Writer, error) {
	run := &Writer{out: out, name: name, Manifest: m, profiles: map[string]*profile.Profile{}}
	if _, err := os.Stat(filepath.Join(out, name)); err == nil {
		return nil, fs.ErrExist
	}
	if err := os.Mkdir(run.dir(), 0o755); err != nil {
		return nil, fmt.Errorf("creating a run folder: %w", err)
	}
	var err error
	if run.Log, err = os.Create(filepath.Join(run.dir(), FileServerLog)); err == nil {
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

// add takes in a complete block.
func (run *Writer) Add(b Block, samples []Slice, latency loadgen.Latency, profiles map[string]*profile.Profile) error {
	diff, err := subtract(profiles[FileAllocsAfter], profiles[FileAllocsBefore])
	if err != nil {
		return err
	}
	labelBlock(diff, b.Block)
	labelBlock(profiles[FileCPU], b.Block)
	if err := run.merge(FileAllocs, diff); err != nil {
		return err
	}
	for file, p := range profiles {
		if err := run.merge(file, p); err != nil {
			return err
		}
	}
	run.Manifest.Blocks = append(run.Manifest.Blocks, b)
	run.samples = append(run.samples, samples...)
	run.latency = append(run.latency, latency.Due)
	if latency.Sent != nil {
		run.sent = append(run.sent, latency.Sent)
	}
	run.Manifest.Capture = CaptureInfo{
		CPUHz:          int(time.Second / time.Duration(max(run.profiles[FileCPU].Period, 1))),
		MemProfileRate: int(run.profiles[FileAllocsAfter].Period),
	}
	return nil
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

func (run *Writer) CountErrors(e loadgen.Errors) {
	for kind, n := range e.Kinds {
		if run.Manifest.Errors == nil {
			run.Manifest.Errors = map[string]int64{}
		}
		run.Manifest.Errors[kind] += n
	}
}

// run is the recording so far, as Open will give it back.
func (run *Writer) View() *Run {
	return &Run{Dir: run.dir(), Manifest: run.Manifest, Slices: run.samples, Latency: run.latency, Sent: run.sent}
}

// save writes all files as they stand, so that what is complete survives the
// recorder.
func (run *Writer) Save() error {
	run.Manifest.End = time.Now().UTC()
	totals := run.View().Totals()
	run.Progress = SubjectProgress{Name: run.Manifest.Subject.Name, OpsPerSec: totals.OpsPerSec, P99Ms: totals.P99Ms}
	writers := map[string]func(io.Writer) error{
		FileManifest: func(w io.Writer) error { return writeJSON(w, run.Manifest) },
		FileTotals:   func(w io.Writer) error { return writeJSON(w, totals) },
		FileSamples:  func(w io.Writer) error { return writeSamples(w, run.Manifest.Load.Kinds, run.samples) },
		FileLatency: func(w io.Writer) error {
			return writeLatency(w, run.Manifest, run.latency, run.sent, blockEnds(run.samples, len(run.Manifest.Blocks)))
		},
		FileReadme: func(w io.Writer) error { return writeReadme(w, run.name, run.Manifest, totals) },
	}
	for file, p := range run.profiles {
		writers[file] = p.Write
	}
	for file, write := range writers {
		if err := writeFile(filepath.Join(run.dir(), file), write); err != nil {
			return run.writeError(err)
		}
	}
	return nil
}

// complete writes the folder's final state.
func (run *Writer) Complete(state State, reason string) error {
	run.Manifest.State, run.Manifest.Reason = state, reason
	return errors.Join(run.Save(), run.Log.Close())
}

// publish gives a complete folder its final name, and returns its path.
func (run *Writer) Publish() (string, error) {
	final := filepath.Join(run.out, run.name)
	if err := os.Rename(run.dir(), final); err != nil {
		return "", run.writeError(err)
	}
	return final, nil
}

// discard removes what cannot be completed.
func (run *Writer) Discard() {
	if run.Log != nil {
		_ = run.Log.Close()
	}
	_ = os.RemoveAll(run.dir())
}

func (run *Writer) writeError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("writing run folder %s: %w; nothing is kept of it; make room or choose another --out", filepath.Join(run.out, run.name), err)
}

// writeFile replaces a file as a whole: a reader, or a full disk, never leaves
// half of it.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
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
