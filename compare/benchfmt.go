package compare

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// benchUnit is a metric under the unit and the scale that Go benchmarks have.
type benchUnit struct {
	metric, unit string
	convert      func(float64) float64
}

func times(factor float64) func(float64) float64 {
	return func(v float64) float64 { return v * factor }
}

// benchUnits are the metrics of a benchmark line. ns/op is the time between two
// finished requests, all workers together, as testing.B counts it.
var benchUnits = []benchUnit{
	{"ops_per_sec", "ns/op", func(perSecond float64) float64 { return 1e9 / perSecond }},
	{"cpu_per_op", "cpu-ns/op", times(1e3)},
	{"alloc_bytes_per_op", "B/op", times(1)},
	{"allocs_per_op", "allocs/op", times(1)},
	{"latency_mean", "mean-ns", times(1e6)},
	{"latency_p50", "p50-ns", times(1e6)},
	{"latency_p90", "p90-ns", times(1e6)},
	{"latency_p99", "p99-ns", times(1e6)},
	{"latency_p999", "p99.9-ns", times(1e6)},
}

// benchfmt writes the blocks in Go's benchmark format
// (https://go.dev/design/14313-benchmark-format): a line a block and variant,
// so that benchstat has a sample a block. A metric that a run does not have,
// or was given, is left out of its lines.
func (r *Report) benchfmt(w io.Writer) error {
	var b strings.Builder
	for _, u := range benchUnits {
		fmt.Fprintf(&b, "Unit %s better=lower\n", u.unit)
	}
	fmt.Fprintf(&b, "workload: %s\n", r.Variants[0].Manifest.Load)
	header := ""
	for _, v := range r.Variants {
		if h := r.benchHeader(v); h != header {
			header = h
			b.WriteString(h)
		}
		for block := range v.Manifest.Blocks {
			b.WriteString(v.benchLine(block))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// benchHeader says where a variant ran. Lines under different headers are not
// compared by benchstat, so that pkg stands only where all have the same.
func (r *Report) benchHeader(v Variant) string {
	host, module := v.Manifest.Host, v.Manifest.Subject.Binary.Module
	header := fmt.Sprintf("goos: %s\ngoarch: %s\ncpu: %s\n", host.OS, host.Arch, host.CPUModel)
	for _, other := range r.Variants {
		if other.Manifest.Subject.Binary.Module != module {
			module = ""
		}
	}
	if module != "" {
		header += "pkg: " + module + "\n"
	}
	return header
}

func (v Variant) benchLine(block int) string {
	var ops int64
	for _, s := range v.run.BlockSlices(block) {
		ops += s.Ops()
	}
	// The number after the name is GOMAXPROCS. Without it the end of a name
	// such as fasthttp-2 would be taken for it.
	line := fmt.Sprintf("BenchmarkLoad/subject=%s-%d\t%d", benchName(v.Name), v.Manifest.Host.GOMAXPROCS, ops)
	for _, u := range benchUnits {
		m := metricNamed(u.metric)
		_, missing := v.Manifest.Unavailable[m.Source]
		if given := m.Name == "ops_per_sec" && v.Manifest.Load.Open(); given || missing {
			continue
		}
		if value := u.convert(m.block(v.run, block)); finite(value) {
			line += fmt.Sprintf("\t%.3f %s", value, u.unit)
		}
	}
	return line + "\n"
}

// benchName is a name without what separates fields, and parts of a benchmark's
// name.
func benchName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || unicode.IsSpace(r) || unicode.IsControl(r) {
			return '_'
		}
		return r
	}, name)
}
