package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// WarningCode says what a warning is about. Codes are stable, for programs, and
// explained in docs/warnings.md.
type WarningCode string

// The codes of warnings.
const (
	WarnIncomplete     WarningCode = "incomplete"
	WarnErrors         WarningCode = "errors"
	WarnOddAnswers     WarningCode = "odd_answers"
	WarnOtherAnswers   WarningCode = "other_answers"
	WarnOtherSizes     WarningCode = "other_sizes"
	WarnSameProcess    WarningCode = "same_process"
	WarnDirty          WarningCode = "dirty"
	WarnGeneratorBound WarningCode = "generator_bound"
	WarnNotSaturated   WarningCode = "not_saturated"
	WarnLongSlices     WarningCode = "long_slices"
	WarnLate           WarningCode = "late_requests"
	WarnMissed         WarningCode = "missed_requests"
	WarnReopened       WarningCode = "reopened"
	WarnOtherLoad      WarningCode = "other_load"
	WarnThrottled      WarningCode = "throttled"
	WarnClock          WarningCode = "clock"
	WarnSampling       WarningCode = "sampling"
	WarnUnpaired       WarningCode = "unpaired"
	WarnTooFewBlocks   WarningCode = "too_few_blocks"
	WarnSameBinary     WarningCode = "same_binary"
	WarnHost           WarningCode = "host_differs"
	WarnGoVersion      WarningCode = "go_version_differs"
	WarnCapture        WarningCode = "capture_differs"
	WarnPlan           WarningCode = "plan_differs"
	WarnForeign        WarningCode = "foreign_folder"
	WarnLayout         WarningCode = "layout_unknown"
	WarnNullControl    WarningCode = "null_control"
	WarnFewLate        WarningCode = "few_late_requests"
	WarnAgentSkew      WarningCode = "agent_skew"
	WarnAgentSlow      WarningCode = "agent_slow"
	WarnAgentBusy      WarningCode = "agent_busy"
	WarnAgentLost      WarningCode = "agent_lost"
	WarnAgents         WarningCode = "agents_differ"
	WarnGivenUp        WarningCode = "given_up"
	WarnOtherBase      WarningCode = "other_base"
)

// WarningCodes are all codes.
var WarningCodes = []WarningCode{
	WarnIncomplete, WarnErrors, WarnOddAnswers, WarnOtherAnswers, WarnOtherSizes, WarnSameProcess,
	WarnDirty, WarnGeneratorBound, WarnNotSaturated, WarnLongSlices, WarnLate,
	WarnMissed, WarnReopened, WarnOtherLoad, WarnThrottled, WarnClock, WarnSampling, WarnUnpaired,
	WarnTooFewBlocks, WarnSameBinary, WarnHost, WarnGoVersion, WarnCapture, WarnPlan,
	WarnForeign, WarnLayout, WarnNullControl, WarnFewLate, WarnGivenUp, WarnOtherBase,
	WarnAgentSkew, WarnAgentSlow, WarnAgentBusy, WarnAgentLost, WarnAgents,
}

// Warning is a reason to trust a comparison less.
type Warning struct {
	Code    WarningCode `json:"code"`
	Message string      `json:"message"`
}

// concern is what one warning is about: what is said of every run that it concerns, the figures
// of one of them, and what to do about it.
type concern struct {
	code    WarningCode
	what    string
	figures []string // one per run, with its name
	do      string
}

func (c concern) String() string {
	text := c.what
	if len(c.figures) > 0 {
		text += ": " + strings.Join(c.figures, "; ")
	}
	if c.do != "" {
		text += ". " + c.do
	}
	return text
}

// warner collects warnings. What concerns several runs is said once, with the
// figures of each.
type warner struct{ concerns []concern }

// add takes in what concerns one run, or no run in particular if figures is
// empty.
func (w *warner) add(code WarningCode, what, figures, do string) {
	same := func(c concern) bool { return c.code == code && c.what == what && c.do == do }
	i := slices.IndexFunc(w.concerns, same)
	if i < 0 {
		i = len(w.concerns)
		w.concerns = append(w.concerns, concern{code: code, what: what, do: do})
	}
	c := &w.concerns[i]
	if figures != "" && !slices.Contains(c.figures, figures) {
		c.figures = append(c.figures, figures)
	}
}

func (w *warner) warnings() []Warning {
	all := []Warning{}
	for _, c := range w.concerns {
		all = append(all, Warning{Code: c.code, Message: c.String()})
	}
	return all
}

