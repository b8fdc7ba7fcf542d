package main

import (
	"testing"

	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestPlan holds which plan an experiment gets, and what flags change of it.
func TestPlan(t *testing.T) {
	usual, counts, quick := runfolder.DefaultPlan(), runfolder.CountsPlan(), runfolder.QuickPlan()
	edited := func(p runfolder.Plan, edit func(*runfolder.Plan)) runfolder.Plan { edit(&p); return p }
	exactly := func(blocks int) func(*runfolder.Plan) {
		return func(p *runfolder.Plan) { p.Blocks, p.Sequential, p.FirstLook = blocks, false, 0 }
	}
	for _, tt := range []struct {
		name     string
		flags    []string
		subjects int
		counts   bool
		coarse   bool
		want     runfolder.Plan
	}{
		{"default", nil, 2, false, false, usual},
		{"counts", nil, 2, true, false, counts},
		{"quick", []string{"--quick"}, 2, false, false, quick},
		{"quick counts", []string{"--quick"}, 2, true, false, quick},
		{"alone", nil, 1, false, false, edited(usual, exactly(10))},
		{"alone, at most", []string{"--max-blocks=15"}, 1, false, false, edited(usual, exactly(15))},
		{"at most", []string{"--max-blocks=15"}, 2, false, false, edited(usual, func(p *runfolder.Plan) { p.Blocks = 15 })},
		{"exactly", []string{"--blocks=15"}, 2, true, false, edited(counts, exactly(15))},
		{"quick, exactly", []string{"--quick", "--blocks=5"}, 2, false, false, edited(quick, exactly(5))},
		{"longer counts", []string{"--rounds=9", "--slice=70ms", "--warmup=1"}, 2, true, false,
			edited(counts, func(p *runfolder.Plan) { p.Rounds, p.Slice, p.Warmup = 9, 70e6, 1 })},
		{"a rate", nil, 2, false, true, edited(usual, func(p *runfolder.Plan) { p.Rounds, p.Slice = 16, 50e6 })},
		{"slices", []string{"--slice=20ms"}, 2, false, true,
			edited(usual, func(p *runfolder.Plan) { p.Rounds, p.Slice = 40, 20e6 })},
		{"rounds", []string{"--rounds=7"}, 2, false, false,
			edited(usual, func(p *runfolder.Plan) { p.Rounds, p.Slice = 7, 50e6 })},
		{"a long slice", []string{"--slice=1s"}, 2, false, false,
			edited(usual, func(p *runfolder.Plan) { p.Rounds, p.Slice = 1, 1e9 })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o planOptions
			f := pflag.NewFlagSet("", pflag.ContinueOnError)
			o.addFlags(f)
			if err := f.Parse(append(tt.flags, "--seed=7")); err != nil {
				t.Fatal(err)
			}
			tt.want.Seed = 7
			if got := o.plan(tt.subjects, tt.counts, tt.coarse, f.Changed); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
