package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

func newShowCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show DIR",
		Short: "Show one run folder in the terminal",
		Long: `Show tells what one run was and what it found: its figures, throughput over time,
latency by kind of request, the functions that used the CPU and those that
allocated, warnings, and the commands to look deeper.

Runs that were interrupted, failed or are still being recorded are shown as far
as they go, with the reason. What a run could not measure is "unavailable".

Exit codes: 0 shown; 2 the folder is missing, damaged, or from a newer version.`,
		Example: `  eventobench show profiles/20261124_120000-fasthttp
  eventobench show --format=json profiles/20261124_120000-fasthttp | jq .totals.ops_per_sec`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("unknown format %q; use text, json", format)
			}
			run, err := runfolder.Open(args[0])
			if err != nil {
				return err
			}
			s, err := newShown(run)
			if err != nil {
				return err
			}
			if format == "json" {
				return s.json(cmd.OutOrStdout())
			}
			return s.text(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, json")
	return cmd
}

// shown is one run as it is shown. A run without a complete block has only its
// folder and manifest.
type shown struct {
	Folder      string                 `json:"folder"`
	Manifest    runfolder.Manifest     `json:"manifest"`
	Warnings    []compare.Warning      `json:"warnings"`
	Totals      *runfolder.Totals      `json:"totals"`
	Latency     []kindLatency          `json:"latency"`
	Slices      []sliceRate            `json:"slices"`
	CPU         *compare.FunctionTable `json:"cpu"`
	Allocations *compare.FunctionTable `json:"allocations"`

	run *runfolder.Run
}

// kindLatency is the latency of one kind of request, or of "all", in ms. That
// of an open loop counts from when requests were due, but for the row "all,
// from sending".
type kindLatency struct {
	Kind     string  `json:"kind"`
	Requests int64   `json:"requests"`
	Mean     float64 `json:"mean_ms"`
	P50      float64 `json:"p50_ms"`
	P90      float64 `json:"p90_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p999_ms"`
	Max      float64 `json:"max_ms"`
}

// sliceRate is the throughput of one slice.
type sliceRate struct {
	Block     int     `json:"block"`
	Round     int     `json:"round"`
	OpsPerSec float64 `json:"ops_per_sec"`
}

func newShown(run *runfolder.Run) (*shown, error) {
	s := &shown{Folder: run.Dir, Manifest: run.Manifest, run: run}
	if len(run.Manifest.Blocks) == 0 {
		return s, nil
	}
	v, warnings, err := compare.Single(run.Dir)
	if err != nil {
		return nil, err
	}
	s.CPU, s.Allocations, s.Totals, s.Warnings = &v.CPU, &v.Allocations, &v.Totals, warnings
	s.Latency = latencies(run)
	for _, sample := range run.Slices {
		s.Slices = append(s.Slices, sliceRate{sample.Block, sample.Round, opsPerSec([]runfolder.Slice{sample})})
	}
	return s, nil
}

// latencies are those of all requests and, if there are several, of each kind.
func latencies(run *runfolder.Run) []kindLatency {
	sum := make([]time.Duration, len(run.Manifest.Load.Kinds))
	var total time.Duration
	for _, sample := range run.Slices {
		total += sample.Latency()
		for k, kind := range sample.Kinds {
			sum[k] += kind.Latency
		}
	}
	rows := []kindLatency{newKindLatency("all", run.Latency.All(), total)}
	if run.Manifest.Load.Open() {
		sent := run.Sent.All()
		rows = append(rows, newKindLatency("all, from sending", sent, time.Duration(sent.Mean()*float64(sent.TotalCount()))))
	}
	if len(sum) == 1 {
		return rows
	}
	for k, kind := range run.Manifest.Load.Kinds {
		rows = append(rows, newKindLatency(kind, run.Latency.Kind(k), sum[k]))
	}
	return rows
}

// newKindLatency takes the mean from the sum, the rest from the histogram.
func newKindLatency(kind string, h *hdrhistogram.Histogram, sum time.Duration) kindLatency {
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	return kindLatency{
		Kind: kind, Requests: h.TotalCount(), Mean: ms(int64(sum)) / float64(max(h.TotalCount(), 1)),
		P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)), P99: ms(h.ValueAtQuantile(99)), P999: ms(h.ValueAtQuantile(99.9)),
		Max: ms(h.Max()),
	}
}

// opsPerSec is the throughput of several slices together.
func opsPerSec(samples []runfolder.Slice) float64 {
	var ops int64
	var d time.Duration
	for _, s := range samples {
		ops += s.Ops()
		d += s.Duration
	}
	return float64(ops) / d.Seconds()
}

func (s *shown) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(s)
}

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
	section("Run", s.description())
	if s.Totals != nil {
		section("Figures", s.figures())
		section("Throughput over time, ops/s", s.throughput())
		section(s.latencyTitle(), s.latencyTable())
		section("CPU time by function", functionList(s.CPU))
		section("Allocations by function", functionList(s.Allocations))
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
		{"subject", strings.Join(m.Subject.Command, " ")},
		{"binary", describeBinary(m.Subject.Binary)},
		{"load", m.Load.String()},
		{"plan", describePlan(m.Plan)},
		{"recorded", fmt.Sprintf("%s, %v long, with eventobench %s", m.Start.Format("2006-01-02 15:04:05 MST"), m.End.Sub(m.Start).Round(time.Second), m.Tool)},
		{"beside", strings.Join(others(m), " ")},
		{"host", describeHost(m.Host)},
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
	return fmt.Sprintf("%s%d blocks of %d slices of %v, %s requests of warm-up each, seed %d",
		most, p.Blocks, p.Rounds, p.Slice, compare.Number(float64(p.Warmup), 0), p.Seed)
}

