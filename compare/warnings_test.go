package compare

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

func warningCodes(r *Report) []WarningCode {
	var codes []WarningCode
	for _, w := range r.Warnings {
		codes = append(codes, w.Code)
	}
	return codes
}

// onMachine has a run's blocks measured within a second each, on one CPU, with
// the given happening meanwhile.
func onMachine(r *runfolder.Run, m runfolder.Machine) {
	m.Window, m.CPUs = time.Second, 1
	for b := range r.Manifest.Blocks {
		r.Manifest.Blocks[b].Machine = &m
	}
}

// scale changes the times of all slices.
func scale(duration, server, generator float64) func(*runfolder.Run) {
	times := func(d time.Duration, by float64) time.Duration { return time.Duration(float64(d) * by) }
	return func(r *runfolder.Run) {
		for i := range r.Slices {
			s := &r.Slices[i]
			s.Duration, s.ServerCPU, s.GeneratorCPU = times(s.Duration, duration), times(s.ServerCPU, server), times(s.GeneratorCPU, generator)
		}
	}
}

func machine(m runfolder.Machine) func(*runfolder.Run) {
	return func(r *runfolder.Run) { onMachine(r, m) }
}

func TestWarnings(t *testing.T) {
	fullCosts := map[string]cost{"f": {value: slow.bytes}}
	tests := []struct {
		name   string
		change func(head *runfolder.Run)
		want   WarningCode
		figure string // in the message
	}{
		{"interrupted", func(r *runfolder.Run) { r.Manifest.State = runfolder.StateInterrupted }, "incomplete", "head is interrupted, with 12 of 12 blocks"},
		{"failed requests", func(r *runfolder.Run) { r.Manifest.Errors = map[string]int64{"timeout": 2, "status 500": 1} }, "errors", "requests failed: 3 to head (status 500: 1, timeout: 2)"},
		{"another host", func(r *runfolder.Run) { r.Manifest.Host.CPUModel = "Other" }, "host_differs", ""},
		{"another Go", func(r *runfolder.Run) { r.Manifest.Subject.Binary.GoVersion = "go1.27" }, "go_version_differs", "go1.27"},
		{"a script, whose Go nobody knows", func(r *runfolder.Run) { r.Manifest.Subject.Binary.GoVersion = "" }, "", ""},
		{"other profiling rates", func(r *runfolder.Run) { r.Manifest.Capture.Periods = map[string]int64{"cpu": 2e6} }, "capture_differs", ""},
		{"another plan", func(r *runfolder.Run) { r.Manifest.Plan.Warmup = 9 }, "plan_differs", ""},
		{"uncommitted changes", func(r *runfolder.Run) { r.Manifest.Subject.Binary.Dirty = true }, "dirty", "head from commit 0123456789ab."},
		{"a slow generator", scale(1, 1, 6), "generator_bound", "about 59% of it for head (generator 60.0 us, server 86.0 us, CPUs"},
		{"waiting", scale(1, 0.5, 1), "not_saturated", "for head, of the CPUs server 40%, generator 9%, idle 51%; 10 workers, each waiting 1.20 ms for an answer, can send at most 8333 requests per second"},
		{"connections that were reopened", func(r *runfolder.Run) { r.Slices[3].Reopened, r.Slices[4].Reopened = 10, 2 }, "reopened", "12 of head. Some latencies include connecting"},
		{"slices that overrun", scale(2, 2, 2), "long_slices", "took more than 1.5 times as long as planned, waiting for their last requests: 100% of those of head, planned for 50ms"},
		{"slices that end early", scale(0.99, 0.99, 0.99), "clock", "240 of head, of 50ms"},
		{"others at work", machine(runfolder.Machine{Busy: new(980 * time.Millisecond), Ours: new(880 * time.Millisecond), Runnable: new(2.5)}), "other_load", "while base and head ran, other processes used 10.0% of the CPUs and the hypervisor withheld 0.0%"},
		{"a busy hypervisor", machine(runfolder.Machine{Steal: new(70 * time.Millisecond), Pressure: new(300 * time.Millisecond)}), "other_load", "the hypervisor withheld 7.0%"},
		{"a quota", machine(runfolder.Machine{Throttled: new(time.Millisecond), ThrottledPeriods: new(int64(3))}), "throttled", "stopped us 36 times, 12ms in all, and cores slowed down 0 times"},
		{"heat", machine(runfolder.Machine{ThermalEvents: new(int64(1))}), "throttled", "slowed down 12 times"},
		{"a slow clock", machine(runfolder.Machine{Clocksource: new("hpet")}), "clock", "hpet while base and head ran"},
		{"a clock that changes", func(r *runfolder.Run) {
			onMachine(r, runfolder.Machine{Clocksource: new("tsc")})
			r.Manifest.Blocks[3].Machine = &runfolder.Machine{Clocksource: new("kvm-clock")}
		}, "clock", "from tsc to kvm-clock"},
		{"all well with the machine", machine(runfolder.Machine{
			Busy: new(920 * time.Millisecond), Ours: new(900 * time.Millisecond), Idle: new(80 * time.Millisecond), Steal: new(time.Duration(0)),
			Pressure: new(900 * time.Millisecond), Runnable: new(0.5), Throttled: new(time.Duration(0)), ThrottledPeriods: new(int64(0)), Clocksource: new("tsc"),
		}), "", ""},
		{"all the same", func(*runfolder.Run) {}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, slow, 7)
			tt.change(head)
			for b := range base.Manifest.Blocks { // one machine for both
				base.Manifest.Blocks[b].Machine = head.Manifest.Blocks[b].Machine
			}
			r := mustReport(t, []Variant{variant(base, fullCosts), variant(head, fullCosts)}, defaults())
			codes := warningCodes(r)
			if want := []WarningCode{tt.want}; tt.want != "" && !cmp.Equal(codes, want) || tt.want == "" && len(codes) > 0 {
				t.Fatalf("warnings %v, want %v", r.Warnings, want)
			}
			if tt.want != "" && !strings.Contains(r.Warnings[0].Message, tt.figure) {
				t.Errorf("%q does not say %q", r.Warnings[0].Message, tt.figure)
			}
		})
	}
}

