package compare

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// inBlocks changes the answers to a kind of request in the given blocks or,
// without any, in all of them.
func inBlocks(kind int, change func(*runfolder.Answers), blocks ...int) func(*runfolder.Run) {
	return func(r *runfolder.Run) {
		for b := range r.Manifest.Blocks {
			if len(blocks) == 0 || slices.Contains(blocks, b) {
				change(&r.Manifest.Blocks[b].Answers[kind])
			}
		}
	}
}

// become gives a share of the answers that were 200 another status.
func become(status int, share float64) func(*runfolder.Answers) {
	return func(a *runfolder.Answers) {
		n := int64(float64(a.Statuses[200]) * share)
		a.Statuses[status] += n
		a.Statuses[200] -= n
		if a.Statuses[200] == 0 {
			delete(a.Statuses, 200)
		}
	}
}

// sized scales the bodies.
func sized(by float64) func(*runfolder.Answers) {
	return func(a *runfolder.Answers) { a.Bytes = int64(float64(a.Bytes) * by) }
}

func quiet(r *runfolder.Run) { r.Manifest.Capture.Profiles = nil }

// TestOtherAnswers holds which answers make two runs differ, and that a faster
// head is then not called improved, while a slower one is still regressed.
func TestOtherAnswers(t *testing.T) {
	const write, read = 0, 1
	tests := []struct {
		name       string
		base, head func(*runfolder.Run)
		want       WarningCode // none if empty
		says       string
		overall    Verdict
	}{
		{"the same", none, none, "", "", Improved},
		{"one in a hundred not found", none, inBlocks(read, become(404, 0.01)), WarnOtherAnswers,
			"head against base: read 200 from 100 to 99% of answers, 404 from 0 to 0.9", Inconclusive},
		{"as many not found on both sides", inBlocks(read, become(404, 0.01)), inBlocks(read, become(404, 0.01)),
			"", "", Improved},
		{"one in two thousand", none, inBlocks(read, become(404, 0.0005)), "", "", Improved},
		{"some in one block", none, inBlocks(read, become(404, 0.01), 5), "", "", Improved},
		{"no content", none, inBlocks(write, become(204, 1)), WarnOtherAnswers,
			"write 200 from 100 to 0% of answers, 204 from 0 to 100% of answers", Inconclusive},
		{"bodies of half the size", none, inBlocks(read, sized(0.5)), WarnOtherSizes, "read from 3,780 to 1,890 B",
			Inconclusive},
		{"bodies 3% larger", none, inBlocks(read, sized(1.03)), WarnOtherSizes, "read from 3,780 to 3,893 B",
			Inconclusive},
		{"bodies 1% larger", none, inBlocks(read, sized(1.01)), "", "", Improved},
		{"numbers that grew by a digit", none, inBlocks(write, sized(39.0/37)), "", "", Improved},
		{"no bodies", none, inBlocks(write, sized(0)), WarnOtherSizes, "write from 37.0 to 0 B", Inconclusive},
		{"another protocol", none, func(r *runfolder.Run) {
			r.Manifest.Subject.Options = map[string]string{"protocol": "protobuf"}
			inBlocks(read, sized(0.5))(r)
		}, "", "", Improved},
		{"larger in one block", none, inBlocks(read, sized(2), 5), "", "", Improved},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, fast, 7)
			quiet(base)
			quiet(head)
			tt.base(base)
			tt.head(head)
			r := mustReport(t, []Variant{variant(base, nil), variant(head, nil)}, defaults())
			c := r.Comparisons[0]
			if c.Verdict != tt.overall {
				t.Errorf("%s", c.summary())
			}
			checkOtherAnswers(t, r, tt.want, tt.says)
			look := Decide([]*runfolder.Run{base, head}, DefaultCriteria())
			if !look.Done {
				t.Error("goes on though more blocks decide nothing")
			}
			back := mustCompare(t, variant(head, nil), variant(base, nil))
			if back.Verdict != Regressed || back.Metric(OpsPerSec).Doubt != "" {
				t.Errorf("the other way round: %s", back.summary())
			}
		})
	}
}

