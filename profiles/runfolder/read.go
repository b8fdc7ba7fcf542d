package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// The files of a run folder. Those of profiles are named by Kinds; the ones
// that have a constant are for messages that name them.
const (
	FileManifest     = "manifest.json"
	FileSamples      = "samples.csv"
	FileLatency      = "latency.hdr"
	FileTotals       = "load-test-results.json"
	FileServerLog    = "server.log"
	FileReadme       = "README.md"
	FileCPU          = "cpu.prof"
	FileAllocs       = "allocs.prof"
	FileHeapAfter    = "heap-after.prof"
	FileGoroutine    = "goroutine.prof"
	FileInstructions = "instructions.prof"
)

// Run is a run folder read into memory; its pprof profiles stay on disk until
// asked for.
type Run struct {
	Dir      string
	Manifest Manifest
	Slices   []Slice // ordered by block and round
	Latency  Latency // from when requests were due
	Sent     Latency // from when they were sent; nil for a closed loop, where that is the same
	Layouts  *Run    // the blocks of other layouts, which are in nothing above; nil without

	made map[string]*profile.Profile // by file: what stands in no file of a foreign folder as it is
}

// Open reads a run folder. Whatever is missing, damaged, contradictory or from
// another version of the format is an error that names the file.
func Open(dir string) (*Run, error) {
	m, err := OpenManifest(dir)
	if err != nil {
		return nil, err
	}
	r := &Run{Dir: dir, Manifest: m}
	err = readFile(dir, FileSamples, func(f io.Reader) (err error) {
		r.Slices, err = readSamples(f, m.Load.Kinds)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = readFile(dir, FileLatency, func(f io.Reader) (err error) {
		r.Latency, r.Sent, err = readLatency(f, len(m.allBlocks()), m.Load)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("run folder %s: %w", dir, err)
	}
	return r.split(), nil
}

// OpenManifest reads only the manifest of a run folder.
func OpenManifest(dir string) (Manifest, error) {
	var m Manifest
	if err := checkFolder(dir); err != nil {
		return m, err
	}
	err := readFile(dir, FileManifest, func(f io.Reader) error {
		data, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		m, err = decodeManifest(data)
		return err
	})
	return m, err
}

// Profiles are the kinds of profiles that the run has, in the order of Kinds.
func (r *Run) Profiles() []ProfileKind {
	return selectKinds(r.Recorded)
}

// Profile reads the profile of a kind: the sum over the blocks. It is an error
// that gives the reason if the run has none.
func (r *Run) Profile(k ProfileKind) (*profile.Profile, error) {
	if reason, missing := r.Manifest.Unavailable[k.Source()]; missing {
		return nil, fmt.Errorf("%s has no %s: %s", r.Dir, k.File, reason)
	}
	return r.ProfileFile(k.File)
}

// ProfileFile reads one of the folder's pprof files.
func (r *Run) ProfileFile(name string) (*profile.Profile, error) {
	if p := r.made[name]; p != nil {
		return p.Copy(), nil
	}
	return r.readProfile(name)
}

func (r *Run) readProfile(name string) (*profile.Profile, error) {
	var p *profile.Profile
	err := readFile(r.Dir, name, func(f io.Reader) (err error) {
		p, err = profile.Parse(f)
		return err
	})
	return p, err
}

// Recorded reports whether the folder holds a kind of profile.
func (r *Run) Recorded(kind ProfileKind) bool {
	return slices.Contains(r.Manifest.Capture.Profiles, kind.Name)
}

// BlockSlices returns the slices of one block.
func (r *Run) BlockSlices(block int) []Slice {
	rounds := r.Manifest.Plan.Rounds
	return r.Slices[block*rounds : (block+1)*rounds]
}

// check compares the files of a folder with each other, all blocks together.
func (r *Run) check() error {
	m, blocks := r.Manifest, len(r.Manifest.allBlocks())
	if want := blocks * m.Plan.Rounds; len(r.Slices) != want {
		return fmt.Errorf("%s is damaged: %d rows, but %d blocks of %d rounds",
			FileSamples, len(r.Slices), blocks, m.Plan.Rounds)
	}
	for i, s := range r.Slices {
		if s.Block != i/m.Plan.Rounds || s.Round != i%m.Plan.Rounds {
			return fmt.Errorf("%s is damaged: row %d holds block %d, round %d", FileSamples, i+1, s.Block, s.Round)
		}
	}
	for b := range blocks {
		var ops int64
		for _, s := range r.BlockSlices(b) {
			ops += s.Ops()
		}
		for _, l := range []Latency{r.Latency, r.Sent} {
			if l == nil {
				continue
			}
			if n := l.Block(b).TotalCount(); n != ops {
				return fmt.Errorf("%s and %s disagree: %d latencies and %d requests in block %d",
					FileLatency, FileSamples, n, ops, b)
			}
		}
		if n, shared := m.allBlocks()[b].agentOps(); shared && n != ops {
			return fmt.Errorf("%s and %s disagree: agents got %d answers of %d in block %d",
				FileManifest, FileSamples, n, ops, b)
		}
	}
	return nil
}

func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("run folder %s does not exist; \"eventobench list\" shows those there are", dir)
	case err != nil:
		return fmt.Errorf("run folder: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is a file; name the run folder it is in", dir)
	}
	return nil
}

func readFile(dir, name string, read func(io.Reader) error) error {
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no %s: it is not a run folder, or a damaged one", dir, name)
	}
	if err != nil {
		return fmt.Errorf("reading a run folder: %w", err)
	}
	defer f.Close()
	if err := read(f); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
	}
	return nil
}

