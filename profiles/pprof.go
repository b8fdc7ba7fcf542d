package profiles

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"
)

func sampleSum(p *profile.Profile) int64 {
	var n int64
	for _, s := range p.Sample {
		n += s.Value[0]
	}
	return n
}

// subtract returns what after's allocations have over before's, leaving out
// the sample types in use, which a difference says nothing about.
func subtract(after, before *profile.Profile) (*profile.Profile, error) {
	minus := before.Copy()
	minus.Scale(-1)
	diff, err := profile.Merge([]*profile.Profile{after, minus})
	if err != nil {
		return nil, fmt.Errorf("subtracting allocation profiles: %w", err)
	}
	diff.DefaultSampleType = "alloc_space"
	return diff, keepSampleTypes(diff, "alloc_objects", "alloc_space")
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
