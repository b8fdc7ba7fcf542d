package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// The reports of testdata, which compare/render shows in every format.
var goldenReports = map[string]func(*testing.T) *Report{
	"report.json":      storyReport,
	"gate.json":        gateReport,
	"unexplained.json": unexplainedReport,
	"odd-open.json":    oddOpenReport,
	"odd-bound.json":   oddBoundReport,
	"foreign.json":     foreignReport,
	"layout.json":      layoutReport,
	"control.json":     controlReport,
}

// TestGolden holds the reports, and that they are the same once they were
// written and read.
func TestGolden(t *testing.T) {
	for name, report := range goldenReports {
		t.Run(name, func(t *testing.T) {
			got := marshal(t, report(t))
			path := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from %s; go test ./compare -update rewrites it\n%s", path, diff)
			}
			read, err := ReadReport(path)
			if err != nil {
				t.Fatal(err)
			}
			if again := marshal(t, read); !bytes.Equal(got, again) {
				t.Errorf("reading and writing changes it: %s", cmp.Diff(string(got), string(again)))
			}
		})
	}
}

func marshal(t *testing.T, r *Report) []byte {
	t.Helper()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// storyReport is of the two sides of the story.
func storyReport(t *testing.T) *Report {
	t.Helper()
	base := synthesize(t, "nethttp", "20260102_030405", 16, slow, 7)
	head := synthesize(t, "fasthttp", "20260102_030405", 16, fast, 7)
	for _, blocks := range []int{12, 16} {
		look := Decide([]*runfolder.Run{upTo(base, blocks), upTo(head, blocks)}, DefaultCriteria())
		head.Manifest.Looks = append(head.Manifest.Looks, look)
	}
	for _, run := range []*runfolder.Run{base, head} {
		run.Manifest.Subject.Binary.Dirty = true
		run.Manifest.Subject.Command = []string{"server", "--transport=" + run.Manifest.Subject.Name}
		run.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceThermal: "no CPU tells"}
		onMachine(run, runfolder.Machine{
			Busy: new(920 * time.Millisecond), Ours: new(900 * time.Millisecond), Steal: new(time.Millisecond),
			Runnable: new(0.25), Clocksource: new("tsc"),
		})
	}
	before := wavering(storyCosts(slow.bytes, "net/textproto.readMIMEHeader"), 90, 70, 110, 95, 85, 90, 80, 100, 90)
	after := wavering(storyCosts(fast.bytes, "github.com/valyala/fasthttp.(*Args).Add"), 95, 110, 90, 85, 105, 95, 90, 80, 105)
	return charted(t, []Variant{
		recorded(t, variant(base, before), "net/textproto.readMIMEHeader net/http.(*conn).serve", "main.handle net/http.(*conn).serve"),
		recorded(t, variant(head, after), "main.handle github.com/valyala/fasthttp.(*Server).serveConn"),
	}, defaults())
}

func charted(t *testing.T, variants []Variant, o Options) *Report {
	t.Helper()
	o.Charts = true
	return mustReport(t, variants, o)
}

