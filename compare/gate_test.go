package compare

import (
	"slices"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare/profdiff"
)

func TestGateExplains(t *testing.T) {
	g := NewGate(gateReport(t))
	if g.Verdict != Regressed {
		t.Fatalf("verdict %s", g.Verdict)
	}
	explains := map[MetricID]Grown{}
	for _, m := range g.Metrics {
		if m.Grown >= 0 {
			explains[m.ID] = g.Grown[m.Grown]
		}
		switch m.ID {
		case CPUPerOp:
			if !m.Waived || m.Verdict != Regressed {
				t.Errorf("CPU: %s, waived %v", m.Verdict, m.Waived)
			}
		case OpsPerSec:
			if m.Waived {
				t.Error("throughput is waived after the waiver's last day")
			}
		}
	}
	if got := explains["alloc_bytes_per_op"]; got.Unit != "B/op" || got.Largest[0].Name != "net/textproto.readMIMEHeader" {
		t.Errorf("allocated bytes are explained by %+v", got)
	}
	cpu := explains[CPUPerOp]
	if !slices.Equal(cpu.Metrics, []MetricID{OpsPerSec, CPUPerOp}) || cpu.Unit != "us/op" || len(cpu.Largest) != 1 || cpu.Largest[0].Name != "main.handle" {
		t.Errorf("throughput and CPU are explained by %+v", cpu)
	}
	want := []WaiverState{WaiverApplied, WaiverExpired, WaiverUnused}
	for i, use := range g.Waivers {
		if use.State != want[i] {
			t.Errorf("waiver %s, want %s", use, want[i])
		}
	}
}

// TestGateWithoutFunctions holds what a gate says when no function stands out.
func TestGateWithoutFunctions(t *testing.T) {
	g := NewGate(unexplainedReport(t))
	i := slices.IndexFunc(g.Grown, func(e Grown) bool { return e.Kind == "allocs" && !e.ByCount })
	if i < 0 {
		t.Fatalf("nothing is said of allocated bytes: %+v", g.Grown)
	}
	e := g.Grown[i]
	if len(e.Largest) > 0 || len(e.Groups) != 1 || e.Groups[0].Name != profdiff.GroupOther || e.Groups[0].Low == nil {
		t.Errorf("%+v", e)
	}
	if e.Nearest == nil || e.Nearest.Blocks <= 12 || !strings.HasPrefix(e.Nearest.Name, "main.") {
		t.Errorf("nearest %+v", e.Nearest)
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
