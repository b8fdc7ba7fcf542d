package profdiff

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTablesAddUp(t *testing.T) {
	base, head := map[string]perOp{}, map[string]perOp{}
	for i := range 2 * tableRows {
		name := fmt.Sprintf("example.com/p%d.F", i%7*i)
		base[name] = perOp{value: float64(i + 1), count: 1}
		if i%3 == 0 {
			head[name] = perOp{value: float64(2*i + 1), count: 2, blocks: make([]float64, 8)}
		}
	}
	head["net/http.added"] = perOp{value: 5000, count: 3}
	head["net/http.callee"] = perOp{}
	b, h := madeUp(base, 8, nil), madeUp(head, 8, nil)
	checkTable(t, b.Table())
	checkTable(t, h.Table())
	table := Diff{Base: b, Head: h, Paired: true}.Table()
	for what, rows := range map[string][]FunctionChange{"functions": append(table.Functions, table.Rest), "groups": table.Groups} {
		var sum FunctionChange
		for _, f := range rows {
			sum.Add(f)
		}
		if !near(sum.Diff, table.Total.Diff, 1e-6) || !near(sum.Base, table.Total.Base, 1e-6) || !near(sum.DiffCount, table.Total.DiffCount, 1e-6) {
			t.Errorf("%s add up to %+v, total %+v", what, sum, table.Total)
		}
	}
	printed := table.Printed()
	var sum FunctionChange
	for _, f := range printed[:len(printed)-1] {
		sum.Add(f)
	}
	if !near(sum.Head, table.Total.Head, 1e-6) || len(printed) > mostRows+mostPackages+2 {
		t.Errorf("%d printed rows add up to %+v, total %+v", len(printed), sum, table.Total)
	}
	if f := table.Functions[0]; f.Name != "net/http.added" || f.Mark != ChangeNew || f.Package != "net/http" || f.Group != "HTTP" {
		t.Errorf("largest difference %+v", f)
	}
}

