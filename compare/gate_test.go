package compare

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testGate is of a head that regressed in all gated metrics, one of them waived.
func testGate(t *testing.T) Gate {
	t.Helper()
	o := defaults()
	o.Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	o.Waivers = []Waiver{
		{Metric: "cpu_per_op", Reason: "signing, issue 41", Until: day(6, 1)},
		{Metric: "ops_per_sec", Reason: "it was slow in spring", Until: day(5, 31)},
		{Metric: "alloc_bytes_per_op", Head: "other", Reason: "not this one", Until: day(12, 31)},
	}
	r := newReport([]Variant{
		variant(synthesize(t, "before", "e1", 12, fast, 7), storyCosts(fast.bytes, "net/url.parse")),
		variant(synthesize(t, "after", "e1", 12, slow, 7), storyCosts(slow.bytes, "net/textproto.readMIMEHeader")),
	}, o)
	return NewGate(r)
}

func TestGateGolden(t *testing.T) {
	g := testGate(t)
	for _, format := range GateFormats {
		t.Run(format, func(t *testing.T) {
			var got bytes.Buffer
			if err := g.Render(&got, format); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "gate."+format)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("differs from %s; go test ./compare -update rewrites it\n%s", path, diff)
			}
		})
	}
	if err := g.Render(&bytes.Buffer{}, "pdf"); err == nil {
		t.Error("rendered a format that does not exist")
	}
}

func TestGateExplains(t *testing.T) {
	g := testGate(t)
	if g.Verdict != Regressed {
		t.Fatalf("verdict %s", g.Verdict)
	}
	for _, m := range g.Metrics {
		switch m.Name {
		case "alloc_bytes_per_op":
			if len(m.Functions) == 0 || m.Functions[0].Name != "net/textproto.readMIMEHeader" {
				t.Errorf("allocated bytes are explained by %+v", m.Functions)
			}
		case "cpu_per_op":
			if !m.Waived || m.Verdict != Regressed {
				t.Errorf("CPU: %s, waived %v", m.Verdict, m.Waived)
			}
		case "ops_per_sec":
			if m.Waived {
				t.Error("throughput is waived after the waiver's last day")
			}
		}
		for _, f := range m.Functions {
			if m.grew(f) <= 0 {
				t.Errorf("%s is explained by %s, which shrank", m.Name, f.Name)
			}
		}
	}
	want := []WaiverState{WaiverApplied, WaiverExpired, WaiverUnused}
	for i, use := range g.Waivers {
		if use.State != want[i] {
			t.Errorf("waiver %s, want %s", use, want[i])
		}
	}
}

// TestGateEscapes holds what a name or a reason could do to the formats that
// have a syntax of their own.
func TestGateEscapes(t *testing.T) {
	g := testGate(t)
	g.Head = `a<b>&"c"`
	g.Waivers[0].Reason = "100% sure\n::error::not a command"
	var out bytes.Buffer
	if err := g.Render(&out, "github"); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "::") || strings.HasPrefix(line, "::error::not") {
			t.Errorf("the line %q begins otherwise than a command", line)
		}
	}
	out.Reset()
	if err := g.Render(&out, "junit"); err != nil {
		t.Fatal(err)
	}
	var suite junitSuite
	if err := xml.Unmarshal(out.Bytes(), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 4 || suite.Failures != 2 || suite.Skipped != 1 || len(suite.Cases) != 4 || !strings.Contains(suite.Cases[0].Class, g.Head) {
		t.Errorf("%+v", suite)
	}
}

func TestOverall(t *testing.T) {
	metric := func(v Verdict, waived bool) MetricChange {
		return MetricChange{Gated: true, Verdict: v, Waived: waived}
	}
	tests := []struct {
		want    Verdict
		metrics []MetricChange
	}{
		{Regressed, []MetricChange{metric(Improved, false), metric(Inconclusive, false), metric(Regressed, false)}},
		{Inconclusive, []MetricChange{metric(Improved, false), metric(Inconclusive, false)}},
		{Improved, []MetricChange{metric(Equivalent, false), metric(Improved, false), metric(NotJudged, false)}},
		{Equivalent, []MetricChange{metric(Equivalent, false), {Verdict: Regressed}}},
		{Equivalent, []MetricChange{metric(Equivalent, false), metric(Regressed, true)}},
		{Equivalent, []MetricChange{metric(Regressed, true)}},
		{Inconclusive, []MetricChange{metric(NotJudged, false)}},
		{Inconclusive, nil},
	}
	for _, tt := range tests {
		if got := overall(tt.metrics); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.metrics, got, tt.want)
		}
	}
}
