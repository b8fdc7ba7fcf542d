package profiles

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// Layouts are what a second stage is made of. Where the linker put functions can
// cost more than what a change is about; so if timing moved, more blocks follow, in
// each of which all subjects have their functions in another order. What the order
// costs is then part of what blocks differ by.
type Layouts struct {
	// Wanted tells from the last look whether the blocks are to follow.
	Wanted func(last runfolder.Look) bool
	// Link makes the subjects anew with other orders of functions, by seed and then in
	// the order of Subjects. Nothing is measured meanwhile.
	Link func(ctx context.Context, seeds []int64) ([][]subject.Target, error)
}

// layout is an order of functions: the subjects that have it, and its seed, which is
// 0 of the subjects as built.
type layout struct {
	seed     int64
	subjects []subject.Target
}

// programs identify the programs of a layout; as built there is nothing to tell.
func (l layout) programs() ([]string, error) {
	hashes := make([]string, len(l.subjects))
	if l.seed == 0 {
		return hashes, nil
	}
	for i, s := range l.subjects {
		info, err := s.Info()
		if err != nil {
			return nil, err
		}
		hashes[i] = info.Binary.SHA256
	}
	return hashes, nil
}

// recordLayouts records the second stage, if it is wanted. What keeps the subjects
// from being linked makes it unavailable, and is no failure.
func (r *recorder) recordLayouts(ctx context.Context) error {
	looks := r.runs[0].Manifest.Looks
	if r.Plan.Layouts == 0 || len(looks) == 0 || !r.Layouts.Wanted(looks[len(looks)-1]) {
		return nil
	}
	if r.timeIsUp() {
		r.noLayouts(fmt.Sprintf("the time limit of %v left no time for them", r.MaxTime))
		return nil
	}
	layouts, err := r.link(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.noLayouts(strings.Join(strings.Fields(err.Error()), " ")) // in a line
		return nil
	}
	return r.recordEach(ctx, layouts)
}

// recordEach records a block of each layout.
func (r *recorder) recordEach(ctx context.Context, layouts []layout) error {
	r.planned = r.done + len(layouts)
	for _, l := range layouts {
		if r.timeIsUp() {
			r.early = fmt.Sprintf("the time limit of %v ended it after %d of %d blocks", r.MaxTime, r.done, r.planned)
			return nil
		}
		if err := r.blockOf(ctx, l); err != nil {
			return err
		}
		if err := r.save(); err != nil {
			return err
		}
		r.report(0)
	}
	return nil
}

// noLayouts notes why there is no second stage.
func (r *recorder) noLayouts(why string) {
	for _, run := range r.runs {
		run.Manifest.Unavailable[runfolder.SourceLayouts] = why
	}
}

func (r *recorder) link(ctx context.Context) (all []layout, err error) {
	seeds := make([]int64, r.Plan.Layouts)
	for i := range seeds {
		seeds[i] = int64(i + 1)
	}
	begun := time.Now()
	linked, err := r.Layouts.Link(ctx, seeds)
	r.linking = time.Since(begun)
	for i, subjects := range linked {
		all = append(all, layout{seed: seeds[i], subjects: subjects})
	}
	return all, err
}
