package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// writeConfig writes a configuration and returns its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "project.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProjectConfig(t *testing.T) {
	path := writeConfig(t, `
subjects:
  main: git:main
  head: "exec:./server -listen {addr}"
workload:
  workers: 7
  profiles: [mutex, block]
plan:
  max-blocks: 40
  slice: 20ms
gate:
  base: main
  head: head
  metrics: {p99: 10%}
`)
	c, err := readProject(path)
	if err != nil {
		t.Fatal(err)
	}
	want := subjectList{"main=git:main", "head=exec:./server -listen {addr}"}
	if diff := cmp.Diff(want, c.Subjects); diff != "" {
		t.Error(diff)
	}
	if c.Gate.Base != "main" || c.Gate.Head != "head" || c.Gate.Metrics["p99"] != "10%" {
		t.Errorf("gate %+v", c.Gate)
	}
	var o recordOptions
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.addFlags(f)
	if err := f.Parse([]string{"--max-blocks=20"}); err != nil {
		t.Fatal(err)
	}
	if err := c.setFlags(f); err != nil {
		t.Fatal(err)
	}
	if o.workers != 7 || o.plan.maxBlocks != 20 || o.plan.Slice.String() != "20ms" || len(o.profiles) != 2 {
		t.Errorf("%d workers, %d blocks, slices of %v, profiles %q",
			o.workers, o.plan.maxBlocks, o.plan.Slice, o.profiles)
	}
}

func TestBadProjectConfig(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"subject: {a: b}", "field subject not found"},
		{"subjects: [a]", `line 1: subjects are lines such as "head: go:./cmd/server"`},
		{"subjects:\n  a: [b]", `line 2: subject a is not a line such as "a: go:./cmd/server"`},
		{"workload: 5", `line 1: write flags without their dashes, such as "workers: 10"`},
		{"workload:\n  workers: {a: 1}", "line 2: workers has neither a value nor a list of values"},
		{"plan:\n  max-blocs: 5", "line 2: there is no flag --max-blocs"},
		{"workload:\n  config: other.yaml", "line 2: there is no flag --config"},
		{"plan:\n  slice: 20", `line 2: invalid argument "20" for "--slice"`},
		{"plan:\n  slice: 1s\n  slice: 2s", "line 3: slice stands on line 2 already"},
		{"workload:\n  workers: 3\nplan:\n  workers: 1x", "line 4: workers stands on line 2 already"},
		{"subjects:\n  a: go:", "values with {, : or # stand in quotes"},
		{"plan: [", "did not find expected node content"},
	} {
		c, err := readProject(writeConfig(t, tt.text))
		if err == nil {
			f := pflag.NewFlagSet("test", pflag.ContinueOnError)
			new(recordOptions).addFlags(f)
			err = c.setFlags(f)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "project.yaml: ") {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// TestMetricSet holds which metrics are gated: the flag's set leaves out what the
// file says of others, the file's set does not.
func TestMetricSet(t *testing.T) {
	const waived = `
  waivers:
    - {metric: cpu_per_op, reason: signing, until: 9999-01-01}
    - {metric: allocs_per_op, reason: signing, until: 9999-01-01}
`
	const all = "alloc_bytes_per_op allocs_per_op cpu_per_op failed_requests ops_per_sec"
	const allocs = "alloc_bytes_per_op allocs_per_op failed_requests"
	tests := []struct {
		name    string
		file    string
		options gateOptions
		gated   string
		waivers int
	}{
		{"default", "gate: {}", gateOptions{}, all, 0},
		{"by flag", "gate: {}", gateOptions{metricSet: "allocs"}, allocs, 0},
		{"by file", "gate: {metric-set: allocs}", gateOptions{}, allocs, 0},
		{"flag over file", "gate: {metric-set: allocs}", gateOptions{metricSet: "all"}, all, 0},
		{"one more", "gate: {}", gateOptions{metricSet: "allocs", metrics: []string{"p99=10%"}}, allocs + " latency_p99", 0},
		{"one more by file", "gate: {metric-set: allocs, metrics: {p99: 10%}}", gateOptions{}, allocs + " latency_p99", 0},
		{"flag without the file's others", "gate:\n  metrics: {p99: 10%, allocs_per_op: 2%}" + waived,
			gateOptions{metricSet: "allocs"}, allocs, 1},
		{"waivers", "gate:" + waived, gateOptions{}, all, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.options
			o.config = writeConfig(t, tt.file)
			in, err := o.input(pflag.NewFlagSet("test", pflag.ContinueOnError), false)
			if err != nil {
				t.Fatal(err)
			}
			var gated []string
			for id := range in.options.Criteria.Rules {
				gated = append(gated, string(id))
			}
			slices.Sort(gated)
			if got := strings.Join(gated, " "); got != tt.gated || len(in.options.Waivers) != tt.waivers {
				t.Errorf("gated %s with %d waivers, want %s with %d", got, len(in.options.Waivers), tt.gated, tt.waivers)
			}
		})
	}
}

func TestMetricSetRejects(t *testing.T) {
	o := gateOptions{metricSet: "some", config: writeConfig(t, "gate: {}")}
	_, err := o.input(pflag.NewFlagSet("test", pflag.ContinueOnError), false)
	if err == nil || err.Error() != `unknown set of metrics "some"; there are all and allocs` {
		t.Error(err)
	}
	o = gateOptions{metricSet: "allocs", config: writeConfig(t, "gate: {metrics: {speed: 3%}}")}
	if _, err := o.input(pflag.NewFlagSet("test", pflag.ContinueOnError), false); err == nil {
		t.Error("an unknown metric of the file is left out in silence")
	}
}
