package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render"
)

type diffOptions struct {
	format, out string
	sample      string
	perA, perB  float64
	normalize   bool
	report      reportOptions
}

func newDiffCmd() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff A.prof B.prof",
		Short: "Compare two pprof files of any kind, by kind of work and by function",
		Long: `Diff compares two pprof files of the same kind, whatever recorded them: CPU, heap,
allocations, mutex, or one of your own. It shows what B has more and less than A by
kind of work and by function (new, gone, renamed, inlined), and with --format=html a
flame graph of the difference.

Two files do not tell how many operations they cover. With --per-a and --per-b, the
requests that were served while each was recorded, values are per operation. Without,
they are totals and depend on how long each was recorded; --normalize scales B to A's
total, so that shares are compared.

There are no intervals and no verdict: a single profile does not tell how far it
varies. "eventobench run" and "compare" do.

Exit codes: 0 compared; 2 a file is no pprof file, holds no sample, or is of another
kind than the other.`,
		Example: `  eventobench diff before.prof after.prof
  eventobench diff --per-a=329400 --per-b=349290 before/cpu.prof after/cpu.prof
  eventobench diff --sample=inuse_objects --format=html --out=heap.html heap-1.prof heap-2.prof`,
		Args: needs(2, 2, "two pprof files"),
		RunE: func(cmd *cobra.Command, files []string) error { return o.run(cmd, files) },
	}
	f := cmd.Flags()
	f.StringVar(&o.sample, "sample", "", "sample type to compare, such as alloc_space; default as pprof chooses")
	f.Float64Var(&o.perA, "per-a", 0, "operations that A covers")
	f.Float64Var(&o.perB, "per-b", 0, "operations that B covers")
	f.BoolVar(&o.normalize, "normalize", false, "scale B to A's total, to compare shares")
	f.StringVar(&o.format, "format", "text", strings.Join(render.PageFormats, ", "))
	f.StringVar(&o.out, "out", "", "file to write to, instead of stdout; compressed if it ends in .gz")
	o.report.addFlags(f)
	return cmd
}

func (o *diffOptions) run(cmd *cobra.Command, files []string) error {
	if !slices.Contains(render.PageFormats, o.format) {
		return render.UnknownFormat(o.format, render.PageFormats)
	}
	if err := o.checkOperations(cmd); err != nil {
		return err
	}
	groups, err := o.report.readGroups()
	if err != nil {
		return err
	}
	d, err := compare.CompareFiles(files[0], files[1], compare.FileOptions{
		SampleType: o.sample, BaseOps: o.perA, HeadOps: o.perB, Normalize: o.normalize,
		Groups: groups, Leaves: o.report.leaves, Flames: render.NeedsCharts(o.format),
	})
	if err != nil {
		return err
	}
	return writeOutput(cmd, o.out, func(w io.Writer) error { return render.FileDiff(w, d, o.format) })
}

// checkOperations rejects numbers of operations that were given and are none.
func (o *diffOptions) checkOperations(cmd *cobra.Command) error {
	for flag, ops := range map[string]float64{"per-a": o.perA, "per-b": o.perB} {
		if cmd.Flags().Changed(flag) && !(ops > 0) {
			return fmt.Errorf("--%s=%v: give the number of operations that the profile covers, above 0", flag, ops)
		}
	}
	return nil
}
