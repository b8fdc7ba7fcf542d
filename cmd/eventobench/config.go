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

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/subject"
)

// defaultConfig is read if it exists and no other file is named.
const defaultConfig = "eventobench.yaml"

const configUsage = "configuration file; default " + defaultConfig + " if there is one"

// gateConfig is the gate's part of eventobench.yaml. Flags win over it.
type gateConfig struct {
	Base         string            `yaml:"base"`         // a subject: the name of one above, or a specification
	Head         string            `yaml:"head"`         // likewise
	Baseline     string            `yaml:"baseline"`     // a run folder, kept with the code
	Drift        string            `yaml:"drift"`        // such as 15%
	Inconclusive string            `yaml:"inconclusive"` // pass or fail
	MetricSet    string            `yaml:"metric-set"`   // all or allocs
	Layouts      string            `yaml:"layouts"`      // a number of blocks, or auto
	NullControl  bool              `yaml:"null-control"` // the base takes part twice
	Metrics      map[string]string `yaml:"metrics"`      // tolerances by metric, which is gated by that
	Waivers      []waiverConfig    `yaml:"waivers"`
}

type waiverConfig struct {
	Metric  string `yaml:"metric"`
	Subject string `yaml:"subject"`
	Reason  string `yaml:"reason"`
	Until   string `yaml:"until"` // 2026-12-31, the last day
}

// projectConfig is eventobench.yaml: what a project's runs and gates do without
// flags. Flags win over it.
type projectConfig struct {
	Subjects subjectList `yaml:"subjects"`
	Workload flagValues  `yaml:"workload"`
	Plan     flagValues  `yaml:"plan"`
	Gate     gateConfig  `yaml:"gate"`

	path string
}

// subjectList are specifications of subjects, NAME=SPEC, in the order of the file.
type subjectList []string

// UnmarshalYAML reads a mapping of names to specifications.
func (l *subjectList) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: subjects are lines such as \"head: go:./cmd/server\"", node.Line)
	}
	for i := 0; i < len(node.Content); i += 2 {
		name, spec := node.Content[i], node.Content[i+1]
		if err := onlyKey(node, i); err != nil {
			return err
		}
		if spec.Kind != yaml.ScalarNode || spec.Value == "" {
			return fmt.Errorf("line %d: subject %s is not a line such as \"%[2]s: go:./cmd/server\"", name.Line, name.Value)
		}
		*l = append(*l, name.Value+"="+spec.Value)
	}
	return nil
}

// flagValues are values of flags by their names.
type flagValues []flagValue

type flagValue struct {
	name   string
	values []string
	line   int
}

// UnmarshalYAML reads a mapping of flags to a value each, or to a list of values.
func (v *flagValues) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: write flags without their dashes, such as \"workers: 10\"", node.Line)
	}
	for i := 0; i < len(node.Content); i += 2 {
		flag := flagValue{name: node.Content[i].Value, line: node.Content[i].Line}
		items := []*yaml.Node{node.Content[i+1]}
		if items[0].Kind == yaml.SequenceNode {
			items = items[0].Content
		}
		for _, item := range items {
			if item.Kind != yaml.ScalarNode {
				return fmt.Errorf("line %d: %s has neither a value nor a list of values", flag.line, flag.name)
			}
			flag.values = append(flag.values, item.Value)
		}
		*v = append(*v, flag)
	}
	return nil
}

// onlyKey returns an error if a mapping has the key at an index twice.
func onlyKey(mapping *yaml.Node, index int) error {
	key := mapping.Content[index]
	for i := 0; i < index; i += 2 {
		if first := mapping.Content[i]; first.Value == key.Value {
			return fmt.Errorf("line %d: %s stands on line %d already", key.Line, key.Value, first.Line)
		}
	}
	return nil
}

