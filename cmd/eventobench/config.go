package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/eventobench/eventobench/compare"
)

// defaultConfig is read if it exists and no other file is named.
const defaultConfig = "eventobench.yaml"

// gateConfig is the gate's part of eventobench.yaml. Flags win over it.
type gateConfig struct {
	Baseline     string            `yaml:"baseline"`     // a run folder, kept with the code
	Drift        string            `yaml:"drift"`        // such as 15%
	Inconclusive string            `yaml:"inconclusive"` // pass or fail
	Metrics      map[string]string `yaml:"metrics"`      // tolerances by metric, which is gated by that
	Waivers      []waiverConfig    `yaml:"waivers"`
}

type waiverConfig struct {
	Metric  string `yaml:"metric"`
	Subject string `yaml:"subject"`
	Reason  string `yaml:"reason"`
	Until   string `yaml:"until"` // 2026-12-31, the last day
}

// readConfig reads the gate's configuration. A missing file is an error only if
// it was asked for.
func readConfig(path string) (gateConfig, error) {
	var file struct {
		Gate gateConfig `yaml:"gate"`
	}
	text, err := os.ReadFile(cmp.Or(path, defaultConfig))
	if errors.Is(err, fs.ErrNotExist) && path == "" {
		return gateConfig{}, nil
	}
	if err != nil {
		return gateConfig{}, fmt.Errorf("reading the configuration: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		oneLine := strings.Join(strings.Fields(err.Error()), " ")
		return gateConfig{}, fmt.Errorf("%s: %s", cmp.Or(path, defaultConfig), oneLine)
	}
	return file.Gate, nil
}

// apply adds the configuration to the criteria.
func (g gateConfig) apply(c *compare.Criteria) error {
	for _, name := range slices.Sorted(maps.Keys(g.Metrics)) {
		if err := gateMetric(c, name, g.Metrics[name]); err != nil {
			return err
		}
	}
	if g.Drift == "" {
		return nil
	}
	var err error
	c.Drift, err = parsePercent(g.Drift)
	return err
}

// gateMetric gates a metric by its name, or by the short name of a latency
// such as p99. An empty tolerance is the metric's own.
func gateMetric(c *compare.Criteria, name, tolerance string) error {
	if strings.HasPrefix(name, "p") || name == "mean" {
		name = "latency_" + strings.ReplaceAll(name, ".", "")
	}
	percent := 0.0
	if tolerance != "" {
		var err error
		if percent, err = parsePercent(tolerance); err != nil {
			return fmt.Errorf("tolerance of %s: %w", name, err)
		}
	}
	return c.Gate(compare.MetricID(name), percent)
}

// parsePercent reads a positive percentage such as 3%.
func parsePercent(text string) (float64, error) {
	number, ok := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(v > 0 && v <= 1000) {
		return 0, fmt.Errorf("%q is not a percentage such as 3%%", text)
	}
	return v, nil
}

// waivers checks the waivers: each needs a metric that is gated, a reason and a
// last day.
func (g gateConfig) waivers(c compare.Criteria) ([]compare.Waiver, error) {
	var all []compare.Waiver
	for i, w := range g.Waivers {
		until, err := time.Parse(time.DateOnly, w.Until)
		if _, gated := c.Rules[compare.MetricID(w.Metric)]; err != nil || w.Reason == "" || !gated {
			return nil, fmt.Errorf("waiver %d (metric %q, until %q): it needs a gated metric, a reason, and a last day such as 2026-12-31", i+1, w.Metric, w.Until)
		}
		all = append(all, compare.Waiver{Metric: compare.MetricID(w.Metric), Head: w.Subject, Reason: w.Reason, Until: until})
	}
	return all, nil
}
