package profdiff

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"
)

// typed makes a profile of one sample per value, all with the stack, and of the
// sample types, such as "cpu/nanoseconds".
func typed(stack string, types []string, samples ...[]int64) *profile.Profile {
	p := &profile.Profile{}
	for _, t := range types {
		name, unit, _ := strings.Cut(t, "/")
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: name, Unit: unit})
	}
	var locations []*profile.Location
	for name := range strings.FieldsSeq(stack) {
		id := uint64(len(locations) + 1)
		f := &profile.Function{ID: id, Name: name}
		p.Function = append(p.Function, f)
		locations = append(locations, &profile.Location{ID: id, Line: []profile.Line{{Function: f}}})
	}
	p.Location = locations
	for _, values := range samples {
		p.Sample = append(p.Sample, &profile.Sample{Value: values, Location: locations})
	}
	return p
}

// written writes a profile to a file, and gives its path.
func written(t *testing.T, name string, p *profile.Profile) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustReadFile(t *testing.T, path string) File {
	t.Helper()
	f, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestFilesAgreeWithPprof holds that differences of lone files are those of "go
// tool pprof -diff_base", function by function, also of kinds that no run folder
// has.
func TestFilesAgreeWithPprof(t *testing.T) {
	recorded := func(name string) string { return filepath.Join("testdata", "pprof", name) }
	tests := []struct {
		name, base, head, sample, unit string
		least                          int // functions that differ
	}{
		{"cpu", recorded("nethttp-cpu.prof"), recorded("fasthttp-cpu.prof"), "cpu", "ns", 50},
		{"samples", recorded("nethttp-cpu.prof"), recorded("fasthttp-cpu.prof"), "samples", "", 50},
		{"alloc_space", recorded("nethttp-allocs.prof"), recorded("fasthttp-allocs.prof"), "alloc_space", "B", 50},
		{
			"own kind", written(t, "a.prof", typed("a.f a.g", []string{"widgets/widget"}, []int64{5}, []int64{2})),
			written(t, "b.prof", typed("b.h a.g", []string{"widgets/widget"}, []int64{3})), "widgets", "", 3,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := pprofDiff(t, tt.base, tt.head, tt.sample, tt.unit)
			if len(want) < tt.least {
				t.Fatalf("pprof lists only %d functions", len(want))
			}
			if diff := cmp.Diff(want, fileDifferences(t, tt.base, tt.head, tt.sample)); diff != "" {
				t.Errorf("pprof's (-) and our (+) differences:\n%s", diff)
			}
		})
	}
}

func fileDifferences(t *testing.T, base, head, sample string) map[string]flatCum {
	t.Helper()
	files := []File{mustReadFile(t, base), mustReadFile(t, head)}
	valueType, err := CommonType(files[0], files[1], sample)
	if err != nil {
		t.Fatal(err)
	}
	kind, err := FileKind(valueType, files[0], files[1], false)
	if err != nil {
		t.Fatal(err)
	}
	kind.Scale = 1
	var sides [2]*Attribution
	for i, f := range files {
		if sides[i], err = AttributeFile(f, kind, 1, Options{Leaves: true}); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]flatCum{}
	for _, f := range (Diff{Base: sides[0], Head: sides[1]}).changes(match(sides[0].functions, sides[1].functions)) {
		if d := (flatCum{int64(math.Round(f.Diff)), int64(math.Round(f.HeadCum - f.BaseCum))}); d != (flatCum{}) {
			got[f.Name] = d
		}
	}
	return got
}

