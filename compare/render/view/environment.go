package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// environment says where and how the variants were recorded, one line per
// variant, what else the machine did, and what could not be had.
func environment(r *compare.Report) []string {
	lines := whereRecorded(r.Variants[0].Manifest)
	for _, v := range r.Variants {
		lines = append(lines, howRecorded(v))
	}
	for _, v := range r.Variants {
		if v.Bottleneck.By == "" {
			continue // a report of before it was told
		}
		lines = append(lines, fmt.Sprintf("throughput of %s was limited by: %s", v.Name, v.Bottleneck))
	}
	recorded := recordings(r)
	return slices.Concat(lines, machines(recorded), unavailable(recorded))
}

func recordings(r *compare.Report) []compare.Recording {
	var all []compare.Recording
	for _, v := range r.Variants {
		all = append(all, v.Recording())
	}
	return all
}

// build says with what and from what a program was built, as far as it tells.
func build(b runfolder.Binary) string {
	text := ""
	if b.GoVersion != "" {
		text += ", " + b.GoVersion
	}
	if b.Commit != "" {
		text += ", commit " + b.Commit[:min(12, len(b.Commit))]
	}
	if b.Dirty {
		text += " with uncommitted changes"
	}
	return text
}

// machines describes the machine during each experiment.
func machines(recorded []compare.Recording) []string {
	var lines []string
	seen := map[string]bool{}
	for _, v := range recorded {
		text := Machine(v.Machine)
		experiment := v.Manifest.Experiment
		if text != "" && !seen[experiment] {
			lines = append(lines, fmt.Sprintf("machine during %s: %s", experiment, text))
		}
		seen[experiment] = true
	}
	return lines
}

// Machine says what else a machine did, in a few words each; it is empty if
// nothing is known.
func Machine(m compare.MachineUse) string {
	var parts []string
	for _, p := range []struct {
		format string
		value  *float64
		unit   float64
	}{
		{"other processes used %.1f%% of the CPUs", m.Others, 100},
		{"the hypervisor withheld %.1f%%", m.Steal, 100},
		{"tasks waited for a CPU %.0f%% of the time", m.Pressure, 100},
		{"%.1f tasks were running or ready between rounds", m.Runnable, 1},
	} {
		if p.value != nil {
			parts = append(parts, fmt.Sprintf(p.format, *p.value*p.unit))
		}
	}
	if len(m.Clocksources) > 0 {
		parts = append(parts, "clocksource "+strings.Join(m.Clocksources, " and "))
	}
	return strings.Join(parts, ", ")
}

// unavailable are the figures that could not be had, each with the reason and
// the runs that it holds for, unless it holds for all.
func unavailable(recorded []compare.Recording) []string {
	names := map[string][]string{}
	for _, v := range recorded {
		for source, reason := range v.Manifest.Unavailable {
			line := fmt.Sprintf("%s: unavailable, %s", source, reason)
			names[line] = append(names[line], v.Name)
		}
	}
	var lines []string
	for _, line := range slices.Sorted(maps.Keys(names)) {
		if of := names[line]; len(of) < len(recorded) {
			line = fmt.Sprintf("%s (%s)", line, strings.Join(of, ", "))
		}
		lines = append(lines, line)
	}
	return lines
}

// commands are what to type to look deeper into the profiles that all variants
// have.
func commands(r *compare.Report) []string {
	var lines []string
	last := r.Variants[len(r.Variants)-1]
	for _, v := range r.Variants {
		for _, kind := range recorded(v) {
			lines = append(lines, fmt.Sprintf("go tool pprof -top -sample_index=%s %s", kind.Value, fileOf(v, kind)))
		}
	}
	for _, kind := range recorded(last) {
		lines = append(lines, fmt.Sprintf("go tool pprof -http=127.0.0.1:9090 -sample_index=%s -diff_base %s %s",
			kind.Value, fileOf(r.Variants[0], kind), fileOf(last, kind)))
	}
	return lines
}

// recorded are the kinds of profiles per operation that a variant has.
func recorded(v compare.Variant) []runfolder.ProfileKind {
	var kinds []runfolder.ProfileKind
	for _, kind := range runfolder.Kinds {
		if kind.PerOperation() && slices.Contains(v.Manifest.Capture.Profiles, kind.Name) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
