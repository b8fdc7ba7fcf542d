package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
)

func newCompareCmd() *cobra.Command {
	var format, out, groupsFile string
	cmd := &cobra.Command{
		Use:   "compare BASE HEAD [MORE…]",
		Short: "Compare run folders: what changed, how sure that is, and which functions explain it",
		Long: `Compare holds two or more run folders against each other; the first is the base.

Folders that one "eventobench run" recorded together are compared slice by slice,
so that the machine's drift cancels; others are compared as they are, with a
warning. Every change has an interval over blocks, and a verdict that follows from it.

The profiles explain the change: per kind of work (HTTP, JSON, storage, the runtime,
your own code) and per function, each row with its sampling error. --groups adds kinds
of work of your own.

Exit codes: 0 compared; 2 a folder is missing, damaged, empty, from a newer
version, or was recorded under another load.`,
		Example: `  eventobench compare profiles/20261124_120000-nethttp profiles/20261124_120000-fasthttp
  eventobench compare --format=md --out=migration.md profiles/20261124_120000-*
  eventobench compare --format=html --out=migration.html profiles/20261124_120000-*
  eventobench compare --groups=groups.txt profiles/20261124_120000-nethttp profiles/20261124_120000-fasthttp

  # what benchstat makes of it
  eventobench compare --format=benchfmt --out=bench.txt profiles/20261124_120000-*
  benchstat -col /subject bench.txt`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, dirs []string) error {
			if !slices.Contains(compare.Formats, format) {
				return fmt.Errorf("unknown format %q; use %s", format, strings.Join(compare.Formats, ", "))
			}
			groups, err := readGroups(groupsFile)
			if err != nil {
				return err
			}
			report, err := compare.Compare(dirs, compare.Options{Criteria: compare.DefaultCriteria(), Groups: groups})
			if err != nil {
				return err
			}
			return writeOutput(cmd, out, func(w io.Writer) error { return report.Render(w, format) })
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", strings.Join(compare.Formats, ", "))
	addGroupsFlag(cmd.Flags(), &groupsFile)
	cmd.Flags().StringVar(&out, "out", "", "file to write to, instead of stdout")
	return cmd
}

func addGroupsFlag(f *pflag.FlagSet, path *string) {
	f.StringVar(path, "groups", "", "file of package groups, lines of \"label = prefix prefix …\", in addition to the default ones")
}

// readGroups reads a file of package groups; without one the default ones count.
func readGroups(path string) (*compare.Groups, error) {
	if path == "" {
		return compare.DefaultGroups(), nil
	}
	return compare.ReadGroups(path)
}

// writeOutput writes to stdout or, if a path is given, to a file that appears
// only when it is complete.
func writeOutput(cmd *cobra.Command, path string, write func(io.Writer) error) error {
	if path == "" {
		return write(cmd.OutOrStdout())
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".eventobench-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
