package compare

import (
	"fmt"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// looksAt are the looks of the experiment that judged head against base, with
// no other subject's decisions. There are none if the two were not recorded
// together, base first.
func looksAt(base, head runfolder.Manifest) []runfolder.Look {
	if base.Experiment != head.Experiment {
		return nil
	}
	var looks []runfolder.Look
	for _, l := range head.Looks {
		own := runfolder.Look{Blocks: l.Blocks, Done: l.Done}
		for _, d := range l.Decisions {
			if d.Head == head.Subject.Name {
				own.Decisions = append(own.Decisions, d)
			}
		}
		if len(own.Decisions) > 0 {
			looks = append(looks, own)
		}
	}
	return looks
}

// lookTable shows what was decided when. It is nil for an experiment that was
// not judged while it was recorded.
func (c Comparison) lookTable() *Table {
	if len(c.Looks) == 0 {
		return nil
	}
	header := []string{"look"}
	for _, d := range c.Looks[0].Decisions {
		header = append(header, metricNamed(d.Metric).Label)
	}
	t := NewTable(header...)
	for _, l := range c.Looks {
		cells := []string{fmt.Sprintf("%d blocks", l.Blocks)}
		for _, d := range l.Decisions {
			cells = append(cells, d.Verdict)
		}
		t.Add(cells...)
	}
	return t
}
