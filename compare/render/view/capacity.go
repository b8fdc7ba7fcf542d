package view

import (
	"fmt"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Capacity is a report of capacities as every format shows it.
type Capacity struct {
	Title    string
	Ratios   []CapacityVerdict
	Summary  []string
	Warnings []compare.Warning
	Results  [][]string // a table, its header first
	Curves   []CapacityCurve
	How      []string
}

// CapacityVerdict is the verdict on one ratio.
type CapacityVerdict struct {
	Base, Head, Text string
	Badge            Badge
}

// CapacityCurve is latency against rate of one subject.
type CapacityCurve struct {
	compare.SubjectCapacity
	Steps [][]string // a table, its header first: trials of similar rates together
}

// NewCapacity shows a report.
func NewCapacity(r *compare.CapacityReport) Capacity {
	c := Capacity{
		Title: "Capacity at " + r.Limits.String(), Summary: r.Summary, Warnings: r.Warnings,
		Results: capacityTable(r), How: capacityHow(r),
	}
	for _, ratio := range r.Ratios {
		text := ratio.Change.String()
		if ratio.Doubt != "" {
			text += ": " + ratio.Doubt
		}
		c.Ratios = append(c.Ratios, CapacityVerdict{
			Base: ratio.Base, Head: ratio.Head, Text: text, Badge: Badge{string(ratio.Verdict), string(ratio.Verdict)},
		})
	}
	for _, s := range r.Subjects {
		c.Curves = append(c.Curves, CapacityCurve{s, capacitySteps(s)})
	}
	return c
}

func capacityTable(r *compare.CapacityReport) [][]string {
	rows := [][]string{{"subject", "capacity", "CPU server", "generator", "idle", "held by"}}
	for _, s := range r.Subjects {
		server, generator, idle := "unavailable", "unavailable", "unavailable"
		if s.Shares != nil {
			server, generator, idle = percent(s.Shares.Server), percent(s.Shares.Generator), percent(s.Shares.Idle)
		}
		rows = append(rows, []string{s.Name, s.Text(), server, generator, idle, string(s.Bottleneck)})
	}
	return rows
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }

// capacitySteps are the trials by rate, a row for all whose rates are within a few
// percent: those near the capacity are many.
func capacitySteps(s compare.SubjectCapacity) [][]string {
	const width = 1.04
	rows := [][]string{{"rate, /s", "of capacity", "trials", "within", "p50 ms", "p99 ms", "p99.9 ms", "failed or not sent"}}
	for first := 0; first < len(s.Curve); {
		last := first
		for last < len(s.Curve) && s.Curve[last].Rate <= s.Curve[first].Rate*width {
			last++
		}
		rows = append(rows, capacityStep(s, s.Curve[first:last]))
		first = last
	}
	return rows
}

func capacityStep(s compare.SubjectCapacity, trials []compare.CapacityTrial) []string {
	var mean compare.CapacityTrial
	met := 0
	n := float64(len(trials))
	for _, t := range trials {
		mean.Rate += t.Rate / n
		mean.P50Ms += t.P50Ms / n
		mean.P99Ms += t.P99Ms / n
		mean.P999Ms += t.P999Ms / n
		mean.Unanswered += t.Unanswered
		if t.Met {
			met++
		}
	}
	return []string{
		texttab.Number(mean.Rate, 0), percent(mean.Rate / s.Rate), texttab.Number(n, 0), fmt.Sprint(met),
		texttab.Number(mean.P50Ms, 3), texttab.Number(mean.P99Ms, 3), texttab.Number(mean.P999Ms, 3),
		texttab.Number(float64(mean.Unanswered), 0),
	}
}

func capacityHow(r *compare.CapacityReport) []string {
	h, by := r.Host, ""
	if len(r.Agents) > 0 {
		by = ", made by " + strings.Join(r.Agents, " and ")
	}
	return append(subjectsHow(r), []string{
		fmt.Sprintf("host: %s, %s, %d CPUs for it, kernel %s", h.CPUModel, h.Arch, h.Affinity, h.Kernel),
		fmt.Sprintf("load: %s, open loop, %d workers%s", r.Load, r.Workers, by),
		fmt.Sprintf("%s of %d trials of %v each that count, after those that found where to look; seed %d",
			texttab.Count(r.Blocks, "block"), r.Plan.Rounds, r.Plan.Slice, r.Plan.Seed),
		fmt.Sprintf("intervals of %.1f%%: what fresh processes differ by is in them, what machines differ by is not",
			r.Subjects[0].Level*100),
	}...)
}

// subjectsHow is a line about who started the subjects, if that was not the recorder.
func subjectsHow(r *compare.CapacityReport) []string {
	if r.SubjectAgent == nil {
		return nil
	}
	return []string{"agent: " + StartedBy(*r.SubjectAgent)}
}

// StartedBy tells which agent started a subject, and where.
func StartedBy(a runfolder.SubjectAgent) string {
	if a.Elsewhere {
		return a.Name + " started the subject, on another machine than the recorder's"
	}
	return a.Name + " started the subject, on the recorder's machine"
}