// TestSmallerFunctionsOfAPackage holds that functions which do not stand out by
// themselves are summed up by package, and that a package is shown if the sum does.
func TestSmallerFunctionsOfAPackage(t *testing.T) {
	const blocks = 8
	base := map[string]perOp{"net/http.alone": {value: 1, variance: 4}}
	head := map[string]perOp{"net/http.large": {value: 50}}
	for i := range 20 { // of each, sampling leaves 2 either way
		small := perOp{value: 1, variance: 1}
		head[fmt.Sprintf("net/http.f%d", i)] = small
		base[fmt.Sprintf("main.f%d", i)], head[fmt.Sprintf("main.f%d", i)] = small, small
	}
	table := Diff{Base: madeUp(base, blocks, nil), Head: madeUp(head, blocks, nil), Paired: true}.Table()
	var got []string
	for _, f := range table.Printed() {
		got = append(got, fmt.Sprintf("%s %+.0f %s", f.Name, f.Diff, f.Note()))
	}
	want := []string{"net/http.large +50 new", "(21 others in net/http) +19 ", "(20 others) +0 ", "total +69 "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func checkTable(t *testing.T, table FunctionTable) {
	t.Helper()
	printed := table.Printed()
	for what, rows := range map[string][]Function{
		"functions": append(table.Functions, table.Rest), "groups": table.Groups, "printed": printed[:len(printed)-1],
	} {
		var value, share float64
		for _, f := range rows {
			value += f.Value
			share += f.Share
		}
		if !near(value, table.Total.Value, 1e-6) || !near(share, 100, 1e-6) {
			t.Errorf("%s add up to %v, %v%%, total %v", what, value, share, table.Total.Value)
		}
	}
	if len(table.Functions) > tableRows || len(printed) > topRows+2 {
		t.Errorf("%d functions, %d printed rows", len(table.Functions), len(printed))
	}
}

func TestMarks(t *testing.T) {
	tests := []struct {
		name       string
		base, head string // stacks, separated by ";"
		want       map[string]string
	}{
		{"new and gone", "net/http.a main.f", "net/textproto.b main.f", map[string]string{"net/http.a": "gone", "net/textproto.b": "new"}},
		{"still a caller", "main.f main.g", "net/http.a main.f", map[string]string{"net/http.a": "new", "main.f": ""}},
		{"another release", "github.com/a/b.(*T).M", "github.com/a/b/v2.(*T).M", map[string]string{"github.com/a/b/v2.(*T).M": "renamed from github.com/a/b.(*T).M"}},
		{"another release, type arguments", "github.com/a/b/v2/c.F[...]", "github.com/a/b/v3/c.F", map[string]string{"github.com/a/b/v3/c.F": "renamed from github.com/a/b/v2/c.F[...]"}},
		{"another receiver", "main.(*Old).Serve", "main.New.Serve", map[string]string{"main.New.Serve": "renamed from main.(*Old).Serve"}},
		{"another closure", "main.f.func1", "main.f.func2.1", map[string]string{"main.f.func2.1": "renamed from main.f.func1"}},
		{"closures of two functions", "main.f.func1", "main.g.func1", map[string]string{"main.f.func1": "gone", "main.g.func1": "new"}},
		{"two could be meant", "main.(*A).Serve", "main.(*B).Serve; main.(*C).Serve", map[string]string{"main.(*A).Serve": "gone", "main.(*B).Serve": "new", "main.(*C).Serve": "new"}},
		{"not in code nobody changed", "net/http.(*a).Read", "net/http.(*b).Read", map[string]string{"net/http.(*a).Read": "gone", "net/http.(*b).Read": "new"}},
		{"inlined", "main.g main.f", "main.g< main.f", map[string]string{"main.g": "inlined"}},
		{"inlined in places", "main.g< main.f; main.g main.f", "main.g< main.f", map[string]string{"main.g": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Diff{Base: sumOf(t, tt.base), Head: sumOf(t, tt.head)}
			got := map[string]string{}
			for _, f := range d.Table().Functions {
				got[f.Name] = f.Note()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func sumOf(t *testing.T, stacks string) *Attribution {
	t.Helper()
	var all []stack
	for _, frames := range strings.Split(stacks, ";") {
		all = append(all, stack{1, frames})
	}
	return mustAttribute(t, []float64{1}, all...)
}

// sampledCosts draws what a profiler would see of a function in blocks of
// processes that differ by a few percent: Poisson numbers of samples.
func sampledCosts(rng *rand.Rand, samples float64, blocks int) *Attribution {
	c := perOp{blocks: make([]float64, blocks)}
	for b := range c.blocks {
		n := poisson(rng, samples*(1+0.03*rng.NormFloat64()))
		c.blocks[b] = n
		c.value += n / float64(blocks)
		c.variance += n / float64(blocks*blocks)
	}
	return madeUp(map[string]perOp{"main.f": c}, blocks, nil)
}

// poisson is Knuth's method.
func poisson(rng *rand.Rand, mean float64) float64 {
	n, p := 0.0, rng.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= rng.Float64()
	}
	return n
}

// Of rows that did not change, whether frequent or hardly ever sampled, no more
// than one in twenty may stand out; of those that did, the true change must lie
// in at least nineteen of twenty intervals, unless there is less than a sample a
// block to tell it from; and a doubling of what is sampled often must nearly always stand out.
func TestNoise(t *testing.T) {
	const runs = 200
	quietAllowed := map[int]int{3: runs / 3, 5: runs / 50, 6: runs / 50, 12: runs / 50}
	for _, blocks := range []int{3, 5, 6, 12} {
		for _, paired := range []bool{true, false} {
			if !paired && blocks < 6 {
				continue // ranks of so few have no interval
			}
			t.Run(fmt.Sprintf("%d blocks, paired %v", blocks, paired), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(blocks), 3))
				for _, tt := range []struct{ before, after float64 }{{0.05, 0}, {0.2, 0.4}, {1, 3}, {5, 15}, {30, 60}} {
					var alarms, missed, quiet int
					for range runs {
						base := sampledCosts(rng, tt.before, blocks)
						same := changeOf(Diff{Base: base, Head: sampledCosts(rng, tt.before, blocks), Paired: paired})
						other := changeOf(Diff{Base: base, Head: sampledCosts(rng, tt.after, blocks), Paired: paired})
						alarms += count(!same.Noise)
						missed += count(tt.after-tt.before < *other.Low || tt.after-tt.before > *other.High)
						quiet += count(other.Noise)
					}
					if alarms > runs/20 || tt.before >= 1 && missed > runs/20 || tt.before >= 30 && quiet > quietAllowed[blocks] {
						t.Errorf("from %v to %v samples a block: %d false alarms, %d intervals beside the truth, %d within noise of %d", tt.before, tt.after, alarms, missed, quiet, runs)
					}
				}
			})
		}
	}
}

func changeOf(d Diff) FunctionChange { return d.change(sumRows("f", d.functions())) }

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

func TestNoiseIsNotRanked(t *testing.T) {
	wild := []float64{900, 10, 700, 20, 500, 30, 800, 40}
	base := madeUp(map[string]perOp{"main.wild": {value: 375, blocks: wild}, "main.steady": {value: 10}}, 8, nil)
	head := madeUp(map[string]perOp{"main.wild": {value: 100, blocks: []float64{100, 100, 100, 100, 100, 100, 100, 100}}, "main.steady": {value: 12}}, 8, nil)
	table := Diff{Base: base, Head: head, Paired: true}.Table()
	if f := table.Functions[0]; f.Name != "main.steady" || f.Noise || *f.Low != 2 || *f.High != 2 {
		t.Errorf("first %+v", f)
	}
	if f := table.Functions[1]; f.Name != "main.wild" || !f.Noise {
		t.Errorf("second %+v", f)
	}
	var names []string
	for _, f := range table.Printed() {
		names = append(names, f.Name)
	}
	if want := []string{"main.steady", "(1 other)", "total"}; !cmp.Equal(names, want) {
		t.Errorf("printed %q, want %q", names, want)
	}
}

func TestExplain(t *testing.T) {
	base := madeUp(map[string]perOp{
		"net/http.Header.Clone":         {value: 1500, count: 10},
		"net/textproto.readMIMEHeader":  {value: 1200, count: 16},
		"encoding/json.(*Decoder).read": {value: 3000, count: 20},
		"crypto/sha256.Sum256":          {value: 40, count: 1},
		"main.handle":                   {value: 200, count: 3, blocks: []float64{0, 400, 10, 390, 100, 300, 50, 350}},
	}, 8, nil)
	head := madeUp(map[string]perOp{
		"github.com/valyala/fasthttp.(*Args).Add": {value: 500, count: 4},
		"encoding/json.(*Decoder).read":           {value: 3300, count: 18},
		"crypto/sha256.Sum256":                    {value: 10, count: 1},
		"main.handle":                             {value: 400, count: 3, blocks: []float64{400, 0, 390, 10, 300, 100, 350, 50}},
	}, 8, nil)
	base.Kind, head.Kind = kindNamed(t, "allocs"), kindNamed(t, "allocs")
	cpu := Diff{
		Base: madeUp(map[string]perOp{"database/sql.(*DB).Query": {value: 20}, "main.handle": {value: 5}}, 8, nil), Paired: true,
		Head: madeUp(map[string]perOp{"database/sql.(*DB).Query": {value: 30}, "main.handle": {value: 5}}, 8, nil),
	}
	cpu.Base.Kind, cpu.Head.Kind = kindNamed(t, "cpu"), kindNamed(t, "cpu")
	want := []string{
		"storage: about 10 us/op of CPU time more (20.0 to 30.0 us/op). Changed: database/sql, 10 us/op of CPU time more.",
		"HTTP: about 2,200 B/op and 22 allocs/op less (2,700 to 500 B/op). Gone: 2,700 B/op and 26 allocs/op in net/http, net/textproto. New: 500 B/op and 4.0 allocs/op in github.com/valyala/fasthttp.",
		"JSON: about 300 B/op more, but 2.0 allocs/op less (3,000 to 3,300 B/op). Changed: encoding/json, 300 B/op more, but 2.0 allocs/op less.",
	}
	if diff := cmp.Diff(want, Explain(Diff{Base: base, Head: head, Paired: true}, cpu)); diff != "" {
		t.Error(diff)
	}
	if got := Explain(Diff{Base: base, Head: base, Paired: true}); len(got) > 0 {
		t.Errorf("explains no difference: %q", got)
	}
	base.blocks = 0
	if got := Explain(Diff{Base: base, Head: head, Paired: true}); len(got) > 0 {
		t.Errorf("explains what may be noise: %q", got)
	}
}

// madeUp completes costs that nobody sampled: every function is charged to its
// own group, and costs the same in every block unless it says otherwise.
func madeUp(functions map[string]perOp, blocks int, exact *float64) *Attribution {
	a := &Attribution{
		Exact: exact, blocks: blocks,
		functions: map[string]perOp{}, groups: map[string]perOp{}, packages: map[packageInGroup]perOp{},
	}
	rules := DefaultGroups().of("")
	for name, f := range functions {
		if f.blocks == nil {
			f.blocks = slices.Repeat([]float64{f.value}, blocks)
		}
		path := packagePath(name)
		label := rules.group(name, path)
		f.cum, f.outlined, f.byGroup = f.value, true, map[string]float64{label: f.value}
		key := packageInGroup{label, path}
		a.functions[name] = f
		a.groups[label] = withMore(a.groups[label], f)
		a.packages[key] = withMore(a.packages[key], f)
	}
	return a
}

func withMore(c, by perOp) perOp {
	c = c.plus(by)
	c.cum = c.value
	return c
}
