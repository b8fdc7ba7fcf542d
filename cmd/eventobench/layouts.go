package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// usualLayouts is how many blocks with other layouts there are with auto.
const usualLayouts = 24

const layoutsUsage = "of two builds (git:, go:): blocks with their functions in other orders, recorded if their " +
	"throughput or CPU moved, to tell code from layout: a number, 0 for none, or auto (the default), which is 24"

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
func layouts(subjects []subject.Target, kinds []runfolder.ProfileKind) profiles.Layouts {
	return profiles.Layouts{
		Wanted: compare.TimingMoved,
		Link: func(ctx context.Context, seeds []int64) ([][]subject.Target, error) {
			linked := make([][]subject.Target, len(seeds))
			for _, s := range subjects {
				all, err := s.(subject.Exec).Layouts(ctx, seeds)
				if err != nil {
					return nil, err
				}
				for i, e := range all {
					linked[i] = append(linked[i], e)
				}
			}
			for i := range linked {
				linked[i] = targets(linked[i], kinds)
			}
			return linked, nil
		},
	}
}
