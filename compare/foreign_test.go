package compare

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/compare/profdiff"
)

var foreignDirs = []string{
	filepath.Join("testdata", "foreign", "20251218_223402"), filepath.Join("testdata", "foreign", "20251218_223945"),
}

// foreignReport is of two folders that the story's own script left.
func foreignReport(t *testing.T) *Report {
	t.Helper()
	o := defaults()
	o.Charts = true
	r, err := Compare(foreignDirs, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestForeignHasNoVerdict holds that nothing of one run is judged, while the
// figures are shown.
func TestForeignHasNoVerdict(t *testing.T) {
	c := foreignReport(t).Comparisons[0]
	if c.Verdict != NotJudged || !c.Foreign || c.Paired {
		t.Errorf("verdict %q, foreign %v, paired %v", c.Verdict, c.Foreign, c.Paired)
	}
	for _, m := range c.Metrics {
		if m.Change != nil || m.Verdict != NotJudged {
			t.Errorf("%s has change %v and verdict %q", m.ID, m.Change, m.Verdict)
		}
	}
	for id, want := range map[MetricID]string{OpsPerSec: "+6.0%, no interval", "latency_mean": "-5.7%, no interval"} {
		m := c.Metric(id)
		if m.Unavailable != want || m.Base == nil || m.Head == nil {
			t.Errorf("%s: %q of %v and %v, want %q", id, m.Unavailable, m.Base, m.Head, want)
		}
	}
	if p99 := c.Metric("latency_p99"); p99.Base != nil || p99.Unavailable == "" {
		t.Errorf("p99 %+v", p99)
	}
}

// allocated is what the samples of a profile say in all, without those of the
// profiling.
func allocated(t *testing.T, path string) (sum float64) {
	t.Helper()
	f, err := profdiff.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i, err := f.Profile.SampleIndexByName("alloc_space")
	if err != nil {
		t.Fatal(err)
	}
	ofProfiling := func(s *profile.Sample) bool {
		for _, l := range s.Location {
			for _, line := range l.Line {
				for _, prefix := range []string{"net/http/pprof.", "runtime/pprof.", "expvar."} {
					if strings.HasPrefix(line.Function.Name, prefix) {
						return true
					}
				}
			}
		}
		return false
	}
	for _, s := range f.Profile.Sample {
		if !ofProfiling(s) {
			sum += float64(s.Value[i])
		}
	}
	return sum
}

// TestForeignPerOperation holds that allocations are what was allocated during
// the load, by each side's own operations.
func TestForeignPerOperation(t *testing.T) {
	table, found := foreignReport(t).Comparisons[0].Profile("allocs")
	if !found {
		t.Fatal("no allocations")
	}
	during := func(dir string) float64 {
		return allocated(t, filepath.Join(dir, "allocs-after.prof")) -
			allocated(t, filepath.Join(dir, "allocs-before.prof"))
	}
	for _, side := range []struct{ got, want float64 }{
		{table.Total.Base, during(foreignDirs[0]) / 329426}, {table.Total.Head, during(foreignDirs[1]) / 349305},
	} {
		if !near(side.got, side.want, 1e-6*side.want) || side.want <= 0 {
			t.Errorf("%v B/op, want %v", side.got, side.want)
		}
	}
	for _, f := range table.Functions {
		if f.Low != nil || f.Noise {
			t.Errorf("an interval from one run: %+v", f)
		}
	}
}

// TestForeignMixed holds that a run folder is compared with a foreign one by the
// same rules, on either side, unless its load sets the pace.
func TestForeignMixed(t *testing.T) {
	recorded := func(pattern string) string {
		found, err := filepath.Glob(filepath.Join("testdata", "recorded", pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		return found[0]
	}
	ours, rated := recorded("pair/*-fasthttp"), recorded("open/*-fasthttp")
	for _, dirs := range [][]string{{foreignDirs[0], ours}, {ours, foreignDirs[0]}} {
		r, err := Compare(dirs, defaults())
		if err != nil {
			t.Fatal(err)
		}
		c := r.Comparisons[0]
		if c.Verdict != NotJudged || len(c.Profiles) != 2 || len(c.Explanation) > 0 {
			t.Errorf("verdict %q, %d profiles, explained by %v", c.Verdict, len(c.Profiles), c.Explanation)
		}
		codes := ""
		for _, w := range r.Warnings {
			codes += string(w.Code) + " "
		}
		if !strings.Contains(codes, string(WarnForeign)) || strings.Contains(codes, string(WarnUnpaired)) ||
			strings.Contains(codes, string(WarnHost)) {
			t.Errorf("warnings %s", codes)
		}
	}
	if _, err := Compare([]string{foreignDirs[0], rated}, defaults()); err == nil ||
		!strings.Contains(err.Error(), "under different loads") {
		t.Errorf("error %v", err)
	}
}

func TestNeitherFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "README.md"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Compare([]string{foreignDirs[0], dir}, defaults())
	want := dir + " is no folder of profiles: it has neither manifest.json, as \"eventobench run\" writes " +
		"it, nor load-test-results.json with cpu.prof or allocs-after.prof"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
