package profdiff

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// folderWith puts one profile into a folder of a synthetic run.
func folderWith(t *testing.T, file string, p *profile.Profile) *runfolder.Run {
	t.Helper()
	run := &runfolder.Run{Dir: t.TempDir()}
	for b := range 4 {
		run.Manifest.Blocks = append(run.Manifest.Blocks, runfolder.Block{Block: b})
		run.Slices = append(run.Slices, runfolder.Slice{Block: b, Kinds: []loadgen.KindResult{{Ops: 10}}})
	}
	var data bytes.Buffer
	if err := p.Write(&data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run.Dir, file), data.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return run
}

// TestScaledAgreesWithTables holds that pprof gets to see the same values
// per operation as the function tables show.
func TestScaledAgreesWithTables(t *testing.T) {
	p := testProfile(
		stack{frames: "leaf main.main"},
		stack{frames: "leaf other"},
		stack{frames: "compress/flate.NewWriter net/http/pprof.handler.ServeHTTP"},
	)
	p.DurationNanos = int64(time.Second)
	run := folderWith(t, runfolder.FileAllocs, p)
	got, err := Scaled(run, kindNamed(t, "allocs"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Read(run, kindNamed(t, "allocs"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	space, objects := 0, 1 // the order in which they are kept
	var bytes, count float64
	for _, s := range got.Sample {
		bytes += float64(s.Value[space]) / PprofScale
		count += float64(s.Value[objects]) / PprofScale / 1000
	}
	total := a.Table().Total
	if !near(bytes, total.Value, total.Value/1e3) || !near(count, total.Count, total.Count/1e3) {
		t.Errorf("%v B/op in %v allocs/op, the table says %v and %v", bytes, count, total.Value, total.Count)
	}
	if got.DefaultSampleType != "alloc_space_per_op" || got.DurationNanos != 0 || len(got.Sample) != 2 {
		t.Errorf("begins with %s, %d ns, %d samples", got.DefaultSampleType, got.DurationNanos, len(got.Sample))
	}
}

func TestScaledPerProcess(t *testing.T) {
	p := testProfile(stack{frames: "main.main"})
	p.SampleType[0].Type, p.SampleType[1].Type = "inuse_objects", "inuse_space"
	got, err := Scaled(folderWith(t, runfolder.FileHeapAfter, p), kindNamed(t, "heap"))
	if err != nil {
		t.Fatal(err)
	}
	// 100 bytes and 2 objects in four processes; the order is the view's.
	if v := got.Sample[0].Value; v[0] != 25*PprofScale || v[1] != PprofScale/2 {
		t.Errorf("values %v", v)
	}
}

func TestScaledRejects(t *testing.T) {
	run := folderWith(t, runfolder.FileAllocs, testProfile(stack{frames: "main.main"}))
	if _, err := Scaled(run, kindNamed(t, "cpu")); err == nil || !strings.Contains(err.Error(), "has no cpu.prof") {
		t.Errorf("a missing profile: %v", err)
	}
	run = folderWith(t, runfolder.FileCPU, testProfile(stack{frames: "main.main"}))
	if _, err := Scaled(run, kindNamed(t, "cpu")); err == nil || !strings.Contains(err.Error(), "cpu.prof of "+run.Dir+": the profile lacks the sample type cpu") {
		t.Errorf("a profile of another kind: %v", err)
	}
}
