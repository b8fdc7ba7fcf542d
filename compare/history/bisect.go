package history

import (
	"context"
	"errors"
	"fmt"

	"github.com/eventobench/eventobench/compare"
)

// Judge says how a commit does against another.
type Judge func(ctx context.Context, base, head string) (compare.Verdict, error)

// ErrNotJudged is what a judge's error wraps if nothing can be said of the head,
// such as one that cannot be built, but others may be judged.
var ErrNotJudged = errors.New("cannot be judged")

// Judgement is what was said of one commit against the good one.
type Judgement struct {
	Commit  string
	Verdict compare.Verdict
	Err     error // that wraps ErrNotJudged, or nil
}

// Bisection is where a regression began.
type Bisection struct {
	Good     string   // the last commit that is not worse
	Suspects []string // one of these is the first that is, in order; one if it was found
}

// Bisect finds the first of commits that regressed against the first of them.
// The commits are in order, the first good and the last bad; it is an error if
// the last did not regress. One of which nothing can be said is passed over for
// the nearest beside it. If nothing can be said of all that are left, they are
// suspects together. tell hears of every judgement as it is made.
func Bisect(ctx context.Context, commits []string, judge Judge, tell func(Judgement)) (Bisection, error) {
	if len(commits) < 2 {
		return Bisection{}, fmt.Errorf("bisecting needs a good commit and a later bad one, not %d commits",
			len(commits))
	}
	b := bisect{commits: commits, judge: judge, tell: tell, passed: make([]bool, len(commits)), bad: len(commits) - 1}
	verdict, err := b.ask(ctx, b.bad)
	if err != nil {
		return Bisection{}, err
	}
	if verdict != compare.Regressed {
		return Bisection{}, fmt.Errorf("%s is not known to be worse than %s (%s), "+
			"so no commit between them is to blame",
			commits[b.bad], commits[0], verdictName(verdict))
	}
	for i := b.next(); i > 0; i = b.next() {
		verdict, err := b.ask(ctx, i)
		if err != nil {
			return Bisection{}, err
		}
		b.note(i, verdict)
	}
	return Bisection{Good: commits[b.good], Suspects: commits[b.good+1 : b.bad+1]}, nil
}

func verdictName(v compare.Verdict) string {
	if v == compare.NotJudged {
		return ErrNotJudged.Error()
	}
	return string(v)
}

type bisect struct {
	commits   []string
	judge     Judge
	tell      func(Judgement)
	good, bad int    // indices: the last that is good, the first that is bad
	passed    []bool // of these nothing can be said
}

// ask judges a commit. One that cannot be judged has no verdict.
func (b *bisect) ask(ctx context.Context, i int) (compare.Verdict, error) {
	verdict, err := b.judge(ctx, b.commits[0], b.commits[i])
	if err != nil && !errors.Is(err, ErrNotJudged) {
		return "", fmt.Errorf("judging %s against %s: %w", b.commits[i], b.commits[0], err)
	}
	if err != nil {
		verdict = compare.NotJudged
	}
	b.tell(Judgement{Commit: b.commits[i], Verdict: verdict, Err: err})
	return verdict, nil
}

func (b *bisect) note(i int, verdict compare.Verdict) {
	switch verdict {
	case compare.Regressed:
		b.bad = i
	case compare.Improved, compare.Equivalent:
		b.good = i
	default:
		b.passed[i] = true
	}
}

// next returns the commit to judge next: the middle, or the nearest to it that
// was not passed over. It is 0 if there is none.
func (b *bisect) next() int {
	middle := (b.good + b.bad) / 2
	for away := 0; away <= b.bad-b.good; away++ {
		for _, i := range []int{middle - away, middle + away} {
			if b.good < i && i < b.bad && !b.passed[i] {
				return i
			}
		}
	}
	return 0
}
