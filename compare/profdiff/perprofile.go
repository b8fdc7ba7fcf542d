package profdiff

import (
	"fmt"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// PprofScale is what the values of a Scaled profile are multiplied by: pprof
// counts in integers, and what one operation does of a thing is often less than
// one.
const PprofScale = 1e6

// countOps is the number of operations that counts, such as allocated objects,
// are given for. pprof prints whole numbers, and many functions allocate less
// than one object per operation.
const countOps = 1000

// Scaled is a profile of a run that has a complete block with its values per
// operation (a level: per process), so that pprof can subtract those of two runs
// of any length. Values are PprofScale times that. Work of the profiling itself
// is left out.
func Scaled(run *runfolder.Run, kind runfolder.ProfileKind) (*profile.Profile, error) {
	p, err := run.Profile(kind)
	if err != nil {
		return nil, err
	}
	if err := scale(p, kind, divisor(run, kind)); err != nil {
		return nil, fmt.Errorf("%s of %s: %w", kind.File, run.Dir, err)
	}
	p.Sample = slices.DeleteFunc(p.Sample, showsProfiling)
	p.DurationNanos = 0 // pprof would relate the values to it
	return p, nil
}

// divisor is the number of operations or processes that the profile sums up.
func divisor(run *runfolder.Run, kind runfolder.ProfileKind) float64 {
	if kind.PerOperation() {
		return sum(BlockOps(run, kind))
	}
	return float64(len(run.Manifest.Blocks))
}

// scaledType is a sample type that is kept, and the name that says per how many
// operations or processes it is.
type scaledType struct {
	name, as string
	times    float64
}

func scaledTypes(kind runfolder.ProfileKind) []scaledType {
	if !kind.PerOperation() {
		types := []scaledType{{kind.Value, kind.Value + "_per_process", 1}}
		if kind.Count != "" {
			types = append(types, scaledType{kind.Count, kind.Count + "_per_process", 1})
		}
		return types
	}
	types := []scaledType{{kind.Value, kind.Value + "_per_op", 1}}
	if kind.CountUnit != "" {
		types = append(types, scaledType{kind.Count, fmt.Sprintf("%s_per_%d_ops", kind.Count, countOps), countOps})
	}
	return types
}

// scale reduces a profile to the sample types that are kept, divided.
func scale(p *profile.Profile, kind runfolder.ProfileKind, divisor float64) error {
	var index []int
	var ratios []float64
	var types []*profile.ValueType
	for _, t := range scaledTypes(kind) {
		i, err := sampleIndex(p, t.name)
		if err != nil {
			return err
		}
		index = append(index, i)
		ratios = append(ratios, PprofScale*t.times/divisor)
		types = append(types, &profile.ValueType{Type: t.as, Unit: p.SampleType[i].Unit})
	}
	p.SampleType, p.DefaultSampleType = types, types[0].Type
	for _, s := range p.Sample {
		values := make([]int64, len(index))
		for k, i := range index {
			values[k] = s.Value[i]
		}
		s.Value = values
	}
	return p.ScaleN(ratios)
}