func checkOtherAnswers(t *testing.T, r *Report, want WarningCode, says string) {
	t.Helper()
	throughput := r.Comparisons[0].Metric(OpsPerSec)
	codes := warningCodes(r)
	if want == "" {
		if len(codes) > 0 || throughput.Doubt != "" {
			t.Errorf("warnings %v, doubt %q", r.Warnings, throughput.Doubt)
		}
		return
	}
	if !slices.Contains(codes, want) || !strings.Contains(r.Warnings[0].Message, says) {
		t.Fatalf("warnings %v, want %s: %s", r.Warnings, want, says)
	}
	said := strings.Contains(r.Summary[0], "inconclusive: other ")
	if throughput.Verdict != Inconclusive || throughput.Doubt == "" || !said {
		t.Errorf("%s", r.Summary[0])
	}
	g := NewGate(r)
	if g.Verdict != Inconclusive || g.Metrics[0].Doubt == "" {
		t.Errorf("the gate: %s, %q", g.Verdict, g.Metrics[0].Doubt)
	}
}

// TestRedirects holds that a redirect is a failure if the base gave none, and is
// named in a run by itself.
func TestRedirects(t *testing.T) {
	redirect := func(r *runfolder.Run) {
		for kind := range 2 {
			inBlocks(kind, become(302, 1))(r)
		}
	}
	tests := []struct {
		name       string
		base, head func(*runfolder.Run)
		found      string
		want       Verdict
	}{
		{"all", none, redirect, "from 0 to 100%", Regressed},
		{"a tenth", none, inBlocks(0, become(302, 0.11)), "from 0 to 10%", Regressed},
		{"as the base does", redirect, redirect, "0 on both sides", NotJudged},
		{"of the base alone", redirect, none, "0 on both sides", NotJudged},
		{"not modified", none, inBlocks(1, become(304, 1)), "0 on both sides", NotJudged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, fast, 7)
			tt.base(base)
			tt.head(head)
			r := mustReport(t, []Variant{variant(base, nil), variant(head, nil)}, defaults())
			got := r.Comparisons[0].Metric("failed_requests")
			if got.Found() != tt.found || got.Verdict != tt.want {
				t.Errorf("%s, %q; want %s, %q", got.Found(), got.Verdict, tt.found, tt.want)
			}
			if shown := r.Variants[1].Value("failed_requests"); *shown != *got.Head {
				t.Errorf("the run shows %v, the comparison %v", *shown, *got.Head)
			}
			if tt.want == Regressed && r.Comparisons[0].Verdict != Regressed {
				t.Errorf("%s", r.Summary[0])
			}
		})
	}
}

