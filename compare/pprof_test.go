package compare

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// folderWith puts one profile into a folder of a synthetic run.
func folderWith(t *testing.T, file string, p *profile.Profile) *runfolder.Run {
	t.Helper()
	run := synthesize(t, "one", "e1", 4, slow, 7)
	run.Dir = t.TempDir()
	var data bytes.Buffer
	if err := p.Write(&data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run.Dir, file), data.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return run
}

func viewNamed(t *testing.T, name string) PprofView {
	t.Helper()
	for _, v := range PprofViews {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("no view is named %s", name)
	return PprofView{}
}

// TestPprofViewsAgreeWithTables holds that pprof gets to see the same values
// per operation as the function tables show.
func TestPprofViewsAgreeWithTables(t *testing.T) {
	p := testProfile(
		stack{frames: "leaf main.main"},
		stack{frames: "leaf other"},
		stack{frames: "compress/flate.NewWriter net/http/pprof.handler.ServeHTTP"},
	)
	p.DurationNanos = int64(time.Second)
	run := folderWith(t, runfolder.FileAllocs, p)
	got, err := viewNamed(t, "allocs").Profile(run)
	if err != nil {
		t.Fatal(err)
	}
	costs, err := allocationCosts(run, run.Totals(), DefaultGroups())
	if err != nil {
		t.Fatal(err)
	}
	space, objects := sampleIndex(got, "alloc_space_per_op"), sampleIndex(got, "alloc_objects_per_1000_ops")
	var bytes, count float64
	for _, s := range got.Sample {
		bytes += float64(s.Value[space]) / PprofScale
		count += float64(s.Value[objects]) / PprofScale / 1000
	}
	total := costs.table().Total
	if !near(bytes, total.Value, total.Value/1e3) || !near(count, total.Allocs, total.Allocs/1e3) {
		t.Errorf("%v B/op in %v allocs/op, the table says %v and %v", bytes, count, total.Value, total.Allocs)
	}
	if got.DefaultSampleType != "alloc_space_per_op" || got.DurationNanos != 0 || len(got.Sample) != 2 {
		t.Errorf("begins with %s, %d ns, %d samples", got.DefaultSampleType, got.DurationNanos, len(got.Sample))
	}
}

func TestPprofViewPerProcess(t *testing.T) {
	p := testProfile(stack{frames: "main.main"})
	p.SampleType[0].Type, p.SampleType[1].Type = "inuse_objects", "inuse_space"
	got, err := viewNamed(t, "heap").Profile(folderWith(t, runfolder.FileHeapAfter, p))
	if err != nil {
		t.Fatal(err)
	}
	// 100 bytes and 2 objects in four processes; the order is the view's.
	if v := got.Sample[0].Value; v[0] != 25*PprofScale || v[1] != PprofScale/2 {
		t.Errorf("values %v", v)
	}
}

func TestPprofViewRejects(t *testing.T) {
	run := folderWith(t, runfolder.FileAllocs, testProfile(stack{frames: "main.main"}))
	if _, err := viewNamed(t, "cpu").Profile(run); err == nil || !strings.Contains(err.Error(), "has no cpu.prof") {
		t.Errorf("a missing profile: %v", err)
	}
	run = folderWith(t, runfolder.FileCPU, testProfile(stack{frames: "main.main"}))
	if _, err := viewNamed(t, "cpu").Profile(run); err == nil || !strings.Contains(err.Error(), "cpu.prof of "+run.Dir+": the profile lacks the sample type cpu") {
		t.Errorf("a profile of another kind: %v", err)
	}
}
