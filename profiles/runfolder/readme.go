package runfolder

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/template"
)

// writeReadme writes the page that tells a person who finds the folder what it
// holds and how to look deeper.
func writeReadme(w io.Writer, name string, m Manifest, t Totals) error {
	return readmePage.Execute(w, map[string]any{
		"Name": name, "M": m, "T": t, "Command": m.Subject.How(),
		"Measured": len(m.Blocks), "Start": m.Start.Format("2006-01-02 15:04:05 MST"),
		"Kinds": selectKinds(func(k ProfileKind) bool { return slices.Contains(m.Capture.Profiles, k.Name) }),
	})
}

var readmeFunctions = template.FuncMap{"figure": figure, "files": files}

var readmePage = template.Must(template.New("README.md").Funcs(readmeFunctions).Parse(`# Run {{.Name}}

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

- manifest.json: how it was recorded; samples.csv: one row per slice; latency.hdr: an HdrHistogram log;
  load-test-results.json: the totals; server.log: what the subject printed.
{{- range .Kinds}}
- {{files .}}: {{.About}}
{{- if eq .Window "difference"}}, that is {{.After}} less {{.Before}}{{end}}
{{- if .AtStart}}; {{.Before}} is of the start of the window{{end}}.
{{- end}}

Profiles are sums over the blocks; the samples of those per operation tell their block in the label "block", from 1.
They are sampled: they explain the figures above, which are exact, and do not replace them.
{{- with .M.Unavailable}}

## What could not be had
{{range $source, $reason := .}}
- {{$source}}: {{$reason}}
{{- end}}
{{- end}}

## To look deeper, in this folder

    eventobench show .
    eventobench view .
{{- range .Kinds}}{{if .PerOperation}}
    go tool pprof -top -sample_index={{.Value}} {{.File}}
{{- end}}{{end}}
`))

// figure prints a figure that may be unavailable.
func figure(v *float64, unit string) string {
	if v == nil {
		return "unavailable"
	}
	return fmt.Sprintf("%.1f %s", *v, unit)
}

// files lists the files of a kind of profile.
func files(k ProfileKind) string { return strings.Join(k.Files(), ", ") }
