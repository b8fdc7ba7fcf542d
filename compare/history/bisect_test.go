package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare"
)

// verdicts makes a judge of a text with a letter per commit: g is good, i is
// improved, b is bad, ? is inconclusive, x cannot be built.
func verdicts(text string) Judge {
	names := map[byte]compare.Verdict{
		'g': compare.Equivalent, 'i': compare.Improved, 'b': compare.Regressed, '?': compare.Inconclusive,
	}
	return func(_ context.Context, _, head string) (compare.Verdict, error) {
		var i int
		_, err := fmt.Sscanf(head, "c%d", &i)
		if err != nil {
			return "", err
		}
		switch text[i] {
		case 'x':
			return "", fmt.Errorf("building %s: %w", head, ErrNotJudged)
		case '!':
			return "", errors.New("the disk is full")
		}
		return names[text[i]], nil
	}
}

func TestBisect(t *testing.T) {
	tests := []struct {
		commits  string
		good     string
		suspects string
		judged   int // at most
	}{
		{"gb", "c0", "c1", 1},
		{"ggggggggbbbbbbbb", "c7", "c8", 5},
		{"gbbbbbbbbbbbbbbb", "c0", "c1", 5},
		{"gggggggggggggggb", "c14", "c15", 5},
		{"giigggggbbbbbbbb", "c7", "c8", 5},
		{"ggggggg?bbbbbbbb", "c6", "c7 c8", 6},   // the boundary itself is unclear
		{"gggg?ggggggbbbbb", "c10", "c11", 6},    // an unclear one elsewhere does not matter
		{"ggggggg?gg?bbbbb", "c9", "c10 c11", 7}, // a neighbor of the middle is taken
		{"ggggggxxxxbbbbbb", "c5", "c6 c7 c8 c9 c10", 9},
		{"g??????????????b", "c0", "c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c12 c13 c14 c15", 15},
	}
	for _, tt := range tests {
		t.Run(tt.commits, func(t *testing.T) {
			var commits []string
			for i := range tt.commits {
				commits = append(commits, fmt.Sprintf("c%d", i))
			}
			var judged []string
			b, err := Bisect(t.Context(), commits, verdicts(tt.commits),
				func(j Judgement) { judged = append(judged, j.Commit) })
			if err != nil {
				t.Fatal(err)
			}
			if b.Good != tt.good || strings.Join(b.Suspects, " ") != tt.suspects {
				t.Errorf("good %s, suspects %v; want %s, %s", b.Good, b.Suspects, tt.good, tt.suspects)
			}
			distinct := slices.Compact(slices.Sorted(slices.Values(judged)))
			if len(judged) > tt.judged || len(distinct) != len(judged) {
				t.Errorf("judged %v, want at most %d, none twice", judged, tt.judged)
			}
		})
	}
}

func TestBisectRefuses(t *testing.T) {
	tests := []struct {
		commits int
		text    string
		want    string
	}{
		{1, "g", "not 1 commits"},
		{4, "gggg", "c3 is not known to be worse than c0 (equivalent)"},
		{4, "ggg?", "(inconclusive)"},
		{4, "gggx", "(cannot be judged)"},
		{4, "g!gb", "judging c1 against c0: the disk is full"},
	}
	for _, tt := range tests {
		var commits []string
		for i := range tt.commits {
			commits = append(commits, fmt.Sprintf("c%d", i))
		}
		_, err := Bisect(t.Context(), commits, verdicts(tt.text), func(Judgement) {})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.text, err, tt.want)
		}
	}
}
