package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Formats are the names that Render knows.
var Formats = []string{"text", "md", "html", "json", "csv", "benchfmt"}

// Render writes the report in one of the Formats.
func (r *Report) Render(w io.Writer, format string) error {
	switch format {
	case "text":
		return r.text(w)
	case "md":
		return r.markdown(w)
	case "html":
		return r.html(w)
	case "json":
		return encodeJSON(w, r)
	case "csv":
		return r.csv(w)
	case "benchfmt":
		return r.benchfmt(w)
	}
	return fmt.Errorf("unknown format %q; use %s", format, strings.Join(Formats, ", "))
}

func encodeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// summary says in one line what a comparison shows of the gated metrics, and
// the overall verdict.
func (c Comparison) summary() string {
	var parts []string
	for _, m := range c.headline() {
		if m.Gated && m.Change != nil {
			parts = append(parts, fmt.Sprintf("%s %s %s", m.Label, m.Change, m.Verdict))
		}
	}
	return fmt.Sprintf("%s against %s: %s. %s", c.Head, c.Base, c.Verdict, strings.Join(parts, "; "))
}

// headline are the metrics in the order that a reader should weigh them: where
// the load generator held the server up, CPU comes before throughput.
func (c Comparison) headline() []MetricChange {
	if !c.GeneratorBound {
		return c.Metrics
	}
	isCPU := func(m MetricChange) bool { return m.Name == "cpu_per_op" }
	rest := slices.DeleteFunc(slices.Clone(c.Metrics), isCPU)
	return slices.Insert(rest, 0, *c.Metric("cpu_per_op"))
}

// String is the change with its interval, such as "+6.7% [+5.3, +8.1]"; a
// narrow interval gets a second decimal.
func (c *Change) String() string {
	const narrow = 0.2
	if c.High-c.Low < narrow {
		return fmt.Sprintf("%+.2f%% [%+.2f, %+.2f]", c.Percent, c.Low, c.High)
	}
	return fmt.Sprintf("%+.1f%% [%+.1f, %+.1f]", c.Percent, c.Low, c.High)
}

// changeCells are the cells of a metric in a table of changes.
func (m MetricChange) changeCells() []string {
	cells := []string{m.Label, m.Unit, Optional(m.Base, m.Decimals), Optional(m.Head, m.Decimals)}
	if m.Change == nil {
		return append(cells, m.Unavailable)
	}
	return append(cells, m.Change.String(), m.verdict())
}

// verdict is the metric's verdict as a table shows it: that of a metric which
// is not gated stands in parentheses.
func (m MetricChange) verdict() string {
	if m.Gated || m.Verdict == NotJudged {
		return string(m.Verdict)
	}
	return "(" + string(m.Verdict) + ")"
}

// metricTable is the table of the metrics that are wanted.
func (c Comparison) metricTable(wanted func(MetricChange) bool) *Table {
	t := NewTable("metric", "unit", c.Base, c.Head, "change [interval]", "verdict")
	for _, m := range c.Metrics {
		if wanted(m) {
			t.Add(m.changeCells()...)
		}
	}
	return t
}

func (m MetricChange) any() bool { return true }

// leads tells the metrics that a short table shows.
func (m MetricChange) leads() bool {
	return m.Gated || m.Name == "latency_mean" || m.Name == "latency_p99"
}

// note explains the table of changes.
func (c Comparison) note() string {
	how := "estimated over %d blocks from paired slices, so it need not be exactly the ratio of the values, which are those of the whole runs"
	if !c.Paired {
		how = "estimated from the values of %d blocks a side, not paired; the values are those of the whole runs"
	}
	if c.OpenLoop {
		how += ".\nThe load sets the throughput, which is therefore not judged. Latency counts from when a request was due; from sending is what a closed loop would have shown"
	}
	return fmt.Sprintf("The change is "+how+".\nThe gated metrics are judged together: a false improved or regressed among them comes up in at most %.0f%% of comparisons, all looks included. Verdicts in parentheses are of metrics that are not gated, judged together in the same way.",
		c.Blocks, falseAlarms*100)
}

func (v Variant) resultCells() []string {
	t := v.Totals
	cells := []string{
		v.Name, Number(t.OpsPerSec, 0), Number(t.AvgLatencyMs, 3), Number(t.P99Ms, 3), Optional(t.CPUPerOp, 2),
		Optional(t.AllocBytesPerOp, 0), Optional(t.AllocsPerOp, 2), Number(float64(t.TotalOps), 0), Number(float64(t.Errors), 0),
	}
	if t.OpenLoop != nil {
		cells = append(cells, Number(float64(t.OpenLoop.Late), 0), Number(float64(t.OpenLoop.Missed), 0))
	}
	return cells
}

