package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/profiles/subject"
)

// throwawayRepo is a repository with a commit for each cost, which its file says.
func throwawayRepo(t *testing.T, costs []int) (dir string, commits []string) {
	t.Helper()
	dir = t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, err := git(t.Context(), dir, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	run("init", "--quiet", "--initial-branch=main")
	for i, cost := range costs {
		text := fmt.Sprintf("%d\ncommit %d\n", cost, i)
		err := os.WriteFile(filepath.Join(dir, "cost"), []byte(text), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		run("add", "cost")
		run("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false",
			"commit", "--quiet", "-m", fmt.Sprintf("change %d", i))
		commits = append(commits, run("rev-parse", "HEAD"))
	}
	return dir, commits
}

// judgeCost takes a commit that costs more for worse. A cost of 0 cannot be
// judged, one below 0 is inconclusive.
func judgeCost(t *testing.T, dir string) history.Judge {
	read := func(ctx context.Context, commit string) (int, error) {
		text, err := git(ctx, dir, "show", commit+":cost")
		if err != nil {
			return 0, err
		}
		line, _, _ := strings.Cut(text, "\n")
		return strconv.Atoi(line)
	}
	return func(ctx context.Context, base, head string) (compare.Verdict, error) {
		before, err := read(ctx, base)
		if err != nil {
			return "", err
		}
		after, err := read(ctx, head)
		switch {
		case err != nil:
			return "", err
		case after == 0:
			return "", fmt.Errorf("building %s: %w", head, history.ErrNotJudged)
		case after < 0:
			return compare.Inconclusive, nil
		case after > before:
			return compare.Regressed, nil
		}
		return compare.Equivalent, nil
	}
}

func TestBisectCommits(t *testing.T) {
	tests := []struct {
		name  string
		costs []int
		want  []string
		code  int
	}{
		{"found", []int{5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6},
			[]string{"14 commits between good ", "first bad commit: ", " change 11 (Test, "}, 0},
		{"a middle that is unclear", []int{5, 5, 5, 5, 5, 5, -1, 0, 5, 5, 5, 6, 6, 6, 6, 6},
			[]string{": inconclusive; passed over", ": cannot be judged; passed over", " change 11 (Test, "}, 0},
		{"a range", []int{5, 5, 5, 5, 5, 5, 5, 5, 5, 0, -1, 6, 6, 6, 6, 6},
			[]string{"the first bad commit is one of these 3, oldest first:\n", " change 9\n",
				" change 10\n", " change 11\n"},
			exitInconclusive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, made := throwawayRepo(t, tt.costs)
			commits, err := commitsBetween(t.Context(), dir, made[0], "main")
			if err != nil || !slices.Equal(commits, made) {
				t.Fatalf("commits %v, want %v: %v", commits, made, err)
			}
			var out strings.Builder
			err = bisectCommits(t.Context(), &out, dir, commits, judgeCost(t, dir))
			code := 0
			var exit exitError
			if errors.As(err, &exit) {
				code = exit.code
			}
			if code != tt.code || err != nil && code == 0 {
				t.Errorf("error %v, want exit code %d", err, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in\n%s", want, out.String())
				}
			}
		})
	}
}

func TestCommitsBetweenRefuses(t *testing.T) {
	dir, commits := throwawayRepo(t, []int{1, 2, 3})
	for _, args := range [][]string{{"checkout", "--quiet", "-b", "side", commits[1]},
		{"-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--allow-empty",
			"-m", "side"}} {
		_, err := git(t.Context(), dir, args...)
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ good, bad, want string }{
		{"nowhere", "main", `"nowhere" names no commit`},
		{"--all", "main", `"--all" names no commit`},
		{"main", commits[0], "no commit comes after main"},
		{"main", "main", "no commit comes after main"},
		{"side", "main", "side is not on the line of first parents of main"},
	}
	for _, tt := range tests {
		_, err := commitsBetween(t.Context(), dir, tt.good, tt.bad)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s..%s: error %v, want %q", tt.good, tt.bad, err, tt.want)
		}
	}
}

func TestRegressedOnly(t *testing.T) {
	all := compare.DefaultCriteria()
	c := compare.Comparison{Metrics: []compare.MetricChange{
		{ID: "ops_per_sec", Verdict: compare.Inconclusive},
		{ID: "cpu_per_op", Verdict: compare.Regressed, Waived: true},
		{ID: "allocs_per_op", Verdict: compare.Regressed}, {ID: "latency_p99", Verdict: compare.Regressed}, // not gated
	}}
	only := regressedOnly(all, c)
	if len(only.Rules) != 1 || only.Rules["allocs_per_op"] != all.Rules["allocs_per_op"] || len(all.Rules) < 4 {
		t.Errorf("gated are %v of %v", only.Rules, all.Rules)
	}
}

func TestCriteriaBy(t *testing.T) {
	all := compare.DefaultCriteria()
	err := gateMetric(&all, "allocs_per_op", "7%")
	if err != nil {
		t.Fatal(err)
	}
	only, err := criteriaBy(all, []string{"allocs_per_op", "p99"})
	if err != nil || len(only.Rules) != 2 || only.Rules["allocs_per_op"].Tolerance != 7 ||
		only.Rules["latency_p99"].Tolerance == 0 {
		t.Errorf("gated are %v: %v", only.Rules, err)
	}
	same, err := criteriaBy(all, nil)
	if err != nil || len(same.Rules) != len(all.Rules) {
		t.Errorf("gated are %v: %v", same.Rules, err)
	}
	_, err = criteriaBy(all, []string{"speed"})
	if err == nil || !strings.Contains(err.Error(), `--by: no metric "speed" can be gated`) {
		t.Errorf("error %v", err)
	}
}

func TestSubjectAt(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	for text, want := range map[string]string{
		"git:{commit}":                     "0123456789=git:" + commit,
		"git:{commit}:./cmd/server":        "0123456789=git:" + commit + ":./cmd/server",
		"mine-{commit}=git:{commit}":       "mine-" + commit + "=git:" + commit,
		"exec:./{commit}/server -l {addr}": "exec:./" + commit + "/server -l {addr}",
	} {
		o := bisectOptions{subject: text}
		if got := o.subjectAt(commit); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

// TestFailsAlone holds that a head that does not start is passed over, unless its base does
// not start either.
func TestFailsAlone(t *testing.T) {
	good := subject.Exec{Name: "good", Command: []string{"eventobench", "null"}}
	bad := subject.Exec{Name: "bad", Command: []string{"false"}}
	for _, tt := range []struct {
		base, head subject.Exec
		want       bool
	}{
		{good, bad, true},
		{bad, good, false},
		{bad, bad, false},
		{good, good, false},
	} {
		if got := failsAlone(t.Context(), tt.base, tt.head); got != tt.want {
			t.Errorf("%v against %v: %v", tt.head, tt.base, got)
		}
	}
}
