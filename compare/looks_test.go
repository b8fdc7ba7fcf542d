package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestFewBlocks looks at blocks of many shapes, of which none has anything to find, after
// every one of them: how often any look finds something in one of four metrics. Exact
// tests hold whatever the shape, if it is symmetric; Student's t, which judges the first
// dozen, does not: the last two are what it cannot know.
func TestFewBlocks(t *testing.T) {
	normal := func(r *rand.Rand) float64 { return r.NormFloat64() }
	pair := func(r *rand.Rand) float64 { a, b := r.ExpFloat64(), r.ExpFloat64(); return a - b }
	kinds := func(r *rand.Rand, n int) float64 { // each process is of the second with 1/n
		base, head := r.IntN(n)/(n-1), r.IntN(n)/(n-1)
		return float64(head - base)
	}
	exponential := func(r *rand.Rand) float64 { return r.ExpFloat64() - 1 }
	for _, tt := range []struct {
		name  string
		rule  Rule
		shape func(*rand.Rand) float64 // in percent
		most  float64                  // of experiments find something
	}{
		{"times, normal", timeRule, func(r *rand.Rand) float64 { return 2.5 * normal(r) }, FalseAlarms},
		{"times, wild", timeRule, func(r *rand.Rand) float64 { return 20 * normal(r) }, FalseAlarms},
		{"times, heavy tails", timeRule, func(r *rand.Rand) float64 { return 2.5 * normal(r) / math.Abs(normal(r)) }, FalseAlarms},
		{"times, uniform", timeRule, func(r *rand.Rand) float64 { return 5 * (2*r.Float64() - 1) }, FalseAlarms},
		{"times, skewed pairs", timeRule, func(r *rand.Rand) float64 { return 10 * pair(r) }, FalseAlarms},
		{"times, one side skewed", timeRule, func(r *rand.Rand) float64 { return 2.5 * exponential(r) }, FalseAlarms},
		{"times, two kinds of process", timeRule, func(r *rand.Rand) float64 { return 10*kinds(r, 2) + normal(r)/2 }, FalseAlarms},
		{"counts, normal", allocRule, func(r *rand.Rand) float64 { return 0.3 * normal(r) }, FalseAlarms},
		{"counts, two kinds of process", allocRule, func(r *rand.Rand) float64 { return 4*kinds(r, 2) + normal(r)/100 }, FalseAlarms},
		{"counts, one process in twenty", allocRule, func(r *rand.Rand) float64 { return 20*kinds(r, 20) + normal(r)/100 }, FalseAlarms},
		{"times, one side skewed by a lot", timeRule, func(r *rand.Rand) float64 { return 8 * exponential(r) }, 0.08},
		{"counts, kinds far apart", allocRule, func(r *rand.Rand) float64 { return 20*kinds(r, 2) + normal(r)/100 }, 0.15},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(13, 14))
			experiments := testlong.Experiments(3000, 30)
			early, ever := 0, 0
			for range experiments {
				switch found := firstFound(rng, tt.rule, tt.shape); {
				case found > 0 && found < 12:
					early++
					fallthrough
				case found > 0:
					ever++
				}
			}
			share := func(n int) float64 { return float64(n) / float64(experiments) }
			t.Logf("%.2f%%, of which before 12 blocks %.2f%%", 100*share(ever), 100*share(early))
			most := tt.most + 2*math.Sqrt(tt.most/float64(experiments)) // two standard errors
			if share(ever) > most {
				t.Errorf("want at most %.2f%%", 100*most)
			}
		})
	}
}

// firstFound is at which block the first look calls one of four metrics improved or
// regressed, 0 if none does.
func firstFound(rng *rand.Rand, rule Rule, shape func(*rand.Rand) float64) int {
	plan := runfolder.DefaultPlan()
	values := make([][]float64, 4)
	for n := 1; n <= plan.Blocks; n++ {
		var family []*finding
		for i := range values {
			values[i] = append(values[i], math.Log1p(max(-90, shape(rng))/100))
			f := &finding{better: Down, rule: rule}
			f.setBlocks(values[i], plan)
			family = append(family, f)
		}
		if n < plan.FirstLook {
			continue
		}
		judge(family, atLook(plan, n, FalseAlarms))
		for _, f := range family {
			if f.verdict.moved() {
				return n
			}
		}
	}
	return 0
}

// TestSooner holds after how many blocks changes are found that are larger than what
// blocks differ by, and from when on they may be.
func TestSooner(t *testing.T) {
	plan := runfolder.DefaultPlan()
	for _, tt := range []struct {
		name           string
		rule           Rule
		change, spread float64 // percent
		blocks         int
		want           Verdict
	}{
		{"allocations +370%", allocRule, 370, 0.05, 3, Regressed},
		{"allocations +3%", allocRule, 3, 0.01, 5, Inconclusive}, // all processes of a side may be of a kind
		{"allocations +3%, later", allocRule, 3, 0.01, 6, Regressed},
		{"allocations -30%", allocRule, -30, 0.05, 4, Improved},
		{"equal allocations", allocRule, 0, 0.01, 3, Equivalent},
		{"CPU +10%", timeRule, 10, 1.5, 7, Regressed},
		{"CPU +3%", timeRule, 3, 0.1, 5, Inconclusive},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var values []float64
			for i := range tt.blocks { // -1, 1, 0, -1, 1, 0 …
				values = append(values, stat.LogRatio(tt.change)+float64((i+2)%3-1)*tt.spread/100)
			}
			f := &finding{better: Down, rule: tt.rule}
			f.setBlocks(values, plan)
			judge([]*finding{f}, atLook(plan, tt.blocks, FalseAlarms/4))
			if f.verdict != tt.want {
				t.Errorf("%s: %+v, want %s", f.verdict, f.change(), tt.want)
			}
		})
	}
}

// TestGivingUp holds when more blocks are not waited for.
func TestGivingUp(t *testing.T) {
	plan := runfolder.DefaultPlan()
	fixed := plan
	fixed.Sequential, fixed.FirstLook = false, 0
	for _, tt := range []struct {
		name           string
		plan           runfolder.Plan
		change, spread float64 // percent
		blocks         int
		want           bool
	}{
		{"blocks that differ a lot", plan, 0, 15, 12, true},
		{"too early to tell", plan, 0, 15, 7, false},
		{"all blocks are there", plan, 0, 15, plan.Blocks, false},
		{"nothing to wait for", fixed, 0, 15, 12, false},
		{"nearly equal", plan, 0.2, 2, 12, false},
		{"nearly regressed", plan, 4, 3, 12, false},
		{"a large change in much noise", plan, 40, 15, 8, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var values []float64
			for i := range tt.blocks {
				values = append(values, stat.LogRatio(tt.change)+float64((i*7)%5-2)*tt.spread/100/math.Sqrt2)
			}
			m, _ := FindMetric(CPUPerOp)
			f := &finding{better: Down, rule: timeRule}
			f.setBlocks(values, tt.plan)
			judge([]*finding{f}, atLook(tt.plan, tt.blocks, FalseAlarms))
			if f.verdict != Inconclusive {
				t.Logf("%s already", f.verdict)
			}
			if why := whyGiveUp([]undecided{{m, f}}, aheadOf(tt.plan, tt.blocks)); (why != "") != tt.want {
				t.Errorf("%q, a chance of %v", why, f.chance(aheadOf(tt.plan, tt.blocks)))
			}
		})
	}
}
