package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/render/view"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// showWidth is how many columns show fills at most; only commands, which are
// there to be copied, may be longer.
const showWidth = 100

func (s *shown) text(w io.Writer) error {
	var b strings.Builder
	section := func(title, text string) {
		fmt.Fprintf(&b, "\n%s\n\n", title)
		for line := range strings.Lines(text) {
			b.WriteString("  " + line)
		}
	}
	b.WriteString(wrap(s.headline(), showWidth, ""))
	for _, w := range s.Warnings {
		b.WriteString(wrap(fmt.Sprintf("warning (%s): %s", w.Code, w.Message), showWidth, "  "))
	}
	if s.Bottleneck != nil {
		b.WriteString(wrap(fmt.Sprintf("throughput was limited by: %s", s.Bottleneck), showWidth, "  "))
	}
	section("Run", s.description())
	if s.Totals != nil {
		section("Figures", s.figures())
		section("Throughput over time, ops/s", s.throughput())
		section(s.latencyTitle(), s.latencyTable())
		if agents := compare.Agents(s.Manifest); len(agents) > 0 {
			section("Agents", agentTable(agents))
		}
		for _, t := range s.Profiles {
			section(t.Title+" by function", functionList(t))
		}
	}
	section("To look deeper", s.commands())
	_, err := io.WriteString(w, b.String())
	return err
}

// headline says what the run is and whether it can be relied on.
func (s *shown) headline() string {
	m := s.Manifest
	text := fmt.Sprintf("%s: %s, %d of %d blocks", m.Subject.Name, m.State, len(m.Blocks), m.Plan.Blocks)
	switch {
	case m.State == runfolder.StateRecording:
		text += "; it is still being recorded, or its recorder was killed"
	case m.Reason != "":
		text += ": " + strings.Join(strings.Fields(m.Reason), " ") // it may be of several lines
	}
	return text
}

func (s *shown) description() string {
	m := s.Manifest
	lines := [][2]string{
		{"folder", s.Folder},
		{"label", m.Label},
		{"subject", m.Subject.How()},
		{"binary", describeBinary(m.Subject.Binary)},
		{"load", m.Load.String()},
		{"plan", describePlan(m.Plan)},
		{"recorded", fmt.Sprintf("%s, %v long, with eventobench %s", m.Start.Format("2006-01-02 15:04:05 MST"),
			m.End.Sub(m.Start).Round(time.Second), m.Tool)},
		{"beside", strings.Join(others(m), " ")},
		{"host", describeHost(m.Host)},
		{"agent", describeSubjectAgent(m.SubjectAgent)},
		{"failures", failures(m.Errors)},
	}
	var b strings.Builder
	for _, l := range lines {
		if l[1] != "" {
			b.WriteString(wrap(fmt.Sprintf("%-10s%s", l[0], l[1]), showWidth-2, strings.Repeat(" ", 10)))
		}
	}
	return b.String()
}

// describeSubjectAgent is empty if the recorder started the subject.
func describeSubjectAgent(a *runfolder.SubjectAgent) string {
	if a == nil {
		return ""
	}
	return view.StartedBy(*a)
}

// others are the folders that were recorded together with this one.
func others(m runfolder.Manifest) []string {
	own := m.Experiment + "-" + m.Subject.Name
	return slices.DeleteFunc(slices.Clone(m.Folders), func(folder string) bool { return folder == own })
}

func describeBinary(b runfolder.Binary) string {
	parts := []string{"SHA-256 " + b.SHA256[:min(12, len(b.SHA256))]}
	if b.GoVersion != "" {
		parts = append(parts, b.GoVersion)
	}
	if b.Module != "" {
		parts = append(parts, b.Module+" "+b.Version)
	}
	if b.Commit != "" {
		parts = append(parts, "commit "+b.Commit[:min(12, len(b.Commit))])
	}
	if b.Dirty {
		parts = append(parts, "with uncommitted changes")
	}
	return strings.Join(parts, ", ")
}

func describePlan(p runfolder.Plan) string {
	most := ""
	if p.Sequential {
		most = "up to "
	}
	return fmt.Sprintf("%s%s of %d slices of %v, %s requests of warm-up each, seed %d",
		most, texttab.Count(p.Blocks, "block"), p.Rounds, p.Slice, texttab.Number(float64(p.Warmup), 0), p.Seed)
}

func describeHost(h runfolder.Host) string {
	return fmt.Sprintf("%s, %d of %d CPUs, %s GB of memory, %s/%s, kernel %s",
		h.CPUModel, h.Affinity, h.Cores, texttab.Number(float64(h.Memory)/1e9, 1), h.OS, h.Arch, h.Kernel)
}

// failures lists failed requests by kind, those of warm-ups included.
func failures(byKind map[string]int64) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		parts = append(parts, fmt.Sprintf("%s requests: %s", texttab.Number(float64(byKind[kind]), 0), kind))
	}
	return strings.Join(parts, "; ")
}

// figures are the exact ones; below them stands why any are unavailable.
func (s *shown) figures() string {
	t := s.Totals
	table := texttab.New("figure", "unit", "value")
	table.Add("requests", "", texttab.Number(float64(t.TotalOps), 0))
	table.Add("failed requests", "", texttab.Number(float64(t.Errors), 0))
	if o := t.OpenLoop; o != nil {
		table.Add("rate asked for", "1/s", texttab.Number(o.RatePerSec, 0))
		table.Add("due, never sent", "", texttab.Number(float64(o.Missed), 0))
		table.Add("sent over 1 ms late", "", texttab.Number(float64(o.Late), 0))
		table.Add("sent late by at most", "ms", texttab.Number(o.MaxLateMs, 1))
	}
	missing := map[runfolder.Source]bool{}
	for _, value := range s.Metrics {
		m, _ := compare.FindMetric(value.ID)
		table.Add(m.Label, m.Unit, texttab.Optional(value.Value, m.Decimals))
		missing[m.Source] = missing[m.Source] || value.Value == nil
	}
	table.Add("CPU of the generator", "us/op", texttab.Number(t.GeneratorCPUPerOp, 2))
	text := table.String()
	for _, source := range slices.Sorted(maps.Keys(missing)) {
		if reason := s.Manifest.Unavailable[source]; reason != "" {
			text += wrap(fmt.Sprintf("unavailable for lack of %s: %s", source, reason), showWidth-2, "  ")
		}
	}
	return text
}

