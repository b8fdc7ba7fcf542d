package compare

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func pprofFile(name string) string { return filepath.Join("profdiff", "testdata", "pprof", name) }

func mustCompareFiles(t *testing.T, base, head string, o FileOptions) *FileDiff {
	t.Helper()
	d, err := CompareFiles(pprofFile(base), pprofFile(head), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestFilesPerOperation holds that each side is divided by its own operations,
// in tables and flame graphs alike, and that nothing has an interval.
func TestFilesPerOperation(t *testing.T) {
	total := mustCompareFiles(t, "nethttp-allocs.prof", "fasthttp-allocs.prof", FileOptions{})
	perOp := mustCompareFiles(t, "nethttp-allocs.prof", "fasthttp-allocs.prof", FileOptions{BaseOps: 100,
		HeadOps: 400, Flames: true})
	const megabytes = 1e6
	if total.Changes.Unit != "MB" || perOp.Changes.Unit != "B/op" || perOp.Changes.CountUnit != "allocs/op" {
		t.Fatalf("units %s, %s, %s", total.Changes.Unit, perOp.Changes.Unit, perOp.Changes.CountUnit)
	}
	for _, side := range []struct{ total, perOp, ops float64 }{
		{total.Changes.Total.Base, perOp.Changes.Total.Base, 100},
		{total.Changes.Total.Head, perOp.Changes.Total.Head, 400},
	} {
		if !near(side.total*megabytes/side.ops, side.perOp, 1e-6*side.perOp) {
			t.Errorf("total %v MB, %v B/op of %v operations", side.total, side.perOp, side.ops)
		}
	}
	if len(perOp.Flames.Graphs) != 2 {
		t.Fatalf("%d flame graphs", len(perOp.Flames.Graphs))
	}
	sum := 0.0
	for _, v := range perOp.Flames.Graphs[0].Self[1] {
		sum += float64(v)
	}
	if !near(sum, perOp.Changes.Total.Head, 1e-3*sum) {
		t.Errorf("the flame graph holds %v, the table %v", sum, perOp.Changes.Total.Head)
	}
	for _, f := range append(perOp.Changes.Functions, perOp.Changes.Total) {
		if f.Low != nil || f.Noise {
			t.Errorf("an interval from nothing: %+v", f)
		}
	}
}

// TestFilesNormalized holds that both totals are the base's, and shares stay.
func TestFilesNormalized(t *testing.T) {
	plain := mustCompareFiles(t, "nethttp-cpu.prof", "fasthttp-cpu.prof", FileOptions{})
	scaled := mustCompareFiles(t, "nethttp-cpu.prof", "fasthttp-cpu.prof", FileOptions{Normalize: true})
	b, h := scaled.Changes.Total.Base, scaled.Changes.Total.Head
	if b != plain.Changes.Total.Base || !near(b, h, 1e-9*b) {
		t.Errorf("totals %v and %v, from %v", b, h, plain.Changes.Total.Base)
	}
	share := func(d *FileDiff) float64 { return d.Head.Functions.Functions[0].Share }
	if !near(share(plain), share(scaled), 1e-9) || !(share(plain) > 0) {
		t.Errorf("shares %v and %v", share(plain), share(scaled))
	}
}

func TestFilesRejected(t *testing.T) {
	base, head := pprofFile("nethttp-cpu.prof"), pprofFile("fasthttp-cpu.prof")
	for _, tt := range []struct {
		base, head string
		o          FileOptions
		want       string
	}{
		{base, base, FileOptions{}, "are the same file"},
		{base, head, FileOptions{BaseOps: 1}, "operations are known of one profile only"},
		{base, head, FileOptions{BaseOps: 1, HeadOps: math.Inf(1)}, "cannot cover +Inf operations"},
		{base, head, FileOptions{BaseOps: 1, HeadOps: 1, Normalize: true}, "not both"},
		{base, "nowhere.prof", FileOptions{}, "open nowhere.prof"},
		{base, pprofFile("fasthttp-allocs.prof"), FileOptions{}, "different kinds of profiles"},
	} {
		if _, err := CompareFiles(tt.base, tt.head, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

func TestDistinctNames(t *testing.T) {
	for _, tt := range []struct{ base, head, wantBase, wantHead string }{
		{"x/before.prof", "x/after.prof", "before.prof", "after.prof"},
		{"/tmp/x/a/cpu.prof", "/tmp/x/b/cpu.prof", "a/cpu.prof", "b/cpu.prof"},
		{"/tmp/a/x/cpu.prof", "/tmp/b/x/cpu.prof", "a/x/cpu.prof", "b/x/cpu.prof"},
		{"cpu.prof", "old/cpu.prof", "cpu.prof", "old/cpu.prof"},
		{"./x//cpu.prof", "../x/cpu.prof", "x/cpu.prof", "../x/cpu.prof"},
		{"/x/cpu.prof", "x/cpu.prof", "/x/cpu.prof", "x/cpu.prof"},
	} {
		base, head := distinctNames(tt.base, tt.head)
		if base != tt.wantBase || head != tt.wantHead {
			t.Errorf("%s and %s are %s and %s, want %s and %s", tt.base, tt.head, base, head, tt.wantBase, tt.wantHead)
		}
	}
}
