package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
)

// What answers may differ by before the two sides count as having done different
// work.
const (
	mixTolerance  = 0.1  // percentage points of a status among the answers to a kind of request
	sizeTolerance = 0.02 // of the mean size of a body
	// A faster server counts further within a block: each number in an answer gets
	// up to one digit longer if it is ten times as fast.
	sizeDigits = 4 // bytes
)

// answerChanges are the kinds of request that two runs answered differently, in
// words, by what differs.
type answerChanges struct{ statuses, sizes []string }

// doubt says in a few words why nothing is called improved, or nothing.
func (a answerChanges) doubt() string {
	switch {
	case len(a.statuses) > 0:
		return "other answers"
	case len(a.sizes) > 0:
		return "other sizes of answers"
	}
	return ""
}

// compareAnswers finds the kinds of request whose statuses or sizes of bodies
// differ by more than is tolerated and than blocks differ by. All that is
// compared shares FalseAlarms.
func compareAnswers(base, head side) answerChanges {
	var found answerChanges
	if !sameKinds(base, head) {
		return found
	}
	tests := 0
	for k, b := range base.kinds {
		tests += 1 + len(statusesOf(b, head.kinds[k]))
	}
	level := 1 - FalseAlarms/float64(tests)
	for k, b := range base.kinds {
		h := head.kinds[k]
		if !b.whole.tells || !h.whole.tells {
			continue
		}
		kind := base.Manifest.Load.Kinds[k]
		if text := otherStatuses(b, h, level); text != "" {
			found.statuses = append(found.statuses, kind+" "+text)
		}
		if !otherEncoding(base, head) && otherSizes(b, h, level) {
			found.sizes = append(found.sizes, fmt.Sprintf("%s from %s to %s B", kind,
				texttab.Decimals(b.whole.bodySize()), texttab.Decimals(h.whole.bodySize())))
		}
	}
	return found
}

// otherEncoding reports whether the sides were asked to answer in different
// encodings, so that other sizes are meant.
func otherEncoding(base, head side) bool {
	const protocol = "protocol" // an option of the built-in store
	return base.Manifest.Subject.Options[protocol] != head.Manifest.Subject.Options[protocol]
}

// sameKinds reports whether two runs have the same kinds of request, as all have
// but those that something else recorded.
func sameKinds(base, head side) bool {
	return slices.Equal(base.Manifest.Load.Kinds, head.Manifest.Load.Kinds)
}

func statusesOf(base, head side) []int {
	all := maps.Clone(base.whole.statuses)
	maps.Copy(all, head.whole.statuses)
	return slices.Sorted(maps.Keys(all))
}

// otherStatuses names the statuses whose share differs, with the shares.
func otherStatuses(base, head side, level float64) string {
	var differ []string
	for _, status := range statusesOf(base, head) {
		share := Metric{Share: true, value: func(m *measured) float64 { return m.statusShare(status) }}
		if differs(share, base, head, level, mixTolerance) {
			differ = append(differ, fmt.Sprintf("%d %s of answers", status,
				fromTo(base.value(share), head.value(share), true)))
		}
	}
	return strings.Join(differ, ", ")
}

// otherSizes reports whether the mean sizes of bodies differ. Bodies of one side
// only always do.
func otherSizes(base, head side, level float64) bool {
	size := Metric{Share: true, value: (*measured).bodySize} // on a linear scale, since it may be 0
	b, h := base.whole.bodySize(), head.whole.bodySize()
	if b == 0 || h == 0 {
		return b > 0 || h > 0
	}
	return differs(size, base, head, level, max(sizeTolerance*max(b, h), sizeDigits))
}

// differs reports whether the interval of a difference over the blocks that have
// the figure lies beyond a limit. If there are too few blocks for the level, all
// of them must.
func differs(m Metric, base, head side, level, limit float64) bool {
	var e stat.Estimator
	if paired(base.Run, head.Run) {
		e = stat.SignedRank(finite(pairedChanges(m, base, head, min(len(base.blocks), len(head.blocks)))))
	} else {
		e = stat.RankSum(finite(base.scaled(m)), finite(head.scaled(m)))
	}
	interval := e.Interval(level)
	return interval.Low > limit || interval.High < -limit
}

func finite(values []float64) []float64 {
	return slices.DeleteFunc(values, func(v float64) bool { return !stat.Finite(v) })
}

// countRedirects counts those redirects as failures that the base gave to no
// request of their kind: whoever followed them would do more work.
func (s side) countRedirects(base side) {
	for _, m := range append(s.blocks, s.whole) {
		m.redirected = 0
	}
	if !sameKinds(base, s) {
		return
	}
	for k, kind := range s.kinds {
		if b := base.kinds[k].whole; !b.tells || b.redirects() > 0 {
			continue
		}
		for i, block := range kind.blocks {
			block.redirected = block.redirects()
			s.blocks[i].redirected += block.redirected
		}
		kind.whole.redirected = kind.whole.redirects()
		s.whole.redirected += kind.whole.redirected
	}
}

// redirects is the number of answered requests that were redirected.
func (m *measured) redirects() float64 {
	n := 0.0
	for status, count := range m.statuses {
		if isRedirect(status) {
			n += count
		}
	}
	return min(n, m.ops)
}

// isRedirect leaves out 304, which sends nobody elsewhere.
func isRedirect(status int) bool { return status >= 300 && status < 400 && status != 304 }

func isSuccess(status int) bool { return status < 300 || status == 304 }

// completeAnswers is the number of complete answers, failed ones included.
func (m *measured) completeAnswers() float64 {
	n := 0.0
	for _, count := range m.statuses {
		n += count
	}
	return n
}

// statusShare is in percent of the complete answers.
func (m *measured) statusShare(status int) float64 {
	return m.statuses[status] / m.completeAnswers() * 100
}

// bodySize is the mean size of a body in bytes, NaN if it is not known.
func (m *measured) bodySize() float64 {
	if !m.tells {
		return math.NaN()
	}
	return m.bytes / m.ops
}

// oddAnswers names the kinds of request most of whose answers were no success,
// with their statuses.
func oddAnswers(v Variant) []string {
	var odd []string
	for k, kind := range v.side.kinds {
		m := kind.whole
		failures := 0.0
		var shares []string
		for _, status := range slices.Sorted(maps.Keys(m.statuses)) {
			if !isSuccess(status) {
				failures += m.statuses[status]
				shares = append(shares, fmt.Sprintf("%d (%.3g%%)", status, m.statusShare(status)))
			}
		}
		name := v.Manifest.Load.Kinds[k]
		switch {
		case failures == 0 || failures < m.completeAnswers()/2:
		case len(m.statuses) == 1:
			status, _, _ := strings.Cut(shares[0], " ")
			odd = append(odd, fmt.Sprintf("every answer of %s to %s was %s", v.Name, name, status))
		default:
			odd = append(odd, fmt.Sprintf("answers of %s to %s were %s", v.Name, name, strings.Join(shares, ", ")))
		}
	}
	return odd
}
