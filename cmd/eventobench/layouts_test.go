package main

import (
	"context"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/subject"
)

// TestCountLayouts holds how many blocks of other layouts there are to be, and that a number
// that was asked for and cannot be had is an error.
func TestCountLayouts(t *testing.T) {
	built := subject.Exec{Name: "built", Layouts: func(context.Context) (subject.Layouts, error) { return nil, nil }}
	given := subject.Exec{Name: "given"}
	for _, tt := range []struct {
		flag, configured string
		subjects         []subject.Target
		want             int
		bad              string
	}{
		{"", "", []subject.Target{built, built}, usualLayouts, ""},
		{"", "4", []subject.Target{built, built}, 4, ""},
		{"8", "4", []subject.Target{built, built}, 8, ""},
		{"0", "4", []subject.Target{built, built}, 0, ""},
		{"auto", "4", []subject.Target{built, given}, 0, ""},
		{"", "4", []subject.Target{built, given}, 0, ""},
		{"4", "", []subject.Target{built, given}, 0, "subject given is not built here"},
		{"0", "", []subject.Target{built}, 0, ""},
		{"", "4", []subject.Target{built}, 0, ""},
		{"four", "", []subject.Target{built, built}, 0, "write a number of blocks"},
		{"-1", "", []subject.Target{built, built}, 0, "write a number of blocks"},
	} {
		n, err := countLayouts(tt.flag, tt.configured, tt.subjects)
		if n != tt.want || (err != nil) != (tt.bad != "") || err != nil && !strings.Contains(err.Error(), tt.bad) {
			t.Errorf("--layouts=%q, configured %q: %d, %v; want %d, %q", tt.flag, tt.configured, n, err, tt.want, tt.bad)
		}
	}
}