// TestWarningsOfSeveralRunsAreSaidOnce: with the figures of each.
func TestWarningsOfSeveralRunsAreSaidOnce(t *testing.T) {
	var variants []Variant
	for _, name := range []string{"one", "two", "three"} {
		run := synthesize(t, name, "e1", 12, slow, 7)
		scale(1, 1, 6)(run)
		variants = append(variants, variant(run, map[string]cost{"f": {value: slow.bytes}}))
	}
	r := mustReport(t, variants, defaults())
	if len(r.Warnings) != 1 || r.Warnings[0].Code != WarnGeneratorBound {
		t.Fatalf("warnings %v", r.Warnings)
	}
	message := r.Warnings[0].Message
	if strings.Count(message, "CPU per operation shows all of it") != 1 {
		t.Errorf("%q gives its advice more than once", message)
	}
	for _, name := range []string{"for one (", "for two (", "for three ("} {
		if !strings.Contains(message, name) {
			t.Errorf("%q lacks the figures %q", message, name)
		}
	}
}

func TestOneProgramOfBothSidesIsNamedOnce(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, slow, 7)
	for i, r := range []*runfolder.Run{base, head} {
		r.Manifest.Subject.Binary.SHA256, r.Manifest.Subject.Binary.Dirty = "abc", true
		r.Manifest.Subject.Command = []string{fmt.Sprintf("/bin/%d", i), "serve"}
	}
	costs := map[string]cost{"f": {value: slow.bytes}}
	onMachine(base, runfolder.Machine{Steal: new(time.Second)})
	onMachine(head, runfolder.Machine{Steal: new(time.Second)})
	r := mustReport(t, []Variant{variant(base, costs), variant(head, costs)}, defaults())
	if codes := warningCodes(r); !cmp.Equal(codes, []WarningCode{WarnOtherLoad, WarnSameBinary, WarnDirty}) || !strings.Contains(r.Warnings[2].Message, "base and head from commit") {
		t.Errorf("warnings %v", r.Warnings)
	}
	head.Manifest.Subject.Command = []string{"/bin/2", "serve", "--fast"}
	if r := mustReport(t, []Variant{variant(base, costs), variant(head, costs)}, defaults()); slices.Contains(warningCodes(r), "same_binary") {
		t.Error("other options, and still the same")
	}
}

