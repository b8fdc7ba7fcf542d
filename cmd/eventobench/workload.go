package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/loadgen/workload"
	"github.com/eventobench/eventobench/profiles/subject"
)

// workloadOptions are the flags that say what is sent.
type workloadOptions struct {
	targets string
	get     []string
	file    string
	replay  bool
	speed   float64
}

// workloadFlags are those flags of which one says what is sent.
var workloadFlags = []string{"targets", "get", "workload"}

func (o *workloadOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.targets, "targets", "",
		"file of requests to send in turn, in one of vegeta's formats (http or JSON)")
	f.StringArrayVar(&o.get, "get", nil, "path to GET, such as /search?q=go; repeatable")
	f.StringVar(&o.file, "workload", "",
		"file of weighted requests in YAML, with templates and checks; see docs/workloads.md")
	f.BoolVar(&o.replay, "replay", false,
		"send the targets at their own times, as \"workload import\" keeps them")
	f.Float64Var(&o.speed, "replay-speed", 1, "with --replay: how many times as fast")
}

// validate returns an error about flags that do not go together.
func (o *workloadOptions) validate() error {
	given := 0
	for _, flag := range []bool{o.targets != "", len(o.get) > 0, o.file != ""} {
		if flag {
			given++
		}
	}
	switch {
	case given > 1:
		return errors.New("--targets, --get and --workload each say what is sent; give one of them")
	case o.replay && o.targets == "":
		return errors.New("--replay needs --targets, a file with times")
	case o.speed != 1 && !o.replay:
		return errors.New("--replay-speed is for --replay; give that too")
	}
	return nil
}

// workload is what the flags ask for, or else what suits the subjects: the mix of
// requests that the built-in store is measured with, or GET / for any other server.
func (o *workloadOptions) workload(subjects []subject.Target) (loadgen.Workload, error) {
	err := o.validate()
	switch {
	case err != nil:
		return nil, err
	case o.replay:
		return o.recording()
	case o.targets != "":
		return workload.ReadTargets(o.targets)
	case o.file != "":
		return workload.ReadMix(o.file)
	case len(o.get) > 0:
		return workload.Get(o.get)
	case slices.ContainsFunc(subjects, isStranger):
		return workload.Get([]string{"/"})
	}
	return storeWorkload(), nil
}

// isStranger reports whether a subject is not our store.
func isStranger(t subject.Target) bool {
	s, started := t.(subject.Exec)
	return !started || !isStore(s)
}

func (o *workloadOptions) recording() (loadgen.Workload, error) {
	targets, err := workload.ReadTargets(o.targets)
	if err != nil {
		return nil, err
	}
	return targets.Replay(o.speed)
}

func newWorkloadCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workload",
		Short: "Check the requests of a workload, or make them from a recording",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWorkloadCheckCmd(), newWorkloadImportCmd())
	return cmd
}

func newWorkloadImportCmd() *cobra.Command {
	var host, out string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make targets of a HAR file or an access log",
		Long: `Import reads the HAR file that a browser saved, or an access log in the Common or
the Combined format, and writes the requests in vegeta's JSON format, with the time
of each. "run --targets" sends them in turn, "run --targets --replay" at their times.

Of a HAR file it takes the requests to one host. Requests that failed when they were
recorded are left out, and those of a log that had a body. What is left out is told
on stderr.

Exit codes: 0 all written; 2 the file is no recording, with file, line and column.`,
		Example: `  eventobench workload import --host=shop.example --out=shop.jsonl shop.har
  eventobench workload import access.log | head -1000 > targets.jsonl
  eventobench run --targets=targets.jsonl --replay --replay-speed=10`,
		Args: needs(1, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			recording, err := workload.Import(args[0], host)
			if err != nil {
				return err
			}
			for _, note := range recording.Notes {
				fmt.Fprintln(cmd.ErrOrStderr(), note)
			}
			return writeOutput(cmd, out, func(w io.Writer) error { return workload.WriteTargets(w, recording.Targets) })
		},
	}
	cmd.Flags().StringVar(&host, "host", "", "host (or host:port) whose requests to take; default that of most")
	cmd.Flags().StringVar(&out, "out", "", "file to write to, instead of stdout")
	return cmd
}

func newWorkloadCheckCmd() *cobra.Command {
	var first int
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Read a workload and show its kinds and first requests",
		Long: `Check reads a file as "run --targets" does or, if it ends with .yaml or .yml, as
"run --workload" does. It prints the kinds of its requests and the first ones as they
go over the wire. It sends nothing.

Exit codes: 0 the file is a workload; 2 it is not, with file, line and column.`,
		Example: `  eventobench workload check targets.txt
  eventobench workload check -n 20 visitors.yaml`,
		Args: needs(1, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := readWorkload(args[0])
			if err != nil {
				return err
			}
			return printWorkload(cmd.OutOrStdout(), w, first)
		},
	}
	cmd.Flags().IntVarP(&first, "requests", "n", 3, "number of requests to show")
	return cmd
}

// readWorkload reads a file in the format that its name tells.
func readWorkload(file string) (previewer, error) {
	switch filepath.Ext(file) {
	case ".yaml", ".yml":
		return workload.ReadMix(file)
	}
	return workload.ReadTargets(file)
}

// previewer is a workload that can be shown.
type previewer interface {
	loadgen.Workload
	Preview() loadgen.Source
}

// printWorkload shows the share of each kind, and the first requests.
func printWorkload(w io.Writer, of previewer, first int) error {
	const drawn = 10000 // at least, for the shares
	source, kinds := of.Preview(), of.Kinds()
	count := make([]int, len(kinds))
	var req loadgen.Request
	var shown strings.Builder
	for n := range max(first, drawn) {
		kind := source.Next(&req)
		count[kind]++
		if n < first {
			fmt.Fprintf(&shown, "\n%s\n%s", kinds[kind], indented(req.Wire("SUBJECT")))
		}
	}
	table := texttab.New("kind", "share")
	for kind, name := range kinds {
		table.Add(name, fmt.Sprintf("%.1f%%", percentage(count[kind], max(first, drawn))))
	}
	_, err := fmt.Fprintf(w, "%s\n\n%s%s", of.Name(), table, &shown)
	return err
}

// indented returns a request with each line moved to the right, and what is no text
// quoted.
func indented(text []byte) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\r\n"), "\r\n") {
		if strings.ContainsFunc(line, isUnprintable) {
			line = strconv.Quote(line)
		}
		b.WriteString(strings.TrimRight("  "+strings.ReplaceAll(line, "\n", "\n  "), " ") + "\n")
	}
	return b.String()
}

func isUnprintable(c rune) bool {
	return c != '\n' && c != '\t' && !unicode.IsPrint(c) || c == utf8.RuneError
}
