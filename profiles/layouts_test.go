package profiles

import (
	"context"
	"errors"
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
		Begin: func(context.Context) ([]subject.Layouts, error) {
			return []subject.Layouts{sameLayout{e.Subjects[0]}, sameLayout{e.Subjects[1]}}, failure
		},
		Decide: func([]*runfolder.Run) runfolder.Look { return runfolder.Look{} },
	}
	return e
}

// sameLayout links nothing.
type sameLayout struct{ subject.Target }

func (l sameLayout) Link(context.Context, int64) (subject.Target, error) { return l.Target, nil }
func (l sameLayout) Close() error                                        { return nil }

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

// TestLayoutsEnd: they end as soon as they have decided what they are for, or will not.
func TestLayoutsEnd(t *testing.T) {
	for _, tt := range []struct {
		look runfolder.Look
		want string
	}{
		{runfolder.Look{Done: true}, "what moved was decided after 1 of at most 2 blocks with other layouts"},
		{runfolder.Look{Reason: "hopeless"}, "it was given up after 1 of at most 2 blocks with other layouts: hopeless"},
	} {
		e := layoutExperiment(t, true, nil)
		e.Layouts.Decide = func(runs []*runfolder.Run) runfolder.Look {
			if len(runs[0].Layouts.Manifest.Blocks) != 1 {
				t.Errorf("%d blocks are judged", len(runs[0].Layouts.Manifest.Blocks))
			}
			return tt.look
		}
		dirs, err := e.Record(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range openAll(t, dirs) {
			if m := run.Manifest; len(m.LayoutBlocks) != 1 || m.Reason != tt.want || m.State != runfolder.StateComplete {
				t.Errorf("%d blocks, %s: %q", len(m.LayoutBlocks), m.State, m.Reason)
			}
		}
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

// secondFails links once.
type secondFails struct{ sameLayout }

func (l secondFails) Link(ctx context.Context, seed int64) (subject.Target, error) {
	if seed > 1 {
		return nil, errors.New("link:\nno space left on device")
	}
	return l.sameLayout.Link(ctx, seed)
}

// TestLinkingFailsLater keeps the blocks that there are, and says why there are no more.
func TestLinkingFailsLater(t *testing.T) {
	t.Parallel()
	e := layoutExperiment(t, true, nil)
	e.Layouts.Begin = func(context.Context) ([]subject.Layouts, error) {
		return []subject.Layouts{sameLayout{e.Subjects[0]}, secondFails{sameLayout{e.Subjects[1]}}}, nil
	}
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const reason = "linking ended it after 1 of at most 2 blocks with other layouts: link: no space left on device"
	for _, run := range openAll(t, dirs) {
		if m := run.Manifest; m.State != runfolder.StateComplete || m.Reason != reason || len(m.LayoutBlocks) != 1 {
			t.Errorf("%s after %d blocks of other layouts: %s", m.State, len(m.LayoutBlocks), m.Reason)
		}
	}
}

// TestInterruptedLinking keeps the blocks as built.
func TestInterruptedLinking(t *testing.T) {
	e := layoutExperiment(t, true, nil)
	ctx, cancel := context.WithCancel(t.Context())
	e.Layouts.Begin = func(context.Context) ([]subject.Layouts, error) {
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
