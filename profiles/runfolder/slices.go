package runfolder

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Slice is one slice: a short stretch in which one subject had the load.
type Slice struct {
	Block, Round int
	Order        int           // place of the slice in its round
	Start        time.Duration // from the start of the experiment
	Duration     time.Duration // until the last outstanding request was answered
	Errors       int64
	ServerCPU    time.Duration // zero where the run has no SourceCPUClock
	GeneratorCPU time.Duration

	// Of an open loop, as in loadgen.Result; zero in a closed one:
	Late, Missed int64
	MaxLate      time.Duration

	Reopened int64 // connections that the server had closed between requests

	Kinds []loadgen.KindResult // one for each of the load's kinds of request, in its order
}

// Ops is the number of requests that finished in the slice.
func (s Slice) Ops() int64 {
	var n int64
	for _, k := range s.Kinds {
		n += k.Ops
	}
	return n
}

// Latency is the sum of the latencies of all finished requests.
func (s Slice) Latency() time.Duration {
	var d time.Duration
	for _, k := range s.Kinds {
		d += k.Latency
	}
	return d
}

var sampleColumns = []string{
	"block", "round", "order", "start_ns", "duration_ns", "errors", "reopened", "server_cpu_ns", "generator_cpu_ns",
	"late", "missed", "max_late_ns",
}

func sampleHeader(kinds []string) []string {
	header := slices.Clone(sampleColumns)
	for _, k := range kinds {
		header = append(header, k+"_ops", k+"_latency_ns")
	}
	return header
}

// writeSamples writes samples as CSV, one row per slice, with two columns for each
// kind of request.
func writeSamples(w io.Writer, kinds []string, samples []Slice) error {
	out := csv.NewWriter(w)
	_ = out.Write(sampleHeader(kinds)) // a csv.Writer keeps its first error until Error is called
	for _, s := range samples {
		_ = out.Write(s.row())
	}
	out.Flush()
	return out.Error()
}

func (s Slice) row() []string {
	fields := []int64{
		int64(s.Block), int64(s.Round), int64(s.Order), int64(s.Start), int64(s.Duration),
		s.Errors, s.Reopened, int64(s.ServerCPU), int64(s.GeneratorCPU),
		s.Late, s.Missed, int64(s.MaxLate),
	}
	for _, k := range s.Kinds {
		fields = append(fields, k.Ops, int64(k.Latency))
	}
	row := make([]string, len(fields))
	for i, f := range fields {
		row[i] = strconv.FormatInt(f, 10)
	}
	return row
}

// readSamples reads what writeSamples wrote for the same kinds of request.
func readSamples(r io.Reader, kinds []string) ([]Slice, error) {
	in := csv.NewReader(r)
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("damaged: no header: %w", err)
	}
	if want := sampleHeader(kinds); !slices.Equal(header, want) {
		return nil, fmt.Errorf("damaged: columns %q, want %q", header, want)
	}
	var samples []Slice
	for {
		row, err := in.Read()
		if err == io.EOF {
			return samples, nil
		}
		if err != nil {
			return nil, fmt.Errorf("damaged: %w", err)
		}
		s, err := parseSample(row)
		if err != nil {
			return nil, fmt.Errorf("damaged: row %d: %w", len(samples)+1, err)
		}
		samples = append(samples, s)
	}
}

func parseSample(row []string) (Slice, error) {
	f := make([]int64, len(row))
	for i, cell := range row {
		n, err := strconv.ParseInt(cell, 10, 64)
		if err != nil || n < 0 {
			return Slice{}, fmt.Errorf("column %d holds %q, not a count", i+1, cell)
		}
		f[i] = n
	}
	s := Slice{
		Block: int(f[0]), Round: int(f[1]), Order: int(f[2]),
		Start: time.Duration(f[3]), Duration: time.Duration(f[4]),
		Errors: f[5], Reopened: f[6], ServerCPU: time.Duration(f[7]), GeneratorCPU: time.Duration(f[8]),
		Late: f[9], Missed: f[10], MaxLate: time.Duration(f[11]),
	}
	f = f[len(sampleColumns):]
	for i := 0; i < len(f); i += 2 {
		s.Kinds = append(s.Kinds, loadgen.KindResult{Ops: f[i], Latency: time.Duration(f[i+1])})
	}
	return s, nil
}