func TestOddAnswers(t *testing.T) {
	tests := []struct {
		name   string
		change func(*runfolder.Run)
		want   string
	}{
		{"all redirected", inBlocks(1, become(302, 1)), "every answer of run to read was 302"},
		{"most refused", inBlocks(0, become(429, 0.75)), "answers of run to write were 429 (75%)"},
		{"some refused", inBlocks(0, become(429, 0.25)), ""},
		{"not modified", inBlocks(0, become(304, 1)), ""},
		{"an older folder", func(r *runfolder.Run) {
			for b := range r.Manifest.Blocks {
				r.Manifest.Blocks[b].Answers = nil
			}
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := synthesize(t, "run", "e1", 3, slow, 7)
			tt.change(run)
			got := strings.Join(oddAnswers(newVariant(run)), "; ")
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestOlderFolders: without answers nothing is said of them.
func TestOlderFolders(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, fast, 7)
	for b := range base.Manifest.Blocks {
		base.Manifest.Blocks[b].Answers = nil
	}
	c := mustCompare(t, variant(base, nil), variant(head, nil))
	if m := c.Metric("body_bytes"); m.Base != nil || m.Unavailable != "recorded before answers were counted" {
		t.Errorf("%+v", m)
	}
	if c.Verdict != Improved {
		t.Errorf("%s", c.summary())
	}
}

// dearer is slow at so many times the CPU.
func dearer(times float64) truth {
	t := slow
	t.cpu *= times
	return t
}

// TestSameProcess holds that a server which was running is judged with the
// allowance for what fresh processes differ by.
func TestSameProcess(t *testing.T) {
	tests := []struct {
		name    string
		head    truth
		want    Verdict // of CPU
		overall Verdict
	}{
		{"no change", slow, Inconclusive, Inconclusive},
		{"2.5% dearer", dearer(1.025), Inconclusive, Inconclusive},
		{"10% dearer", dearer(1.1), Regressed, Regressed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 20, slow, 7), synthesize(t, "head", "e1", 20, tt.head, 7)
			fresh := mustCompare(t, variant(base, nil), variant(head, nil)).Metric(CPUPerOp).Change
			head.Manifest.Subject.Kind = runfolder.KindURL
			r := mustReport(t, []Variant{variant(base, nil), variant(head, nil)}, defaults())
			c := r.Comparisons[0]
			got := c.Metric(CPUPerOp)
			if got.Verdict != tt.want || c.Verdict != tt.overall {
				t.Errorf("%s", c.summary())
			}
			wider := (got.Change.High - got.Change.Low) - (fresh.High - fresh.Low)
			if !near(wider, 2*ProcessAllowance, 0.8) {
				t.Errorf("%v, and %v of fresh processes", got.Change, fresh)
			}
			if got := c.Metric("alloc_bytes_per_op"); got.Verdict != Equivalent {
				t.Errorf("allocations, which do not depend on the process: %+v", got)
			}
			said := strings.Contains(r.Summary[0], "less sure than of fresh processes")
			if !slices.Contains(warningCodes(r), WarnSameProcess) || !said {
				t.Errorf("%s; %v", r.Summary[0], r.Warnings)
			}
			if !NewGate(r).SameProcess {
				t.Error("the gate does not say so")
			}
		})
	}
}

// TestSameAnswersRarelyDiffer compares answers whose mix is drawn from the same
// chances on both sides.
func TestSameAnswersRarelyDiffer(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	const experiments = 400
	found := 0
	for range experiments {
		base, head := drawnAnswers(rng, "base"), drawnAnswers(rng, "head")
		if c := compareAnswers(newSide(base), newSide(head)); c.doubt() != "" {
			found++
		}
	}
	if found > experiments*2/100 { // 1% are 4, and 8 are two standard deviations more
		t.Errorf("%d of %d", found, experiments)
	}
	t.Logf("%d of %d", found, experiments)
}

// drawnAnswers is a run whose requests are answered by 404 in 5% of cases, and
// with bodies of any size.
func drawnAnswers(rng *rand.Rand, name string) *runfolder.Run {
	const blocks, ops = 12, 2000
	r := newRun(name, runfolder.Plan{Blocks: blocks, Rounds: 1})
	r.Manifest.Load.Kinds = []string{"get"}
	for b := range blocks {
		notFound := int64(0)
		for range ops {
			if rng.Float64() < 0.05 {
				notFound++
			}
		}
		r.Slices = append(r.Slices, runfolder.Slice{Block: b, Kinds: []loadgen.KindResult{{Ops: ops}}})
		mean := 500 + 20*rng.NormFloat64()
		r.Manifest.Blocks = append(r.Manifest.Blocks, runfolder.Block{Block: b, Answers: []runfolder.Answers{
			{Bytes: int64(mean * ops), Statuses: map[int]int64{200: ops - notFound, 404: notFound}},
		}})
	}
	return r
}
