package runfolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"
)

// KindForeign is the kind of a subject whose folder something else recorded: one
// run, the totals of a load generator beside pprof files.
const KindForeign = "foreign"

// Foreign reports whether the run was recorded by something else, so that it is
// one stretch of load without blocks: nothing tells how far its figures vary.
func (m Manifest) Foreign() bool { return m.Subject.Kind == KindForeign }

// The sources of what every run folder has, and a foreign folder may not.
const (
	SourceDuration    Source = "duration"     // how long the load lasted
	SourceMeanLatency Source = "mean_latency" // of all requests
	SourceLatencies   Source = "latencies"    // of every request
)

// whyForeign is why a foreign folder lacks what a recorder of ours measures.
const whyForeign = "the folder was recorded by something else"

// IsForeign reports whether a folder holds profiles or totals and nothing that
// only a run folder has.
func IsForeign(dir string) bool {
	for _, name := range []string{FileManifest, FileSamples, FileLatency} {
		if exists(dir, name) {
			return false
		}
	}
	if exists(dir, FileTotals) {
		return true
	}
	found, _ := filepath.Glob(filepath.Join(globEscaper.Replace(dir), "*.prof")) // the pattern is well formed
	return len(found) > 0
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return !errors.Is(err, fs.ErrNotExist)
}

// OpenForeign reads a folder that something else recorded as a run of one block
// and one slice: load-test-results.json, cpu.prof, and allocs-after.prof with
// allocs-before.prof (or allocs.prof), likewise mutex and block. What the totals do
// not tell is unavailable. The samples of a CPU profile that covers a part of the
// load only are scaled to all of it. What is damaged is an error that names the file.
func OpenForeign(dir string) (*Run, error) {
	if !exists(dir, FileTotals) {
		return nil, fmt.Errorf("%s has profiles but no %s, without which nothing is known per operation; "+
			"\"eventobench diff\" compares two profiles by themselves",
			dir, FileTotals)
	}
	text, err := os.ReadFile(filepath.Join(dir, FileTotals))
	if err != nil {
		return nil, fmt.Errorf("reading a folder of profiles: %w", err)
	}
	totals, err := decodeForeignTotals(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, FileTotals), err)
	}
	r := newForeign(dir, totals)
	for _, kind := range Kinds {
		if !kind.PerOperation() {
			continue
		}
		if err := r.addForeign(kind, totals.duration); err != nil {
			return nil, err
		}
	}
	if len(r.Manifest.Capture.Profiles) == 0 {
		return nil, fmt.Errorf("%s has none of %s, so there is nothing to explain a change with", dir,
			strings.Join([]string{FileCPU, "allocs-after.prof", FileAllocs}, ", "))
	}
	return r, nil
}

// newForeign is the run without its profiles.
func newForeign(dir string, t foreignTotals) *Run {
	load := loadgen.Load{Workload: "unknown load", Kinds: []string{"request"}, Workers: 1, Timeout: loadgen.MaxTimeout}
	latency := time.Duration(float64(t.ops) * t.meanLatency * float64(time.Millisecond))
	m := Manifest{
		Format: Format, Schema: Schema, Experiment: filepath.Clean(dir), Folders: []string{filepath.Base(dir)},
		Subject: SubjectInfo{Name: foreignName(dir), Kind: KindForeign, Command: []string{}},
		Load:    load,
		Plan:    Plan{Blocks: 1, Rounds: 1, Slice: t.duration},
		Start:   t.start, End: t.start, State: StateComplete,
		Blocks: []Block{{}}, Unavailable: t.unavailable(), Capture: CaptureInfo{Profiles: []string{}},
	}
	if t.errors > 0 {
		m.Errors = map[string]int64{"failed": t.errors}
	}
	return &Run{
		Dir: dir, Manifest: m, made: map[string]*profile.Profile{},
		Slices: []Slice{{Duration: t.duration, Errors: t.errors,
			Kinds: []loadgen.KindResult{{Ops: t.ops, Latency: latency}}}},
		Latency: Latency{[]*hdrhistogram.Histogram{loadgen.NewHistogram()}},
	}
}

// foreignName is the folder's own name.
func foreignName(dir string) string {
	if absolute, err := filepath.Abs(dir); err == nil {
		return filepath.Base(absolute)
	}
	return filepath.Base(dir)
}

// addForeign reads a kind of profile, if the folder has it.
func (r *Run) addForeign(kind ProfileKind, load time.Duration) error {
	p, file, err := r.foreignProfile(kind)
	if err != nil {
		return err
	}
	if p == nil {
		r.Manifest.Unavailable[kind.Source()] = whyForeign
		return nil
	}
	for _, s := range p.Sample {
		s.NumLabel = nil // blocks of no run of ours
	}
	if kind.Window == WindowTaken {
		file += scaleToLoad(p, load)
	}
	r.made[kind.File] = p
	r.Manifest.Capture.Profiles = append(r.Manifest.Capture.Profiles, kind.Name)
	if r.Manifest.Subject.Options == nil {
		r.Manifest.Subject.Options = map[string]string{}
	}
	r.Manifest.Subject.Options[kind.Name] = file
	return nil
}

// foreignProfile reads what the load made a profile count, and says from which
// files; it is nil if there are none.
func (r *Run) foreignProfile(kind ProfileKind) (p *profile.Profile, file string, err error) {
	if kind.Window == WindowDifference && exists(r.Dir, kind.After()) {
		return r.foreignDifference(kind)
	}
	if !exists(r.Dir, kind.File) {
		return nil, "", nil
	}
	p, err = r.readProfile(kind.File)
	if err == nil {
		err = checkTypes(p, kind)
	}
	return p, kind.File, r.named(kind.File, err)
}

func (r *Run) foreignDifference(kind ProfileKind) (*profile.Profile, string, error) {
	after, err := r.readProfile(kind.After())
	if err != nil {
		return nil, "", err
	}
	if !exists(r.Dir, kind.Before()) {
		return after, kind.After() + ", since the server's start", r.named(kind.After(), checkTypes(after, kind))
	}
	before, err := r.readProfile(kind.Before())
	if err != nil {
		return nil, "", err
	}
	diff, err := subtract(kind, after, before)
	return diff, kind.After() + " less " + kind.Before(), r.named(kind.After(), err)
}

func (r *Run) named(file string, err error) error {
	if err == nil || strings.HasPrefix(err.Error(), r.Dir) {
		return err
	}
	return fmt.Errorf("%s: %w", filepath.Join(r.Dir, file), err)
}

func checkTypes(p *profile.Profile, kind ProfileKind) error {
	for _, name := range []string{kind.Value, kind.Count} {
		if !slices.ContainsFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == name }) {
			return fmt.Errorf("the %s profile lacks the sample type %s", kind.Name, name)
		}
	}
	return nil
}

// scaleToLoad makes a profile that covers a part of the load stand for all of it,
// and says so. One that does not tell how long it took is left as it is.
func scaleToLoad(p *profile.Profile, load time.Duration) string {
	covered := time.Duration(p.DurationNanos)
	if covered <= 0 || load <= 0 || covered >= load {
		return ""
	}
	p.Scale(load.Seconds() / covered.Seconds())
	return fmt.Sprintf(", of %.1f s of the load's %.1f s, scaled to all of it", covered.Seconds(), load.Seconds())
}
