package compare

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// benchstat is the version the tests hold the benchfmt format against; the
// command in docs/compare.md names the same one.
const benchstat = "golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da"

// runBenchstat builds benchstat and lets it read the report.
func runBenchstat(t *testing.T, r *Report) string {
	t.Helper()
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), "go", "install", benchstat)
	install.Env = append(os.Environ(), "GOBIN="+dir)
	if text, err := install.CombinedOutput(); err != nil {
		t.Skipf("benchstat cannot be fetched here, so the format is not tested on it: %v: %s", err, text)
	}
	var lines bytes.Buffer
	if err := r.Render(&lines, "benchfmt"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bench.txt")
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), filepath.Join(dir, "benchstat"), "-col", "/subject", file).CombinedOutput()
	if err != nil {
		t.Fatalf("benchstat: %v: %s", err, text)
	}
	return string(text)
}

func TestBenchstat(t *testing.T) {
	// The second name ends as GOMAXPROCS does in a benchmark's name.
	base, head := synthesize(t, "fasthttp", "e1", 10, slow, 7), synthesize(t, "fasthttp-2", "e1", 10, fast, 7)
	for _, r := range []*runfolder.Run{base, head} {
		r.Manifest.Host.GOMAXPROCS = 2
	}
	noClock := variant(head, nil)
	noClock.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceCPUClock: "no such clock here"}
	got := runBenchstat(t, newReport([]Variant{variant(base, nil), noClock}, defaults()))
	for _, want := range []string{
		`│ +fasthttp +│ +fasthttp-2 +│`,
		`sec/op +│ +sec/op +vs base`,
		`Load-2 +106\.87µ ± +\d+% +97\.25µ ± +\d+% +-9\.00% \(p=0\.000 n=10\)`,
		`Load-2 +13\.672Ki ± 0% +9\.766Ki ± 0% +-28\.57% \(p=0\.000 n=10\)`,
		`p99-sec +│ +p99-sec +vs base`,
		`(?m)^Load-2 +85\.\d+µ ± +\d+%$`, // CPU time, of one side only
	} {
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("benchstat does not show %s:\n%s", want, got)
		}
	}
}

func TestBenchfmtNames(t *testing.T) {
	a, b := synthesize(t, "fast http", "e1", 6, slow, 7), synthesize(t, "fast http", "e2", 6, fast, 7)
	b.Manifest.Label = "with/pool\nand more"
	a.Manifest.Subject.Binary.Module, b.Manifest.Subject.Binary.Module = "example.com/a", "example.com/b"
	b.Manifest.Host.CPUModel = "Other CPU"
	var got bytes.Buffer
	if err := newReport([]Variant{variant(a, nil), variant(b, nil)}, defaults()).Render(&got, "benchfmt"); err != nil {
		t.Fatal(err)
	}
	for want, count := range map[string]int{
		"BenchmarkLoad/subject=fast_http_e1-0\t":                     6,
		"BenchmarkLoad/subject=fast_http_e2_with_pool_and_more-0\t":  6,
		"\ncpu: Test CPU\nBenchmarkLoad/subject=fast_http_e1-0\t":    1,
		"\ncpu: Other CPU\nBenchmarkLoad/subject=fast_http_e2_with_": 1,
		"pkg: ": 0,
	} {
		if n := strings.Count(got.String(), want); n != count {
			t.Errorf("%q stands %d times, want %d:\n%s", want, n, count, got.String())
		}
	}
}

func TestCSV(t *testing.T) {
	base := synthesize(t, `a "quoted", name`, "e1", 6, slow, 7)
	head := variant(synthesize(t, "head", "e2", 6, fast, 7), nil)
	head.run.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceCPUClock: "no clock, sorry"}
	head.Manifest = head.run.Manifest
	var text bytes.Buffer
	if err := newReport([]Variant{variant(base, nil), head, variant(synthesize(t, "third", "e1", 6, fast, 7), nil)}, defaults()).Render(&text, "csv"); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+2*len(Metrics) {
		t.Fatalf("%d rows of two comparisons of %d metrics", len(rows), len(Metrics))
	}
	cell := func(row int, column string) string { return rows[row][slices.Index(csvColumns, column)] }
	const cpu = 2 // the row, after the header
	for column, want := range map[string]string{
		"base": `a "quoted", name`, "head": "head", "paired": "false", "metric": "cpu_per_op", "unit": "us/op", "better": "down",
		"head_value": "", "change_percent": "", "low_percent": "", "high_percent": "", "level": "", "gated": "true", "verdict": "inconclusive", "unavailable": "no clock, sorry",
	} {
		if got := cell(cpu, column); got != want {
			t.Errorf("%s is %q, want %q", column, got, want)
		}
	}
	third := len(Metrics) + cpu
	if cell(third, "head") != "third" || cell(third, "paired") != "true" || cell(third, "verdict") == "" || cell(third, "base_value") == "" {
		t.Errorf("row %q", rows[third])
	}
}