// TestGeneratorBoundLeadsWithCPU: where the generator limits the throughput, the
// summary begins with the figure that does not depend on it.
func TestGeneratorBoundLeadsWithCPU(t *testing.T) {
	base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head-", "e1", 12, fast, 7)
	c := mustCompare(t, variant(base, nil), variant(head, nil))
	if c.GeneratorBound || !strings.Contains(c.summary(), ". throughput ") {
		t.Errorf("%v %s", c.GeneratorBound, c.summary())
	}
	scale(1, 1, 6)(head)
	c = mustCompare(t, variant(base, nil), variant(head, nil))
	if !c.GeneratorBound || !regexp.MustCompile(`\. CPU [^;]+; throughput [^;]+; allocated `).MatchString(c.summary()) {
		t.Errorf("%v %s", c.GeneratorBound, c.summary())
	}
}

// synthesizeOpen makes a run at a fixed rate, whose latencies from sending are
// shorter than those from when requests were due.
func synthesizeOpen(t *testing.T, name string, want truth, sentMs float64) *runfolder.Run {
	t.Helper()
	r := synthesize(t, name, "e1", 12, want, 7)
	r.Manifest.Load.Rate, r.Manifest.Load.Arrivals = want.ops, loadgen.Poisson
	for b := range r.Manifest.Blocks {
		due := r.Latency[b]
		r.Sent = append(r.Sent, latencies(t, due[0].TotalCount(), due[1].TotalCount(), sentMs))
	}
	return r
}

func TestOpenLoop(t *testing.T) {
	base, head := synthesizeOpen(t, "base", slow, 0.6), synthesizeOpen(t, "head", fast, 0.8)
	costs := map[string]cost{"f": {value: slow.bytes}}
	r := mustReport(t, []Variant{variant(base, costs), variant(head, costs)}, defaults())
	c := r.Comparisons[0]
	if ops := c.Metric("ops_per_sec"); ops.Gated || ops.Verdict != NotJudged || ops.Change == nil {
		t.Errorf("throughput, which the load sets: %+v", ops)
	}
	if p99 := c.Metric("latency_p99"); p99.Verdict != Improved {
		t.Errorf("p99 from when requests were due: %+v", p99)
	}
	if p99 := c.Metric("latency_p99_sent"); p99 == nil || p99.Verdict != NotJudged || !near(*p99.Base, 0.6, 0.01) || !near(p99.Change.Percent, 33.3, 0.5) {
		t.Errorf("p99 from sending: %+v", p99)
	}
	if c.Verdict != Improved || strings.Contains(r.Summary[0], "throughput") {
		t.Errorf("summary %q", r.Summary)
	}
	for _, d := range Decide([]*runfolder.Run{base, head}, DefaultCriteria()).Decisions {
		if d.Metric == "ops_per_sec" {
			t.Error("throughput decides how long to measure")
		}
	}
	if closed := mustCompare(t, variant(synthesize(t, "base", "e1", 12, slow, 7), nil), variant(synthesize(t, "head", "e1", 12, slow, 7), nil)); closed.Metric("latency_p99_sent") != nil {
		t.Error("a closed loop has latencies from sending")
	}
}

// TestSlicesWithoutRequests: at a low rate some slices ask nothing of either
// side, and leave the others to speak.
func TestSlicesWithoutRequests(t *testing.T) {
	base, head := synthesizeOpen(t, "base", slow, 0.6), synthesizeOpen(t, "head", slow, 0.6)
	for _, r := range []*runfolder.Run{base, head} {
		for i := range r.Slices {
			if i%2 == 0 {
				r.Slices[i].Kinds, r.Slices[i].ServerCPU = make([]loadgen.KindResult, 2), time.Microsecond
			}
		}
	}
	scale(1, 1.1, 1)(head)
	c := mustCompare(t, variant(base, nil), variant(head, nil))
	if got := c.Metric("cpu_per_op").Change; got == nil || !near(got.Percent, 10, 2) {
		t.Errorf("change of CPU %v, want about 10%%", got)
	}
}

