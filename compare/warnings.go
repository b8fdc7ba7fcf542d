package compare

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Warning is a reason to trust a comparison less.
type Warning struct {
	Code    string `json:"code"` // stable, for programs
	Message string `json:"message"`
}

// adder takes in one warning. Its code must be explained in docs/warnings.md.
type adder func(code, format string, args ...any)

// warnings looks at every variant, and at each beside the base.
func warnings(r *Report) []Warning {
	found := []Warning{}
	add := func(code, format string, args ...any) {
		w := Warning{Code: code, Message: fmt.Sprintf(format, args...)}
		if !slices.Contains(found, w) {
			found = append(found, w)
		}
	}
	for _, v := range r.Variants {
		warnState(add, v)
		warnBottleneck(add, v)
		warnOpenLoop(add, v)
		warnShortSlices(add, v)
		warnSampling(add, v.Name+"'s allocation profile", v.Allocations)
	}
	for _, group := range experiments(r.Variants) {
		warnMachine(add, names(group), group[0])
		warnClock(add, names(group), group[0])
	}
	base := r.Variants[0]
	for i, c := range r.Comparisons {
		head := r.Variants[i+1]
		warnPairing(add, c)
		warnSettings(add, base, head)
	}
	warnDirty(add, r.Variants)
	return found
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

// warnState objects to runs that did not go as planned.
func warnState(add adder, v Variant) {
	m := v.Manifest
	if m.State != runfolder.StateComplete {
		add("incomplete", "%s is %s: only %d of %d blocks are compared", v.Name, m.State, len(m.Blocks), m.Plan.Blocks)
	}
	if n := v.Totals.Errors; n > 0 {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(m.Errors)) {
			kinds = append(kinds, fmt.Sprintf("%s: %d", kind, m.Errors[kind]))
		}
		add("errors", "%d requests to %s failed (%s): a server that fails can look fast; find out why before comparing", n, v.Name, strings.Join(kinds, ", "))
	}
}

// warnDirty objects to programs that cannot be built again.
func warnDirty(add adder, variants []Variant) {
	for _, group := range groupBy(variants, func(v Variant) runfolder.Binary { return v.Manifest.Subject.Binary }) {
		if b := group[0].Manifest.Subject.Binary; b.Dirty {
			add("dirty", "the program of %s was built from commit %s with uncommitted changes: nobody can build it again; commit, build and record again before you rely on it",
				names(group), b.Commit[:min(12, len(b.Commit))])
		}
	}
}

// warnBottleneck says what throughput is held up by, if that is not the
// server's CPU.
func warnBottleneck(add adder, v Variant) {
	u, t := v.usage(), v.Totals
	switch {
	case u.generatorBound():
		add("generator_bound", "under %s the load generator took %.0f%% of the CPU time of an operation (%.1f us, the server %.1f us) with the CPUs %.0f%% busy: throughput shows about %.0f%% of a change in the server's cost, CPU per operation all of it",
			v.Name, u.generatorShare()*100, t.GeneratorCPUPerOp, *t.CPUPerOp, (1-u.idle)*100, (1-u.generatorShare())*100)
	case u.waiting():
		// Little's law: requests in flight = throughput x latency.
		add("not_saturated", "under %s the CPUs were %.0f%% idle: %d workers, each waiting %.2f ms for an answer, can ask for %.0f requests a second and no more, however many the server could answer; record with more --workers until throughput no longer grows",
			v.Name, u.idle*100, v.Manifest.Load.Workers, t.AvgLatencyMs, float64(v.Manifest.Load.Workers)/t.AvgLatencyMs*1e3)
	}
	warnLongSlices(add, v)
}

// warnLongSlices objects to closed loops in which much of a slice is waiting
// for its last requests.
func warnLongSlices(add adder, v Variant) {
	const much, tolerated = 1.5, 0.10
	long := 0
	for _, s := range v.run.Slices {
		if float64(s.Duration) > much*float64(v.Manifest.Plan.Slice) {
			long++
		}
	}
	if share := float64(long) / float64(len(v.run.Slices)); share > tolerated && !v.Manifest.Load.Open() {
		add("long_slices", "%.0f%% of the slices of %s took more than %.1f times the %v they should, to wait for their last requests: record with a longer --slice", share*100, v.Name, much, v.Manifest.Plan.Slice)
	}
}

// warnOpenLoop says how far a rate was not kept.
func warnOpenLoop(add adder, v Variant) {
	const tolerated = 0.01 // beyond, the p99 is made of late requests
	o, load := v.Totals.OpenLoop, v.Manifest.Load
	if o == nil {
		return
	}
	sent := v.Totals.TotalOps
	// Little's law: requests in flight = rate x latency from sending.
	inFlight := load.Rate * o.AvgLatencyMs / 1e3
	if share := float64(o.Late) / float64(sent); share > tolerated {
		add("late_requests", "%.1f%% of the requests to %s were sent more than 1 ms after they were due, by up to %.0f ms; on average %.1f of %d workers were busy: %s",
			share*100, v.Name, o.MaxLateMs, inFlight, load.Workers, whyLate(inFlight, load.Workers))
	}
	if o.Missed > 0 {
		add("missed_requests", "%d of %d requests that were due to %s were never sent: it cannot keep up with %.0f/s through %d workers; the latencies leave those requests out",
			o.Missed, o.Missed+sent, v.Name, load.Rate, load.Workers)
	}
}

