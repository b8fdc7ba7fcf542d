// Package testlong keeps tests that take long out of "make test", which shall
// answer within 90 seconds, and those that have nothing to race out of "make race".
package testlong

import (
	"os"
	"testing"
)

// variable is set where all tests shall run: .ci/run does.
const variable = "EVENTOBENCH_LONG_TESTS"

// On reports whether tests that take long shall run.
func On() bool { return os.Getenv(variable) != "" }

// Share is n where tests that take long shall run, else one of parts of it, and
// at least 1: for tests that repeat something with other seeds.
func Share(n, parts int) int {
	if On() {
		return n
	}
	return max(n/parts, 1)
}

// Need skips a test that takes long, unless those shall run.
func Need(t testing.TB) {
	t.Helper()
	if !On() {
		t.Skipf("it takes long, and runs with %s=1 only", variable)
	}
}

// Raced reports whether the race detector is at work.
func Raced() bool { return raced }

// NotRaced skips a test under the race detector, for the reason given.
func NotRaced(t testing.TB, reason string) {
	t.Helper()
	if raced {
		t.Skipf("it is not raced: %s", reason)
	}
}

// whole is the value of the variable with which simulations have as many experiments as
// the figures in docs are from. That takes minutes, too long for .ci/run.
const whole = "whole"

// Experiments are n where simulations shall be whole, an eighth of them where tests that
// take long shall run, else one of parts.
func Experiments(n, parts int) int {
	if os.Getenv(variable) == whole {
		return n
	}
	return Share(n/8, max(parts/8, 1))
}