func (r *Report) resultTable() *Table {
	columns := []string{"variant", "ops/s", "mean ms", "p99 ms", "CPU us/op", "B/op", "allocs/op", "requests", "errors"}
	if r.openLoop() {
		columns = append(columns, "sent late", "never sent")
	}
	t := NewTable(columns...)
	for _, v := range r.Variants {
		t.Add(v.resultCells()...)
	}
	return t
}

// decimals prints a figure of any size with about three significant digits.
func decimals(v float64) string {
	switch a := abs(v); {
	case a == 0:
		return "0"
	case a < 1:
		return Number(v, 3)
	case a < 10:
		return Number(v, 2)
	case a < 100:
		return Number(v, 1)
	}
	return Number(v, 0)
}

func signed(v float64) string {
	if v > 0 {
		return "+" + decimals(v)
	}
	return decimals(v)
}

// charts are the metrics that are drawn as bars.
var charts = []string{"ops_per_sec", "latency_mean", "latency_p99", "cpu_per_op", "alloc_bytes_per_op", "allocs_per_op"}

// chart draws one metric of all variants as bars in text. It is empty if a
// variant does not have the metric.
func (r *Report) chart(name string) string {
	const width = 40
	m := metricNamed(name)
	values := make([]float64, len(r.Variants))
	var largest float64
	var longest int
	for i, v := range r.Variants {
		value, why := m.value(v)
		if why != "" {
			return ""
		}
		values[i], largest, longest = *value, max(largest, *value), max(longest, len(v.Name))
	}
	better := map[Direction]string{Up: "longer is better", Down: "shorter is better"}[m.Better]
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s (%s)\n", m.Label, m.Unit, better)
	for i, v := range r.Variants {
		bar := ""
		if values[i] > 0 { // a very short window's counters can come out below what reading them costs
			bar = strings.Repeat("█", int(values[i]/largest*width+0.5))
		}
		fmt.Fprintf(&b, "  %-*s  %-*s %s\n", longest, v.Name, width, bar, Number(values[i], m.Decimals))
	}
	return b.String()
}

// openLoop tells whether the load had a rate; all variants have the same load.
func (r *Report) openLoop() bool { return r.Variants[0].Manifest.Load.Open() }

func (r *Report) charts() string {
	var drawn []string
	for _, name := range charts {
		if name == "ops_per_sec" && r.openLoop() {
			continue // what was asked for, on all sides
		}
		if c := r.chart(name); c != "" {
			drawn = append(drawn, c)
		}
	}
	return strings.Join(drawn, "\n")
}

func metricNamed(name string) Metric {
	for _, m := range Metrics {
		if m.Name == name {
			return m
		}
	}
	panic("compare: no metric is named " + name)
}

// commands are what to type to look deeper and to record the same again.
func (r *Report) commands() []string {
	var lines []string
	for _, v := range r.Variants {
		lines = append(lines, fmt.Sprintf("go tool pprof -top %s/cpu.prof", v.Dir), fmt.Sprintf("go tool pprof -top -sample_index=alloc_space %s/allocs.prof", v.Dir))
	}
	base, last := r.Variants[0].Dir, r.Variants[len(r.Variants)-1].Dir
	return append(lines,
		fmt.Sprintf("go tool pprof -http=127.0.0.1:9090 %s/cpu.prof", last),
		fmt.Sprintf("go tool pprof -http=127.0.0.1:9090 -sample_index=alloc_space -diff_base %s/allocs.prof %s/allocs.prof", base, last),
	)
}

// environment says where and how the variants were recorded, a line a variant.
func (r *Report) environment() []string {
	h := r.Variants[0].Manifest.Host
	lines := []string{fmt.Sprintf("host: %s, %d of %d CPUs, %s/%s, kernel %s", h.CPUModel, h.Affinity, h.Cores, h.OS, h.Arch, h.Kernel),
		fmt.Sprintf("load: %s", r.Variants[0].Manifest.Load)}
	for _, v := range r.Variants {
		m := v.Manifest
		lines = append(lines, fmt.Sprintf("%s: recorded %s, %d blocks of %d slices of %v, seed %d, %s%s",
			v.Name, m.Start.Format("2006-01-02 15:04:05 MST"), len(m.Blocks), m.Plan.Rounds, m.Plan.Slice, m.Plan.Seed, m.Subject.Binary.GoVersion, commit(m.Subject.Binary.Commit, m.Subject.Binary.Dirty)))
	}
	return append(lines, r.conditions()...)
}

func commit(hash string, dirty bool) string {
	if hash == "" {
		return ""
	}
	if hash = ", commit " + hash[:min(12, len(hash))]; dirty {
		hash += " with uncommitted changes"
	}
	return hash
}
