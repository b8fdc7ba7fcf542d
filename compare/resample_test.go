package compare

import (
	"math/rand/v2"
	"testing"
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
	if pool.Blocks() != 120 {
		t.Fatalf("%d blocks", pool.Blocks())
	}
	const experiments = 1000
	alarms := 0
	for range experiments {
		if matches(pool.Resample(rng, []int{12, 16, 20}), "", "") {
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
