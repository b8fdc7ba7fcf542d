package profdiff

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
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

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// testProfile has one sample per stack, of 2 allocations and 100 bytes.
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

// kindNamed is a row of the table of profile kinds.
func kindNamed(t testing.TB, name string) runfolder.ProfileKind {
	t.Helper()
	for _, k := range runfolder.Kinds {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("no kind of profile is named %s", name)
	return runfolder.ProfileKind{}
}

func mustAttribute(t *testing.T, ops []float64, stacks ...stack) *Attribution {
	t.Helper()
	rules := DefaultGroups().of("example.com/app")
	a, err := Attribute(testProfile(stacks...), kindNamed(t, "allocs"), ops, Options{Groups: rules, Leaves: true})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestOfProfiling: what a server does under labels, or with variables of its own, is its work.
func TestOfProfiling(t *testing.T) {
	for function, want := range map[string]bool{
		"runtime/pprof.writeHeap":                 true,
		"runtime/pprof.StartCPUProfile":           true,
		"runtime/pprof.(*profileBuilder).addFrom": true,
		"runtime/pprof.Do":                        false,
		"runtime/pprof.Do.deferwrap1":             false,
		"runtime/pprof.WithLabels":                false,
		"runtime/pprof.(*labelMap).String":        false,
		"runtime/pprof.LabelSet.Len":              false,
		"net/http/pprof.Index":                    true,
		"expvar.expvarHandler":                    true,
		"expvar.(*Int).Add":                       false,
		"expvar.(*Map).Add":                       false,
		"main.Do":                                 false,
	} {
		if ofProfiling(function) != want {
			t.Errorf("%s: want %v", function, want)
		}
	}
}

func TestAttribute(t *testing.T) {
	got := mustAttribute(t, []float64{10, 40},
		stack{1, "leaf middle main.main"},
		stack{2, "leaf main.walk main.walk main.main"}, // recursive: walk counts once
		stack{2, "small< main.walk main.main"},
		stack{1, "leaf runtime/pprof.writeHeap net/http.serve"}, // the measurement itself
		stack{1, "compress/flate.NewWriter net/http/pprof.handler.ServeHTTP"},
		stack{1, ""},
	)
	want := map[string]perOp{
		"leaf":      {value: 4, cum: 4, count: 0.08, blocks: []float64{10, 2.5}, outlined: true, byGroup: map[string]float64{GroupOwn: 200}},
		"small":     {value: 2, cum: 2, count: 0.04, blocks: []float64{0, 2.5}, inlined: true, byGroup: map[string]float64{GroupOwn: 100}},
		"middle":    {cum: 2, outlined: true},
		"main.walk": {cum: 4, outlined: true},
		"main.main": {cum: 6, outlined: true},
		"(unknown)": {value: 2, cum: 2, count: 0.04, blocks: []float64{10, 0}, outlined: true, byGroup: map[string]float64{GroupOther: 100}},
	}
	same := cmp.Options{cmp.AllowUnexported(perOp{}), cmpopts.IgnoreFields(perOp{}, "variance", "cumVariance", "cumBlocks")}
	if diff := cmp.Diff(want, got.functions, same); diff != "" {
		t.Error(diff)
	}
	groups := map[string]perOp{
		GroupOwn:   {value: 6, cum: 6, count: 0.12, blocks: []float64{10, 5}},
		GroupOther: {value: 2, cum: 2, count: 0.04, blocks: []float64{10, 0}},
	}
	if diff := cmp.Diff(groups, got.groups, same); diff != "" {
		t.Error(diff)
	}
	if got.blocks != 2 {
		t.Errorf("%d blocks", got.blocks)
	}
}

func TestAttributeRejects(t *testing.T) {
	rules := DefaultGroups()
	tests := []struct {
		name    string
		profile *profile.Profile
		kind    string
		ops     []float64
		want    string
	}{
		{"another kind of profile", testProfile(), "cpu", []float64{1}, "lacks the sample type cpu"},
		{"a block the run does not have", testProfile(stack{3, "f"}), "allocs", []float64{1, 1}, "a sample of block 3, where the run has 2 blocks"},
		{"no request", testProfile(stack{1, "f"}), "allocs", []float64{0, 0}, "no request was measured"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Attribute(tt.profile, kindNamed(t, tt.kind), tt.ops, Options{Groups: rules}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// A profile that was recorded without the label has sums all the same.
func TestUnlabelledProfile(t *testing.T) {
	c := mustAttribute(t, []float64{10, 40}, stack{0, "main.f"}, stack{1, "main.f"})
	if got := c.functions["main.f"]; c.blocks != 0 || got.blocks != nil || got.value != 4 {
		t.Errorf("%d blocks, %+v", c.blocks, got)
	}
	table := Diff{Base: c, Head: c, Paired: true}.Table()
	if f := table.Functions[0]; f.Low != nil || f.Noise {
		t.Errorf("an interval from nothing: %+v", f)
	}
	if table.Total.Low != nil {
		t.Errorf("an interval of the total from nothing: %+v", table.Total)
	}
}

func TestSamplingVariance(t *testing.T) {
	cpu, bytesAllocated := kindNamed(t, "cpu"), kindNamed(t, "allocs")
	if got := variance(cpu, 40e6, 4, 0); got != 4*10e6*10e6 {
		t.Errorf("4 samples of 10 ms: %v", got)
	}
	// Every allocation is sampled: nothing is left to chance.
	if got := variance(bytesAllocated, 1000, 10, 1); got > 1e-9 {
		t.Errorf("at rate 1: %v", got)
	}
	// A sampled small object stands for about rate bytes.
	if got := variance(bytesAllocated, 524288, 524288/64., 524288); !near(got, 524288*524288, 1e8) {
		t.Errorf("one sample: %v", got)
	}
	if got := variance(bytesAllocated, 0, 0, 524288); got != 0 {
		t.Errorf("no sample: %v", got)
	}
}

// Whatever pprof can parse can be attributed, and the groups then hold what the
// functions hold.
func FuzzAttribute(f *testing.F) {
	for _, name := range []string{"nethttp-allocs.prof", "fasthttp-allocs.prof"} {
		p := readProfile(f, filepath.Join("testdata", "pprof", name))
		p.Sample = p.Sample[:10]
		var plain bytes.Buffer // which the fuzzer can change, unlike compressed text
		if err := p.Compact().WriteUncompressed(&plain); err != nil {
			f.Fatal(err)
		}
		f.Add(plain.Bytes(), true)
		f.Add(plain.Bytes(), false)
	}
	rules, kind := DefaultGroups(), kindNamed(f, "allocs")
	f.Fuzz(func(t *testing.T, data []byte, leaves bool) {
		p, err := profile.ParseData(data)
		if err != nil {
			return
		}
		a, err := Attribute(p, kind, []float64{1, 2, 3, 4, 5, 6}, Options{Groups: rules, Leaves: leaves})
		if err != nil {
			return
		}
		var functions, groups, scale float64
		for _, v := range a.functions {
			functions += v.value
			scale += math.Abs(v.value)
		}
		for _, v := range a.groups {
			groups += v.value
		}
		if !near(functions, groups, 1e-9*scale) {
			t.Errorf("functions add up to %v, groups to %v", functions, groups)
		}
		table := Diff{Base: a, Head: a, Paired: true}.Table()
		if _, err := json.Marshal(table); err != nil {
			t.Error(err)
		}
	})
}
