package compare

import (
	"slices"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// CPUShare is where the time of the CPUs went in a closed loop's own slices, as
// shares of all of it.
type CPUShare struct {
	Server    float64 `json:"server"`
	Generator float64 `json:"generator"`
	Idle      float64 `json:"idle"`
}

// cpuShare is nil if it is not known, and for open loops, whose throughput it
// would say nothing about.
func cpuShare(run *runfolder.Run, machine MachineUse) *CPUShare {
	if run.Manifest.Load.Open() {
		return nil
	}
	return usedCPU(run, machine)
}

// usedCPU is the same of any load.
func usedCPU(run *runfolder.Run, machine MachineUse) *CPUShare {
	m := run.Manifest
	if !run.Has(runfolder.SourceCPUClock) || m.Host.Affinity == 0 {
		return nil
	}
	var server, generator, capacity float64
	for _, s := range run.Slices {
		server += s.ServerCPU.Seconds()
		generator += s.GeneratorCPU.Seconds()
		capacity += s.Duration.Seconds() * float64(m.Host.Affinity)
	}
	if server == 0 {
		return nil
	}
	generator = max(0, generator-elsewhere(run).Seconds())
	c := &CPUShare{Server: server / capacity, Generator: generator / capacity}
	c.Idle = max(0, 1-c.Server-c.Generator-orZero(machine.Others)-orZero(machine.Steal))
	return c
}

// elsewhere is the CPU time of what made the load on other machines, which took none of
// the subject's.
func elsewhere(run *runfolder.Run) (sum time.Duration) {
	m := run.Manifest
	if m.SubjectAgent != nil && m.SubjectAgent.Elsewhere && len(Agents(m)) == 0 {
		for _, s := range run.Slices {
			sum += s.GeneratorCPU
		}
	}
	for _, b := range m.Blocks {
		for _, a := range b.Agents {
			if a.Elsewhere {
				sum += a.CPU
			}
		}
	}
	return sum
}

// ofGenerator is the load generator's part of what an operation costs.
func (c *CPUShare) ofGenerator() float64 { return c.Generator / (c.Generator + c.Server) }

const (
	// idleTolerated is up to where the CPUs count as saturated. Processes that hand
	// every request to each other leave some idle for moments; that part of the
	// time between two requests does not change with the server's cost, as the
	// generator's part does not, so both are tolerated up to the same share.
	idleTolerated = 1.0 / 3
	// generatorTolerated is a share of the generator from which throughput shows
	// less than two thirds of a change in the server's cost: less than 2% of a
	// change by the tolerance of 3%.
	generatorTolerated = 1.0 / 3
)

// generatorBound reports whether the generator limits the throughput: the CPUs
// are saturated, and much of their time is the generator's.
func (c *CPUShare) generatorBound() bool {
	return c != nil && c.Idle <= idleTolerated && c.ofGenerator() > generatorTolerated
}

// waiting reports whether something other than the CPUs limits the throughput.
func (c *CPUShare) waiting() bool { return c != nil && c.Idle > idleTolerated }

// MachineUse is what else the machine did while the blocks of a run were
// measured. What was not recorded is nil.
type MachineUse struct {
	Others       *float64 `json:"others"`       // share of the CPUs used by other processes than the subjects and the generator
	Steal        *float64 `json:"steal"`        // share of the CPUs that a virtual machine was refused
	Pressure     *float64 `json:"cpu_pressure"` // share of the time in which some task waited for a CPU
	Runnable     *float64 `json:"runnable"`     // tasks that ran or wanted to between rounds
	Clocksources []string `json:"clocksources"` // in the order in which the kernel came to them; one unless it changed its mind
}

func machineUse(blocks []*runfolder.Machine) MachineUse {
	var others, steal, pressure, runnable ratio
	use := MachineUse{Clocksources: []string{}}
	for _, w := range blocks {
		if w == nil {
			continue
		}
		window := w.Window.Seconds()
		cpus := window * float64(w.CPUs)
		if w.Busy != nil && w.Ours != nil {
			others.add((*w.Busy - *w.Ours).Seconds(), cpus)
		}
		if w.Steal != nil {
			steal.add(w.Steal.Seconds(), cpus)
		}
		if w.Pressure != nil {
			pressure.add(w.Pressure.Seconds(), window)
		}
		if w.Runnable != nil {
			runnable.add(*w.Runnable, 1)
		}
		if c := w.Clocksource; c != nil && !slices.Contains(use.Clocksources, *c) {
			use.Clocksources = append(use.Clocksources, *c)
		}
	}
	use.Others, use.Steal = others.value(), steal.value()
	use.Pressure, use.Runnable = pressure.value(), runnable.value()
	return use
}

// machinesOf are the machine's figures in all blocks of a run.
func machinesOf(m runfolder.Manifest) (all []*runfolder.Machine) {
	for _, b := range m.Blocks {
		all = append(all, b.Machine)
	}
	return all
}

// ratio adds up parts of wholes.
type ratio struct{ part, whole float64 }

func (r *ratio) add(part, whole float64) {
	r.part += part
	r.whole += whole
}

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
