package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// resume takes in the trials of the state file that are of the same program, subject and
// settings.
func (o *selftestOptions) resume(cmd *cobra.Command, test *selftest) error {
	if o.state == "" {
		return nil
	}
	trials, err := readTrials(o.state, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	like, err := o.likeness(cmd, len(trials) > 0)
	if err != nil {
		return err
	}
	for _, t := range trials {
		if like.has(t) {
			test.trials = append(test.trials, t)
			test.gain = cmp.Or(float64(t.Gain), test.gain)
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s there already", o.state, texttab.Count(len(test.trials), "experiment"))
	if others := len(trials) - len(test.trials); others > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), ", and %d of other programs or settings, which are not counted", others)
	}
	fmt.Fprintln(cmd.ErrOrStderr())
	return nil
}

// likeness is what all trials of a selftest have in common.
type likeness struct {
	program, subject string
	settings         []string // of which it is one: slices may have been lengthened
}

func (l likeness) has(t compare.Trial) bool {
	return t.Program == l.program && t.Subject == l.subject && slices.Contains(l.settings, t.Settings)
}

// likeness is that of the trials that this selftest records. The program is the one that
// answers requests, which may have to be started to be known.
func (o *selftestOptions) likeness(cmd *cobra.Command, start bool) (l likeness, err error) {
	sides, err := o.pair(compare.NothingPlanted)
	if err != nil {
		return l, err
	}
	info, err := sides[0].Info()
	if err != nil {
		return l, err
	}
	if s, ok := sides[0].(subject.Exec); start && ok && s.Kind == subject.KindExec && o.record.agents.subjectAgent == "" {
		if info.Binary, err = answering(cmd.Context(), s); err != nil {
			return l, err
		}
	}
	e, err := o.record.experiment(sides, compare.DefaultCriteria(), cmd.Flags().Changed)
	plans := []runfolder.Plan{e.Plan}
	if e.Lengthen {
		plans = append(plans, e.Plan.WithSlices(runfolder.MiddleSlice), e.Plan.WithSlices(runfolder.CoarseSlice))
	}
	l.program, l.subject = compare.Program(info), info.Name
	for _, p := range plans {
		l.settings = append(l.settings, compare.TrialSettings(p, e.Load.String()))
	}
	return l, err
}

// answering is the program that answers requests once a subject is started.
func answering(ctx context.Context, s subject.Exec) (runfolder.Binary, error) {
	started, err := s.Start(ctx, io.Discard)
	if err != nil {
		return runfolder.Binary{}, err
	}
	defer started.Stop()
	return started.Binary()
}
