package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/transport"
)

// The themes that --help groups flags by, in its order. Flags without one come
// last, under themeOther.
const (
	themeMeasure  = "What to measure"
	themeLoad     = "Load"
	themeAgents   = "Agents, and other machines"
	themeLength   = "How long"
	themeJudge    = "How to judge"
	themeProfiles = "Profiles"
	themeOutput   = "Output"
	themeOther    = "Other"
)

var themes = []string{themeMeasure, themeLoad, themeAgents, themeLength, themeJudge, themeProfiles, themeOutput}

// themeKey is the annotation of a flag that has a theme.
const themeKey = "eventobench_theme"

// theme puts the flags that register adds under a heading of --help, but for those
// that have one already.
func theme(f *pflag.FlagSet, name string, register func(f *pflag.FlagSet)) {
	known := map[string]bool{}
	f.VisitAll(func(flag *pflag.Flag) { known[flag.Name] = true })
	register(f)
	f.VisitAll(func(flag *pflag.Flag) {
		if known[flag.Name] || flag.Annotations[themeKey] != nil {
			return
		}
		if flag.Annotations == nil {
			flag.Annotations = map[string][]string{}
		}
		flag.Annotations[themeKey] = []string{name}
	})
}

func themeOf(flag *pflag.Flag) string {
	if name := flag.Annotations[themeKey]; len(name) == 1 {
		return name[0]
	}
	return themeOther
}

// flagUsages describes flags, under headings if they have themes.
func flagUsages(all *pflag.FlagSet) string {
	sets := map[string]*pflag.FlagSet{}
	all.VisitAll(func(flag *pflag.Flag) {
		name := themeOf(flag)
		if sets[name] == nil {
			sets[name] = pflag.NewFlagSet(name, pflag.ContinueOnError)
		}
		sets[name].AddFlag(flag)
	})
	if len(sets) == 1 && sets[themeOther] != nil {
		return "Flags:\n" + usages(all)
	}
	var parts []string
	for _, name := range append(slices.Clone(themes), themeOther) {
		if set := sets[name]; set != nil {
			parts = append(parts, name+":\n"+usages(set))
		}
	}
	return strings.Join(parts, "\n\n")
}

// helpWidth is that of the lines of --help, in columns.
const helpWidth = 100

// usages describes flags without a heading. That a flag is repeatable is in its
// description, so its type is that of one value.
func usages(f *pflag.FlagSet) string {
	text := strings.ReplaceAll(f.FlagUsagesWrapped(helpWidth), "stringArray", "string     ")
	return strings.TrimRight(text, "\n")
}

// addHelp makes the commands below root group their flags, and complete the
// values of those that have known ones.
func addHelp(root *cobra.Command) {
	const flat = "Flags:\n{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}"
	cobra.AddTemplateFunc("flagUsages", flagUsages)
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), flat, "{{flagUsages .LocalFlags}}", 1))
	for _, cmd := range root.Commands() {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			if values := knownValues(cmd.Name(), flag.Name); values != nil {
				complete(cmd, flag.Name, values)
			}
		})
	}
}

// formats are those of the commands that have a choice.
var formats = map[string][]string{
	"compare":  render.Formats,
	"capacity": render.PageFormats,
	"gate":     render.GateFormats,
	"diff":     render.PageFormats,
	"show":     {"text", "json"},
	"history":  render.HistoryFormats,
}

// knownValues are the values that a flag may have, or may begin with; nil if any.
func knownValues(command, flag string) []string {
	switch flag {
	case "transport":
		return transportNames()
	case "subject", "base", "head":
		return subjectBeginnings()
	case "protocol":
		return []string{string(loadgen.JSON), string(loadgen.Protobuf)}
	case "codec":
		return codecNames()
	case "sync":
		return []string{"full", "normal", "off"}
	case "batch":
		return []string{"on", "off"}
	case "arrivals":
		return []string{"poisson", "constant"}
	case "inconclusive":
		return []string{"fail", "pass"}
	case "metric-set":
		return metricSets()
	case "metric":
		return append(metricNames(func(compare.Metric) bool { return true }, ""), capacityPrefix+"p99=")
	case "tolerance":
		return metricNames(func(m compare.Metric) bool { return m.Gated }, "=")
	case "profiles":
		return profileNames()
	case "format":
		return formats[command]
	}
	return nil
}

// subjectBeginnings are the subjects of the project by name, the kinds of others, and
// the transports of our store.
func subjectBeginnings() []string {
	var all []string
	project, err := readProject("")
	if err == nil { // of a file that is damaged nothing is proposed
		for _, s := range project.Subjects {
			name, _, _ := strings.Cut(s, "=")
			all = append(all, name)
		}
	}
	for _, kind := range []string{
		subject.KindExec, subject.KindURL, subject.KindGo, subject.KindGit, subject.KindBuiltin,
	} {
		all = append(all, kind+":")
	}
	return append(all, transportNames()...)
}

func codecNames() []string {
	var names []string
	for _, c := range server.Codecs() {
		names = append(names, string(c))
	}
	return names
}

func transportNames() []string {
	var names []string
	for _, k := range transport.Kinds() {
		names = append(names, string(k))
	}
	return names
}

func metricSets() []string {
	var names []string
	for _, s := range compare.MetricSets {
		names = append(names, string(s))
	}
	return names
}

// metricNames are the metrics that can be gated and pass a test, each with an
// ending.
func metricNames(wanted func(compare.Metric) bool, ending string) []string {
	var names []string
	for _, m := range compare.Metrics {
		if m.Better != compare.Neutral && wanted(m) {
			names = append(names, string(m.ID)+ending)
		}
	}
	return names
}

// profileNames are the kinds that are recorded only if asked for, and none.
func profileNames() []string {
	names := []string{"none"}
	for _, k := range runfolder.Kinds {
		if !k.Default && k.Served() {
			names = append(names, k.Name)
		}
	}
	return names
}

// complete lets a shell complete a flag's values, also after a comma in a list
// of them.
func complete(cmd *cobra.Command, flag string, values []string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string,
		cobra.ShellCompDirective) {
		begun := typed[:strings.LastIndexByte(typed, ',')+1]
		var all []string
		for _, v := range values {
			if strings.HasPrefix(begun+v, typed) {
				all = append(all, begun+v)
			}
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if len(all) == 1 && strings.HasSuffix(all[0], "=") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return all, directive
	})
	if err != nil {
		panic(fmt.Sprintf("completion of --%s: %v", flag, err)) // it is registered twice
	}
}
