package runfolder

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/pprof/profile"
)

// allocation is a heap profile of one sample.
func allocation(objects, space int64) *profile.Profile {
	f := &profile.Function{ID: 1, Name: "f"}
	l := &profile.Location{ID: 1, Line: []profile.Line{{Function: f}}}
	return &profile.Profile{
		SampleType: []*profile.ValueType{
			{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
			{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"},
		},
		PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
		Period:     1,
		Function:   []*profile.Function{f},
		Location:   []*profile.Location{l},
		Sample:     []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{objects, space, 1, 1}}},
	}
}

func TestProfileDifference(t *testing.T) {
	kind, _ := KindNamed("allocs")
	diff, err := subtract(kind, allocation(10, 1000), allocation(4, 300))
	if err != nil {
		t.Fatal(err)
	}
	if got := diff.Sample[0].Value; !slices.Equal(got, []int64{6, 700}) {
		t.Errorf("difference %v, want [6 700]", got)
	}
	if diff, err = subtract(kind, allocation(4, 300), allocation(4, 300)); err != nil || len(diff.Sample) != 0 {
		t.Errorf("nothing was allocated: %v, %v", diff, err)
	}
	mutex, _ := KindNamed("mutex")
	if _, err := subtract(mutex, allocation(4, 300), allocation(4, 300)); err == nil {
		t.Error("an allocation profile passed for one of locks")
	}
}

// The same stack in two blocks is two samples of the window's profiles, and
// one of the others.
func TestBlocksStayApart(t *testing.T) {
	run, err := newWriter(t.TempDir(), "20260102_030405-one", exampleManifest())
	if err != nil {
		t.Fatal(err)
	}
	for b := range 2 {
		p := exampleProfiles()
		p["allocs"] = Captured{Before: allocation(4, 300), After: allocation(10, int64(1000+b))}
		if err := run.Add(exampleBlock(b), exampleSamples(b), exampleLatency(t, false), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Complete(StateComplete, ""); err != nil {
		t.Fatal(err)
	}
	read := func(file string) map[int][]int64 {
		p, err := run.View().ProfileFile(file)
		if err != nil {
			t.Fatal(err)
		}
		values := map[int][]int64{}
		for _, s := range p.Sample {
			block, ok := SampleBlock(s)
			if !ok {
				block = -1
			}
			values[block] = s.Value
		}
		return values
	}
	if got, want := read(FileAllocs), map[int][]int64{0: {6, 700}, 1: {6, 701}}; !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%s by block: %v, want %v", FileAllocs, got, want)
	}
	kind, _ := KindNamed("allocs")
	after := kind.After()
	if got, want := read(after), map[int][]int64{-1: {20, 2001, 2, 2}}; !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%s: %v, want %v", after, got, want)
	}
}
