package profiles

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// layoutExperiment has two blocks of other layouts in its plan.
func layoutExperiment(t *testing.T, wanted bool, failure error) Experiment {
	t.Helper()
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
	e.Plan.Layouts = 2
	e.Profiles = nil // which take a second in every block
	e.Decide = func(runs []*runfolder.Run) runfolder.Look {
		return runfolder.Look{Blocks: len(runs[0].Manifest.Blocks), Done: true}
	}
	e.Layouts = Layouts{
		Wanted: func(last runfolder.Look) bool { return wanted && last.Blocks == 2 },
		Link: func(_ context.Context, seeds []int64) ([][]subject.Target, error) {
			if !slices.Equal(seeds, []int64{1, 2}) {
				t.Errorf("seeds %v", seeds)
			}
			return [][]subject.Target{e.Subjects, e.Subjects}, failure
		},
	}
	return e
}

func openAll(t *testing.T, dirs []string) (runs []*runfolder.Run) {
	t.Helper()
	for _, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
	}
	return runs
}

// TestRecordLayouts: blocks of other layouts say which they are of, and are in no
// figure of the program as built.
func TestRecordLayouts(t *testing.T) {
	t.Parallel()
	e := layoutExperiment(t, true, nil)
	e.Profiles = defaultKinds()
	var last Progress
	e.Progress = func(p Progress) { last = p }
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, run := range openAll(t, dirs) {
		info, err := e.Subjects[i].Info()
		if err != nil {
			t.Fatal(err)
		}
		if len(run.Manifest.Blocks) != 2 || len(run.Slices) != 6 || run.Layouts == nil {
			t.Fatalf("%d blocks, %d slices as built", len(run.Manifest.Blocks), len(run.Slices))
		}
		for b, block := range run.Layouts.Manifest.Blocks {
			if block.Block != 2+b || block.Layout != int64(1+b) || block.Program != info.Binary.SHA256 {
				t.Errorf("block %d: layout %d of program %s", block.Block, block.Layout, block.Program)
			}
			if len(run.Layouts.BlockSlices(b)) != 3 || run.Layouts.Latency.Block(b).TotalCount() == 0 {
				t.Errorf("block %d has no figures", block.Block)
			}
		}
		for _, block := range run.Manifest.Blocks {
			if block.Layout != 0 || block.Program != "" {
				t.Errorf("block %d has layout %d", block.Block, block.Layout)
			}
		}
		checkProfiles(t, run)
	}
	if last.Done != 4 || last.Blocks != 4 || last.Left != 0 {
		t.Errorf("last progress %+v", last)
	}
}

// TestNoLayouts holds when there are none, and that this is no failure.
func TestNoLayouts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		wanted bool
		fails  error
		time   time.Duration
		why    string
	}{
		{"not wanted", false, nil, 0, ""},
		{"cannot be linked", true, errors.New("an old linker"), 0, "an old linker"},
		{"no time", true, nil, time.Nanosecond, "the time limit of 1ns left no time for them"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := layoutExperiment(t, tt.wanted, tt.fails)
			e.MaxTime = tt.time
			if tt.time > 0 {
				e.Layouts.Wanted = func(runfolder.Look) bool { return true }
			}
			dirs, err := e.Record(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range openAll(t, dirs) {
				m := run.Manifest
				if run.Layouts != nil || m.State != runfolder.StateComplete || m.Unavailable[runfolder.SourceLayouts] != tt.why {
					t.Errorf("%s, layouts %q, want %q", m.State, m.Unavailable[runfolder.SourceLayouts], tt.why)
				}
			}
		})
	}
}

// TestInterruptedLinking keeps the blocks as built.
func TestInterruptedLinking(t *testing.T) {
	e := layoutExperiment(t, true, nil)
	ctx, cancel := context.WithCancel(t.Context())
	e.Layouts.Link = func(context.Context, []int64) ([][]subject.Target, error) {
		cancel()
		return nil, ctx.Err()
	}
	dirs, err := e.Record(ctx)
	if err == nil || err.Error() != "interrupted after 2 of 2 blocks" {
		t.Errorf("error %v", err)
	}
	for _, run := range openAll(t, dirs) {
		if m := run.Manifest; m.State != runfolder.StateInterrupted || len(m.Blocks) != 2 {
			t.Errorf("%s after %d blocks", m.State, len(m.Blocks))
		}
	}
}
