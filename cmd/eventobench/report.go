package main

import (
	"io"

	"github.com/eventobench/eventobench/compare/render"
	"github.com/spf13/cobra"
)

func newReportCmd() *cobra.Command {
	var out string
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report BASE HEAD [MORE…]",
		Short: "Write a comparison of run folders as one HTML page to share",
		Long: `Report compares run folders as "eventobench compare" does and writes one HTML file
that needs nothing else, no network either: the verdict, the metrics with their
intervals, throughput and latency over time, latency by percentile, what changed
by function, and flame graphs of the difference. The first folder is the base.

Exit codes: 0 written; 2 a folder cannot be read or compared, or the file cannot
be written.`,
		Example: `  eventobench report profiles/20261124_120000-nethttp profiles/20261124_120000-fasthttp
  eventobench report --out=migration.html profiles/20261124_120000-*
  eventobench report --out=- profiles/20261124_120000-* | gzip > report.html.gz`,
		Args: needs(2, anyNumber, "two run folders or more"),
		RunE: func(cmd *cobra.Command, dirs []string) error {
			report, err := o.compare(dirs, true)
			if err != nil {
				return err
			}
			if out == "-" {
				out = ""
			}
			return writeOutput(cmd, out, func(w io.Writer) error { return render.Report(w, report, "html") })
		},
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&out, "out", "report.html", "file to write to; - for stdout")
	return cmd
}
