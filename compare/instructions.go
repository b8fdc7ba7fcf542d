package compare

import (
	"fmt"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// countedBlocks are what the blocks of a run say of instructions: those of its own runs
// under valgrind, or else the timed ones, in which hardware counters may have counted.
func countedBlocks(run *runfolder.Run, timed []*measured) []*measured {
	i := run.Manifest.Instructions
	if i == nil {
		return timed
	}
	var blocks []*measured
	for _, b := range i.Blocks {
		blocks = append(blocks, &measured{run: run, kind: allKinds, ops: float64(i.Ops()),
			instructions: float64(b.Counted)})
	}
	return blocks
}

// countedWhole sums up blocks of instructions.
func countedWhole(blocks []*measured) *measured {
	whole := &measured{kind: allKinds}
	for _, b := range blocks {
		whole.ops += b.ops
		whole.instructions += b.instructions
	}
	return whole
}

// withoutInstructions says why a run has none; it is empty if it does.
func (s side) withoutInstructions() string {
	if s.Manifest.Instructions != nil {
		return ""
	}
	if reason := s.Manifest.Unavailable[runfolder.SourceInstructions]; reason != "" {
		return reason
	}
	if s.whole.instructions == 0 {
		return "recorded before instructions were counted"
	}
	return ""
}

// countedAlike says why the instructions of two runs cannot be compared, or nothing.
func countedAlike(base, head side) string {
	if (base.Manifest.Instructions == nil) != (head.Manifest.Instructions == nil) {
		return "not compared: valgrind counted one side, hardware counters the other"
	}
	return ""
}

// explainInstructions says what instructions tell of the change, or nothing. It matters most
// where times moved and they did not.
func (c Comparison) explainInstructions() []string {
	i := c.Metric(InstructionsPerOp)
	if i == nil || i.Change == nil {
		return nil
	}
	for _, id := range []MetricID{CPUPerOp, OpsPerSec} {
		m := c.Metric(id)
		if i.Verdict == Equivalent && m != nil && m.Verdict.moved() {
			return []string{fmt.Sprintf("The instructions are the same (%s), though %s moved (%s): not the code, "+
				"but where it lies or what the machine did.", i.Change, m.Label, m.Change)}
		}
	}
	if i.Verdict.moved() {
		return []string{fmt.Sprintf("The instructions moved (%s): the code does other work.", i.Change)}
	}
	return []string{fmt.Sprintf("Instructions: %s.", i.Change)}
}