// recorded gives a variant a folder with profiles of the given stacks, leaf
// first, the same for allocations and CPU.
func recorded(t *testing.T, v Variant, stacks ...string) Variant {
	t.Helper()
	run := *v.side.Run
	run.Dir = t.TempDir()
	v.side.Run = &run
	for _, name := range []string{"allocs", "cpu"} {
		kind, _ := runfolder.KindNamed(name)
		var file bytes.Buffer
		if err := stackProfile(kind, stacks).Write(&file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(run.Dir, kind.File), file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// stackProfile has one sample of 2 and 100 per stack.
func stackProfile(kind runfolder.ProfileKind, stacks []string) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: kind.Count, Unit: "count"}, {Type: kind.Value, Unit: "unit"}}}
	for _, stack := range stacks {
		s := &profile.Sample{Value: []int64{2, 100}}
		for name := range strings.FieldsSeq(stack) {
			id := uint64(len(p.Function) + 1)
			f := &profile.Function{ID: id, Name: name}
			l := &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
			p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			s.Location = append(s.Location, l)
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

// gateReport is of a head that regressed in all gated metrics, one of them
// waived.
func gateReport(t *testing.T) *Report {
	t.Helper()
	o := defaults()
	o.Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	day := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	o.Waivers = []Waiver{
		{Metric: CPUPerOp, Reason: "signing, issue 41", Until: day(6, 1)},
		{Metric: OpsPerSec, Reason: "it was slow in spring", Until: day(5, 31)},
		{Metric: "alloc_bytes_per_op", Head: "other", Reason: "not this one", Until: day(12, 31)},
	}
	return mustReport(t, []Variant{
		variant(synthesize(t, "before", "e1", 12, fast, 7), storyCosts(fast.bytes, "net/url.parse")),
		variant(synthesize(t, "after", "e1", 12, slow, 7), storyCosts(slow.bytes, "net/textproto.readMIMEHeader")),
	}, o)
}

// unexplainedReport is of a head that regressed while no function stands out of
// its noise.
func unexplainedReport(t *testing.T) *Report {
	t.Helper()
	wild := func(mean float64) []float64 {
		var blocks []float64
		for b := range 12 {
			blocks = append(blocks, mean+8e3*math.Sin(float64(5*b)+mean))
		}
		return blocks
	}
	allocators := func(mean float64) map[string]cost {
		return map[string]cost{"main.parse": {blocks: wild(mean)}, "main.render": {blocks: wild(mean + 100)}}
	}
	return mustReport(t, []Variant{
		variant(synthesize(t, "before", "e1", 12, fast, 7), allocators(10e3)),
		variant(synthesize(t, "after", "e1", 12, slow, 7), allocators(12e3)),
	}, defaults())
}

// oddOpenReport is of a load with a rate, with a metric that is unavailable on
// one side, a kind of request that vanished, and collections where there were
// none.
func oddOpenReport(t *testing.T) *Report {
	t.Helper()
	base, head := synthesizeOpen(t, "base", slow, 0.6), synthesizeOpen(t, "head", slow, 0.8)
	head.Manifest.Unavailable = map[runfolder.Source]string{runfolder.SourceRSS: "no memory of that"}
	for b := range base.Manifest.Blocks {
		base.Manifest.Blocks[b].After.NumGC = 0
	}
	for i := range head.Slices {
		kinds := head.Slices[i].Kinds
		kinds[0].Ops += kinds[1].Ops
		kinds[0].Latency += kinds[1].Latency
		kinds[1] = loadgen.KindResult{}
		head.Slices[i].Missed = 1
	}
	for b := range head.Manifest.Blocks {
		answers, latency := head.Manifest.Blocks[b].Answers, head.Latency[b]
		latency[0].Merge(latency[1])
		latency[1].Reset()
		answers[0].Statuses[200] += answers[1].Statuses[200]
		answers[1] = runfolder.Answers{}
	}
	return charted(t, []Variant{
		recorded(t, variant(base, storyCosts(slow.bytes, "net/url.parse")), "main.handle main.main"),
		recorded(t, variant(head, storyCosts(slow.bytes, "net/url.parse")), "main.handle main.main"),
	}, defaults())
}

// oddBoundReport is of runs that the generator limits, without counters on the
// side of the head, and with a regression that is waived.
func oddBoundReport(t *testing.T) *Report {
	t.Helper()
	base, head := synthesize(t, "base", "e1", 12, fast, 7), synthesize(t, "head-", "e1", 12, slow, 7)
	scale(1, 1, 6)(base)
	scale(1, 1, 6)(head)
	head.Manifest.Unavailable = map[runfolder.Source]string{
		runfolder.SourceMemStats:           "the server has no /debug/pprof",
		runfolder.Source("allocs_profile"): "the server has no /debug/pprof",
	}
	head.Manifest.Capture.Profiles = []string{"cpu"}
	o := defaults()
	o.Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	o.Waivers = []Waiver{{Metric: CPUPerOp, Reason: "signing", Until: o.Now}}
	return charted(t, []Variant{
		recorded(t, variant(base, storyCosts(fast.bytes, "net/url.parse")), "main.handle main.main"),
		recorded(t, variant(head, nil), "main.handle main.main"),
	}, o)
}

// layoutReport is of a head whose CPU moved only by where the linker put it, and
// whose throughput by the code too.
func layoutReport(t *testing.T) *Report {
	t.Helper()
	base, head := slow, slow
	head.ops, head.cpu = base.ops/1.1, base.cpu*1.1
	runs := []*runfolder.Run{
		synthesize(t, "base", "e1", 12, base, 7), synthesize(t, "head", "e1", 12, head, 7),
	}
	head.ops, head.cpu = base.ops/1.06, base.cpu
	addLayouts(t, runs[0], base)
	addLayouts(t, runs[1], head)
	return charted(t, []Variant{
		recorded(t, variant(runs[0], storyCosts(slow.bytes, "net/url.parse")), "main.handle main.main"),
		recorded(t, variant(runs[1], storyCosts(slow.bytes, "net/url.parse")), "main.handle main.main"),
	}, defaults())
}

// controlReport is of a head that seems better, and of a base that is worse than itself.
func controlReport(t *testing.T) *Report {
	t.Helper()
	o := defaults()
	o.Now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	o.Waivers = []Waiver{{Metric: OpsPerSec, Reason: "it was slow in spring", Until: o.Now}}
	moved := slow
	moved.cpu *= 1.05
	return charted(t, controlled(t, moved, fast, slow), o)
}

// controlled are a base, a head and a null control of the given truths.
func controlled(t *testing.T, control, head, base truth) []Variant {
	t.Helper()
	runs := []*runfolder.Run{
		synthesize(t, "base", "e1", 12, base, 7), synthesize(t, "head", "e1", 12, head, 7),
		synthesize(t, "base-control", "e1", 12, control, 7),
	}
	runs[2].Manifest.Subject.NullControl = true
	var all []Variant
	for _, r := range runs {
		costs := storyCosts(slow.bytes, "net/url.parse")
		all = append(all, recorded(t, variant(r, costs), "main.handle main.main"))
	}
	return all
}

// addLayouts adds 16 blocks with other layouts to a run.
func addLayouts(t *testing.T, r *runfolder.Run, want truth) {
	t.Helper()
	r.Manifest.Plan.Layouts = 16
	r.Layouts = synthesize(t, r.Manifest.Subject.Name, "e1", 16, want, 8)
	for b, block := range r.Layouts.Manifest.Blocks {
		block.Block, block.Layout, block.Program = 12+b, int64(b+1), fmt.Sprintf("%064x", b)
		block.Machine = &runfolder.Machine{}
		r.Manifest.LayoutBlocks = append(r.Manifest.LayoutBlocks, block)
	}
}

// TestReadReportRejects holds that no report is half read.
func TestReadReportRejects(t *testing.T) {
	good, err := os.ReadFile("testdata/odd-open.json")
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string { return strings.Replace(string(good), old, new, 1) }
	tests := []struct{ name, text, want string }{
		{"no JSON", "metric,unit", "it is not what"},
		{"another JSON", `{"hello": 1}`, "it has no format version"},
		{"a newer version", replace(`"format": 1`, `"format": 2`), "it is in format 2, this eventobench reads 1"},
		{"an unknown field", replace(`"paired"`, `"pared"`), `unknown field "pared"`},
		{"an unknown metric", replace(`"id": "cpu_per_op"`, `"id": "magic"`), `unknown metric "magic"`},
		{"a metric twice", replace(`"name": "cpu_per_op"`, `"name": "ops_per_sec"`), `"ops_per_sec" is unknown, or there twice`},
		{"cut off", string(good[:len(good)/2]), "it is not what"},
		{"no comparison", `{"format": 1, "variants": [], "comparisons": [], "summary": []}`, "0 variants"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeReport(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzDecodeReport holds that what can be read can be written and read again.
func FuzzDecodeReport(f *testing.F) {
	for name := range goldenReports {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := DecodeReport(bytes.NewReader(text))
		if err != nil {
			return
		}
		written := marshal(t, r)
		again, err := DecodeReport(bytes.NewReader(written))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(written), string(marshal(t, again))); diff != "" {
			t.Error(diff)
		}
	})
}