func TestOpenLoopWarnings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*runfolder.Slice)
		sentMs float64
		want   WarningCode
		figure string
	}{
		{"all in time", func(s *runfolder.Slice) { s.Late, s.MaxLate = 1, 2*time.Millisecond }, 1, "", ""},
		{"late, with idle workers", func(s *runfolder.Slice) { s.Late, s.MaxLate = s.Ops()/10, 200*time.Millisecond }, 0.1, "late_requests", "by up to 200 ms, with 0.8 of 10 workers busy on average. The server stood still"},
		{"late, with busy workers", func(s *runfolder.Slice) { s.Late = s.Ops() / 10 }, 1.1, "late_requests", "with 8.8 of 10 workers busy on average. There are too few"},
		{"late, of which half failed", func(s *runfolder.Slice) { s.Late, s.Errors = s.Ops(), s.Ops() }, 0.1, "late_requests", "50.0% of those to head"},
		{"missed", func(s *runfolder.Slice) { s.Missed = 1 }, 1, "missed_requests", "240 of "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesizeOpen(t, "base", slow, 1), synthesizeOpen(t, "head", slow, tt.sentMs)
			for i := range head.Slices {
				tt.change(&head.Slices[i])
			}
			costs := map[string]cost{"f": {value: slow.bytes}}
			r := mustReport(t, []Variant{variant(base, costs), variant(head, costs)}, defaults())
			if codes := warningCodes(r); tt.want == "" && len(codes) > 0 || tt.want != "" && !cmp.Equal(codes, []WarningCode{tt.want}) {
				t.Fatalf("warnings %v, want %q", r.Warnings, tt.want)
			}
			if tt.want != "" && !strings.Contains(r.Warnings[0].Message, tt.figure) {
				t.Errorf("%q does not say %q", r.Warnings[0].Message, tt.figure)
			}
		})
	}
}

// TestEveryWarningIsExplained compares the codes with the headings of
// docs/warnings.md, both ways.
func TestEveryWarningIsExplained(t *testing.T) {
	page, err := os.ReadFile("../docs/warnings.md")
	if err != nil {
		t.Fatal(err)
	}
	var explained []WarningCode
	for _, heading := range regexp.MustCompile("(?m)^### `([a-z_]+)`$").FindAllStringSubmatch(string(page), -1) {
		explained = append(explained, WarningCode(heading[1]))
	}
	codes := slices.Sorted(slices.Values(WarningCodes))
	if diff := cmp.Diff(codes, slices.Sorted(slices.Values(explained))); diff != "" {
		t.Errorf("codes and those in docs/warnings.md: %s", diff)
	}
}

// TestOtherBase: what was recorded until two subjects were decided against a third may
// leave open what the two differ by, which is said.
func TestOtherBase(t *testing.T) {
	for name, tt := range map[string]struct {
		noise float64 // of every other block's CPU time
		want  []WarningCode
	}{
		"open":    {1.2, []WarningCode{WarnOtherBase}},
		"decided": {1, nil},
	} {
		base, head := synthesize(t, "base", "e1", 12, slow, 7), synthesize(t, "head", "e1", 12, slow, 7)
		for i, s := range head.Slices {
			if s.Block%2 == 0 {
				head.Slices[i].ServerCPU = time.Duration(float64(s.ServerCPU) * tt.noise)
			}
		}
		look := runfolder.Look{Blocks: 12, Done: true}
		var variants []Variant
		for _, run := range []*runfolder.Run{base, head} {
			look.Decisions = append(look.Decisions, runfolder.Decision{
				Head: run.Manifest.Subject.Name, Metric: string(CPUPerOp), Verdict: string(Regressed),
			})
		}
		for _, run := range []*runfolder.Run{base, head} {
			run.Manifest.Plan.Sequential, run.Manifest.Looks = true, []runfolder.Look{look}
			variants = append(variants, variant(run, map[string]cost{"f": {value: slow.bytes}}))
		}
		r := mustReport(t, variants, defaults())
		if codes := warningCodes(r); !cmp.Equal(codes, tt.want) || len(r.Comparisons[0].Looks) > 0 {
			t.Errorf("%s: warnings %v, want %v; looks %v", name, codes, tt.want, r.Comparisons[0].Looks)
		}
	}
}
