package runfolder

import (
	"fmt"
	"slices"
)

// allBlocks are the blocks of the programs as built, then those of other layouts.
func (m Manifest) allBlocks() []Block {
	return slices.Concat(m.Blocks, m.LayoutBlocks)
}

// split moves the blocks of other layouts to a run of their own, so that all else
// is of the program as built.
func (r *Run) split() *Run {
	n := len(r.Manifest.Blocks)
	if len(r.Manifest.LayoutBlocks) == 0 {
		return r
	}
	end := n * r.Manifest.Plan.Rounds
	layouts := &Run{Dir: r.Dir, Manifest: r.Manifest, Slices: r.Slices[end:], Latency: r.Latency[n:]}
	layouts.Manifest.Blocks, layouts.Manifest.LayoutBlocks = r.Manifest.LayoutBlocks, nil
	r.Slices, r.Latency, r.Layouts = r.Slices[:end], r.Latency[:n], layouts
	if r.Sent != nil {
		r.Sent, layouts.Sent = r.Sent[:n], r.Sent[n:]
	}
	return r
}

// checkLayouts holds that every block of another layout has one of its own.
func (m Manifest) checkLayouts() error {
	if len(m.LayoutBlocks) > m.Plan.Layouts {
		return fmt.Errorf("%d blocks of other layouts, of %d", len(m.LayoutBlocks), m.Plan.Layouts)
	}
	seen := map[int64]bool{0: true}
	for _, b := range m.LayoutBlocks {
		if seen[b.Layout] {
			return fmt.Errorf("block %d has layout %d, which is the linker's own or another block's", b.Block, b.Layout)
		}
		seen[b.Layout] = true
	}
	return nil
}