func whyLate(inFlight float64, workers int) string {
	if inFlight > float64(workers)/2 {
		return "there are too few, record with more --workers"
	}
	return "the server stood still at times, or the generator did not get a CPU when it needed one"
}

// warnMachine says what else the machine was doing during an experiment, of
// which v is one run.
func warnMachine(add adder, names string, v Variant) {
	const tolerated = 0.05
	c := v.conditions()
	if orZero(c.others) > tolerated || orZero(c.steal) > tolerated {
		add("other_load", "the machine did other work while %s ran: %s; intervals are wider and latencies longer than they need be", names, c)
	}
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
		add("throttled", "the CPUs were held back while %s ran: a quota stopped us %d times, %v in all, and cores slowed down %d times because of heat; raise the quota or cool the machine, and record again", names, periods, throttled.Round(time.Millisecond), thermal)
	}
}

// slowClocks are clocksources that are read through the kernel and a device, or
// that tick too rarely.
var slowClocks = []string{"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies"}

func warnClock(add adder, names string, v Variant) {
	clocks := v.clocksources()
	if len(clocks) > 1 {
		add("clock", "the kernel changed its clocksource from %s while %s ran: times before and after do not compare", strings.Join(clocks, " to "), names)
	}
	for _, c := range clocks {
		if slices.Contains(slowClocks, c) {
			add("clock", "the kernel read the clocksource %s while %s ran: every reading costs a microsecond or more, in the server too; see why it does not trust tsc", c, names)
		}
	}
}

func warnShortSlices(add adder, v Variant) {
	short := 0
	for _, s := range v.run.Slices {
		if s.Duration < v.Manifest.Plan.Slice {
			short++
		}
	}
	if short > 0 {
		add("clock", "%d slices of %s took less than the %v they were made to take: the clock does not run evenly", short, v.Name, v.Manifest.Plan.Slice)
	}
}

// warnSampling objects to samples that do not show what the counters counted.
func warnSampling(add adder, what string, t FunctionTable) {
	const tolerated = 0.10
	if t.Exact == nil || *t.Exact == 0 {
		return
	}
	if ratio := t.Total.Value / *t.Exact; math.Abs(ratio-1) > tolerated {
		add("sampling", "%s shows %.0f%% of what the counters counted: the samples are few, read the function tables with care", what, ratio*100)
	}
}

func warnPairing(add adder, c Comparison) {
	if !c.Paired {
		add("unpaired", "%s and %s were not recorded together: the machine's drift between them is not cancelled, so their timing says little; allocations can be compared", c.Base, c.Head)
	}
	if c.tooFew() {
		add("too_few_blocks", "%d blocks are too few for a verdict: exact intervals of so few do not reach the level that is wanted; record at least 12", c.Blocks)
	}
}

// tooFew tells whether the intervals are not as sure as they ought to be.
func (c Comparison) tooFew() bool {
	for _, m := range c.Metrics {
		if m.Gated && m.Change != nil && m.Change.Level < 1-falseAlarms {
			return true
		}
	}
	return false
}

func warnSettings(add adder, base, head Variant) {
	b, h := base.Manifest, head.Manifest
	if sameProgram(b.Subject, h.Subject) {
		add("same_binary", "%s and %s are the same program with the same options: what differs between them is noise", base.Name, head.Name)
	}
	if b.Host != h.Host {
		add("host_differs", "%s and %s ran on different hosts or kernels: their timing cannot be compared", base.Name, head.Name)
	}
	if b.Subject.Binary.GoVersion != h.Subject.Binary.GoVersion {
		add("go_version_differs", "%s was built with %s, %s with %s", base.Name, b.Subject.Binary.GoVersion, head.Name, h.Subject.Binary.GoVersion)
	}
	if b.Capture != h.Capture {
		add("capture_differs", "%s and %s were profiled at different rates: their profiles cost them differently", base.Name, head.Name)
	}
	if b.Plan.Slice != h.Plan.Slice || b.Plan.Rounds != h.Plan.Rounds || b.Plan.Warmup != h.Plan.Warmup {
		add("plan_differs", "%s and %s were recorded with different slices, rounds or warm-up: figures that grow with the data, such as the heap, differ by that alone", base.Name, head.Name)
	}
}

// sameProgram tells whether two subjects are one, by whatever path and name.
func sameProgram(a, b runfolder.SubjectInfo) bool {
	return a.Binary.SHA256 != "" && a.Binary.SHA256 == b.Binary.SHA256 && maps.Equal(a.Options, b.Options) &&
		slices.Equal(a.Command[min(1, len(a.Command)):], b.Command[min(1, len(b.Command)):])
}
