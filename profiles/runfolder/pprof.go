package runfolder

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"
)

func SampleSum(p *profile.Profile) int64 {
	var n int64
	for _, s := range p.Sample {
		n += s.Value[0]
	}
	return n
}

// blockLabel is the numeric label of the samples of FileCPU and FileAllocs
// that tells the block they were taken in. It counts from 1: pprof drops a
// numeric label of 0.
const blockLabel = "block"

// labelBlock marks all samples of p as those of a block, which counts from 0.
// Merging keeps samples with different labels apart.
func labelBlock(p *profile.Profile, block int) {
	for _, s := range p.Sample {
		if s.NumLabel == nil {
			s.NumLabel = map[string][]int64{}
		}
		s.NumLabel[blockLabel] = []int64{int64(block) + 1}
	}
}

// SampleBlock returns the block that a sample of a run folder's profile was
// taken in, and false if the profile was recorded without.
func SampleBlock(s *profile.Sample) (int, bool) {
	n := s.NumLabel[blockLabel]
	if len(n) != 1 {
		return 0, false
	}
	return int(n[0]) - 1, true
}

// subtract returns what after's allocations have over before's, leaving out
// the sample types in use, which a difference says nothing about.
func subtract(after, before *profile.Profile) (*profile.Profile, error) {
	plus, minus := after.Copy(), before.Copy()
	for _, p := range []*profile.Profile{plus, minus} {
		if err := keepSampleTypes(p, "alloc_objects", "alloc_space"); err != nil {
			return nil, err
		}
	}
	minus.Scale(-1)
	diff, err := profile.Merge([]*profile.Profile{plus, minus})
	if err != nil {
		return nil, fmt.Errorf("subtracting allocation profiles: %w", err)
	}
	diff.DefaultSampleType = "alloc_space"
	return diff, nil
}

// keepSampleTypes drops all sample types of p but the named ones.
func keepSampleTypes(p *profile.Profile, names ...string) error {
	var keep []int
	var types []*profile.ValueType
	for i, t := range p.SampleType {
		if slices.Contains(names, t.Type) {
			keep = append(keep, i)
			types = append(types, t)
		}
	}
	if len(keep) != len(names) {
		return errors.New("the allocation profile lacks alloc_objects or alloc_space")
	}
	p.SampleType = types
	for _, s := range p.Sample {
		values := make([]int64, len(keep))
		for k, i := range keep {
			values[k] = s.Value[i]
		}
		s.Value = values
	}
	return nil
}
