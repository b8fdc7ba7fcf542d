package render

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

func renderHistory(t *testing.T, records []history.Record, format string) string {
	t.Helper()
	var b bytes.Buffer
	err := History(&b, history.Curves(records), format)
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHistoryGolden(t *testing.T) {
	records, err := history.Read("../history/testdata/history.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "history.txt", renderHistory(t, records, "text"))
	golden(t, "history.svg", renderHistory(t, records, "svg"))
}

// alone is a run without a base.
func alone(curve string, day int, allocs float64) history.Record {
	return history.Record{
		Curve: curve, Load: "test mix", Experiment: "e", Blocks: 1, Time: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC),
		Machine: runfolder.Host{OS: "linux"}, Head: history.Build{Subject: curve, SHA256: "0123456789"},
		Metrics: []history.Metric{
			{ID: "cpu_per_op", Value: &allocs}, {ID: "latency_p99", Value: &allocs},
			{ID: "allocs_per_op", Value: &allocs},
		},
	}
}

// TestHistoryOdd: what cannot be told is said, and so is which curve it is of.
func TestHistoryOdd(t *testing.T) {
	records := []history.Record{alone("a", 1, 0), alone("a", 2, 3), alone("b", 3, 4)}
	got := renderHistory(t, records, "text")
	for _, want := range []string{
		"a, test mix\n2 runs from binary 01234567 (2026-01-01) to binary 01234567 (2026-01-02), on 1 kind of machine\n",
		"  allocations  allocs/op             ▁█   0.00  3.00\n",
		"  none that holds\n",
		"  CPU; latency, p99: no run was recorded together with a base",
		"  allocations: 0 in some run",
		"\nb, test mix\n1 run, of binary 01234567 (2026-01-03)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// TestHistoryRange names the runs among which a change lies.
func TestHistoryRange(t *testing.T) {
	var records []history.Record
	for day := range 20 {
		value := 5.0
		switch {
		case day > 10:
			value = 6
		case day >= 9:
			value = 5.5
		}
		value += 0.2 * float64(day%3)
		records = append(records, alone("a", 1+day, value))
		records[day].Head.Commit = string(rune('a'+day)) + "bcdef0123"
	}
	got := renderHistory(t, records, "text")
	if !strings.Contains(got, "regressed\n    between i") || !strings.Contains(got, ", by j") {
		t.Errorf("no range in\n%s", got)
	}
}

func TestHistoryFormat(t *testing.T) {
	err := History(&bytes.Buffer{}, nil, "pdf")
	if err == nil || !strings.Contains(err.Error(), "text, html, svg") {
		t.Errorf("error %v", err)
	}
}
