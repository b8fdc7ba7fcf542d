package render

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare"
)

// benchstat is the version that the tests try the benchfmt format on; the
// command in docs/compare.md names the same one.
const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

// runBenchstat builds benchstat and lets it read the report.
func runBenchstat(t *testing.T, r *compare.Report) string {
	t.Helper()
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", benchstat)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if text, err := install.CombinedOutput(); err != nil {
		t.Skipf("benchstat cannot be fetched here, so the format is not tested on it: %v: %s", err, text)
	}
	file := filepath.Join(dir, "bench.txt")
	if err := os.WriteFile(file, []byte(render(t, r, "benchfmt")), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), filepath.Join(dir, "benchstat"), "-col", "/subject", file).CombinedOutput()
	if err != nil {
		t.Fatalf("benchstat: %v: %s", err, text)
	}
	return string(text)
}

func TestBenchstat(t *testing.T) {
	r := read(t, "report")
	// The second name ends as GOMAXPROCS does in a benchmark's name.
	r.Variants[0].Name, r.Variants[1].Name = "fasthttp", "fasthttp-2"
	for i := range r.Variants {
		r.Variants[i].Manifest.Host.GOMAXPROCS = 2
	}
	for i, m := range r.Variants[1].Metrics {
		if m.ID == compare.CPUPerOp {
			r.Variants[1].Metrics[i].Blocks = make([]*float64, len(m.Blocks))
		}
	}
	got := runBenchstat(t, r)
	for _, want := range []string{
		`│ +fasthttp +│ +fasthttp-2 +│`,
		`sec/op +│ +sec/op +vs base`,
		`Load-2 +10\d\.\d\dµ ± +\d+% +9\d\.\d\dµ ± +\d+% +-[89]\.\d\d% \(p=0\.000 n=16\)`,
		`Load-2 +13\.672Ki ± 0% +9\.766Ki ± 0% +-28\.57% \(p=0\.000 n=16\)`,
		`Load/kind=read-2 +1\.20\d+m ± +\d+% +1\.10\d+m ± +\d+% +-8\.\d\d% \(p=0\.000 n=16\)`,
		`p99-sec +│ +p99-sec +vs base`,
		`(?m)^Load-2 +8\d\.\d+µ ± +\d+%$`, // CPU time, of one side only
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("benchstat does not show %s:\n%s", want, got)
		}
	}
}

func TestBenchfmtNames(t *testing.T) {
	r := read(t, "report")
	a, b := &r.Variants[0], &r.Variants[1]
	a.Name, b.Name = "fast http e1", "fast http e2 with/pool\nand more"
	a.Manifest.Subject.Binary.Module, b.Manifest.Subject.Binary.Module = "example.com/a", "example.com/b"
	b.Manifest.Host.CPUModel = "Other CPU"
	got := render(t, r, "benchfmt")
	for want, count := range map[string]int{
		"BenchmarkLoad/subject=fast_http_e1-0\t":                     16,
		"BenchmarkLoad/subject=fast_http_e2_with_pool_and_more-0\t":  16,
		"\ncpu: Test CPU\nBenchmarkLoad/subject=fast_http_e1-0\t":    1,
		"\ncpu: Other CPU\nBenchmarkLoad/subject=fast_http_e2_with_": 1,
		"pkg: ": 0,
	} {
		if n := strings.Count(got, want); n != count {
			t.Errorf("%q stands %d times, want %d:\n%s", want, n, count, got)
		}
	}
}

// TestBenchfmtLeavesOutWhatWasAsked: under a rate the time between requests is
// the load's.
func TestBenchfmtLeavesOutWhatWasAsked(t *testing.T) {
	got := render(t, read(t, "odd-open"), "benchfmt")
	if strings.Contains(got, " ns/op\t") || !strings.Contains(got, " cpu-ns/op\t") {
		t.Errorf("%s", got)
	}
}

func TestCSV(t *testing.T) {
	r := read(t, "odd-bound")
	r.Comparisons[0].Base = `a "quoted", name`
	rows, err := csv.NewReader(strings.NewReader(render(t, r, "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	c := r.Comparisons[0]
	if want := 1 + len(c.Metrics) + 2*len(c.Requests.Kinds[0].Metrics); len(rows) != want {
		t.Fatalf("%d rows, want %d", len(rows), want)
	}
	cell := func(row int, column string) string { return rows[row][slices.Index(csvColumns, column)] }
	const throughput, bytes = 1, 3 // the rows, after the header
	for column, want := range map[string]string{
		"base": `a "quoted", name`, "head": "head-", "paired": "true", "metric": "alloc_bytes_per_op", "unit": "B/op", "better": "down",
		"head_value": "", "change_percent": "", "low_percent": "", "high_percent": "", "level": "",
		"gated": "true", "verdict": "inconclusive", "unavailable": "the server has no /debug/pprof",
	} {
		if got := cell(bytes, column); got != want {
			t.Errorf("%s is %q, want %q", column, got, want)
		}
	}
	last := len(rows) - 1
	if cell(last, "kind") != "read" || cell(last, "metric") != "body_bytes" || cell(last, "base_value") != "3780" {
		t.Errorf("row %q", rows[last])
	}
	if cell(throughput, "kind") != "" {
		t.Errorf("row %q", rows[throughput])
	}
	if cell(throughput, "verdict") != "regressed" || cell(throughput, "base_value") == "" {
		t.Errorf("row %q", rows[throughput])
	}
}
