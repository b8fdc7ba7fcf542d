package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/render"
)

// gateResult is where the result of a gate goes.
type gateResult struct {
	format     string
	out        string   // of format; stdout if empty
	more       []string // FORMAT=FILE
	history    historyFlag
	programs   string // folder that receives the programs that were built
	repository string // its URL, for links
}

// reportFormat is the one of the formats of --write that is not the gate's: the
// page that "eventobench report" writes.
const reportFormat = "html"

var writtenFormats = append(slices.Clone(render.GateFormats), reportFormat)

func (r *gateResult) addFlags(f *pflag.FlagSet) {
	f.StringVar(&r.format, "format", "text", strings.Join(render.GateFormats, ", "))
	f.StringVar(&r.out, "report", "", "file to write the result to, instead of stdout")
	f.StringArrayVar(&r.more, "write", nil,
		"FORMAT=FILE: write the result to a file in another format too, or as a page (html); repeatable")
	f.StringVar(&r.programs, "programs", "",
		"folder that receives the programs of go: and git: subjects, by the subjects' names")
	f.StringVar(&r.repository, "repository", repositoryURL(),
		"URL of the repository on GitHub or GitLab, for links; in their CI it is known")
	f.Lookup("repository").DefValue = ""
	r.history.addFlag(f)
}

// repositoryURL is what GitHub Actions, or GitLab's CI, says of it.
func repositoryURL() string {
	server, name := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY")
	if server != "" && name != "" {
		return server + "/" + name
	}
	return os.Getenv("CI_PROJECT_URL")
}

// check is an error if the result could not be written, before anything is
// measured.
func (r gateResult) check() error {
	if !slices.Contains(render.GateFormats, r.format) {
		return render.UnknownFormat(r.format, render.GateFormats)
	}
	for _, text := range r.more {
		format, file, _ := strings.Cut(text, "=")
		if !slices.Contains(writtenFormats, format) || file == "" {
			return fmt.Errorf("--write %q: write FORMAT=FILE, such as junit=gate.xml; the formats are %s", text,
				strings.Join(writtenFormats, ", "))
		}
	}
	return r.history.check()
}

func (r gateResult) needsCharts() bool {
	return slices.ContainsFunc(r.more, func(text string) bool { return strings.HasPrefix(text, reportFormat+"=") })
}

// outcome is what a gate found, and what of it the gate's own formats do not show.
type outcome struct {
	compare.Gate
	records []history.Record
	page    func(w io.Writer) error // in reportFormat
}

// write writes the result to wherever it shall go.
func (r gateResult) write(cmd *cobra.Command, o outcome) error {
	o.Repository = r.repository
	if err := r.history.add(o.records); err != nil {
		return err
	}
	for _, text := range append([]string{r.format + "=" + r.out}, r.more...) {
		format, file, _ := strings.Cut(text, "=")
		err := writeOutput(cmd, file, func(w io.Writer) error {
			if format == reportFormat {
				return o.page(w)
			}
			return render.Gate(w, o.Gate, format)
		})
		if err != nil {
			return err
		}
	}
	return r.stepSummary(o.Gate)
}

// stepSummary adds the result to the summary of a GitHub Actions step, if there is
// one: what a comment on the pull request would say.
func (r gateResult) stepSummary(g compare.Gate) error {
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if r.format != "github" || path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("writing the step summary: %w", err)
	}
	return errors.Join(render.Gate(f, g, "comment"), f.Close())
}

// verdictError gives the gate's verdict as an error with its exit code.
func verdictError(g compare.Gate, inconclusive string) error {
	metrics, why := blamed(g)
	switch {
	case g.Verdict == compare.Regressed:
		return exitError{exitRegressed, fmt.Sprintf("%s regressed in %s", g.Head, strings.Join(metrics, ", "))}
	case g.Verdict == compare.Inconclusive && inconclusive == "fail" && g.NullControl.Failed():
		return exitError{exitInconclusive, fmt.Sprintf("%s: inconclusive, as the base moved against itself in %s; "+
			"find out what disturbs the measurement, --inconclusive=pass lets it through",
			g.Head, strings.Join(g.NullControl.Moved, " and "))}
	case g.Verdict == compare.Inconclusive && inconclusive == "fail":
		return exitError{exitInconclusive, fmt.Sprintf("%s: inconclusive in %s; %s, --inconclusive=pass lets it through",
			g.Head, strings.Join(metrics, ", "), cmp.Or(why, "more blocks may tell (--max-blocks)"))}
	}
	return nil
}

// blamed are the metrics that the verdict is from and, if all of them are doubted for
// something, the reasons. A search has no other number of blocks than the one that was
// asked for.
func blamed(g compare.Gate) (metrics []string, why string) {
	var reasons []string
	for _, m := range g.Metrics {
		if m.Verdict != g.Verdict || m.Waived {
			continue
		}
		metrics = append(metrics, string(m.ID))
		reason := m.Doubt
		switch {
		case m.Change == nil && m.Doubt == "":
			reason = m.Unavailable
		case g.OfCapacity() && m.Doubt == "":
			reason = "more blocks may tell (--blocks)"
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	if slices.Contains(reasons, "") {
		return metrics, ""
	}
	return metrics, strings.Join(reasons, "; ")
}