// warnings looks at every variant, and at each beside the base.
func warnings(r *Report) []Warning {
	var w warner
	for _, v := range r.Variants {
		w.state(v)
		w.answers(v)
		w.bottleneck(v)
		w.longSlices(v)
		w.openLoop(v)
		w.reopened(v)
		w.shortSlices(v)
		w.sampling(v)
		w.agents(v.Name, v.Manifest)
	}
	for _, group := range experiments(r.Variants) {
		w.machine(names(group), group[0])
		w.clock(names(group), group[0])
	}
	w.foreign(r.Variants)
	for i, c := range r.Comparisons {
		if c.Foreign || isNullControl(r.Variants[0].Manifest, r.Variants[i+1].Manifest) {
			continue // nothing is known of its machine and its settings; or all is the same
		}
		w.control(c)
		w.otherAnswers(c)
		w.pairing(c)
		w.givenUp(c)
		w.otherBase(c, r.Variants[i+1].Manifest)
		w.layout(c, r.Variants[0].Manifest, r.Variants[i+1].Manifest)
		w.settings(r.Variants[0], r.Variants[i+1])
	}
	w.dirty(r.Variants)
	return w.warnings()
}

// experiments groups the variants that were recorded together, on a machine in
// the same condition.
func experiments(variants []Variant) [][]Variant {
	return groupBy(variants, func(v Variant) string { return v.Manifest.Experiment })
}

// groupBy groups variants of equal keys, the groups in the order of their first.
func groupBy[K comparable](variants []Variant, key func(Variant) K) [][]Variant {
	var groups [][]Variant
	place := map[K]int{}
	for _, v := range variants {
		i, known := place[key(v)]
		if !known {
			i = len(groups)
			place[key(v)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], v)
	}
	return groups
}

func names(variants []Variant) string {
	var all []string
	for _, v := range variants {
		all = append(all, v.Name)
	}
	return strings.Join(all, " and ")
}

// state is about runs that did not go as planned.
func (w *warner) state(v Variant) {
	m := v.Manifest
	if m.State != runfolder.StateComplete {
		w.add(WarnIncomplete, "not all planned blocks are there to compare",
			fmt.Sprintf("%s is %s, with %d of %d blocks", v.Name, m.State, len(m.Blocks), m.Plan.Blocks), "")
	}
	n := v.Totals.Errors
	if n == 0 {
		return
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(m.Errors)) {
		kinds = append(kinds, fmt.Sprintf("%s: %d", kind, m.Errors[kind]))
	}
	w.add(WarnErrors, "requests failed", fmt.Sprintf("%d to %s (%s)", n, v.Name, strings.Join(kinds, ", ")),
		"A server that fails can look fast; find out why before comparing")
}

// answers is about answers that are not what anybody would measure, and about one
// process that gave them all.
func (w *warner) answers(v Variant) {
	for _, odd := range oddAnswers(v) {
		w.add(WarnOddAnswers, "requests were answered, but not with a success", odd,
			"Send what the server expects, unless these answers are what you measure")
	}
	if running(v.Manifest) {
		w.add(WarnSameProcess, fmt.Sprintf("a server was already running, so all blocks are of one process: "+
			"intervals of times are %d%% wider at both ends, because fresh processes differ by that much", ProcessAllowance),
			v.Name, "Have it started, if you can, for a surer answer")
	}
}

// otherAnswers is about sides that did different work.
func (w *warner) otherAnswers(c Comparison) {
	const consequence = ", so the two sides did different work, and nothing is called improved"
	both := fmt.Sprintf("%s against %s: ", c.Head, c.Base)
	for _, text := range c.answers.statuses {
		w.add(WarnOtherAnswers, "the two sides answered with different statuses"+consequence, both+text,
			"Find out which side is right; refusing a request is quick")
	}
	for _, text := range c.answers.sizes {
		w.add(WarnOtherSizes, "the two sides sent answers of different sizes"+consequence, both+text,
			"Find out which side is right; if the change is meant, judge the figures yourself")
	}
}

// dirty is about programs that cannot be built again.
func (w *warner) dirty(variants []Variant) {
	for _, group := range groupBy(variants, func(v Variant) runfolder.Binary { return v.Manifest.Subject.Binary }) {
		if b := group[0].Manifest.Subject.Binary; b.Dirty {
			w.add(WarnDirty, "a program was built with uncommitted changes, so nobody can build it again",
				fmt.Sprintf("%s from commit %s", names(group), b.Commit[:min(12, len(b.Commit))]),
				"Commit, build and record again before you rely on it")
		}
	}
}

