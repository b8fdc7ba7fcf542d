package compare

import (
	"fmt"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// PprofScale is what the values of a PprofView are multiplied by: pprof counts
// in integers, and what one operation does of a thing is often less than one.
const PprofScale = 1e6

// objectOps is the number of operations that allocated objects are given for.
// pprof prints whole numbers, and many functions allocate less than one object
// an operation.
const objectOps = 1000

// PprofView is one of a run's profiles with its values per operation or per
// process, so that pprof can subtract those of two runs of any length.
type PprofView struct {
	Name  string // short, fit for a URL
	Title string
	File  string // of the run folder
	Per   string // what the values are divided by: "operation" or "process"
	types []pprofType
}

// pprofType is a sample type that a view keeps, and the name that says per
// how many operations or processes it is.
type pprofType struct {
	name, as string
	times    float64
}

// PprofViews are the views of a run's profiles. The first type of each is the
// one to begin with.
var PprofViews = []PprofView{
	{Name: "cpu", Title: "CPU", File: runfolder.FileCPU, Per: "operation", types: []pprofType{
		{"cpu", "cpu_per_op", 1},
	}},
	{Name: "allocs", Title: "Allocations", File: runfolder.FileAllocs, Per: "operation", types: []pprofType{
		{"alloc_space", "alloc_space_per_op", 1},
		{"alloc_objects", fmt.Sprintf("alloc_objects_per_%d_ops", objectOps), objectOps},
	}},
	{Name: "heap", Title: "Heap", File: runfolder.FileHeapAfter, Per: "process", types: []pprofType{
		{"inuse_space", "inuse_space_per_process", 1},
		{"inuse_objects", "inuse_objects_per_process", 1},
	}},
	{Name: "goroutines", Title: "Goroutines", File: runfolder.FileGoroutine, Per: "process", types: []pprofType{
		{"goroutine", "goroutines_per_process", 1},
	}},
}

// Profile reads the view's profile of a run that has a complete block. Values
// are PprofScale times those of one operation or process; work of the
// profiling itself is left out.
func (v PprofView) Profile(run *runfolder.Run) (*profile.Profile, error) {
	p, err := run.Profile(v.File)
	if err != nil {
		return nil, err
	}
	if err := v.keep(p, v.count(run)); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", v.File, run.Dir, err)
	}
	p.DefaultSampleType = v.types[0].as
	p.DurationNanos = 0 // pprof would hold the values against it
	return p, nil
}

// count is the number of operations or processes that the profile sums up.
func (v PprofView) count(run *runfolder.Run) float64 {
	if v.Per == "operation" {
		return float64(run.Totals().TotalOps)
	}
	return float64(len(run.Manifest.Blocks))
}

// keep reduces a profile to the view's sample types, divided by count.
func (v PprofView) keep(p *profile.Profile, count float64) error {
	var index []int
	var ratios []float64
	var types []*profile.ValueType
	for _, t := range v.types {
		i := sampleIndex(p, t.name)
		if i < 0 {
			return fmt.Errorf("the profile lacks the sample type %s", t.name)
		}
		index = append(index, i)
		ratios = append(ratios, PprofScale*t.times/count)
		types = append(types, &profile.ValueType{Type: t.as, Unit: p.SampleType[i].Unit})
	}
	p.SampleType = types
	p.Sample = slices.DeleteFunc(p.Sample, showsProfiling)
	for _, s := range p.Sample {
		values := make([]int64, len(index))
		for k, i := range index {
			values[k] = s.Value[i]
		}
		s.Value = values
	}
	return p.ScaleN(ratios)
}

// showsProfiling tells whether a sample shows the measurement at work.
func showsProfiling(s *profile.Sample) bool {
	return slices.ContainsFunc(callers(s), ofProfiling)
}