// setFlags sets the flags of workload and plan that were not given. A flag that says
// what to send replaces all of those.
func (c projectConfig) setFlags(f *pflag.FlagSet) error {
	given := map[string]bool{}
	f.Visit(func(flag *pflag.Flag) { given[flag.Name] = true })
	sent := slices.ContainsFunc(workloadFlags, f.Changed)
	lines := map[string]int{}
	for _, flag := range slices.Concat(c.Workload, c.Plan) {
		if first, twice := lines[flag.name]; twice {
			return fmt.Errorf("%s: line %d: %s stands on line %d already", c.path, flag.line, flag.name, first)
		}
		lines[flag.name] = flag.line
		known := f.Lookup(flag.name)
		if known == nil || flag.name == "config" {
			return fmt.Errorf("%s: line %d: there is no flag --%s; --help lists those there are", c.path, flag.line, flag.name)
		}
		if given[flag.name] || sent && slices.Contains(workloadFlags, flag.name) {
			continue
		}
		for _, value := range flag.values {
			if err := f.Set(flag.name, value); err != nil {
				return fmt.Errorf("%s: line %d: %w", c.path, flag.line, err)
			}
		}
	}
	return nil
}

// readProject reads a project's configuration. A missing file is an error only if
// it was asked for.
func readProject(path string) (projectConfig, error) {
	c := projectConfig{path: cmp.Or(path, defaultConfig)}
	text, err := os.ReadFile(c.path)
	if errors.Is(err, fs.ErrNotExist) && path == "" {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		oneLine := strings.Join(strings.Fields(err.Error()), " ")
		return c, fmt.Errorf("%s: %s; values with {, : or # stand in quotes", c.path, oneLine)
	}
	return c, nil
}

// subject is the specification of the subject of a name, or what is no such name
// itself.
func (c projectConfig) subject(nameOrSpec string) string {
	for _, spec := range c.Subjects {
		if name, _, _ := strings.Cut(spec, "="); name == nameOrSpec {
			return spec
		}
	}
	return nameOrSpec
}

// side is the specification of a side of a gate that was given, or else the
// configured one. One that is given without a package has the configured package.
func (c projectConfig) side(given, configured string) string {
	configured = c.subject(configured)
	if given == "" {
		return configured
	}
	given = c.subject(given)
	g, err := subject.ParseSpec(given)
	s, configErr := subject.ParseSpec(configured)
	if err != nil || configErr != nil { // whoever makes a subject of it says so
		return given
	}
	return g.InPackage(s.Package)
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

// leftOut reports whether a metric exists and is not gated.
func leftOut(c compare.Criteria, id compare.MetricID) bool {
	_, gated := c.Rules[id]
	_, known := compare.FindMetric(id)
	return known && !gated
}

// metricsOf are the configured metrics without those that are not gated.
func (g gateConfig) metricsOf(c compare.Criteria) map[string]string {
	kept := maps.Clone(g.Metrics)
	maps.DeleteFunc(kept, func(name, _ string) bool { return leftOut(c, metricNamed(name)) })
	return kept
}

// waiversOf are the waivers without those of metrics that are not gated.
func (g gateConfig) waiversOf(c compare.Criteria) []waiverConfig {
	return slices.DeleteFunc(slices.Clone(g.Waivers),
		func(w waiverConfig) bool { return leftOut(c, compare.MetricID(w.Metric)) })
}

// gateMetric gates a metric by its name, or by the short name of a latency
// such as p99. An empty tolerance is the metric's own.
func gateMetric(c *compare.Criteria, name, tolerance string) error {
	id := metricNamed(name)
	percent := 0.0
	if tolerance != "" {
		var err error
		if percent, err = parsePercent(tolerance); err != nil {
			return fmt.Errorf("tolerance of %s: %w", id, err)
		}
	}
	return c.Gate(id, percent)
}

// metricNamed is the metric of a name or short name.
func metricNamed(name string) compare.MetricID {
	if strings.HasPrefix(name, "p") || name == "mean" {
		name = "latency_" + strings.ReplaceAll(name, ".", "")
	}
	if name == "durability" {
		return compare.UnsyncedWrites
	}
	return compare.MetricID(name)
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
			return nil, fmt.Errorf("waiver %d (metric %q, until %q): it needs a gated metric, a reason, "+
				"and a last day such as 2026-12-31", i+1, w.Metric, w.Until)
		}
		all = append(all, compare.Waiver{Metric: compare.MetricID(w.Metric), Head: w.Subject, Reason: w.Reason, Until: until})
	}
	return all, nil
}