// bottleneck is about what limits the throughput, if that is not the server's
// CPU.
func (w *warner) bottleneck(v Variant) {
	if v.Manifest.Load.Open() {
		return // openLoop tells of requests that were late
	}
	h := v.Bottleneck
	measured := v.Manifest.Probe != nil
	switch h.By {
	case ByGenerator:
		if measured {
			w.add(WarnGeneratorBound,
				"a probe showed that the load generator limits the throughput, which is therefore not judged",
				fmt.Sprintf("for %s, %s", v.Name, h.Figures), h.Do)
			return
		}
		w.add(WarnGeneratorBound,
			"throughput shows only part of a change in the server's cost, because the load generator "+
				"takes much of the CPU time of an operation",
			fmt.Sprintf("about %.0f%% of it for %s (generator %.1f us, server %.1f us, CPUs %.0f%% busy)",
				(1-v.CPU.ofGenerator())*100, v.Name, v.Totals.GeneratorCPUPerOp,
				orZero(v.Totals.CPUPerOp), (1-v.CPU.Idle)*100),
			"CPU per operation shows all of it")
	case ByWorkers:
		w.add(WarnNotSaturated, "the number of workers limits the throughput, not the server",
			fmt.Sprintf("for %s, %s", v.Name, h.Figures), h.Do)
	}
}

// longSlices is about closed loops in which much of a slice is waiting for its
// last requests.
func (w *warner) longSlices(v Variant) {
	const much, tolerated = 1.5, 0.10
	long := 0
	for _, s := range v.side.Slices {
		if float64(s.Duration) > much*float64(v.Manifest.Plan.Slice) {
			long++
		}
	}
	share := float64(long) / float64(len(v.side.Slices))
	if share > tolerated && !v.Manifest.Load.Open() {
		w.add(WarnLongSlices,
			fmt.Sprintf("many slices took more than %.1f times as long as planned, waiting for their last requests", much),
			fmt.Sprintf("%.0f%% of those of %s, planned for %v", share*100, v.Name, v.Manifest.Plan.Slice),
			"Record with a longer --slice")
	}
}

// openLoop is about a rate that was not kept.
func (w *warner) openLoop(v Variant) {
	o, load := v.Totals.OpenLoop, v.Manifest.Load
	if o == nil {
		return
	}
	sent := v.sent()
	// Little's law: requests in flight = rate x latency from sending.
	inFlight := load.Rate * o.AvgLatencyMs / 1e3
	if lateOften(*o, sent) {
		w.add(WarnLate, "requests were sent more than 1 ms after they were due",
			fmt.Sprintf("%.1f%% of those to %s, by up to %.0f ms, with %.1f of %d workers busy on average",
				float64(o.Late)/float64(sent)*100, v.Name, o.MaxLateMs, inFlight, load.Workers),
			whyLate(inFlight, load.Workers))
	}
	if o.Missed > 0 {
		w.add(WarnMissed, "requests that were due were never sent, and no latency includes them",
			fmt.Sprintf("%d of %d to %s, which cannot keep up with %.0f/s through %d workers",
				o.Missed, o.Missed+sent, v.Name, load.Rate, load.Workers), "")
	}
}

func whyLate(inFlight float64, workers int) string {
	if inFlight > float64(workers)/2 {
		return "There are too few workers, record with more --workers"
	}
	return "The server stood still at times, or the generator did not get a CPU when it needed one"
}

// reopened is about connections that the server closed while they rested.
func (w *warner) reopened(v Variant) {
	var n int64
	for _, s := range v.side.Slices {
		n += s.Reopened
	}
	if n > 0 {
		w.add(WarnReopened, "the server closed idle connections between slices, which were opened again",
			fmt.Sprintf("%d of %s", n, v.Name),
			"Some latencies include connecting; give the server a longer idle timeout")
	}
}

// otherLoad is about other work that a machine did, during something.
func (w *warner) otherLoad(during string, m MachineUse) {
	const tolerated = 0.05
	if orZero(m.Others) > tolerated || orZero(m.Steal) > tolerated {
		w.add(WarnOtherLoad, "the machine did other work, which makes intervals wider and latencies longer",
			fmt.Sprintf("while %s ran, other processes used %.1f%% of the CPUs and the hypervisor withheld %.1f%%",
				during, orZero(m.Others)*100, orZero(m.Steal)*100), "")
	}
}

// machine is about what else the machine was doing during an experiment, of
// which v is one run.
func (w *warner) machine(names string, v Variant) {
	w.otherLoad(names, v.Machine)
	var throttled time.Duration
	var periods, thermal int64
	for _, b := range v.Manifest.Blocks {
		if m := b.Machine; m != nil {
			throttled += orZero(m.Throttled)
			periods += orZero(m.ThrottledPeriods)
			thermal += orZero(m.ThermalEvents)
		}
	}
	if periods > 0 || thermal > 0 {
		w.add(WarnThrottled, "the CPUs were throttled",
			fmt.Sprintf("while %s ran, a quota stopped us %d times, %v in all, and cores slowed down %d times because of heat",
				names, periods, throttled.Round(time.Millisecond), thermal),
			"Raise the quota or cool the machine, and record again")
	}
}

// slowClocks are clocksources that are read through the kernel and a device, or
// that tick too rarely.
var slowClocks = []string{"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies"}

