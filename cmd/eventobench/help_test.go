package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/server/transport"
)

func TestTheme(t *testing.T) {
	f := pflag.NewFlagSet("x", pflag.ContinueOnError)
	f.Int("before", 0, "")
	theme(f, themeMeasure, func(f *pflag.FlagSet) {
		f.Int("outer", 0, "")
		theme(f, themeLoad, func(f *pflag.FlagSet) { f.Int("inner", 0, "") })
	})
	for name, want := range map[string]string{"before": themeOther, "outer": themeMeasure, "inner": themeLoad} {
		if got := themeOf(f.Lookup(name)); got != want {
			t.Errorf("%s has theme %q, want %q", name, got, want)
		}
	}
	text := flagUsages(f)
	var headings []string
	for line := range strings.Lines(text) {
		if heading, found := strings.CutSuffix(line, ":\n"); found {
			headings = append(headings, heading)
		}
	}
	if want := []string{themeMeasure, themeLoad, themeOther}; !slices.Equal(headings, want) {
		t.Errorf("headings %q, want %q in\n%s", headings, want, text)
	}
}

// help is what a command prints for --help.
func help(t *testing.T, command string) string {
	t.Helper()
	root := newRootCmd()
	var b bytes.Buffer
	root.SetOut(&b)
	root.SetArgs([]string{command, "--help"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHelpShowsEveryFlag holds that grouping loses no flag and repeats none, and
// that the large commands have themes.
func TestHelpShowsEveryFlag(t *testing.T) {
	for _, cmd := range newRootCmd().Commands() {
		text := help(t, cmd.Name())
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			described := regexp.MustCompile(`(?m)^ +(-\w, )?--`+flag.Name+` `).FindAllString(text, -1)
			if n := len(described); n != 1 && !flag.Hidden {
				t.Errorf("%s: --%s is described %d times", cmd.Name(), flag.Name, n)
			}
		})
		for line := range strings.Lines(flagUsages(cmd.LocalFlags())) {
			if n := utf8.RuneCountInString(line); n > helpWidth+10 { // a default value is not broken
				t.Errorf("%s: a line of %d columns: %s", cmd.Name(), n, line)
			}
		}
	}
	for command, headings := range map[string][]string{
		"run":      {themeMeasure, themeLoad, themeLength, themeOutput, themeOther},
		"gate":     {themeMeasure, themeLoad, themeLength, themeJudge, themeOutput, themeOther},
		"selftest": {themeMeasure, themeLoad, themeLength, themeOutput, themeOther},
		"compare":  {themeProfiles, themeOutput, themeOther},
		"list":     {"Flags"},
	} {
		text := help(t, command)
		for _, heading := range headings {
			if strings.Count(text, "\n"+heading+":\n") != 1 {
				t.Errorf("%s --help lacks %q:\n%s", command, heading, text)
			}
		}
	}
}

// completions are what a shell is offered for a flag's value.
func completions(t *testing.T, args ...string) []string {
	t.Helper()
	root := newRootCmd()
	var b bytes.Buffer
	root.SetOut(&b)
	root.SetErr(&bytes.Buffer{})
	root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, args...))
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	return lines[:len(lines)-1] // the last is for the shell
}

func TestCompletion(t *testing.T) {
	tests := []struct {
		args []string
		want []string
	}{
		{[]string{"run", "--transport", ""}, []string{"nethttp", "fasthttp", "fasthttp-adapter"}},
		{[]string{"run", "--transport", "nethttp,fast"}, []string{"nethttp,fasthttp", "nethttp,fasthttp-adapter"}},
		{[]string{"run", "--codec="}, []string{"raw", "std", "jsonv2", "segmentio"}},
		{[]string{"run", "--profiles", "m"}, []string{"mutex"}},
		{[]string{"gate", "--tolerance", "ops"}, []string{"ops_per_sec="}},
		{[]string{"gate", "--metric", "latency_p9"}, []string{"latency_p90", "latency_p99", "latency_p999"}},
		{[]string{"gate", "--base", "net"}, []string{"nethttp"}},
		{[]string{"gate", "--head", "g"}, []string{"green", "go:", "git:"}},
		{[]string{"gate", "--format", "j"}, []string{"json", "junit"}},
		{[]string{"compare", "--format", "h"}, []string{"html"}},
		{[]string{"history", "--format", "s"}, []string{"svg"}},
		{[]string{"diff", "--format", ""}, []string{"text", "md", "html", "json"}},
	}
	path := writeConfig(t, "subjects:\n  green: git:main\n")
	t.Chdir(filepath.Dir(path))
	if err := os.Rename(path, defaultConfig); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		if got := completions(t, tt.args...); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.args, got, tt.want)
		}
	}
}

// TestKnownValuesAreAccepted holds the completed values against what reads them.
func TestKnownValuesAreAccepted(t *testing.T) {
	for _, name := range knownValues("run", "transport") {
		if _, err := transport.Parse(name); err != nil {
			t.Error(err)
		}
	}
	c := compare.DefaultCriteria()
	for _, name := range knownValues("gate", "metric") {
		if isCapacity(name) {
			if _, _, err := parseCapacity(name + "5ms"); err != nil {
				t.Error(err)
			}
			continue
		}
		if err := gateMetric(&c, name, ""); err != nil {
			t.Error(err)
		}
	}
	for _, name := range knownValues("gate", "tolerance") {
		if _, gated := compare.DefaultCriteria().Rules[compare.MetricID(strings.TrimSuffix(name, "="))]; !gated {
			t.Errorf("--tolerance=%s is not of a gated metric", name)
		}
	}
}
