package profiles

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// record records an experiment and reads the run of its first subject. Slices
// are long enough for a request each, however busy the machine is.
func record(t *testing.T, e Experiment) *runfolder.Run {
	t.Helper()
	e.Plan.Slice = 50 * time.Millisecond
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run, err := runfolder.Open(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// TestSubjectsWithoutPages holds that what a server does not serve is
// unavailable with a reason, and that the run is no failure.
func TestSubjectsWithoutPages(t *testing.T) {
	t.Parallel()
	profiles := []runfolder.Source{
		"cpu_profile", "allocs_profile", "heap_profile", "goroutine_profile", "goroutineleak_profile",
	}
	tests := []struct {
		mode     string
		counters string // the page they are read from
		missing  []runfolder.Source
	}{
		{"bare", "", append(profiles, runfolder.SourceMemStats, runfolder.SourceGoroutines)},
		{"fine", subject.HeapPage, []runfolder.Source{"goroutineleak_profile"}},
		{"expvar", subject.VarsPage, []runfolder.Source{"goroutineleak_profile"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			e := testExperiment(t, testSubject(t, "one", tt.mode))
			leak, _ := runfolder.KindNamed("goroutineleak")
			e.Profiles = append(e.Profiles, leak)
			e.Plan.Rounds = 1
			run := record(t, e)
			m := run.Manifest
			if m.State != runfolder.StateComplete || m.Capture.Counters != tt.counters {
				t.Errorf("%s (%s), counters of %q", m.State, m.Reason, m.Capture.Counters)
			}
			checkUnavailable(t, run, e.Profiles, tt.missing)
			totals := run.Totals()
			if (totals.AllocsPerOp == nil) != (tt.counters == "") || totals.CPUPerOp == nil || totals.RSSPeakBytes == nil {
				t.Errorf("totals %+v", totals)
			}
		})
	}
}

// checkUnavailable expects exactly the missing sources of a process and its
// pages to be so, with a reason that says what to do.
func checkUnavailable(t *testing.T, run *runfolder.Run, kinds []runfolder.ProfileKind, missing []runfolder.Source) {
	t.Helper()
	m := run.Manifest
	for _, source := range []runfolder.Source{
		runfolder.SourceMemStats, runfolder.SourceGoroutines, runfolder.SourceCPUClock,
		runfolder.SourceRSS, runfolder.SourceSwitches, runfolder.SourceIO,
	} {
		if run.Has(source) == slices.Contains(missing, source) {
			t.Errorf("%s: %q", source, m.Unavailable[source])
		}
	}
	for _, k := range kinds {
		reason := m.Unavailable[k.Source()]
		lacks := slices.Contains(missing, k.Source()) && !(k.Name == "goroutineleak" && goHasLeakProfile())
		if run.Recorded(k) == lacks || (reason != "") != lacks {
			t.Errorf("%s: recorded %v, unavailable because of %q", k.Name, run.Recorded(k), reason)
		}
		const todo = `was answered with 404 Not Found; a Go server serves it with import _ "net/http/pprof"`
		if lacks && !strings.Contains(reason, todo) {
			t.Errorf("%s: %q does not say what to do", k.Name, reason)
		}
		if _, err := run.Profile(k); (err != nil) != lacks {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

// goHasLeakProfile reports whether the Go that built this test has profiles of
// leaked goroutines.
func goHasLeakProfile() bool { return !strings.HasPrefix(runtime.Version(), "go1.26") }

// TestNoProfiles: an experiment can do without any profile, and still counts.
func TestNoProfiles(t *testing.T) {
	t.Parallel()
	e := testExperiment(t, testSubject(t, "one", "expvar"))
	e.Profiles = nil
	run := record(t, e)
	if found, _ := filepath.Glob(filepath.Join(run.Dir, "*.prof")); found != nil || len(run.Profiles()) != 0 {
		t.Errorf("recorded %v", found)
	}
	if totals := run.Totals(); totals.AllocBytesPerOp == nil || *totals.Goroutines == 0 {
		t.Errorf("totals %+v", totals)
	}
}

// TestContention holds that waiting for locks is recorded, in the window alone
// and by block.
func TestContention(t *testing.T) {
	t.Parallel()
	e := testExperiment(t, testSubject(t, "one", "contended"))
	var err error
	if e.Profiles, err = runfolder.ParseKinds([]string{"mutex", "block"}); err != nil {
		t.Fatal(err)
	}
	run := record(t, e)
	for _, name := range []string{"mutex", "block"} {
		k, _ := runfolder.KindNamed(name)
		checkBlocks(t, run, k)
		p, err := run.Profile(k)
		if err != nil {
			t.Fatal(err)
		}
		value, err := p.SampleIndexByName(k.Value)
		if err != nil {
			t.Fatal(err)
		}
		var waited int64
		for _, s := range p.Sample {
			waited += s.Value[value]
		}
		if len(p.SampleType) != 2 || waited <= 0 {
			t.Errorf("%s: waited %v in %d samples", name, time.Duration(waited), len(p.Sample))
		}
	}
}

// TestLeanServer holds that allocations are counted to the byte of a server
// that allocates next to nothing. The error is one of a block, however long it
// is: a reading that finds no buffers on its CPU allocates up to 50 KB more than
// others, a byte per operation of a block of the default plan. It is larger
// where a CPU profile is built meanwhile, and where the counters cost much.
func TestLeanServer(t *testing.T) {
	for _, tt := range []struct {
		mode     string
		profiles []runfolder.ProfileKind
		within   int64 // bytes of a block
	}{
		{"lean-expvar", nil, 64 << 10},
		{"lean-expvar", defaultKinds(), 128 << 10},
		{"lean", nil, 128 << 10},
	} {
		t.Run(fmt.Sprintf("%s with %d profiles", tt.mode, len(tt.profiles)), func(t *testing.T) {
			e := testExperiment(t, testSubject(t, "one", tt.mode))
			e.Plan = runfolder.Plan{Blocks: 1, Rounds: 4, Slice: 50 * time.Millisecond, Warmup: 2000, Seed: 1}
			e.Profiles = tt.profiles
			run := record(t, e)
			for b, block := range run.Manifest.Blocks {
				var ops int64
				for _, s := range run.BlockSlices(b) {
					ops += s.Ops()
				}
				w := block.Window()
				if excess := w.TotalAlloc - ops*leanBytes; excess < -tt.within || excess > tt.within {
					t.Errorf("block %d: %d bytes beyond %d in each of %d requests, at %+v per reading",
						b, excess, leanBytes, ops, block.ReadCost)
				}
				if w.Mallocs < ops-tt.within/leanBytes || w.Mallocs > ops+tt.within/leanBytes {
					t.Errorf("block %d: %d allocations in %d requests", b, w.Mallocs, ops)
				}
			}
		})
	}
}

// TestNothingIsSampled: a server that does not sample waits for locks is not one
// that has none.
func TestNothingIsSampled(t *testing.T) {
	t.Parallel()
	e := testExperiment(t, testSubject(t, "one", "fine"))
	mutex, _ := runfolder.KindNamed("mutex")
	e.Profiles = []runfolder.ProfileKind{mutex}
	run := record(t, e)
	reason := run.Manifest.Unavailable[mutex.Source()]
	if run.Recorded(mutex) || !strings.Contains(reason, "answered with sampling period=0; ") ||
		!strings.HasSuffix(reason, "and runtime.SetMutexProfileFraction") {
		t.Errorf("recorded %v, unavailable because of %q", run.Recorded(mutex), reason)
	}
}

// TestScript: the server that a script starts is what is measured and
// identified, not the shell.
func TestScript(t *testing.T) {
	t.Parallel()
	s := testSubject(t, "one", "fine")
	script := filepath.Join(t.TempDir(), "start.sh")
	text := "#!/bin/sh\n" + strings.Join(s.Command, " ") + "\necho ended\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	s.Command = []string{script}
	run := record(t, testExperiment(t, s))
	if b := run.Manifest.Subject.Binary; b.GoVersion != runtime.Version() || b.SHA256 == "" {
		t.Errorf("binary %+v", b)
	}
	if totals := run.Totals(); *totals.CPUPerOp <= 0 || *totals.RSSPeakBytes < 8<<20 {
		t.Errorf("%v us/op, %d bytes: that is the shell", *totals.CPUPerOp, *totals.RSSPeakBytes)
	}
}

// TestSilentServers: a server need not say where it listens.
func TestSilentServers(t *testing.T) {
	t.Parallel()
	l := testaid.Listen(t)
	address := l.Addr().String()
	fixed := testSubject(t, "fixed", "mute="+address)
	fixed.Address, fixed.Ready = address, ""
	chosen := testSubject(t, "chosen", "mute=127.0.0.1:"+subject.ChosenPort)
	e := testExperiment(t, fixed, chosen)
	want := "another program listens on " + address + " already; stop it first"
	if _, err := e.Record(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if totals := record(t, e).Totals(); totals.TotalOps == 0 {
		t.Errorf("totals %+v", totals)
	}
}
