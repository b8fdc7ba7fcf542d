package compare

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/pprof/profile"
)

// stack is a sample of a test profile: its functions from the leaf, those that
// are inlined into the next marked with "<". Block counts from 1; 0 is none.
type stack struct {
	block  int64
	frames string
}

// testProfile has one sample a stack, of 2 allocations and 100 bytes.
func testProfile(stacks ...stack) *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"}},
		PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
		Period:     524288,
	}
	for _, st := range stacks {
		s := &profile.Sample{Value: []int64{2, 100}}
		if st.block > 0 {
			s.NumLabel = map[string][]int64{"block": {st.block}}
		}
		var l *profile.Location
		for _, name := range strings.Fields(st.frames) {
			name, inlined := strings.CutSuffix(name, "<")
			f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name}
			p.Function = append(p.Function, f)
			if l == nil {
				l = &profile.Location{ID: uint64(len(p.Location) + 1)}
				p.Location, s.Location = append(p.Location, l), append(s.Location, l)
			}
			if l.Line = append(l.Line, profile.Line{Function: f}); !inlined {
				l = nil
			}
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

var bytesAllocated = sampled{value: "alloc_space", count: "alloc_objects", allocs: true, scale: 1}

func mustSum(t *testing.T, ops []float64, stacks ...stack) costs {
	t.Helper()
	c, err := sumCosts(testProfile(stacks...), bytesAllocated, ops, DefaultGroups().of("example.com/app"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSumCosts(t *testing.T) {
	got := mustSum(t, []float64{10, 40},
		stack{1, "leaf middle main.main"},
		stack{2, "leaf main.walk main.walk main.main"}, // recursive: walk counts once
		stack{2, "small< main.walk main.main"},
		stack{1, "leaf runtime/pprof.writeHeap net/http.serve"}, // the measurement itself
		stack{1, "compress/flate.NewWriter net/http/pprof.handler.ServeHTTP"},
		stack{1, ""},
	)
	want := map[string]cost{
		"leaf":      {value: 4, cum: 4, allocs: 0.08, blocks: []float64{10, 2.5}, standsOut: true, charged: map[string]float64{GroupOwn: 200}},
		"small":     {value: 2, cum: 2, allocs: 0.04, blocks: []float64{0, 2.5}, inlined: true, charged: map[string]float64{GroupOwn: 100}},
		"middle":    {cum: 2, standsOut: true},
		"main.walk": {cum: 4, standsOut: true},
		"main.main": {cum: 6, standsOut: true},
		"(unknown)": {value: 2, cum: 2, allocs: 0.04, blocks: []float64{10, 0}, standsOut: true, charged: map[string]float64{GroupOther: 100}},
	}
	same := cmp.Options{cmp.AllowUnexported(cost{}), cmpopts.IgnoreFields(cost{}, "variance")}
	if diff := cmp.Diff(want, got.values, same); diff != "" {
		t.Error(diff)
	}
	groups := map[string]cost{
		GroupOwn:   {value: 6, cum: 6, allocs: 0.12, blocks: []float64{10, 5}},
		GroupOther: {value: 2, cum: 2, allocs: 0.04, blocks: []float64{10, 0}},
	}
	if diff := cmp.Diff(groups, got.groups, same); diff != "" {
		t.Error(diff)
	}
	if got.blocks != 2 {
		t.Errorf("%d blocks", got.blocks)
	}
}

func TestSumCostsRefuses(t *testing.T) {
	rules := DefaultGroups()
	tests := []struct {
		name    string
		profile *profile.Profile
		types   sampled
		ops     []float64
		want    string
	}{
		{"another kind of profile", testProfile(), sampled{value: "cpu", count: "samples"}, []float64{1}, "lacks the sample type cpu"},
		{"a block the run does not have", testProfile(stack{3, "f"}), bytesAllocated, []float64{1, 1}, "a sample of block 3, where the run has 2 blocks"},
		{"no request", testProfile(stack{1, "f"}), bytesAllocated, []float64{0, 0}, "no request was measured"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := sumCosts(tt.profile, tt.types, tt.ops, rules); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// A profile that was recorded without the label has sums all the same.
func TestUnlabelledProfile(t *testing.T) {
	c := mustSum(t, []float64{10, 40}, stack{0, "main.f"}, stack{1, "main.f"})
	if got := c.values["main.f"]; c.blocks != 0 || got.blocks != nil || got.value != 4 {
		t.Errorf("%d blocks, %+v", c.blocks, got)
	}
	table := difference{base: c, head: c, paired: true}.table()
	if f := table.Functions[0]; f.Low != nil || f.Noise {
		t.Errorf("an interval from nothing: %+v", f)
	}
	if !strings.Contains(table.reconciliation(), "sampling error is unknown") {
		t.Error(table.reconciliation())
	}
}

func TestSamplingVariance(t *testing.T) {
	cpu := sampled{value: "cpu", count: "samples"}
	if got := cpu.variance(40e6, 4, 0); got != 4*10e6*10e6 {
		t.Errorf("4 samples of 10 ms: %v", got)
	}
	// Every allocation is sampled: nothing is left to chance.
	if got := bytesAllocated.variance(1000, 10, 1); got > 1e-9 {
		t.Errorf("at rate 1: %v", got)
	}
	// A sampled small object stands for about rate bytes.
	if got := bytesAllocated.variance(524288, 524288/64., 524288); !near(got, 524288*524288, 1e8) {
		t.Errorf("one sample: %v", got)
	}
	if got := bytesAllocated.variance(0, 0, 524288); got != 0 {
		t.Errorf("no sample: %v", got)
	}
}

// Whatever pprof can parse can be summed up, and the groups then hold what the
// functions hold.
func FuzzSumCosts(f *testing.F) {
	for _, name := range []string{"nethttp-allocs.prof", "fasthttp-allocs.prof"} {
		p := readProfile(f, filepath.Join("testdata", "pprof", name))
		p.Sample = p.Sample[:10]
		var plain bytes.Buffer // which the fuzzer can change, unlike compressed text
		if err := p.Compact().WriteUncompressed(&plain); err != nil {
			f.Fatal(err)
		}
		f.Add(plain.Bytes())
	}
	rules := DefaultGroups()
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := profile.ParseData(data)
		if err != nil {
			return
		}
		c, err := sumCosts(p, bytesAllocated, []float64{1, 2, 3, 4, 5, 6}, rules)
		if err != nil {
			return
		}
		var functions, groups, scale float64
		for _, v := range c.values {
			functions += v.value
			scale += abs(v.value)
		}
		for _, v := range c.groups {
			groups += v.value
		}
		if !near(functions, groups, 1e-9*scale) {
			t.Errorf("functions add up to %v, groups to %v", functions, groups)
		}
		table := difference{base: c, head: c, paired: true}.table()
		if _, err := json.Marshal(table); err != nil {
			t.Error(err)
		}
	})
}
