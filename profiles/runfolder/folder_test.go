package runfolder

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"
)

// exampleManifest is of a run of two blocks of two rounds.
func exampleManifest() Manifest {
	return Manifest{
		Format:     Format,
		Schema:     Schema,
		Experiment: "20260102_030405",
		Folders:    []string{"20260102_030405-one"},
		Tool:       "test",
		Subject:    SubjectInfo{Name: "one", Kind: "test", Command: []string{"one"}},
		Load:       loadgen.Load{Workload: "w", Kinds: []string{"write", "read"}, Workers: 2, Timeout: time.Second},
		Plan:       Plan{Blocks: 2, Rounds: 2, Slice: 50 * time.Millisecond, Warmup: 1, Seed: 7},
		Start:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		State:      StateRecording,
		Blocks:     []Block{},
	}
}

// recordExample writes a run folder without running anything.
func recordExample(t *testing.T) string {
	t.Helper()
	return recordExampleOf(t, exampleManifest())
}

// openManifest is of the same run with requests due at a rate.
func openManifest() Manifest {
	m := exampleManifest()
	m.Load.Rate, m.Load.Arrivals = 100, loadgen.Poisson
	return m
}

func recordExampleOf(t *testing.T, m Manifest) string {
	t.Helper()
	run, err := newWriter(t.TempDir(), "20260102_030405-one", m)
	if err != nil {
		t.Fatal(err)
	}
	for b := range 2 {
		if err := run.Add(exampleBlock(b), exampleSamples(b), exampleLatency(t, m.Load.Open()), exampleProfiles()); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Complete(StateComplete, ""); err != nil {
		t.Fatal(err)
	}
	dir, err := run.Publish()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func exampleBlock(b int) Block {
	return Block{
		Block:    b,
		Before:   Counters{TotalAlloc: 1000, Mallocs: 100, NumGC: 1, HeapSys: 5000},
		After:    Counters{TotalAlloc: 7500, Mallocs: 175, NumGC: 4, GCPause: 300, HeapSys: 6000},
		ReadCost: Counters{TotalAlloc: 500, Mallocs: 5},
		RSSPeak:  int64(9000 + b),

		ProcessBefore: ProcessCounters{VoluntarySwitches: 10, InvoluntarySwitches: 1, ReadBytes: 100, WrittenBytes: 200},
		ProcessAfter:  ProcessCounters{VoluntarySwitches: 30, InvoluntarySwitches: 4, ReadBytes: 1100, WrittenBytes: 5200},

		GoroutinesBefore: 3,
		Goroutines:       4,
		Machine: &Machine{
			Window: time.Second, CPUs: 2, Busy: new(1500 * time.Millisecond), Idle: new(500 * time.Millisecond), Clocksource: new("tsc"),
		},
	}
}

func exampleSamples(b int) []Slice {
	kinds := []loadgen.KindResult{{Ops: 4, Latency: 8 * time.Millisecond}, {Ops: 1, Latency: 3 * time.Millisecond}}
	sample := func(round int) Slice {
		return Slice{
			Block: b, Round: round, Order: 0, Start: time.Duration(2*b+round) * time.Second, Duration: 50 * time.Millisecond,
			ServerCPU: time.Millisecond, GeneratorCPU: 500 * time.Microsecond, Kinds: kinds,
			Late: 2, Missed: int64(round), MaxLate: time.Duration(1+b) * time.Millisecond, Reopened: int64(3 * round),
		}
	}
	return []Slice{sample(0), sample(1)}
}

func exampleLatency(t *testing.T, open bool) loadgen.Latency {
	t.Helper()
	histograms := func(write, read time.Duration) []*hdrhistogram.Histogram {
		writes, reads := loadgen.NewHistogram(), loadgen.NewHistogram()
		for range 8 {
			mustRecord(t, writes, write)
		}
		for range 2 {
			mustRecord(t, reads, read)
		}
		return []*hdrhistogram.Histogram{writes, reads}
	}
	l := loadgen.Latency{Due: histograms(2*time.Millisecond, 3*time.Millisecond)}
	if open {
		l.Sent = histograms(time.Millisecond, 2*time.Millisecond)
	}
	return l
}

func mustRecord(t *testing.T, h *hdrhistogram.Histogram, d time.Duration) {
	t.Helper()
	if err := h.RecordValue(int64(d)); err != nil {
		t.Fatal(err)
	}
}

// exampleProfiles are empty profiles of the kinds that are recorded by default,
// and of mutex.
func exampleProfiles() map[string]Captured {
	mutex, _ := KindNamed("mutex")
	all := map[string]Captured{}
	for _, k := range append(selectKinds(func(k ProfileKind) bool { return k.Default }), mutex) {
		p := &profile.Profile{
			SampleType: []*profile.ValueType{{Type: "other"}, {Type: k.Count}, {Type: k.Value}},
			PeriodType: &profile.ValueType{Type: k.Value}, Period: int64(10 * time.Millisecond),
		}
		all[k.Name] = Captured{Before: p.Copy(), After: p}
	}
	return all
}

func TestFolderRoundTrip(t *testing.T) {
	run, err := Open(recordExample(t))
	if err != nil {
		t.Fatal(err)
	}
	if want := slices.Concat(exampleSamples(0), exampleSamples(1)); !cmp.Equal(run.Slices, want) {
		t.Errorf("samples: %s", cmp.Diff(want, run.Slices))
	}
	if diff := cmp.Diff(exampleBlock(1), run.Manifest.Blocks[1]); diff != "" {
		t.Errorf("block: %s", diff)
	}
	if run.Sent != nil {
		t.Error("a closed loop has latencies from sending")
	}
	if got := run.Latency.Kind(1); got.TotalCount() != 4 || got.Max() < int64(3*time.Millisecond) {
		t.Errorf("reads: %d, at most %v", got.TotalCount(), time.Duration(got.Max()))
	}
}

func TestOpenLoopRoundTrip(t *testing.T) {
	dir := recordExampleOf(t, openManifest())
	run, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Sent.Kind(1); got.TotalCount() != 4 || got.Max() >= int64(3*time.Millisecond) {
		t.Errorf("reads from sending: %d, at most %v", got.TotalCount(), time.Duration(got.Max()))
	}
	if got := run.Latency.Kind(1); got.Max() < int64(3*time.Millisecond) {
		t.Errorf("reads from when they were due: at most %v", time.Duration(got.Max()))
	}
	got := run.Totals()
	open := got.OpenLoop
	if open == nil || open.RatePerSec != 100 || open.Late != 8 || open.Missed != 2 || open.MaxLateMs != 2 {
		t.Fatalf("open loop %+v", open)
	}
	if ms := open.AvgLatencyMs - 1.2; ms < -0.01 || ms > 0.01 || open.P50Ms >= got.P50Ms || open.P99Ms >= got.P99Ms || open.MaxMs >= got.MaxMs {
		t.Errorf("latencies from sending %+v", open)
	}
	page, err := os.ReadFile(filepath.Join(dir, FileReadme))
	if err != nil || !strings.Contains(string(page), "open loop at 100/s (poisson arrivals), 2 workers") || !strings.Contains(string(page), "| sent late | 8, by up to 2.0 ms |\n| due and never sent | 2 |\n| CPU |") {
		t.Errorf("README (%v):\n%s", err, page)
	}
}

func TestTotals(t *testing.T) {
	run, err := Open(recordExample(t))
	if err != nil {
		t.Fatal(err)
	}
	got := run.Totals()
	want := Totals{
		Timestamp: run.Manifest.Start, DurationS: 0.2, TotalOps: 20, Writes: new(int64(16)), Reads: new(int64(4)), OpsPerSec: 100,
		AvgLatencyMs: 2.2, P50Ms: got.P50Ms, P90Ms: got.P90Ms, P99Ms: got.P99Ms, P999Ms: got.P999Ms, MaxMs: got.MaxMs,
		OpsByKind: map[string]int64{"write": 16, "read": 4},
		CPUPerOp:  new(200.0), GeneratorCPUPerOp: 100,
		// (7500 - 1000 - 500) bytes and (175 - 100 - 5) allocations a block, two blocks, 20 operations
		AllocBytesPerOp: new(600.0), AllocsPerOp: new(7.0),
		GCCycles: new(int64(6)), GCPauseMs: new(0.0006), HeapPeakBytes: new(int64(6000)), RSSPeakBytes: new(int64(9001)), Goroutines: new(int64(4)),
	}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	for name, ms := range map[string]float64{"p50": got.P50Ms - 2, "p90": got.P90Ms - 3, "max": got.MaxMs - 3} {
		if ms < 0 || ms > 0.01 {
			t.Errorf("%s is %v ms off", name, ms)
		}
	}
}

func TestUnavailableIsNotZero(t *testing.T) {
	run, err := Open(recordExample(t))
	if err != nil {
		t.Fatal(err)
	}
	run.Manifest.Unavailable = map[Source]string{SourceCPUClock: "no clock", SourceMemStats: "no pprof", SourceRSS: "no /proc", SourceGoroutines: "no pprof"}
	got := run.Totals()
	if got.CPUPerOp != nil || got.AllocBytesPerOp != nil || got.AllocsPerOp != nil || got.GCCycles != nil || got.RSSPeakBytes != nil || got.Goroutines != nil {
		t.Errorf("figures without a source: %+v", got)
	}
	var page bytes.Buffer
	if err := writeReadme(&page, "x", run.Manifest, got); err != nil || !strings.Contains(page.String(), "| CPU | unavailable |") ||
		!strings.Contains(page.String(), "\n- cpu_clock: no clock\n- goroutines: no pprof\n") {
		t.Errorf("README (%v):\n%s", err, page.String())
	}
}

// TestOpenRejects damages a good folder, one way each, and wants an error that
// names the file.
func TestOpenRejects(t *testing.T) {
	edit := func(file, old, new string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, file)
			text, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(text), old) {
				t.Fatalf("%s does not hold %q (%v)", path, old, err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(file string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.RemoveAll(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"missing folder", remove(""), "does not exist"},
		{"empty folder", func(t *testing.T, dir string) {
			remove("")(t, dir)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "has no manifest.json"},
		{"newer version", edit(FileManifest, `"schema": 1`, `"schema": 2`), "manifest.json: written in format 2 by a newer eventobench"},
		{"no version", edit(FileManifest, `"schema": 1,`, ``), "manifest.json: not a manifest"},
		{"a development version", func(t *testing.T, dir string) {
			edit(FileManifest, `"format": "eventobench run folder",`, "")(t, dir)
			edit(FileManifest, `"schema": 1`, `"schema": 2`)(t, dir)
		}, "manifest.json: written by a development version, before the format was settled; record it again"},
		{"cut manifest", edit(FileManifest, `"blocks"`, ``), "manifest.json: "},
		{"unknown field", edit(FileManifest, `"tool_version"`, `"toolversion"`), "manifest.json: damaged"},
		{"unknown state", edit(FileManifest, `"state": "complete"`, `"state": "splendid"`), `unknown state "splendid"`},
		{"unknown arrivals", edit(FileManifest, `"timeout_ns": 1000000000`, `"timeout_ns": 1000000000, "rate_per_s": 9, "arrivals": "late"`), `manifest.json: damaged: unknown arrivals "late"`},
		{"no machine", edit(FileManifest, `"machine": {`, `"machine": null, "nothing": {`), "manifest.json: damaged"},
		{"a probe without answers", edit(FileManifest, `"blocks": [`, `"probe": {"slice_ns": 1, "usual": {"workers": 1, "answers_per_s": [0]}, "more": {"workers": 2, "answers_per_s": [1]}, "no_ceiling": "a reason"}, "blocks": [`),
			"manifest.json: damaged: the probe has 1 slices of 1 workers"},
		{"no rounds", edit(FileManifest, `"rounds": 2`, `"rounds": 0`), "manifest.json: damaged: the plan needs at least 1 round"},
		{"more blocks than planned", edit(FileManifest, `"blocks": 2`, `"blocks": 1`), "manifest.json: damaged: 2 blocks of 1"},
		{"falling counters", edit(FileManifest, `"total_alloc": 1000`, `"total_alloc": 9000`), "manifest.json: damaged: counters of block 0 fall"},
		{"unknown profile", edit(FileManifest, `"cpu",`, `"gpu",`), `manifest.json: damaged: profile "gpu" is unknown`},
		{"blocks out of order", edit(FileManifest, `"block": 1`, `"block": 5`), "block 5 stands at place 1"},
		{"no samples", remove(FileSamples), "has no samples.csv"},
		{"wrong columns", edit(FileSamples, "round", "ring"), "samples.csv: damaged: columns"},
		{"bad number", edit(FileSamples, "50000000", "fifty"), "samples.csv: damaged: row 1: column 5"},
		{"negative number", edit(FileSamples, "50000000", "-5"), "samples.csv: damaged: row 1: column 5"},
		{"a row lacks", edit(FileSamples, "1,1,0,3000000000,50000000,0,3,1000000,500000,2,1,2000000,4,8000000,1,3000000\n", ""), "samples.csv is damaged: 3 rows"},
		{"rows out of order", edit(FileSamples, "\n1,1,", "\n1,0,"), "samples.csv is damaged: row 4"},
		{"no latency", remove(FileLatency), "has no latency.hdr"},
		{"a histogram lacks", edit(FileLatency, "Tag=read,", "#"), "latency.hdr: damaged"},
		{"latency of other requests", edit(FileSamples, ",1000000,4,", ",1000000,3,"), "latency.hdr and samples.csv disagree"},
	}
	good := recordExample(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), filepath.Base(good))
			if err := os.CopyFS(dir, os.DirFS(good)); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, dir)
			_, err := Open(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
		})
	}
}