func TestUnits(t *testing.T) {
	tests := []struct {
		sampleType, unit string
		largest          float64
		perOp            bool
		want             string
		scale            float64
	}{
		{"cpu", "nanoseconds", 3e10, true, "us/op", 1e-3},
		{"cpu", "nanoseconds", 3e10, false, "s", 1e-9},
		{"cpu", "nanoseconds", 9.9e9, false, "ms", 1e-6},
		{"cpu", "nanoseconds", 500, false, "us", 1e-3},
		{"wall", "microseconds", 20e3, false, "ms", 1e-3},
		{"wall", "seconds", 3, true, "us/op", 1e6},
		{"alloc_space", "bytes", 5e9, true, "B/op", 1},
		{"alloc_space", "bytes", 5e9, false, "MB", 1e-6},
		{"alloc_space", "bytes", 5e5, false, "kB", 1e-3},
		{"alloc_space", "bytes", 99, false, "B", 1},
		{"contentions", "count", 5e9, true, "contentions/op", 1},
		{"contentions", "count", 5e9, false, "contentions", 1},
		{"work", "widgets", 5e9, false, "widgets", 1},
		{"work", "", 1, true, "work/op", 1},
	}
	for _, tt := range tests {
		unit, scale := unitOf(profile.ValueType{Type: tt.sampleType, Unit: tt.unit}, tt.largest, tt.perOp)
		if unit != tt.want || !near(scale/tt.scale, 1, 1e-9) {
			t.Errorf("%v %s of %s: %s times %v, want %s times %v", tt.largest, tt.unit, tt.sampleType, unit,
				scale, tt.want, tt.scale)
		}
	}
}

// TestFileKind holds title and counts of the kinds that run folders know.
func TestFileKind(t *testing.T) {
	heap := []string{"alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"}
	tests := []struct {
		types                   []string
		sample                  string
		perOp                   bool
		title, count, countUnit string
	}{
		{heap, "inuse_space", false, "Heap", "inuse_objects", "objects"},
		{heap, "alloc_space", true, "Allocated", "alloc_objects", "allocs/op"},
		{heap, "", false, "Heap", "inuse_objects", "objects"}, // the last one is pprof's default
		{heap[1:2], "alloc_space", true, "Allocated", "", ""},
		{[]string{"samples/count", "cpu/nanoseconds"}, "cpu", true, "CPU time", "", ""},
		{[]string{"contentions/count", "delay/nanoseconds"}, "delay", true, "delay", "", ""}, // mutex or block
		{[]string{"goroutine/count"}, "", false, "Goroutines", "", ""},
	}
	for _, tt := range tests {
		values := make([]int64, len(tt.types))
		for i := range values {
			values[i] = 100
		}
		f := File{Path: "x.prof", Profile: typed("a.f", tt.types, values)}
		valueType, err := CommonType(f, f, tt.sample)
		if err != nil {
			t.Fatal(err)
		}
		kind, err := FileKind(valueType, f, f, tt.perOp)
		if err != nil {
			t.Fatal(err)
		}
		if kind.Title != tt.title || kind.Count != tt.count || kind.CountUnit != tt.countUnit {
			t.Errorf("%s of %v: %q with %q in %q", tt.sample, tt.types, kind.Title, kind.Count, kind.CountUnit)
		}
	}
}

func TestFilesRejected(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.prof")
	if err := os.WriteFile(text, []byte("404 page not found\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := written(t, "empty.prof", typed("a.f", []string{"samples/count", "cpu/nanoseconds"}))
	for path, want := range map[string]string{
		text:           "text.prof is not a pprof file: ",
		empty:          "empty.prof is a profile without a sample (samples/count, cpu/nanoseconds)",
		"nowhere.prof": "reading a profile: open nowhere.prof: no such file",
	} {
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
	cpu := File{Path: "cpu.prof", Profile: typed("a.f", []string{"samples/count", "cpu/nanoseconds"}, []int64{1, 0})}
	heap := File{Path: "heap.prof", Profile: typed("a.f", []string{"inuse_objects/count",
		"inuse_space/bytes"}, []int64{1, 1})}
	counts := File{Path: "counts.prof", Profile: typed("a.f", []string{"samples/count"}, []int64{1})}
	for _, tt := range []struct {
		base, head   File
		sample, want string
	}{
		{cpu, heap, "", "cpu.prof (samples/count, cpu/nanoseconds) and heap.prof (inuse_objects/count, " +
			"inuse_space/bytes) are different kinds"},
		{cpu, counts, "", "do not both have the sample type cpu; name one that both have with --sample: samples"},
		{cpu, cpu, "wall",
			"do not both have the sample type wall; name one that both have with --sample: samples, cpu"},
	} {
		if _, err := CommonType(tt.base, tt.head, tt.sample); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
	if _, err := FileKind(profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, cpu, cpu, false); err == nil ||
		!strings.Contains(err.Error(), "cpu.prof has no sample with any cpu") {
		t.Errorf("error %v", err)
	}
}
