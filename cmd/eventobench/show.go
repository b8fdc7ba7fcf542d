package main

import (
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/render"

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
		Args: needs(1, 1, "one run folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return render.UnknownFormat(format, []string{"text", "json"})
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
	Folder     string                   `json:"folder"`
	Manifest   runfolder.Manifest       `json:"manifest"`
	Warnings   []compare.Warning        `json:"warnings"`
	Bottleneck *compare.Held            `json:"bottleneck"`
	Totals     *runfolder.Totals        `json:"totals"`
	Latency    []kindLatency            `json:"latency"`
	Slices     []sliceRate              `json:"slices"`
	Metrics    []compare.MetricValue    `json:"metrics"`
	Profiles   []profdiff.FunctionTable `json:"profiles"`

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
	v, warnings, err := compare.Open(run.Dir)
	if err != nil {
		return nil, err
	}
	s.Metrics, s.Profiles, s.Totals, s.Warnings = v.Metrics, v.Profiles, &v.Totals, warnings
	s.Bottleneck = &v.Bottleneck
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
		P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)),
		P99: ms(h.ValueAtQuantile(99)), P999: ms(h.ValueAtQuantile(99.9)),
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
	return render.JSON(w, s)
}