// TestLooksAreChecked: names of metrics are not this package's business, all
// else in a decision is.
func TestLooksAreChecked(t *testing.T) {
	good := Decision{Head: "two", Metric: "a new one", Verdict: "improved", Low: 1, High: 2, Level: 0.99}
	change := func(edit func(*Decision)) []Look {
		d := good
		edit(&d)
		return []Look{{Blocks: 1, Decisions: []Decision{d}}}
	}
	tests := []struct {
		looks []Look
		want  string // in the error, empty if there is none
	}{
		{change(func(*Decision) {}), ""},
		{change(func(d *Decision) { d.Head = "" }), "names no subject or no metric"},
		{change(func(d *Decision) { d.Metric = "" }), "names no subject or no metric"},
		{change(func(d *Decision) { d.Verdict = "" }), `verdict "" on a new one is none`},
		{change(func(d *Decision) { d.Verdict = "splendid" }), `verdict "splendid" on a new one is none`},
		{change(func(d *Decision) { d.Low = 3 }), "interval from 3 to 2"},
		{change(func(d *Decision) { d.Level = 99 }), "at level 99"},
		{[]Look{{Blocks: 0}}, "look 1 is at 0 blocks"},
		{[]Look{{Blocks: 3}}, "look 1 is at 3 blocks, after one at 0, of 2"},
		{[]Look{{Blocks: 2}, {Blocks: 1}}, "look 2 is at 1 blocks, after one at 2"},
	}
	for _, tt := range tests {
		m := exampleManifest()
		m.Blocks, m.Looks = []Block{exampleBlock(0), exampleBlock(1)}, tt.looks
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = decodeManifest(text)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: error %v, want %q", tt.looks, err, tt.want)
		}
	}
}

