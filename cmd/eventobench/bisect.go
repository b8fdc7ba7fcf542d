package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/profiles/subject"
)

type bisectOptions struct {
	good, bad string
	subject   string
	by        []string
	gate      gateOptions
}

func newBisectCmd() *cobra.Command {
	var o bisectOptions
	cmd := &cobra.Command{
		Use:   "bisect --good=REF --bad=REF",
		Short: "Name the first commit between two that made the server slower or hungrier",
		Long: `Bisect gates commits between a good and a bad one, each against the good one, as
"gate" does: some five gates for sixteen commits. It first holds that the bad one is
worse at all, and then asks only for the metrics in which it is, or for those of
--by: allocations are exact, and decided in seconds. Where a gate is inconclusive, or a
commit cannot be built or started, it says so and takes a neighbor; if that does not
help, it ends with a range. Of merges the first parent is followed.

Exit codes: 0 the commit was found; 2 bad input, or the bad commit is not known to
be worse; 3 a range of commits is left; 130 interrupted.`,
		Example: `  eventobench history bisect --good=v1.2.0 --bad=HEAD
  eventobench history bisect --good=a1e5dde --bad=a2b868b \
    --subject='git:{commit}:./cmd/server' --start='{out} -listen {addr}'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	theme(f, themeMeasure, o.addFlags)
	theme(f, themeJudge, func(f *pflag.FlagSet) {
		f.StringSliceVar(&o.by, "by", nil,
			"metrics to judge by, such as allocs_per_op; default: the gated ones that regressed")
		o.gate.addCriteria(f)
	})
	o.gate.record.addFlags(f)
	return cmd
}

func (o *bisectOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.good, "good", "", "commit, branch or tag that was still good")
	f.StringVar(&o.bad, "bad", "HEAD", "later commit, branch or tag that is worse")
	f.StringVar(&o.subject, "subject", "git:{commit}", "subject that a commit is measured as")
	o.gate.subjects.addFlags(f)
}

func (o *bisectOptions) run(cmd *cobra.Command) error {
	switch {
	case o.good == "":
		return errors.New("name a commit that was still good with --good")
	case !strings.Contains(o.subject, "{commit}"):
		return fmt.Errorf("--subject %q: write {commit} where the commit stands, as in git:{commit}", o.subject)
	}
	commits, err := commitsBetween(cmd.Context(), ".", o.good, o.bad)
	if err != nil {
		return err
	}
	in, err := o.gate.input(cmd.Flags(), false)
	if err != nil {
		return err
	}
	if in.capacity != nil {
		return errors.New("commits are gated by the metrics of runs, not by their capacity")
	}
	in.options.Criteria, err = criteriaBy(in.options.Criteria, o.by)
	if err != nil {
		return err
	}
	return bisectCommits(cmd.Context(), cmd.OutOrStdout(), ".", commits, o.judge(cmd, in))
}

// criteriaBy are the criteria of the named metrics alone, of all if there are none.
func criteriaBy(all compare.Criteria, names []string) (compare.Criteria, error) {
	if len(names) == 0 {
		return all, nil
	}
	only := all
	only.Rules = map[compare.MetricID]compare.Rule{}
	for _, name := range names {
		err := gateMetric(&only, name, "")
		if err != nil {
			return all, fmt.Errorf("--by: %w", err)
		}
	}
	for id := range only.Rules {
		rule, gated := all.Rules[id]
		if gated {
			only.Rules[id] = rule
		}
	}
	return only, nil
}

// judge gates two commits. A head that cannot be built or started cannot be judged. Once
// a head regressed, only the metrics in which it did are gated, so that doubt about
// others is no doubt, and gates end sooner.
func (o *bisectOptions) judge(cmd *cobra.Command, in gateInput) history.Judge {
	return func(ctx context.Context, base, head string) (compare.Verdict, error) {
		specs := []string{o.subjectAt(base), o.subjectAt(head)}
		_, err := o.gate.subjects.targets(ctx, specs[:1], cmd.ErrOrStderr())
		if err != nil {
			return "", err
		}
		targets, err := o.gate.subjects.targets(ctx, specs, cmd.ErrOrStderr())
		if err != nil && ctx.Err() == nil {
			return "", fmt.Errorf("%w: %w", history.ErrNotJudged, err)
		}
		if err != nil {
			return "", err
		}
		dirs, err := o.gate.record.run(cmd, targets, in.options.Criteria, false)
		if err != nil && failsAlone(ctx, targets[0], targets[1]) {
			return "", fmt.Errorf("%w: %w", history.ErrNotJudged, err)
		}
		if err != nil {
			return "", err
		}
		report, err := compare.Compare(dirs, in.options)
		if err != nil {
			return "", err
		}
		c := report.Comparisons[0]
		if c.Verdict == compare.Regressed {
			in.options.Criteria = regressedOnly(in.options.Criteria, c)
		}
		return c.Verdict, nil
	}
}

// failsAlone reports whether a head does not start though its base does.
func failsAlone(ctx context.Context, base, head subject.Target) bool {
	return starts(ctx, base) && !starts(ctx, head) && ctx.Err() == nil
}

func starts(ctx context.Context, t subject.Target) bool {
	started, err := t.Start(ctx, io.Discard)
	if err == nil {
		started.Stop()
	}
	return err == nil
}

// subjectAt is the subject at a commit, by whose first digits one of git goes.
func (o *bisectOptions) subjectAt(commit string) string {
	text := strings.ReplaceAll(o.subject, "{commit}", commit)
	if strings.HasPrefix(text, subject.KindGit+":") {
		return short(commit) + "=" + text
	}
	return text
}

// regressedOnly are the criteria of the metrics that regressed.
func regressedOnly(all compare.Criteria, c compare.Comparison) compare.Criteria {
	only := all
	only.Rules = map[compare.MetricID]compare.Rule{}
	for _, m := range c.Metrics {
		rule, gated := all.Rules[m.ID]
		if gated && m.Verdict == compare.Regressed && !m.Waived {
			only.Rules[m.ID] = rule
		}
	}
	return only
}

// bisectCommits tells how the commits do, and which of them is to blame.
func bisectCommits(
	ctx context.Context, w io.Writer, dir string, commits []string, judge history.Judge,
) error {
	between := len(commits) - 2
	fmt.Fprintf(w, "%d commits between good %s and bad %s\n", between, short(commits[0]), short(commits[between+1]))
	found, err := history.Bisect(ctx, commits, judge, func(j history.Judgement) { tellJudgement(w, j) })
	if err != nil {
		return err
	}
	if len(found.Suspects) == 1 {
		what, err := git(ctx, dir, "log", "-1", "--format=%h %s (%an, %ad)", "--date=short", found.Suspects[0])
		fmt.Fprintf(w, "first bad commit: %s\n", what)
		return err
	}
	fmt.Fprintf(w, "the first bad commit is one of these %d, oldest first:\n", len(found.Suspects))
	for _, commit := range found.Suspects {
		what, err := git(ctx, dir, "log", "-1", "--format=%h %s", commit)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s\n", what)
	}
	return exitError{exitInconclusive, "nothing could be said of the commits between; " +
		"more blocks may tell (--max-blocks)"}
}

func tellJudgement(w io.Writer, j history.Judgement) {
	switch {
	case j.Err != nil:
		fmt.Fprintf(w, "%s: %v; passed over\n", short(j.Commit), j.Err)
	case j.Verdict == compare.Inconclusive:
		fmt.Fprintf(w, "%s: inconclusive; passed over\n", short(j.Commit))
	default:
		fmt.Fprintf(w, "%s: %s\n", short(j.Commit), j.Verdict)
	}
}

func short(commit string) string { return commit[:min(10, len(commit))] }

// commitsBetween lists the commits from a good to a bad one, both included, by
// first parents.
func commitsBetween(ctx context.Context, dir, good, bad string) ([]string, error) {
	var ends []string
	for _, ref := range []string{good, bad} {
		commit, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
		if err != nil {
			return nil, fmt.Errorf("%q names no commit: %w", ref, err)
		}
		ends = append(ends, commit)
	}
	list, err := git(ctx, dir, "rev-list", "--first-parent", "--reverse", ends[0]+".."+ends[1])
	if err != nil {
		return nil, err
	}
	commits := append([]string{ends[0]}, strings.Fields(list)...)
	if len(commits) == 1 {
		return nil, fmt.Errorf("no commit comes after %s up to %s; --good is the older one", good, bad)
	}
	parent, err := git(ctx, dir, "rev-parse", "--verify", commits[1]+"^")
	if err != nil || parent != ends[0] {
		return nil, fmt.Errorf("%s is not on the line of first parents of %s; "+
			"name a commit that is (git log --first-parent)", good, bad)
	}
	return commits, nil
}

// git runs git in a folder, and returns what it prints.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) && len(failed.Stderr) > 0 {
		err = errors.New(strings.TrimSpace(string(failed.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
