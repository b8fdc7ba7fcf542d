package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// usage is where the time of the CPUs went in a closed loop's own slices, as
// shares of all of it. It is zero if that is not known, and of open loops,
// whose throughput it would say nothing about.
type usage struct{ server, generator, idle float64 }

func (v Variant) usage() usage {
	m := v.Manifest
	if !v.run.Has(runfolder.SourceCPUClock) || m.Host.Affinity == 0 || m.Load.Open() {
		return usage{}
	}
	var u usage
	var capacity float64
	for _, s := range v.run.Slices {
		u.server += s.ServerCPU.Seconds()
		u.generator += s.GeneratorCPU.Seconds()
		capacity += s.Duration.Seconds() * float64(m.Host.Affinity)
	}
	u.server, u.generator = u.server/capacity, u.generator/capacity
	c := v.conditions()
	u.idle = max(0, 1-u.server-u.generator-orZero(c.others)-orZero(c.steal))
	return u
}

// generatorShare is the load generator's part of what an operation costs.
func (u usage) generatorShare() float64 { return u.generator / (u.generator + u.server) }

const (
	// idleTolerated is up to where the CPUs count as saturated: processes that
	// hand every request to each other leave some idle for moments.
	idleTolerated = 0.25
	// generatorTolerated is a share of the generator from which throughput shows
	// less than two thirds of a change in the server's cost: less than 2% of a
	// change by the tolerance of 3%.
	generatorTolerated = 1.0 / 3
)

func (u usage) known() bool { return u.server > 0 }

// generatorBound tells whether throughput is held up by the generator: the CPUs
// are saturated, and much of their time is the generator's.
func (u usage) generatorBound() bool {
	return u.known() && u.idle <= idleTolerated && u.generatorShare() > generatorTolerated
}

// waiting tells whether throughput is held up by something other than the CPUs.
func (u usage) waiting() bool { return u.known() && u.idle > idleTolerated }

// conditions are what else the machine did while the blocks of a run were
// measured. What was not recorded is nil.
type conditions struct {
	others   *float64 // share of the CPUs used by other processes than the subjects and the generator
	steal    *float64 // share of the CPUs that a virtual machine was refused
	pressure *float64 // share of the time in which some task waited for a CPU
	runnable *float64 // tasks that ran or wanted to between rounds
}

func (v Variant) conditions() conditions {
	var others, steal, pressure, runnable ratio
	for _, b := range v.Manifest.Blocks {
		m := b.Machine
		if m == nil {
			continue
		}
		window := m.Window.Seconds()
		cpus := window * float64(m.CPUs)
		if m.Busy != nil && m.Ours != nil {
			others.add((*m.Busy - *m.Ours).Seconds(), cpus)
		}
		if m.Steal != nil {
			steal.add(m.Steal.Seconds(), cpus)
		}
		if m.Pressure != nil {
			pressure.add(m.Pressure.Seconds(), window)
		}
		if m.Runnable != nil {
			runnable.add(*m.Runnable, 1)
		}
	}
	return conditions{others: others.value(), steal: steal.value(), pressure: pressure.value(), runnable: runnable.value()}
}

// ratio adds up parts of wholes.
type ratio struct{ part, whole float64 }

func (r *ratio) add(part, whole float64) { r.part, r.whole = r.part+part, r.whole+whole }

// value is nil without any whole. The system counts the time of the CPUs in
// ticks, which can come to a little less than the exact time of processes.
func (r *ratio) value() *float64 {
	if r.whole == 0 {
		return nil
	}
	return new(max(0, r.part/r.whole))
}

// orZero takes what is not known for nothing, where only much of it matters.
func orZero[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// String names what is known, in a few words each.
func (c conditions) String() string {
	var parts []string
	for _, p := range []struct {
		format string
		value  *float64
		unit   float64
	}{
		{"other processes used %.1f%% of the CPUs", c.others, 100},
		{"the hypervisor withheld %.1f%%", c.steal, 100},
		{"some task waited for a CPU in %.0f%% of the time", c.pressure, 100},
		{"%.1f tasks ran or wanted to between rounds", c.runnable, 1},
	} {
		if p.value != nil {
			parts = append(parts, fmt.Sprintf(p.format, *p.value*p.unit))
		}
	}
	return strings.Join(parts, ", ")
}

// conditions describes the machine during each experiment, and what could not
// be read of it or of the subjects.
func (r *Report) conditions() []string {
	var lines []string
	for _, group := range experiments(r.Variants) {
		if text := group[0].conditions().String(); text != "" {
			lines = append(lines, fmt.Sprintf("machine during %s: %s, clocksource %s", group[0].Manifest.Experiment, text, strings.Join(group[0].clocksources(), " and ")))
		}
	}
	missing := map[string]bool{}
	for _, v := range r.Variants {
		for source, reason := range v.Manifest.Unavailable {
			missing[fmt.Sprintf("%s: unavailable, %s", source, reason)] = true
		}
	}
	return append(lines, slices.Sorted(maps.Keys(missing))...)
}

// clocksources are the clocks that the kernel read during a run, in the order
// in which it came to them; one unless it changed its mind.
func (v Variant) clocksources() []string {
	var all []string
	for _, b := range v.Manifest.Blocks {
		if b.Machine != nil && b.Machine.Clocksource != nil && !slices.Contains(all, *b.Machine.Clocksource) {
			all = append(all, *b.Machine.Clocksource)
		}
	}
	if len(all) == 0 {
		return []string{"unavailable"}
	}
	return all
}