// TestCorrectionIsBounded: a reading that cost less than those that measured
// the cost must not make allocations negative.
func TestCorrectionIsBounded(t *testing.T) {
	b := Block{
		Before: Counters{TotalAlloc: 1000, Mallocs: 10}, After: Counters{TotalAlloc: 1400, Mallocs: 30, NumGC: 2},
		ReadCost: Counters{TotalAlloc: 500, Mallocs: 5},
	}
	if got, want := b.Window(), (Counters{TotalAlloc: 0, Mallocs: 15, NumGC: 2}); got != want {
		t.Errorf("window %+v, want %+v", got, want)
	}
}

func TestProcessWindow(t *testing.T) {
	want := ProcessCounters{VoluntarySwitches: 20, InvoluntarySwitches: 3, ReadBytes: 1000, WrittenBytes: 5000}
	if got := exampleBlock(0).Process(); got != want {
		t.Errorf("process %+v, want %+v", got, want)
	}
	b := Block{ProcessBefore: ProcessCounters{VoluntarySwitches: 9}}
	if got := b.Process(); got != (ProcessCounters{}) {
		t.Errorf("a process whose threads ended: %+v", got)
	}
}

// TestOtherKindsOfRequest: a load without writes and reads has not zero of them.
func TestOtherKindsOfRequest(t *testing.T) {
	m := exampleManifest()
	m.Load.Kinds = []string{"GET /", "read"}
	got := (&Run{Manifest: m}).Totals()
	if got.Writes != nil || got.Reads == nil || *got.Reads != 0 {
		t.Errorf("writes %v, reads %v", got.Writes, got.Reads)
	}
	if diff := cmp.Diff(map[string]int64{"GET /": 0, "read": 0}, got.OpsByKind); diff != "" {
		t.Error(diff)
	}
}

