package history

import (
	"path/filepath"
	"testing"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

func readReport(t *testing.T, name string) *compare.Report {
	t.Helper()
	r, err := compare.ReadReport(filepath.Join("..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFromReport holds that records have what reports say.
func TestFromReport(t *testing.T) {
	r := readReport(t, "report.json")
	records := FromReport(r)
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	record, c := records[0], r.Comparisons[0]
	_, err := encode(record)
	if err != nil {
		t.Error(err)
	}
	subjects := record.Base.Subject + " " + record.Head.Subject
	if subjects != c.Base+" "+c.Head || record.Verdict != c.Verdict || record.Blocks != c.Blocks {
		t.Errorf("record %+v", record)
	}
	if !record.Paired || record.Curve != "fasthttp" || record.Head.Commit == "" ||
		record.Machine.CPUModel != "Test CPU" {
		t.Errorf("record %+v", record)
	}
	for _, m := range record.Metrics {
		if want := c.Metric(m.ID); *m.Value != *want.Head || *m.Change != *want.Change || m.Verdict != want.Verdict {
			t.Errorf("%s: %+v, want %+v", m.ID, m, want)
		}
	}
	if len(record.Metrics) != 9 || record.Metric("heap_peak") != nil {
		t.Errorf("%d metrics, want the 9 that have a better direction", len(record.Metrics))
	}
}

// TestFromUnpaired: how timing changed between two experiments is not kept, nor
// is throughput that the load sets.
func TestFromUnpaired(t *testing.T) {
	r := readReport(t, "report.json")
	r.Comparisons[0].Paired = false
	record := FromReport(r)[0]
	if cpu := record.Metric("cpu_per_op"); cpu.Value == nil || cpu.Change != nil || cpu.Verdict != compare.NotJudged {
		t.Errorf("CPU: %+v", cpu)
	}
	if allocs := record.Metric("allocs_per_op"); allocs.Change == nil || allocs.Verdict == compare.NotJudged {
		t.Errorf("allocations: %+v", allocs)
	}
	open := readReport(t, "odd-open.json")
	alone := FromVariant(open.Variants[0])
	if FromReport(open)[0].Metric("ops_per_sec") != nil || alone.Metric("ops_per_sec") != nil {
		t.Error("the throughput that the load sets is kept")
	}
	if alone.Base != nil || alone.Metric("allocs_per_op").Value == nil {
		t.Errorf("a run alone: %+v", alone)
	}
}

func TestCurveOf(t *testing.T) {
	tests := []struct {
		label, kind, module, want string
	}{
		{"nightly", "git", "example.com/shop", "nightly"},
		{"", "git", "example.com/shop", "example.com/shop"},
		{"", "url", "", "subject"},
		{"", "built-in", "github.com/eventobench/eventobench", "subject"},
	}
	for _, tt := range tests {
		m := runfolder.Manifest{Label: tt.label, Subject: runfolder.SubjectInfo{
			Name: "subject", Kind: tt.kind, Binary: runfolder.Binary{Module: tt.module},
		}}
		if got := curveOf(m); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// TestBuiltForTheOccasion: where the executable does not tell its commit.
func TestBuiltForTheOccasion(t *testing.T) {
	info := runfolder.SubjectInfo{Name: "shop", Build: &runfolder.BuildInfo{Commit: "abc", Dirty: true}}
	if b := newBuild(info); b.Commit != "abc" || !b.Dirty {
		t.Errorf("%+v", b)
	}
	info.Binary.Commit = "def"
	if b := newBuild(info); b.Commit != "def" || b.Dirty {
		t.Errorf("%+v", b)
	}
}

func TestBuilds(t *testing.T) {
	clean := Build{Commit: "0123456789", SHA256: "aaaaaaaaaa", Go: "go1.26.0"}
	with := func(change func(*Build)) Build {
		b := clean
		change(&b)
		return b
	}
	tests := []struct {
		name   string
		other  Build
		same   bool
		string string
	}{
		{"itself", clean, true, "0123456"},
		{"built again elsewhere", with(func(b *Build) { b.SHA256 = "bbb" }), true, "0123456"},
		{"by another Go", with(func(b *Build) { b.SHA256, b.Go = "bbb", "go1.27.0" }), false, "0123456"},
		{"with changes beside it", with(func(b *Build) { b.SHA256, b.Dirty = "bbb", true }), false, "0123456+"},
		{"the same executable", with(func(b *Build) { b.Commit = "" }), true, "binary aaaaaaaa"},
		{"with other options", with(func(b *Build) { b.Options = map[string]string{"codec": "std"} }), false,
			"0123456"},
		{"unknown", Build{Subject: "shop"}, false, "shop"},
	}
	for _, tt := range tests {
		if clean.Same(tt.other) != tt.same || tt.other.Same(clean) != tt.same || tt.other.String() != tt.string {
			t.Errorf("%s: same %v, %s", tt.name, clean.Same(tt.other), tt.other)
		}
	}
	if unknown := (Build{Subject: "shop"}); unknown.Same(unknown) {
		t.Error("what nothing is known of is the same as something")
	}
}
