package profiles

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

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
	// Begin gives what links each of Subjects anew. Nothing is measured while it does.
	Begin func(ctx context.Context) ([]subject.Layouts, error)
	// Decide judges the blocks of other layouts so far; the experiment ends when it is
	// done, or says why it should end.
	Decide func(runs []*runfolder.Run) runfolder.Look
}

// layout is an order of functions: the subjects that have it, and its seed, which is
// 0 of the subjects as built.
type layout struct {
	seed     int64
	subjects []subject.Target
	programs []string // that identify them; as built there is nothing to tell
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
	var linkers []subject.Layouts
	var first layout
	err := r.apart(func() (err error) {
		if linkers, err = r.Layouts.Begin(ctx); err == nil {
			first, err = r.link(ctx, linkers, 1)
		}
		return err
	})
	defer func() {
		for _, l := range linkers {
			_ = l.Close()
		}
	}()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.noLayouts(inALine(err))
		return nil
	}
	return r.recordEach(ctx, linkers, first)
}

// recordEach records a block of each layout, until they decide what they are for.
func (r *recorder) recordEach(ctx context.Context, linkers []subject.Layouts, l layout) error {
	built := r.done
	r.planned = built + r.Plan.Layouts
	for {
		if err := r.blockOf(ctx, l); err != nil {
			return err
		}
		look := r.Layouts.Decide(r.views())
		if err := r.save(); err != nil {
			return err
		}
		r.report(0)
		switch after := fmt.Sprintf("after %d of at most %d blocks with other layouts", r.done-built, r.Plan.Layouts); {
		case r.done == r.planned:
			return nil
		case look.Done:
			r.early = "what moved was decided " + after
		case look.Reason != "":
			r.early = fmt.Sprintf("it was given up %s: %s", after, look.Reason)
		case r.timeIsUp():
			r.early = fmt.Sprintf("the time limit of %v ended it %s", r.MaxTime, after)
		default:
			next, err := r.link(ctx, linkers, l.seed+1)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err == nil:
				l = next
				continue
			}
			r.early = fmt.Sprintf("linking ended it %s: %s", after, inALine(err))
		}
		return nil
	}
}

func inALine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// noLayouts notes why there is no second stage.
func (r *recorder) noLayouts(why string) {
	for _, run := range r.runs {
		run.Manifest.Unavailable[runfolder.SourceLayouts] = why
	}
}

// link links all subjects at the same time: a linker keeps one processor busy.
func (r *recorder) link(ctx context.Context, linkers []subject.Layouts, seed int64) (layout, error) {
	l := layout{seed: seed, subjects: make([]subject.Target, len(linkers)), programs: make([]string, len(linkers))}
	errs := make([]error, len(linkers))
	var wg sync.WaitGroup
	for i, linker := range linkers {
		wg.Go(func() {
			var info runfolder.SubjectInfo
			if l.subjects[i], errs[i] = linker.Link(ctx, seed); errs[i] == nil {
				info, errs[i] = l.subjects[i].Info()
			}
			l.programs[i] = info.Binary.SHA256
		})
	}
	wg.Wait()
	return l, errors.Join(errs...)
}