// TestProfilesOfARun holds that a folder has the files of the kinds it names,
// and says of others why it has none.
func TestProfilesOfARun(t *testing.T) {
	run, err := Open(recordExample(t))
	if err != nil {
		t.Fatal(err)
	}
	names := kindNames(run.Profiles())
	if want := []string{"cpu", "allocs", "mutex", "heap", "goroutine"}; !slices.Equal(names, want) {
		t.Errorf("profiles %v, want %v", names, want)
	}
	for _, k := range run.Profiles() {
		for _, file := range k.Files() {
			if _, err := run.ProfileFile(file); err != nil {
				t.Error(err)
			}
		}
	}
	block, _ := KindNamed("block")
	if _, err := run.Profile(block); err == nil || !strings.Contains(err.Error(), "has no block.prof") {
		t.Errorf("error %v", err)
	}
	run.Manifest.Unavailable = map[Source]string{block.Source(): "no pprof here"}
	if _, err := run.Profile(block); err == nil || !strings.HasSuffix(err.Error(), "has no block.prof: no pprof here") {
		t.Errorf("error %v", err)
	}
}

func TestCopy(t *testing.T) {
	from := recordExample(t)
	to := filepath.Join(t.TempDir(), "deep", "copy")
	for range 2 { // the second replaces the first
		if err := Copy(from, to); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(to); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), ".*")); left != nil {
		t.Errorf("left behind %v", left)
	}
	other := t.TempDir()
	if err := Copy(from, other); err == nil || !strings.Contains(err.Error(), other+" is not replaced") {
		t.Errorf("error %v", err)
	}
	file := filepath.Join(other, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	to = filepath.Join(file, "run")
	if err := Copy(from, to); err == nil || !strings.Contains(err.Error(), "copying run folder "+from+" to "+to) {
		t.Errorf("error %v", err)
	}
}

