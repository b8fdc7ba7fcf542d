package compare

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"
	"golang.org/x/net/html"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// recorded gives a variant a folder with profiles of the given stacks, the
// same for allocations and CPU.
func recorded(t *testing.T, v Variant, stacks ...stack) Variant {
	t.Helper()
	run := *v.run
	run.Dir = t.TempDir()
	v.run = &run
	allocs, cpu := testProfile(stacks...), testProfile(stacks...)
	cpu.SampleType = []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}
	for file, p := range map[string]*profile.Profile{runfolder.FileAllocs: allocs, runfolder.FileCPU: cpu} {
		f, err := os.Create(filepath.Join(run.Dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Write(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// assets matches what the page has from files of ours: the golden page does
// without it.
var assets = regexp.MustCompile(`(?s)(<style>|<script>|sha256-).*?(</style>|</script>|&#39;)`)

func withoutAssets(page []byte) []byte { return assets.ReplaceAll(page, []byte("$1…$2")) }

func renderHTML(t *testing.T, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Render(&b, "html"); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// nasty is a name that would do harm if it were not escaped.
const nasty = `</script><img/src=x/onerror="alert(1)"><!--&amp;'` + "`${1}`"

// TestHTMLStandsAlone holds that a page loads nothing and runs nothing but its
// own scripts, whatever the runs and functions in it are called.
func TestHTMLStandsAlone(t *testing.T) {
	base := recorded(t, variant(synthesize(t, "base", "e1", 6, slow, 7), map[string]cost{nasty: {value: slow.bytes}}), stack{1, nasty + " main"})
	head := recorded(t, variant(synthesize(t, nasty, "e1", 6, fast, 7), map[string]cost{nasty: {value: fast.bytes}}), stack{1, nasty})
	page := renderHTML(t, newReport([]Variant{base, head}, defaults()))
	elements := map[string]int{}
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		if z.Next() == html.ErrorToken {
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			break
		}
		token := z.Token()
		if token.Type == html.StartTagToken || token.Type == html.SelfClosingTagToken {
			elements[token.Data]++
			checkAttributes(t, token)
		}
	}
	if elements["script"] != len(pageScripts)+1 || elements["img"]+elements["link"]+elements["iframe"]+elements["base"] > 0 {
		t.Errorf("elements %v", elements)
	}
	if regexp.MustCompile(`@import|url\((?:["']?https?:|["']?//)`).MatchString(string(pageStyle)) {
		t.Error("the style sheet loads something")
	}
	var data pageDataRead
	if err := json.Unmarshal(dataOf(t, page), &data); err != nil || data.Variants[1] != nasty || !slices.Contains(data.Flames.Names, nasty) {
		t.Errorf("%v: variants %q, functions %q", err, data.Variants, data.Flames.Names)
	}
}

func checkAttributes(t *testing.T, token html.Token) {
	t.Helper()
	for _, a := range token.Attr {
		loads := slices.Contains([]string{"src", "srcset", "href", "action", "data", "poster"}, a.Key) && !strings.HasPrefix(a.Val, "#")
		if loads || strings.HasPrefix(a.Key, "on") || a.Key == "style" {
			t.Errorf("<%s %s=%q>", token.Data, a.Key, a.Val)
		}
	}
}

// pageDataRead is the data of a page, as its scripts read it.
type pageDataRead struct {
	Variants []string
	Pool     int
	Borders  []float64
	Slices   []struct{ Start, Ops, Ms []*float64 }
	Latency  struct {
		Nines []float64
		Lines []struct {
			Label string
			Sent  bool
			Ms    []*float64
		}
	}
	Flames struct {
		Names  []string
		Graphs []struct {
			Label, Unit string
			Name, Depth []int
			Self        [][]float64
		}
	}
}

func dataOf(t *testing.T, page []byte) []byte {
	t.Helper()
	m := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindSubmatch(page)
	if m == nil {
		t.Fatal("the page has no data")
	}
	return m[1]
}

func TestPageData(t *testing.T) {
	base := recorded(t, variant(synthesize(t, "base", "e1", 6, slow, 7), nil))
	head := recorded(t, variant(synthesize(t, "head", "e1", 6, fast, 7), nil))
	r := newReport([]Variant{base, head}, defaults())
	var data pageDataRead
	if err := json.Unmarshal(dataOf(t, renderHTML(t, r)), &data); err != nil {
		t.Fatal(err)
	}
	if len(data.Borders) != 6 || data.Pool != 1 || len(data.Slices) != 2 {
		t.Errorf("%d borders, a point for %d slices, %d variants", len(data.Borders), data.Pool, len(data.Slices))
	}
	s := data.Slices[1]
	first := head.run.Slices[0]
	if len(s.Ops) != 6*(testRounds+1) || !near(*s.Ops[0], opsPerSec(first), 1) || !near(*s.Ms[0], fast.latencyMs, 1e-3) || s.Ops[testRounds] != nil {
		t.Errorf("%d points, the first of %v ops/s and %v ms, a gap: %v", len(s.Ops), *s.Ops[0], *s.Ms[0], s.Ops[testRounds] == nil)
	}
	checkPercentiles(t, data, base, head)
	unpaired := newReport([]Variant{base, recorded(t, variant(synthesize(t, "head", "e2", 6, fast, 8), nil))}, defaults())
	if d, err := unpaired.pageData(); err != nil || len(d.Borders) > 0 {
		t.Errorf("borders %v of runs that were not recorded together, %v", d.Borders, err)
	}
}

// checkPercentiles holds that every line has the one latency of the made-up
// runs, up to where one request is left.
func checkPercentiles(t *testing.T, data pageDataRead, variants ...Variant) {
	t.Helper()
	for i, line := range data.Latency.Lines {
		requests := float64(variants[i].Totals.TotalOps)
		for k, ms := range line.Ms {
			left := requests * math.Pow(10, -data.Latency.Nines[k])
			if (ms != nil) != (left >= 0.9999) || ms != nil && !near(*ms, []float64{slow.latencyMs, fast.latencyMs}[i], 0.01) {
				t.Errorf("%s at %v nines, where %v requests are left: %v", line.Label, data.Latency.Nines[k], left, ms)
			}
		}
	}
}

func TestOpenLoopHasTwoLines(t *testing.T) {
	run := synthesize(t, "base", "e1", 6, slow, 7)
	run.Sent = run.Latency
	p := (&Report{Variants: []Variant{variant(run, nil), variant(synthesize(t, "head", "e1", 6, fast, 7), nil)}}).percentiles()
	var got []string
	for _, l := range p.Lines {
		got = append(got, l.Label)
	}
	if want := []string{"base", "base, from sending", "head"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
}

// TestManySlicesArePooled holds that pooling keeps a chart small and its sums
// right.
func TestManySlicesArePooled(t *testing.T) {
	v := variant(synthesize(t, "base", "e1", 2, slow, 7), nil)
	pooled := v.timeSeries(7) // of 20 rounds: 7, 7 and 6
	if len(pooled.Ops) != 2*(3+1) {
		t.Fatalf("%d points", len(pooled.Ops))
	}
	var s sums
	for _, sample := range v.run.BlockSlices(1)[14:] {
		s.add(sample)
	}
	if got := float64(pooled.Ops[6]); got != s.opsPerSec() {
		t.Errorf("%v ops/s in the last pool, want %v", got, s.opsPerSec())
	}
}

func TestForest(t *testing.T) {
	change := func(percent, low, high float64) MetricChange {
		return MetricChange{Name: "ops_per_sec", Verdict: Inconclusive, Rule: Rule{Tolerance: 3, Floor: 0.5}, Change: &Change{Percent: percent, Low: low, High: high}}
	}
	tests := []struct {
		change MetricChange
		want   plot
	}{
		{change(5, -5, 10), plot{Low: "25.00%", High: "100.00%", Point: "75.00%", Tolerance: span{"35.44%", "29.56%"}, Floor: span{"47.51%", "4.99%"}}},
		{change(5, -15, 25), plot{Low: "0.00%", High: "100.00%", Point: "75.00%", Tolerance: span{"35.44%", "29.56%"}, Floor: span{"47.51%", "4.99%"}, BeyondLow: true, BeyondHigh: true}},
		{MetricChange{Change: &Change{Percent: 11, Low: 11, High: 12}}, plot{Low: "100.00%", High: "100.00%", BeyondHigh: true}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, *axis(10).plot(tt.change)); diff != "" {
			t.Errorf("%+v: %s", *tt.change.Change, diff)
		}
	}
}

func TestParts(t *testing.T) {
	got := strings.Join(parts("example.com/a/b.(*T).Do"), "|")
	if want := "example|.com/|a/|b|.(*T)|.Do"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