func describeHost(h runfolder.Host) string {
	return fmt.Sprintf("%s, %d of %d CPUs, %s GB of memory, %s/%s, kernel %s",
		h.CPUModel, h.Affinity, h.Cores, compare.Number(float64(h.Memory)/1e9, 1), h.OS, h.Arch, h.Kernel)
}

// failures lists failed requests by kind, those of warm-ups included.
func failures(byKind map[string]int64) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		parts = append(parts, fmt.Sprintf("%s requests: %s", compare.Number(float64(byKind[kind]), 0), kind))
	}
	return strings.Join(parts, "; ")
}

// figures are the exact ones; below them stands why any are unavailable.
func (s *shown) figures() string {
	t := s.Totals
	table := compare.NewTable("figure", "unit", "value")
	table.Add("throughput", "ops/s", compare.Number(t.OpsPerSec, 0))
	table.Add("requests", "", compare.Number(float64(t.TotalOps), 0))
	table.Add("failed requests", "", compare.Number(float64(t.Errors), 0))
	if o := t.OpenLoop; o != nil {
		table.Add("rate asked for", "1/s", compare.Number(o.RatePerSec, 0))
		table.Add("due, never sent", "", compare.Number(float64(o.Missed), 0))
		table.Add("sent over 1 ms late", "", compare.Number(float64(o.Late), 0))
		table.Add("sent late by at most", "ms", compare.Number(o.MaxLateMs, 1))
	}
	table.Add("CPU", "us/op", compare.Optional(t.CPUPerOp, 2))
	table.Add("CPU of the generator", "us/op", compare.Number(t.GeneratorCPUPerOp, 2))
	table.Add("allocated", "B/op", compare.Optional(t.AllocBytesPerOp, 0))
	table.Add("allocations", "allocs/op", compare.Optional(t.AllocsPerOp, 2))
	table.Add("GC cycles", "in all", scaled(t.GCCycles, 1, 0))
	table.Add("GC pauses", "ms in all", compare.Optional(t.GCPauseMs, 3))
	table.Add("heap, peak", "MB", scaled(t.HeapPeakBytes, 1e6, 1))
	table.Add("memory, peak", "MB", scaled(t.RSSPeakBytes, 1e6, 1))
	table.Add("goroutines", "at the end", compare.Number(float64(t.Goroutines), 0))
	text := table.String()
	for _, source := range []runfolder.Source{runfolder.SourceCPUClock, runfolder.SourceMemStats, runfolder.SourceRSS} {
		if reason, missing := s.Manifest.Unavailable[source]; missing {
			text += wrap(fmt.Sprintf("unavailable for lack of %s: %s", source, reason), showWidth-2, "  ")
		}
	}
	return text
}

// scaled prints a count that a run may not have, in a larger unit.
func scaled(v *int64, unit float64, decimals int) string {
	if v == nil {
		return compare.Optional(nil, decimals)
	}
	return compare.Number(float64(*v)/unit, decimals)
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
			text.WriteRune(bar(rate, low, high))
		}
		switch {
		case b == blocks-1 || (b+1)%perLine == 0:
			text.WriteByte('\n')
		default:
			text.WriteString("│")
		}
	}
	fmt.Fprintf(&text, "▁ is %s, █ is %s; a bar is %s, │ parts blocks\n", compare.Number(low, 0), compare.Number(high, 0), barWidth(rounds, bars))
	return text.String()
}

// bar is a block character as high as v stands between low and high.
func bar(v, low, high float64) rune {
	levels := []rune("▁▂▃▄▅▆▇█")
	if high == low {
		return levels[len(levels)/2]
	}
	return levels[int((v-low)/(high-low)*float64(len(levels)-1)+0.5)]
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
	table := compare.NewTable("requests", "number", "mean", "p50", "p90", "p99", "p99.9", "max")
	for _, l := range s.Latency {
		row := []string{l.Kind, compare.Number(float64(l.Requests), 0)}
		for _, ms := range []float64{l.Mean, l.P50, l.P90, l.P99, l.P999, l.Max} {
			row = append(row, compare.Number(ms, 3))
		}
		table.Add(row...)
	}
	return table.String()
}

// functionList lists the largest functions of a table, and how its sampled
// total stands to the exact one.
func functionList(t *compare.FunctionTable) string {
	const nameWidth = 66
	header := []string{"function", t.Unit, "share"}
	if t.Total.Allocs > 0 {
		header = append(header, "allocs/op")
	}
	table := compare.NewTable(header...)
	rows := slices.Clone(t.Functions)
	if t.Rest.Name != "" {
		rows = append(rows, t.Rest)
	}
	for _, f := range append(rows, t.Total) {
		row := []string{clipFront(f.Name, nameWidth), compare.Number(f.Value, 2), fmt.Sprintf("%.1f%%", f.Share)}
		if t.Total.Allocs > 0 {
			row = append(row, compare.Number(f.Allocs, 2))
		}
		table.Add(row...)
	}
	if t.Exact == nil {
		return table.String() + "Sampled; there is no exact counter to hold the total against.\n"
	}
	return table.String() + fmt.Sprintf("Sampled; the total is %.1f%% of the exact %s %s.\n", t.Total.Value / *t.Exact * 100, compare.Number(*t.Exact, 2), t.Unit)
}

// commands are what to type next.
func (s *shown) commands() string {
	file := func(name string) string { return filepath.Join(s.Folder, name) }
	var lines []string
	if s.Totals != nil {
		lines = append(lines,
			"eventobench view "+s.Folder,
			"go tool pprof -top "+file(runfolder.FileCPU),
			"go tool pprof -top -sample_index=alloc_space "+file(runfolder.FileAllocs),
		)
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
