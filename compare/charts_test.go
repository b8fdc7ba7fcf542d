package compare

import (
	"math"
	"slices"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

func TestSeries(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 6, slow, 7), synthesize(t, "head", "e1", 6, fast, 7)
	r := charted(t, []Variant{recorded(t, variant(base, nil)), recorded(t, variant(head, nil))}, defaults())
	c := r.Charts
	if len(c.Borders) != 6 || c.Pooled != 1 || len(c.Slices) != 2 {
		t.Errorf("%d borders, %d slices per point, %d variants", len(c.Borders), c.Pooled, len(c.Slices))
	}
	s, first := c.Slices[1], head.Slices[0]
	want := float64(first.Ops()) / first.Duration.Seconds()
	if len(s.Ops) != 6*(testRounds+1) || !near(float64(s.Ops[0]), want, 1) || !near(float64(s.Latency[0]), fast.latencyMs, 1e-3) || !math.IsNaN(float64(s.Ops[testRounds])) {
		t.Errorf("%d points, the first of %v ops/s and %v ms, after a block %v", len(s.Ops), s.Ops[0], s.Latency[0], s.Ops[testRounds])
	}
	checkPercentiles(t, c.Latency, r.Variants)
	other := recorded(t, variant(synthesize(t, "head", "e2", 6, fast, 8), nil))
	if unpaired := charted(t, []Variant{r.Variants[0], other}, defaults()); len(unpaired.Charts.Borders) > 0 {
		t.Errorf("borders %v of runs that were not recorded together", unpaired.Charts.Borders)
	}
}

// checkPercentiles holds that every line has the one latency of the made-up
// runs, up to where one request is left.
func checkPercentiles(t *testing.T, p Percentiles, variants []Variant) {
	t.Helper()
	for i, line := range p.Lines {
		requests := float64(variants[i].Totals.TotalOps)
		for k, rounded := range line.Ms {
			ms, nines := float64(rounded), float64(p.Nines[k])
			left := requests * math.Pow(10, -nines)
			there := !math.IsNaN(ms)
			if there != (left >= 0.9999) || there && !near(ms, []float64{slow.latencyMs, fast.latencyMs}[i], 0.01) {
				t.Errorf("%s at %v nines, where %v requests are left: %v", line.Label, nines, left, ms)
			}
		}
	}
}

func TestOpenLoopHasTwoLines(t *testing.T) {
	base, head := synthesizeOpen(t, "base", slow, 0.6), synthesize(t, "head", "e1", 6, fast, 7)
	var got []string
	for _, l := range percentiles([]Variant{variant(base, nil), variant(head, nil)}).Lines {
		got = append(got, l.Label)
	}
	if want := []string{"base", "base, from sending", "head"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
}

// TestManySlicesArePooled holds that pooling keeps a chart small and its sums
// right.
func TestManySlicesArePooled(t *testing.T) {
	run := synthesize(t, "base", "e1", 2, slow, 7)
	pooled := newSeries(run, 7) // of 20 rounds: 7, 7 and 6
	if len(pooled.Ops) != 2*(3+1) {
		t.Fatalf("%d points", len(pooled.Ops))
	}
	var ops, seconds float64
	for _, s := range run.BlockSlices(1)[14:] {
		ops += float64(s.Ops())
		seconds += s.Duration.Seconds()
	}
	if got := float64(pooled.Ops[6]); got != ops/seconds {
		t.Errorf("%v ops/s in the last pool, want %v", got, ops/seconds)
	}
}

func isKind(name string) bool {
	_, known := runfolder.KindNamed(name)
	return known
}

// TestMetricsAreSound holds the tables against each other.
func TestMetricsAreSound(t *testing.T) {
	seen := map[MetricID]bool{}
	for _, m := range Metrics {
		if seen[m.ID] || m.Label == "" || m.value == nil {
			t.Errorf("metric %q: twice, or without a label or a value", m.ID)
		}
		seen[m.ID] = true
		if m.Gated && (m.Better == Neutral || m.Rule.Tolerance <= m.Rule.Floor) {
			t.Errorf("metric %s is gated, and cannot be judged: %+v", m.ID, m.Rule)
		}
		if m.ExplainedBy != "" && !isKind(m.ExplainedBy) {
			t.Errorf("metric %s is explained by %q, which is no kind of profile", m.ID, m.ExplainedBy)
		}
	}
	for _, k := range runfolder.Kinds {
		for _, id := range []string{k.Explains, k.Counts} {
			if id != "" && !seen[MetricID(id)] {
				t.Errorf("profiles of kind %s explain %q, which is no metric", k.Name, id)
			}
		}
	}
}
