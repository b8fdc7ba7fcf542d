package runfolder

import (
	"strings"
	"testing"
)

// TestLayoutsRoundTrip: blocks of other layouts come back as a run of their own, of
// a load with a rate too.
func TestLayoutsRoundTrip(t *testing.T) {
	m := openManifest()
	m.Plan.Blocks, m.Plan.Layouts = 1, 1
	run, err := newWriter(t.TempDir(), "20260102_030405-one", m)
	if err != nil {
		t.Fatal(err)
	}
	for b := range 2 {
		block := exampleBlock(b)
		block.Layout = int64(b) // the first is as built
		if err := run.Add(block, exampleSamples(b), exampleLatency(t, true), exampleProfiles()); err != nil {
			t.Fatal(err)
		}
	}
	if err := run.Complete(StateComplete, ""); err != nil {
		t.Fatal(err)
	}
	dir, err := run.Publish()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l := got.Layouts
	if l == nil || len(got.Manifest.Blocks) != 1 || len(got.Slices) != 2 || len(got.Latency) != 1 || len(got.Sent) != 1 {
		t.Fatalf("as built: %d blocks, %d slices", len(got.Manifest.Blocks), len(got.Slices))
	}
	if len(l.Manifest.Blocks) != 1 || l.Manifest.Blocks[0].Layout != 1 || l.BlockSlices(0)[0].Block != 1 ||
		len(l.Latency) != 1 || len(l.Sent) != 1 || len(l.Manifest.LayoutBlocks) != 0 {
		t.Errorf("other layouts: %+v", l.Manifest)
	}
	if all := got.Totals().TotalOps; all != run.View().Totals().TotalOps || all*2 != all+l.Totals().TotalOps {
		t.Errorf("%d requests as built, %d with another layout", all, l.Totals().TotalOps)
	}
	p, err := got.ProfileFile(FileCPU)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Sample {
		if b, _ := SampleBlock(s); b != 0 {
			t.Errorf("the profile has a sample of block %d", b)
		}
	}
}

func TestLayoutsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		seeds []int64
		want  string
	}{
		{"as planned", []int64{1, 2}, ""},
		{"too many", []int64{1, 2, 3}, "3 blocks of other layouts, of 2"},
		{"no seed", []int64{0}, "block 1 has layout 0"},
		{"a seed twice", []int64{4, 4}, "block 2 has layout 4"},
	} {
		m := exampleManifest()
		m.Plan.Layouts, m.Blocks = 2, []Block{{Machine: &Machine{}}}
		for i, seed := range tt.seeds {
			m.LayoutBlocks = append(m.LayoutBlocks, Block{Block: i + 1, Layout: seed, Machine: &Machine{}})
		}
		err := m.check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}