func TestParseKinds(t *testing.T) {
	tests := []struct {
		names []string
		want  []string
		fails string
	}{
		{nil, []string{"cpu", "allocs", "heap", "goroutine"}, ""},
		{[]string{"block", "mutex"}, []string{"cpu", "allocs", "mutex", "block", "heap", "goroutine"}, ""},
		{[]string{"cpu"}, []string{"cpu", "allocs", "heap", "goroutine"}, ""},
		{[]string{"none"}, nil, ""},
		{[]string{"none", "cpu"}, nil, `unknown profile "none"`},
		{[]string{"gpu"}, nil, `unknown profile "gpu"; use any of cpu, allocs, mutex,`},
	}
	for _, tt := range tests {
		kinds, err := ParseKinds(tt.names)
		if got := kindNames(kinds); !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.names, got, tt.want)
		}
		if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
			t.Errorf("%v: error %v, want %q", tt.names, err, tt.fails)
		}
	}
}

// TestKindsAreDistinct: no two rows share a name or a file.
func TestKindsAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Kinds {
		for _, name := range append(k.Files(), k.Name) {
			if other, taken := seen[name]; taken {
				t.Errorf("%s and %s both have %s", other, k.Name, name)
			}
			seen[name] = k.Name
		}
		if k.Window == WindowDifference && k.Count == "" {
			t.Errorf("%s is a difference of one sample type", k.Name)
		}
	}
}

func TestOpenFile(t *testing.T) {
	path := filepath.Join(recordExample(t), FileSamples)
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("error %v", err)
	}
}

