package runfolder

import "fmt"

// Instructions are what short runs of the subject under valgrind counted, after the
// timed blocks: in each, a fresh process answered From requests and another To
// requests, the same ones first. The difference is that of To-From requests, without
// what starting and ending takes.
type Instructions struct {
	Tool   string             `json:"tool"`          // "valgrind-3.19.0"
	From   int                `json:"from_requests"` // of the shorter run
	To     int                `json:"to_requests"`   // of the longer one
	Blocks []InstructionBlock `json:"blocks"`
}

// InstructionBlock is what one pair of runs counted for To-From requests.
type InstructionBlock struct {
	Counted int64 `json:"counted"` // instructions in user space, but for Waiting
	Waiting int64 `json:"waiting"` // of them, looking for work and waiting; may be negative by chance
}

// Ops is the number of requests that each block's counts are of.
func (i Instructions) Ops() int64 { return int64(i.To - i.From) }

func (m Manifest) checkInstructions() error {
	i := m.Instructions
	switch {
	case i == nil:
		return nil
	case i.Tool == "" || i.From < 1 || i.To <= i.From || len(i.Blocks) == 0:
		return fmt.Errorf("instructions by %q of %d to %d requests in %d blocks", i.Tool, i.From, i.To, len(i.Blocks))
	}
	for b, block := range i.Blocks {
		if block.Counted <= 0 {
			return fmt.Errorf("%d instructions in block %d", block.Counted, b)
		}
	}
	return nil
}
