package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/render"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

type compareOptions struct {
	format, out string
	from        string
	report      reportOptions
}

// reportOptions are the flags of every command that compares run folders.
type reportOptions struct {
	groups string
	leaves bool
}

func (o *reportOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.groups, "groups", "",
		"file of package groups, lines of \"label = prefix prefix …\", in addition to the default ones")
	f.BoolVar(&o.leaves, "leaves", false,
		"show the functions in which samples were taken, of the runtime and the kernel too, not those that asked for the work")
}

// readGroups are the default groups and those of --groups.
func (o *reportOptions) readGroups() (*profdiff.Groups, error) {
	if o.groups == "" {
		return profdiff.DefaultGroups(), nil
	}
	return profdiff.ReadGroups(o.groups)
}

func (o *reportOptions) compare(dirs []string, charts bool) (*compare.Report, error) {
	groups, err := o.readGroups()
	if err != nil {
		return nil, err
	}
	return compare.Compare(dirs, compare.Options{
		Criteria: compare.DefaultCriteria(), Groups: groups, Leaves: o.leaves, Charts: charts,
	})
}

func newCompareCmd() *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   "compare BASE HEAD [MORE…]",
		Short: "Compare run folders: what changed, how sure that is, and which functions explain it",
		Long: `Compare judges two or more run folders against each other; the first is the base.

Folders that one "eventobench run" recorded together are compared slice by slice,
so that the machine's drift cancels; others are compared as they are, with a
warning. Every change has an interval over blocks, and a verdict that follows from it.

The profiles explain the change: per kind of work (HTTP, JSON, storage, the runtime,
your own code) and per function, each row with its sampling error. A row is of the
function that asked for the work; --leaves shows where the samples were taken.
--groups adds kinds of work of your own.

A report in JSON holds all of it, flame graphs included. --from renders one again,
exactly as comparing the folders would, without them. An --out that ends in .gz is
compressed, and --from reads it.

Exit codes: 0 compared; 2 a folder or report is missing, damaged, empty, from
another version, or the folders were recorded under different loads.`,
		Example: `  eventobench compare profiles/20261124_120000-nethttp profiles/20261124_120000-fasthttp
  eventobench compare --format=md --out=migration.md profiles/20261124_120000-*
  eventobench compare --format=html --out=migration.html profiles/20261124_120000-*

  # keep the report, show it later
  eventobench compare --format=json --out=migration.json.gz profiles/20261124_120000-*
  eventobench compare --from=migration.json.gz --format=html --out=migration.html

  # what benchstat makes of it
  eventobench compare --format=benchfmt --out=bench.txt profiles/20261124_120000-*
  benchstat -col /subject bench.txt`,
		RunE: func(cmd *cobra.Command, dirs []string) error { return o.run(cmd, dirs) },
	}
	theme(cmd.Flags(), themeOutput, o.addOutputFlags)
	theme(cmd.Flags(), themeProfiles, o.report.addFlags)
	return cmd
}

func (o *compareOptions) addOutputFlags(f *pflag.FlagSet) {
	f.StringVar(&o.format, "format", "text", strings.Join(render.Formats, ", "))
	f.StringVar(&o.from, "from", "", "report in JSON to render, instead of comparing run folders")
	f.StringVar(&o.out, "out", "", "file to write to, instead of stdout; compressed if it ends in .gz")
}

func (o *compareOptions) run(cmd *cobra.Command, dirs []string) error {
	if !slices.Contains(render.Formats, o.format) {
		return render.UnknownFormat(o.format, render.Formats)
	}
	report, err := o.read(cmd, dirs)
	if err != nil {
		return err
	}
	return writeOutput(cmd, o.out, func(w io.Writer) error { return render.Report(w, report, o.format) })
}

// read compares the folders, or reads the report.
func (o *compareOptions) read(cmd *cobra.Command, dirs []string) (*compare.Report, error) {
	if o.from == "" {
		return o.report.compare(dirs, render.NeedsCharts(o.format))
	}
	for _, flag := range []string{"groups", "leaves"} {
		if cmd.Flags().Changed(flag) {
			return nil, fmt.Errorf("--%s decides how profiles are read, which a report holds already; "+
				"compare the run folders with it", flag)
		}
	}
	if len(dirs) > 0 {
		return nil, errors.New("name run folders or a report (--from), not both")
	}
	return compare.ReadReport(o.from)
}

// writeOutput writes to stdout or, if a path is given, to a file that appears
// only when it is complete.
func writeOutput(cmd *cobra.Command, path string, write func(io.Writer) error) error {
	if path == "" {
		return write(cmd.OutOrStdout())
	}
	err := runfolder.WriteFile(path, func(w io.Writer) error { return writeCompressed(w, path, write) })
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// writeCompressed writes to w, with gzip if the path ends in .gz.
func writeCompressed(w io.Writer, path string, write func(io.Writer) error) error {
	if !strings.HasSuffix(path, ".gz") {
		return write(w)
	}
	zipped := gzip.NewWriter(w)
	return errors.Join(write(zipped), zipped.Close())
}
