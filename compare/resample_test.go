package compare

import (
	"math/rand/v2"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestResampler draws experiments from simulated ones without a difference, and
// holds how the resolution depends on what it must.
func TestResampler(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pool := NewResampler(DefaultCriteria())
	for range 6 {
		runs := shared.record(rng)
		pool.Add(runs[0], runs[1])
	}
	if pool.Blocks() != 6*runfolder.DefaultPlan().Blocks {
		t.Fatalf("%d blocks", pool.Blocks())
	}
	const experiments = 1000
	alarms := 0
	for range experiments {
		if verdicts, _ := pool.Resample(rng, runfolder.DefaultPlan()); matches(verdicts, "", "") {
			alarms++
		}
	}
	if alarms > experiments/100 {
		t.Errorf("%d false alarms in %d experiments", alarms, experiments)
	}
	if got := pool.Resolution(rng, "cpu_per_op", 5); got != 0 {
		t.Errorf("five blocks resolve %v%%", got)
	}
	short, long := pool.Resolution(rng, "ops_per_sec", 12), pool.Resolution(rng, "ops_per_sec", 48)
	if short < long || long < timeRule.Floor || short > 10 {
		t.Errorf("12 blocks resolve %v%%, 48 blocks %v%%", short, long)
	}
	if got := pool.Resolution(rng, "alloc_bytes_per_op", 20); got < allocRule.Floor || got > 0.3 {
		t.Errorf("allocations are resolved to %v%%", got)
	}
}
