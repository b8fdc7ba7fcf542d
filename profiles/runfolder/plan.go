package runfolder

import (
	"fmt"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Plan says how an experiment is divided: Blocks fresh starts of every subject,
// Warmup unmeasured requests each, then Rounds slices of length Slice each. If
// it is Sequential, Blocks is the most, and the experiment may end at an
// earlier look. Layouts more blocks follow if timing moved, each with the functions
// of all subjects in another order.
type Plan struct {
	Blocks     int           `json:"blocks"`
	Sequential bool          `json:"sequential,omitempty"`
	Rounds     int           `json:"rounds"`
	Slice      time.Duration `json:"slice_ns"`
	Warmup     int           `json:"warmup_requests"`
	Seed       uint64        `json:"seed"`
	Layouts    int           `json:"layouts,omitempty"`
}

// DefaultPlan is up to twenty blocks of forty 50 ms slices per subject.
func DefaultPlan() Plan {
	return Plan{Blocks: 20, Sequential: true, Rounds: 40, Slice: 50 * time.Millisecond, Warmup: 2000}
}

// QuickPlan is a smoke run of a few seconds: too short for a verdict.
func QuickPlan() Plan {
	return Plan{Blocks: 3, Rounds: 10, Slice: 50 * time.Millisecond, Warmup: 500}
}

// Looks are the numbers of complete blocks after which the experiment is
// judged: 60%, 80% and all of them if it is sequential and large enough for the
// first to decide anything, else only all. The shares are fixed, because the
// level of each look depends on them.
func (p Plan) Looks() []int {
	const fewest = 12 // below, exact tests of four metrics reach no verdict
	first := (p.Blocks*3 + 2) / 5
	if !p.Sequential || first < fewest {
		return []int{p.Blocks}
	}
	return []int{first, (p.Blocks*4 + 2) / 5, p.Blocks}
}

// Validate returns an error about the first value that no experiment can be
// run with.
func (p Plan) Validate() error {
	switch {
	case p.Blocks < 1:
		return fmt.Errorf("the plan needs at least 1 block, not %d", p.Blocks)
	case p.Rounds < 1:
		return fmt.Errorf("the plan needs at least 1 round per block, not %d", p.Rounds)
	case p.Slice < time.Millisecond || p.Slice > loadgen.MaxSlice:
		return fmt.Errorf("the plan needs slices of at least 1ms and at most %v, not %v", loadgen.MaxSlice, p.Slice)
	case p.Layouts < 0:
		return fmt.Errorf("the plan cannot have %d blocks of other layouts", p.Layouts)
	case p.Warmup < 0:
		return fmt.Errorf("the plan cannot warm up with %d requests", p.Warmup)
	}
	return nil
}
