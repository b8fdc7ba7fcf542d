package compare

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/eventobench/eventobench/internal/strictjson"
)

// ReportFormat is the version of a report's JSON. Only reports of the same
// version can be read.
const ReportFormat = 1

// ReadReport reads a report that was written as JSON, gzip-compressed or not.
// Errors name the file.
func ReadReport(path string) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a report: %w", err)
	}
	defer f.Close()
	r, err := DecodeReport(f)
	if err != nil {
		return nil, fmt.Errorf("reading report %s: %w", path, err)
	}
	return r, nil
}

// DecodeReport reads a report's JSON, gzip-compressed or not. Whatever this
// version would not have written is an error.
func DecodeReport(in io.Reader) (*Report, error) {
	buffered := bufio.NewReader(in)
	magic, _ := buffered.Peek(2) // too little is no JSON either
	var text io.Reader = buffered
	if string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		text = unzipped
	}
	data, err := io.ReadAll(text)
	if err != nil {
		return nil, err
	}
	return decodeReport(data)
}

func decodeReport(data []byte) (*Report, error) {
	var version struct{ Format *int }
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("it is not what \"eventobench compare --format=json\" writes: %w", err)
	}
	switch {
	case version.Format == nil:
		return nil, errors.New("it is not what \"eventobench compare --format=json\" writes: it has no format version")
	case *version.Format != ReportFormat:
		return nil, fmt.Errorf("it is in format %d, this eventobench reads %d: compare the run folders again",
			*version.Format, ReportFormat)
	}
	var r Report
	if err := strictjson.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	return &r, r.check()
}

// check rejects what renderers could not show.
func (r *Report) check() error {
	n := len(r.Variants)
	switch {
	case n < 2 || len(r.Comparisons) != n-1 || len(r.Summary) != n-1:
		return fmt.Errorf("damaged: %d variants, %d comparisons and %d summaries", n, len(r.Comparisons), len(r.Summary))
	case r.Charts != nil:
		if err := r.Charts.check(n); err != nil {
			return err
		}
	}
	for _, c := range r.Comparisons {
		if err := c.check(); err != nil {
			return fmt.Errorf("damaged: %s against %s: %w", c.Head, c.Base, err)
		}
	}
	for _, v := range r.Variants {
		if err := v.check(); err != nil {
			return fmt.Errorf("damaged: %s: %w", v.Name, err)
		}
	}
	return nil
}

func (v Variant) check() error {
	if v.Manifest.Load.Open() != (v.Totals.OpenLoop != nil) {
		return errors.New("the load and the totals disagree on a rate")
	}
	if err := checkValues(v.Metrics, len(v.BlockOps)); err != nil {
		return err
	}
	for _, k := range v.Kinds {
		if len(k.BlockOps) != len(v.BlockOps) {
			return fmt.Errorf("%s of %d blocks, where there are %d", k.Kind, len(k.BlockOps), len(v.BlockOps))
		}
		if err := checkValues(k.Metrics, len(v.BlockOps)); err != nil {
			return fmt.Errorf("%s: %w", k.Kind, err)
		}
	}
	return nil
}

func checkValues(metrics []MetricValue, blocks int) error {
	for _, m := range metrics {
		if _, known := FindMetric(m.ID); !known {
			return fmt.Errorf("unknown metric %q", m.ID)
		}
		if len(m.Blocks) != blocks {
			return fmt.Errorf("%s of %d blocks, where there are %d", m.ID, len(m.Blocks), blocks)
		}
	}
	return nil
}

func (c Comparison) check() error {
	seen, err := checkChanges(c.Metrics)
	if err != nil {
		return err
	}
	if c.Requests != nil {
		for _, k := range c.Requests.Kinds {
			if _, err := checkChanges(k.Metrics); err != nil {
				return fmt.Errorf("%s: %w", k.Kind, err)
			}
		}
	}
	for _, m := range Metrics {
		if m.Headline && !seen[m.ID] {
			return fmt.Errorf("metric %s is not there", m.ID)
		}
	}
	for _, l := range c.Looks {
		for _, d := range l.Decisions {
			if !seen[MetricID(d.Metric)] {
				return fmt.Errorf("a look at metric %q", d.Metric)
			}
		}
	}
	return nil
}

// checkChanges returns which metrics there are.
func checkChanges(metrics []MetricChange) (map[MetricID]bool, error) {
	seen := map[MetricID]bool{}
	for _, m := range metrics {
		if _, known := FindMetric(m.ID); !known || seen[m.ID] {
			return nil, fmt.Errorf("metric %q is unknown, or there twice", m.ID)
		}
		if b := m.AsBuilt; b != nil && (b.Change == nil || b.Linker == nil) {
			return nil, fmt.Errorf("metric %q does not say how it changed as built", m.ID)
		}
		seen[m.ID] = true
	}
	return seen, nil
}

func (c *Charts) check(variants int) error {
	if len(c.Slices) != variants || c.Pooled < 1 {
		return fmt.Errorf("damaged: charts of %d runs, where there are %d", len(c.Slices), variants)
	}
	for _, g := range c.Flames.Graphs {
		if len(g.Self) != variants || len(g.Name) != len(g.Depth) {
			return fmt.Errorf("damaged: flame graph %s", g.Label)
		}
		for _, name := range g.Name {
			if name < 0 || name >= len(c.Flames.Names) {
				return fmt.Errorf("damaged: flame graph %s names function %d of %d", g.Label, name, len(c.Flames.Names))
			}
		}
		for _, self := range g.Self {
			if len(self) != len(g.Name) {
				return fmt.Errorf("damaged: flame graph %s has %d values for %d frames", g.Label, len(self), len(g.Name))
			}
		}
	}
	return nil
}