// throughput draws the slices as bars, blocks set apart from each other, as
// many slices a bar as it takes to fit.
func (s *shown) throughput() string {
	const least = 4 // bars a block
	blocks, rounds := len(s.Manifest.Blocks), s.Manifest.Plan.Rounds
	lines := (blocks*(least+1) + showWidth - 3) / (showWidth - 2)
	perLine := (blocks + lines - 1) / lines
	bars := min(rounds, (showWidth-2+1)/perLine-1)
	rates := make([]float64, 0, blocks*bars)
	for b := range blocks {
		samples := s.run.BlockSlices(b)
		for i := range bars {
			rates = append(rates, opsPerSec(samples[i*rounds/bars:(i+1)*rounds/bars]))
		}
	}
	low, high := slices.Min(rates), slices.Max(rates)
	var text strings.Builder
	for b := range blocks {
		for _, rate := range rates[b*bars : (b+1)*bars] {
			text.WriteRune(texttab.Bar(rate, low, high))
		}
		switch {
		case b == blocks-1 || (b+1)%perLine == 0:
			text.WriteByte('\n')
		default:
			text.WriteString("│")
		}
	}
	fmt.Fprintf(&text, "▁ is %s, █ is %s; a bar is %s, │ parts blocks\n", texttab.Number(low, 0),
		texttab.Number(high, 0), barWidth(rounds, bars))
	return text.String()
}

func barWidth(rounds, bars int) string {
	switch {
	case rounds == bars:
		return "a slice"
	case rounds%bars == 0:
		return fmt.Sprintf("%d slices", rounds/bars)
	}
	return fmt.Sprintf("%d or %d slices", rounds/bars, rounds/bars+1)
}

func (s *shown) latencyTitle() string {
	if s.Manifest.Load.Open() {
		return "Latency from when a request was due, ms"
	}
	return "Latency, ms"
}

func (s *shown) latencyTable() string {
	table := texttab.New("requests", "number", "mean", "p50", "p90", "p99", "p99.9", "max")
	for _, l := range s.Latency {
		row := []string{l.Kind, texttab.Number(float64(l.Requests), 0)}
		for _, ms := range []float64{l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
			row = append(row, texttab.Number(ms, 3))
		}
		table.Add(row...)
	}
	return table.String()
}

// agentTable shows what each agent did, and how it kept time with the others.
func agentTable(agents []compare.AgentSum) string {
	ms := func(d time.Duration) string { return texttab.Number(d.Seconds()*1e3, 3) }
	table := texttab.New("agent", "cores", "blocks", "requests", "mean ms", "CPU",
		"skew ms p95", "max", "clock ± ms", "round trip ms")
	for _, a := range agents {
		table.Add(a.Name, strconv.Itoa(a.Cores), strconv.Itoa(a.Blocks), texttab.Number(float64(a.Ops), 0),
			ms(a.MeanLatency()), texttab.Number(a.CPUUse()*100, 0)+"%", ms(a.UsualSkew()), ms(a.MaxSkew()),
			ms(a.ClockError), ms(a.RoundTrip))
	}
	return table.String()
}

// functionList lists the largest functions of a table, and relates its sampled
// total to the exact one.
func functionList(t profdiff.FunctionTable) string {
	const nameWidth = 66
	rows := t.Printed()
	for i := range rows {
		rows[i].Name = clipFront(rows[i].Name, nameWidth)
	}
	return view.FunctionTable(t, "function", rows).String() + view.Reconcile(t) + "\n"
}

// commands are what to type next.
func (s *shown) commands() string {
	file := func(name string) string { return filepath.Join(s.Folder, name) }
	var lines []string
	if s.Totals != nil {
		lines = append(lines,
			"eventobench view "+s.Folder,
		)
		for _, kind := range runfolder.Kinds {
			if kind.PerOperation() && s.run.Recorded(kind) {
				lines = append(lines, fmt.Sprintf("go tool pprof -top -sample_index=%s %s", kind.Value, file(kind.File)))
			}
		}
		if dirs := s.siblings(); len(dirs) > 1 {
			lines = append(lines, "eventobench compare "+strings.Join(dirs, " "))
		}
	}
	return strings.Join(append(lines, "less "+file(runfolder.FileServerLog)), "\n") + "\n"
}

// siblings are the folders of the experiment, this one included, if they are
// all still there.
func (s *shown) siblings() []string {
	var dirs []string
	for _, name := range s.Manifest.Folders {
		dir := filepath.Join(filepath.Dir(filepath.Clean(s.Folder)), name)
		if _, err := os.Stat(dir); err != nil {
			return nil
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// wrap breaks text between words so that its lines are at most width columns,
// the second and further ones behind an indent. A longer word has a line of
// its own.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && column+1+n > width:
			b.WriteString("\n" + indent)
			column = utf8.RuneCountInString(indent)
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + "\n"
}

// clipFront shortens a function's name to its end, which tells more than the
// path it begins with.
func clipFront(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	return "…" + string(runes[len(runes)-width+1:])
}
