package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// usualLayouts is how many blocks with other layouts there are with auto.
const usualLayouts = 32

const layoutsUsage = "of two builds (git:, go:): at most so many blocks with their functions in other " +
	"orders, recorded if their throughput or CPU moved, to tell code from layout: a number, " +
	"0 for none, or auto (the default), which is 32"

// checkLayouts returns an error if blocks are asked for that sides, before they are built, are
// known to have no use for.
func checkLayouts(flag string, sides int, c compare.Criteria) error {
	switch {
	case flag == "" || flag == "0" || flag == "auto":
		return nil
	case sides < 2:
		return fmt.Errorf("--layouts=%s: a head without --base has one layout, as its baseline has", flag)
	case c.CountsOnly():
		return fmt.Errorf("--layouts=%s: counts are the same in every layout; gate times too", flag)
	}
	return nil
}

// countLayouts reads how many there are to be, auto if neither flag nor configuration
// say so. What a flag asks for and cannot be had is an error.
func countLayouts(flag, configured string, subjects []subject.Target) (int, error) {
	text := cmp.Or(flag, configured, "auto")
	n, err := strconv.Atoi(text)
	if text == "auto" {
		n, err = usualLayouts, nil
	}
	if err != nil || n < 0 {
		return 0, fmt.Errorf("layouts %q: write a number of blocks, 0 for none, or auto", text)
	}
	if n == 0 || len(subjects) < 2 {
		return 0, nil
	}
	for _, s := range subjects {
		if e, started := s.(subject.Exec); started && e.Layouts != nil {
			continue
		}
		if text == flag && text != "auto" {
			return 0, fmt.Errorf("--layouts=%s: subject %v is not built here, as those of git: and go: are", flag, s)
		}
		return 0, nil
	}
	return n, nil
}

// layouts are of subjects that were built here, set to give the kinds of profiles.
func layouts(subjects []subject.Target, kinds []runfolder.ProfileKind, c compare.Criteria) profiles.Layouts {
	return profiles.Layouts{
		Wanted: compare.TimingMoved,
		Decide: func(runs []*runfolder.Run) runfolder.Look { return compare.DecideLayouts(runs, c) },
		Begin: func(ctx context.Context) ([]subject.Layouts, error) {
			all := make([]subject.Layouts, len(subjects))
			errs := make([]error, len(subjects))
			var wg sync.WaitGroup
			for i, s := range subjects {
				wg.Go(func() {
					var l subject.Layouts
					if l, errs[i] = s.(subject.Exec).Layouts(ctx); errs[i] == nil {
						all[i] = profiled{l, kinds}
					}
				})
			}
			wg.Wait()
			begun := slices.DeleteFunc(all, func(l subject.Layouts) bool { return l == nil })
			return begun, errors.Join(errs...)
		},
	}
}

// profiled are layouts set to give kinds of profiles.
type profiled struct {
	subject.Layouts
	kinds []runfolder.ProfileKind
}

func (p profiled) Link(ctx context.Context, seed int64) (subject.Target, error) {
	s, err := p.Layouts.Link(ctx, seed)
	if err != nil {
		return nil, err
	}
	return targets([]subject.Target{s}, p.kinds)[0], nil
}

// linked are the layouts of a subject that was built.
type linked struct {
	*subject.Linker
	subject func(subject.Built) (subject.Exec, error)
}

func (l linked) Link(ctx context.Context, seed int64) (subject.Target, error) {
	built, err := l.Linker.Link(ctx, seed)
	if err != nil {
		return nil, err
	}
	return l.subject(built)
}
