package render

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/stat"
)

// writeBenchfmt writes the blocks in Go's benchmark format
// (https://go.dev/design/14313-benchmark-format): one line per block and
// variant, so that benchstat has one sample per block. A metric that a run does not have,
// or was given, is left out of its lines.
func writeBenchfmt(w io.Writer, r *compare.Report) error {
	var b strings.Builder
	for _, m := range compare.Metrics {
		if m.Bench != nil {
			fmt.Fprintf(&b, "Unit %s better=lower\n", m.Bench.Unit)
		}
	}
	fmt.Fprintf(&b, "workload: %s\n", r.Variants[0].Manifest.Load)
	header := ""
	for _, v := range r.Variants {
		if h := benchHeader(r, v); h != header {
			header = h
			b.WriteString(h)
		}
		for block := range v.BlockOps {
			b.WriteString(benchLine(v, "", v.BlockOps[block], v.Metrics, block))
			for _, k := range v.Kinds {
				b.WriteString(benchLine(v, "/kind="+benchName(k.Kind), k.BlockOps[block], k.Metrics, block))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// benchHeader says where a variant ran. Lines under different headers are not
// compared by benchstat, so that pkg stands only where all have the same.
func benchHeader(r *compare.Report, v compare.Variant) string {
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

// benchLine is one block, of all requests or of the kind that the name ends with.
// The number after the name is GOMAXPROCS: without it the
// end of a name such as fasthttp-2 would be taken for it.
func benchLine(v compare.Variant, kind string, ops int64, metrics []compare.MetricValue, block int) string {
	line := fmt.Sprintf("BenchmarkLoad/subject=%s%s-%d\t%d", benchName(v.Name), kind, v.Manifest.Host.GOMAXPROCS, ops)
	for _, value := range metrics {
		m, _ := compare.FindMetric(value.ID)
		given := m.Asked && v.Manifest.Load.Open()
		if m.Bench == nil || given || value.Blocks[block] == nil {
			continue
		}
		if converted := m.Bench.Convert(*value.Blocks[block]); stat.Finite(converted) {
			line += fmt.Sprintf("\t%.3f %s", converted, m.Bench.Unit)
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
