package runfolder

import (
	"fmt"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Plan says how an experiment is divided: Blocks fresh starts of every subject,
// Warmup unmeasured requests each, then Rounds slices of length Slice each. If
// it is Sequential, Blocks is the most, and the experiment may end at an
// earlier look; there is one after every block from FirstLook on. At most Layouts more
// blocks follow if timing moved, each with the functions of all subjects in another
// order; of these, too, every one from LayoutLook on has a look.
type Plan struct {
	Blocks     int           `json:"blocks"`
	Sequential bool          `json:"sequential,omitempty"`
	FirstLook  int           `json:"first_look,omitempty"` // 0 in folders of version 0.1
	Rounds     int           `json:"rounds"`
	Slice      time.Duration `json:"slice_ns"`
	Warmup     int           `json:"warmup_requests"`
	Seed       uint64        `json:"seed"`
	Layouts    int           `json:"layouts,omitempty"`
	LayoutLook int           `json:"layout_look,omitempty"` // 0 in folders that had one look, after the last
}

// FirstLook is the first look of plans: two blocks do not tell how far blocks differ.
const FirstLook = 3

// blockLoad is how long a subject is loaded in a block of the default plan: with two of
// them, and what is waited for after each slice, that is as much as a CPU profile of 2 s
// holds, which servers count in whole seconds.
const blockLoad = 800 * time.Millisecond

// A slice of FineSlice follows the machine's changes of speed, which last a tenth of a
// second and longer, much better than one of CoarseSlice does (docs/method.md). The
// coarse one is for what takes long against the fine: requests, or agents that agree on
// when it begins.
const (
	FineSlice   = 10 * time.Millisecond
	MiddleSlice = 25 * time.Millisecond
	CoarseSlice = 50 * time.Millisecond
)

// DefaultPlan is up to 40 blocks of fine slices.
func DefaultPlan() Plan {
	p := Plan{Blocks: 40, Sequential: true, FirstLook: FirstLook, Warmup: 2000}
	return p.WithSlices(FineSlice)
}

// WithSlices is the plan with slices of another length, and as many as make a usual
// block.
func (p Plan) WithSlices(length time.Duration) Plan {
	p.Slice, p.Rounds = length, max(1, int(blockLoad/length))
	return p
}

// CountsPlan is for counts per operation, such as allocations, which some tenths of a
// second tell as well as a minute: its blocks are short, though long against what a
// process allocates once, in its first requests.
func CountsPlan() Plan {
	return Plan{
		Blocks: 12, Sequential: true, FirstLook: FirstLook,
		Rounds: 10, Slice: MiddleSlice, Warmup: 2000,
	}
}

// QuickPlan is a smoke run of a few seconds: too short for a verdict.
func QuickPlan() Plan {
	return Plan{Blocks: 3, Rounds: 10, Slice: CoarseSlice, Warmup: 500}
}

// Looks are the numbers of complete blocks after which the experiment is judged:
// from FirstLook on every one if it is sequential, else all of them.
func (p Plan) Looks() []int {
	if p.Sequential && p.FirstLook == 0 {
		return p.threeLooks()
	}
	looks := []int{}
	for n := p.FirstLook; p.Sequential && n < p.Blocks; n++ {
		looks = append(looks, n)
	}
	return append(looks, p.Blocks)
}

// threeLooks are those of version 0.1, at 60%, 80% and all of the blocks if there are
// enough for the first to decide anything.
func (p Plan) threeLooks() []int {
	const fewest = 12 // below, exact tests of four metrics reach no verdict
	first := (p.Blocks*3 + 2) / 5
	if first < fewest {
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
	case p.FirstLook < 0:
		return fmt.Errorf("the plan cannot have its first look after %d blocks", p.FirstLook)
	case p.Layouts < 0:
		return fmt.Errorf("the plan cannot have %d blocks of other layouts", p.Layouts)
	case p.LayoutLook < 0 || p.LayoutLook > p.Layouts:
		return fmt.Errorf("the plan cannot have its first look after %d of %d blocks of other layouts", p.LayoutLook, p.Layouts)
	case p.Warmup < 0:
		return fmt.Errorf("the plan cannot warm up with %d requests", p.Warmup)
	}
	return nil
}
