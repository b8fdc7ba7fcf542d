package runfolder

import (
	"fmt"

	"github.com/google/pprof/profile"
)

// Captured is what was captured of one kind of profile in one block: at the end
// of the window or over it, and at its start if the kind has files for that.
type Captured struct {
	Before, After *profile.Profile
}

// files are the block's contributions to the files of a kind. The samples of
// the window's own profile are labeled with the block, so that merging keeps
// the blocks apart.
func (c Captured) files(k ProfileKind, block int) (map[string]*profile.Profile, error) {
	all := map[string]*profile.Profile{k.File: c.After}
	switch {
	case k.Window == WindowDifference:
		diff, err := subtract(k, c.After, c.Before)
		if err != nil {
			return nil, err
		}
		all[k.File], all[k.Before()], all[k.After()] = diff, c.Before, c.After
	case k.AtStart:
		all[k.Before()] = c.Before
	}
	if k.PerOperation() {
		all[k.File].SetNumLabel(blockLabel, []int64{int64(block) + 1}, nil)
	}
	return all, nil
}

// blockLabel is the numeric label of samples per operation that tells the block
// they were taken in. It counts from 1: pprof drops a numeric label of 0.
const blockLabel = "block"

// SampleBlock returns the block that a sample of a run folder's profile was
// taken in, counted from 0, and false if the profile was recorded without.
func SampleBlock(s *profile.Sample) (int, bool) {
	n := s.NumLabel[blockLabel]
	if len(n) != 1 {
		return 0, false
	}
	return int(n[0]) - 1, true
}

// subtract returns what after counts more than before. It keeps the kind's own
// sample types only: a difference says nothing about what is in use.
func subtract(k ProfileKind, after, before *profile.Profile) (*profile.Profile, error) {
	plus, minus := after.Copy(), before.Copy()
	own := &profile.Profile{SampleType: []*profile.ValueType{{Type: k.Count}, {Type: k.Value}}}
	for _, p := range []*profile.Profile{plus, minus} {
		err := profile.CompatibilizeSampleTypes([]*profile.Profile{own, p})
		if err != nil || len(p.SampleType) != 2 {
			return nil, fmt.Errorf("the %s profile lacks the sample type %s or %s", k.Name, k.Count, k.Value)
		}
	}
	minus.Scale(-1)
	diff, err := profile.Merge([]*profile.Profile{plus, minus})
	if err != nil {
		return nil, fmt.Errorf("subtracting %s profiles: %w", k.Name, err)
	}
	diff.DefaultSampleType = k.Value
	return diff, nil
}