// Entry is one run folder in a listing. Err tells why it cannot be read; the
// rest is then empty.
type Entry struct {
	Dir      string
	Manifest Manifest
	Totals   Totals
	Err      error
}

// List returns the run folders below out, oldest first, unfinished ones
// included. Whatever is not named like a run folder is passed over.
func List(out string) ([]Entry, error) {
	found, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("folder %s does not exist; \"eventobench run\" records into it", out)
	}
	if err != nil {
		return nil, fmt.Errorf("listing run folders: %w", err)
	}
	slices.SortFunc(found, func(a, b fs.DirEntry) int {
		return strings.Compare(finalName(a.Name()), finalName(b.Name()))
	})
	var entries []Entry
	for _, f := range found {
		if f.IsDir() && FolderName.MatchString(finalName(f.Name())) {
			entries = append(entries, openEntry(filepath.Join(out, f.Name())))
		}
	}
	return entries, nil
}

func openEntry(dir string) Entry {
	e := Entry{Dir: dir}
	if e.Manifest, e.Err = OpenManifest(dir); e.Err != nil {
		return e
	}
	e.Err = readFile(dir, FileTotals, func(f io.Reader) error {
		return json.NewDecoder(f).Decode(&e.Totals)
	})
	return e
}

// blockEnds returns when the last slice of each block ended.
func blockEnds(samples []Slice, blocks int) []time.Duration {
	ends := make([]time.Duration, blocks)
	for _, s := range samples {
		ends[s.Block] = max(ends[s.Block], s.Start+s.Duration)
	}
	return ends
}

// Copy makes a copy of a run folder at to, in place of what may be there. What
// is there must be a run folder itself.
func Copy(from, to string) error {
	if _, err := Open(from); err != nil {
		return err
	}
	if _, err := os.Stat(to); err == nil {
		if _, err := OpenManifest(to); err != nil {
			return fmt.Errorf("%s is not replaced: %w", to, err)
		}
	}
	if err := copyOver(from, to); err != nil {
		return fmt.Errorf("copying run folder %s to %s: %w", from, to, err)
	}
	return nil
}

// copyOver copies beside to first, so that what is there is replaced only by
// a whole copy.
func copyOver(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(to), ".copy-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := os.CopyFS(filepath.Join(fresh, "run"), os.DirFS(from)); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.Rename(filepath.Join(fresh, "run"), to)
}