func TestDamagedProfileIsNamed(t *testing.T) {
	run, err := Open(recordExample(t))
	if err != nil {
		t.Fatal(err)
	}
	kind, _ := KindNamed("allocs")
	path := filepath.Join(run.Dir, kind.File)
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Profile(kind); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
}

func TestList(t *testing.T) {
	dir := recordExample(t)
	out := filepath.Dir(dir)
	for _, name := range []string{".20260101_000000-killed.partial", "20260103_000000-empty", "notes"} {
		if err := os.Mkdir(filepath.Join(out, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := List(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Base(e.Dir))
		if readable := e.Dir == dir; readable != (e.Err == nil) {
			t.Errorf("%s: %v", e.Dir, e.Err)
		}
	}
	if want := []string{".20260101_000000-killed.partial", filepath.Base(dir), "20260103_000000-empty"}; !slices.Equal(names, want) {
		t.Errorf("listed %v, want %v", names, want)
	}
	if _, err := List(filepath.Join(out, "nowhere")); err == nil {
		t.Error("listed a folder that does not exist")
	}
}

func TestStampsDoNotCollide(t *testing.T) {
	out := t.TempDir()
	start := time.Now()
	for want := range 3 {
		runs, err := Create(out, start, []Manifest{exampleManifest()})
		if err != nil {
			t.Fatal(err)
		}
		if stamp := start.Add(time.Duration(want) * time.Second).Format("20060102_150405"); runs[0].Manifest.Experiment != stamp {
			t.Errorf("experiment %s, want %s", runs[0].Manifest.Experiment, stamp)
		}
		if want == 0 { // a finished folder stands in the way as a partial one does
			if _, err := runs[0].Publish(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	m := openManifest()
	m.Blocks = []Block{exampleBlock(0)}
	m.Capture = CaptureInfo{Profiles: []string{"cpu", "mutex"}, Counters: "/debug/vars"}
	m.Unavailable = map[Source]string{SourceRSS: "no /proc", "heap_profile": "no pprof"}
	m.Looks = []Look{{Blocks: 1, Decisions: []Decision{{Head: "one", Metric: "speed", Verdict: "improved", Low: -1, Level: 0.99}}}}
	text, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err != nil {
			return
		}
		if m.check() != nil {
			t.Errorf("accepted %q", data)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeManifest(again); err != nil {
			t.Errorf("%q was accepted, and %q, which is the same, is not: %v", data, again, err)
		}
	})
}

func FuzzReadSamples(f *testing.F) {
	kinds := []string{"write", "read"}
	var text bytes.Buffer
	if err := writeSamples(&text, kinds, exampleSamples(0)); err != nil {
		f.Fatal(err)
	}
	f.Add(text.String())
	f.Fuzz(func(t *testing.T, text string) {
		samples, err := readSamples(strings.NewReader(text), kinds)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeSamples(&again, kinds, samples); err != nil {
			t.Fatal(err)
		}
		if got, err := readSamples(&again, kinds); err != nil || !cmp.Equal(got, samples) {
			t.Errorf("what was read changes when it is written: %v %s", err, cmp.Diff(samples, got))
		}
	})
}

func FuzzReadLatency(f *testing.F) {
	f.Add("Tag=write,0.000,1.000,1.0,HISTFAAAABx4nJNpmSzMwMDAxAABzFCaEUoz2X+AMIAAGQcE5g==\n", false)
	f.Add("Tag=write,0.000,1.000,1.0,HISTFAAAABx4nJNpmSzMwMDAxAABzFCaEUoz2X+AMIAAGQcE5g==\nTag=write/sent,0.000,1.000,1.0,HISTFAAAABx4nJNpmSzMwMDAxAABzFCaEUoz2X+AMIAAGQcE5g==\n", true)
	f.Fuzz(func(t *testing.T, text string, open bool) {
		load := loadgen.Load{Kinds: []string{"write"}}
		if open {
			load.Rate = 1
		}
		due, sent, err := readLatency(strings.NewReader(text), 1, load)
		if err != nil {
			return
		}
		if (sent != nil) != open {
			t.Errorf("latencies from sending: %v, open loop: %v", sent, open)
		}
		due.All()
		sent.All()
	})
}