// SlowClock reports whether a clocksource is one of those.
func SlowClock(name string) bool { return slices.Contains(slowClocks, name) }

func (w *warner) clock(names string, v Variant) {
	clocks := v.Machine.Clocksources
	if len(clocks) > 1 {
		w.add(WarnClock, "the kernel changed its clocksource, so times before and after cannot be compared",
			fmt.Sprintf("from %s while %s ran", strings.Join(clocks, " to "), names), "")
	}
	for _, c := range clocks {
		if SlowClock(c) {
			w.add(WarnClock,
				"the kernel read a slow clocksource, which costs a microsecond or more each time, in the server too",
				fmt.Sprintf("%s while %s ran", c, names), "See why the kernel does not trust tsc")
		}
	}
}

func (w *warner) shortSlices(v Variant) {
	short := 0
	for _, s := range v.side.Slices {
		if s.Duration < v.Manifest.Plan.Slice {
			short++
		}
	}
	if short > 0 {
		w.add(WarnClock, "slices took less time than planned, so the clock does not run evenly",
			fmt.Sprintf("%d of %s, of %v", short, v.Name, v.Manifest.Plan.Slice), "")
	}
}

// sampling is about samples that do not show what the counters counted.
func (w *warner) sampling(v Variant) {
	const tolerated = 0.10
	for _, t := range v.Profiles {
		if t.Exact == nil || *t.Exact == 0 || !exactlyCounted(t) {
			continue
		}
		if share := t.Total.Value / *t.Exact; math.Abs(share-1) > tolerated {
			w.add(WarnSampling, "the total of a sampled profile is far from that of the exact counters",
				fmt.Sprintf("%s of %s shows %.0f%%", t.Title, v.Name, share*100),
				"Read its function tables with care; a longer run has more samples")
		}
	}
}

// exactlyCounted reports whether the counter of a table's total covers the same
// time as its profile. A CPU profile also covers what a server does between
// slices.
func exactlyCounted(t profdiff.FunctionTable) bool {
	kind, _ := runfolder.KindNamed(t.Kind)
	return kind.Window == runfolder.WindowDifference
}

func (w *warner) pairing(c Comparison) {
	if !c.Paired {
		w.add(WarnUnpaired, "the runs were not recorded together, so the machine's drift between them does not cancel",
			fmt.Sprintf("%s and %s", c.Base, c.Head), "Their timing says little; allocations can be compared")
	}
	if c.tooFew() {
		w.add(WarnTooFewBlocks, "there are too few blocks for a verdict: their intervals do not reach the level it takes",
			fmt.Sprintf("%d of %s and %s", c.Blocks, c.Base, c.Head), "Record at least 12")
	}
}

// tooFew reports whether the intervals are not as sure as they ought to be.
func (c Comparison) tooFew() bool {
	for _, m := range c.Metrics {
		if m.Gated && m.Change != nil && m.AsBuilt == nil && m.Change.Level < 1-FalseAlarms {
			return true
		}
	}
	return false
}

func (w *warner) settings(base, head Variant) {
	b, h := base.Manifest, head.Manifest
	both := fmt.Sprintf("%s and %s", base.Name, head.Name)
	if sameProgram(b.Subject, h.Subject) {
		w.add(WarnSameBinary, "both sides are the same program with the same options, so any difference is noise",
			both, "")
	}
	if b.Host != h.Host {
		w.add(WarnHost, "the runs are from different hosts or kernels, so their timing cannot be compared", both, "")
	}
	w.otherAgents(base, head)
	if differentGo(b, h) {
		w.add(WarnGoVersion, "the programs were built with different versions of Go",
			fmt.Sprintf("%s with %s, %s with %s", base.Name, b.Subject.Binary.GoVersion, head.Name,
				h.Subject.Binary.GoVersion), "")
	}
	if !b.Capture.Equal(h.Capture) {
		w.add(WarnCapture, "the runs were profiled in different ways, which slows each by a different amount", both, "")
	}
	if b.Plan.Slice != h.Plan.Slice || b.Plan.Rounds != h.Plan.Rounds || b.Plan.Warmup != h.Plan.Warmup {
		w.add(WarnPlan, "the runs had different slices, rounds or warm-up, so figures that grow with the data, "+
			"such as the heap, differ for that reason alone", both, "")
	}
}

// sameProgram reports whether two subjects are one, by whatever path and name.
func sameProgram(a, b runfolder.SubjectInfo) bool {
	return a.Binary.SHA256 != "" && a.Binary.SHA256 == b.Binary.SHA256 && maps.Equal(a.Options, b.Options) &&
		slices.Equal(a.Command[min(1, len(a.Command)):], b.Command[min(1, len(b.Command)):])
}
