package runfolder

import (
	"fmt"
	"io"
	"strings"
	"text/template"
)

// writeReadme writes the page that tells a person who finds the folder what it
// holds and how to look deeper.
func writeReadme(w io.Writer, name string, m Manifest, t Totals) error {
	return readmePage.Execute(w, map[string]any{
		"Name": name, "M": m, "T": t, "Command": strings.Join(m.Subject.Command, " "),
		"Measured": len(m.Blocks), "Start": m.Start.Format("2006-01-02 15:04:05 MST"),
	})
}

var readmePage = template.Must(template.New("README.md").Funcs(template.FuncMap{"figure": figure}).Parse(`# Run {{.Name}}

Subject **{{.M.Subject.Name}}** under {{.M.Load}}, recorded {{.Start}}
{{- if .M.Label}} ({{.M.Label}}){{end}}: {{.M.State}}{{if .M.Reason}}, {{.M.Reason}}{{end}}.
{{.Measured}} of {{.M.Plan.Blocks}} blocks of {{.M.Plan.Rounds}} slices of {{.M.Plan.Slice}}, a fresh process each.
Recorded together as experiment {{.M.Experiment}}:
{{- range .M.Folders}} {{.}}{{end}}.

    {{.Command}}

| figure | value |
|---|---:|
| throughput | {{printf "%.0f" .T.OpsPerSec}} ops/s |
| latency, mean | {{printf "%.3f" .T.AvgLatencyMs}} ms |
| latency, p99 | {{printf "%.3f" .T.P99Ms}} ms |
{{- with .T.OpenLoop}}
| latency, p99, from sending | {{printf "%.3f" .P99Ms}} ms |
| sent late | {{.Late}}, by up to {{printf "%.1f" .MaxLateMs}} ms |
| due and never sent | {{.Missed}} |
{{- end}}
| CPU | {{figure .T.CPUPerOp "us/op"}} |
| allocated | {{figure .T.AllocBytesPerOp "B/op"}} |
| allocations | {{figure .T.AllocsPerOp "allocs/op"}} |
| requests | {{.T.TotalOps}} |
| failed requests | {{.T.Errors}} |

## The files

- manifest.json: how it was recorded; samples.csv: a row a slice; latency.hdr: an HdrHistogram log;
  load-test-results.json: the totals; server.log: what the subject printed.
- cpu.prof: CPU time in the measured window, idle gaps between slices included.
- allocs.prof: what was allocated in the window, that is allocs-after.prof less allocs-before.prof.
- heap-before.prof, heap-after.prof, goroutine.prof: memory in use, and goroutines.

All profiles are sums over the blocks; the samples of cpu.prof and allocs.prof tell their block in the label "block", from 1. They are sampled: they explain the figures above, which are exact, and do not replace them.

## To look deeper, in this folder

    eventobench show .
    eventobench view .
    go tool pprof -top cpu.prof
    go tool pprof -top -sample_index=alloc_space allocs.prof
    go tool pprof -top -tagfocus=block=1 cpu.prof
    go tool pprof -http=127.0.0.1:9090 cpu.prof
`))

// figure prints a figure that may be unavailable.
func figure(v *float64, unit string) string {
	if v == nil {
		return "unavailable"
	}
	return fmt.Sprintf("%.1f %s", *v, unit)
}
