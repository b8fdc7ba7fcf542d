package compare

import (
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// publishing is a side whose server told so many unsynced writes in each block;
// nil is a block without.
func publishing(most ...*int64) side {
	run := &runfolder.Run{}
	s := side{Run: run, whole: &measured{kind: allKinds}}
	for _, n := range most {
		block := runfolder.Block{MaxUnsynced: n}
		run.Manifest.Blocks = append(run.Manifest.Blocks, block)
		s.blocks = append(s.blocks, &measured{kind: allKinds, block: block})
	}
	return s
}

func TestDurability(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for _, test := range []struct {
		name       string
		base, head side
		verdict    Verdict
		found      string
	}{
		{"never", publishing(n(0), n(0)), publishing(n(0), n(0)), Equivalent, "0 on both sides"},
		{"once", publishing(n(0), n(0)), publishing(n(0), n(1)), Regressed, "from 0 to 1"},
		{"no more", publishing(n(0), n(800)), publishing(n(0), n(0)), Improved, "from 800 to 0"},
		{"about as many", publishing(n(800), n(20)), publishing(n(1500), n(3)), Equivalent, "from 800 to 1,500"},
		{"many more", publishing(n(800)), publishing(n(1601)), Regressed, "from 800 to 1,601"},
		{"far fewer", publishing(n(1601)), publishing(n(800)), Improved, "from 1,601 to 800"},
		{"all instead of some", publishing(n(800)), publishing(n(-1)), Regressed, "from 800 to all"},
		{"none instead of all", publishing(n(-1)), publishing(n(0)), Improved, "from all to 0"},
		{"always all", publishing(n(-1)), publishing(n(-1)), Equivalent, "all on both sides"},
		{"not told", publishing(n(0)), publishing(n(0), nil), Inconclusive, "does not publish"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := estimate(durability, test.base, test.head, DefaultCriteria())
			if got.bare != test.verdict || !strings.Contains(got.missing, test.found) {
				t.Errorf("%s, %q; want %s, %q", got.bare, got.missing, test.verdict, test.found)
			}
		})
	}
}

// TestPriceIsNamed holds that a gain never stands without what it cost.
func TestPriceIsNamed(t *testing.T) {
	few, none := 424.0, 0.0
	change := MetricChange{ID: UnsyncedWrites, Base: &none, Head: &few, Verdict: Regressed}
	for _, test := range []struct {
		change func(*MetricChange)
		want   string
	}{
		{func(*MetricChange) {}, "; but a power cut may lose up to 424 acknowledged writes (base 0)"},
		{func(m *MetricChange) { m.Head, m.HeadAll = nil, true }, "; but a power cut may lose all acknowledged writes (base 0)"},
		{func(m *MetricChange) { m.Verdict = Equivalent }, ""},
		{func(m *MetricChange) { m.Gated = true }, ""},
	} {
		m := change
		test.change(&m)
		if got := (Comparison{Metrics: []MetricChange{m}}).price(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
