package compare

import (
	"fmt"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Bottleneck is what kept a load from being answered faster.
type Bottleneck string

// The bottlenecks that can be told apart.
const (
	ByServer    Bottleneck = "server"    // its CPU time
	ByGenerator Bottleneck = "generator" // that of the load generator
	ByWorkers   Bottleneck = "workers"   // all of them waited for answers while CPUs idled
	ByMachine   Bottleneck = "machine"   // other processes, or the hypervisor
	ByRate      Bottleneck = "rate"      // nothing: the load asked for no more
	ByOther     Bottleneck = "other"     // what the server waits for: locks, disks, other servers
	ByUnknown   Bottleneck = "unknown"
)

// Held says what kept a run from more throughput, by which figures, and what would
// help.
type Held struct {
	By      Bottleneck `json:"by"`
	Figures string     `json:"figures"`
	Do      string     `json:"do,omitempty"`
}

// String is such as "server (of the CPUs server 61%, generator 30%, idle 9%)".
func (h Held) String() string {
	text := fmt.Sprintf("%s (%s)", h.By, h.Figures)
	if h.Do != "" {
		text += ". " + h.Do
	}
	return text
}

// HeldBy says what kept a run with a complete block from more throughput.
func HeldBy(run *runfolder.Run) Held { return newVariant(run).Bottleneck }

// What would help.
const (
	moreWorkers   = "Record with more --workers until throughput no longer grows"
	moreGenerator = "Give the generator more CPU time, or judge CPU per operation"
	lessOthers    = "Record while nothing else runs"
)

// held decides from what was measured anyway. Where the CPUs are used up, it is the
// largest part of them that counts; where they idle, what is waited for.
func held(v Variant) Held {
	c := usedCPU(v.side.Run, v.Machine)
	if v.Manifest.Foreign() {
		return Held{By: ByUnknown, Figures: "recorded by something else"}
	}
	if o := v.Totals.OpenLoop; o != nil {
		return heldOpen(v.Manifest.Load, *o, v.sent(), c)
	}
	if c == nil && v.Manifest.Probe == nil {
		return Held{By: ByUnknown, Figures: "the CPU time of the server is not known"}
	}
	others := orZero(v.Machine.Others) + orZero(v.Machine.Steal)
	if p := v.Manifest.Probe; p != nil {
		return heldProbed(p, c, others)
	}
	switch figures := c.figures(others); {
	case c.generatorBound():
		return Held{ByGenerator, figures, moreGenerator}
	case c.waiting():
		// Little's law: requests in flight = throughput x latency.
		workers := v.Manifest.Load.Workers
		return Held{ByWorkers, fmt.Sprintf(
			"%s; %d workers, each waiting %.2f ms for an answer, can send at most %.0f requests per second",
			figures, workers, v.Totals.AvgLatencyMs, float64(workers)/v.Totals.AvgLatencyMs*1e3), moreWorkers}
	case others > c.Server+c.Generator:
		return Held{ByMachine, figures, lessOthers}
	default:
		return Held{By: ByServer, Figures: figures}
	}
}

// sent is how many requests its slices have sent, those that failed included.
func (v Variant) sent() int64 {
	n := v.Totals.TotalOps
	for _, s := range v.side.Run.Slices {
		n += s.Errors
	}
	return n
}

// heldOpen is that of a load with a rate, which is what holds it unless requests were
// sent late.
func heldOpen(l loadgen.Load, o runfolder.OpenLoop, sent int64, c *CPUShare) Held {
	const used = 0.1 // idle at most where CPUs are used up
	// Little's law again, of the rate and the latency from sending.
	inFlight := l.Rate * o.AvgLatencyMs / 1e3
	figures := fmt.Sprintf("%d of %d requests late, %d never sent, %.1f of %d workers busy",
		o.Late, sent, o.Missed, inFlight, l.Workers)
	switch {
	case !lateOften(o, sent) && o.Missed == 0:
		return Held{By: ByRate, Figures: figures}
	case c != nil && c.Idle < used && c.ofGenerator() > generatorTolerated:
		return Held{ByGenerator, figures + "; " + c.figures(0), moreGenerator}
	case c != nil && c.Idle < used:
		return Held{By: ByServer, Figures: figures + "; " + c.figures(0)}
	case inFlight > float64(l.Workers)/2:
		return Held{ByWorkers, figures, "Record with more --workers"}
	}
	return Held{By: ByUnknown, Figures: figures,
		Do: "The server stood still at times, or the generator did not get a CPU when it needed one"}
}

// lateOften reports whether p99 is made of requests that were sent late.
func lateOften(o runfolder.OpenLoop, sent int64) bool {
	const tolerated = 0.01
	return float64(o.Late) > tolerated*float64(sent)
}

// figures are the shares, with that of others if it is known to be more than nothing.
func (c *CPUShare) figures(others float64) string {
	text := fmt.Sprintf("of the CPUs server %.0f%%, generator %.0f%%", c.Server*100, c.Generator*100)
	if others > 0 {
		text += fmt.Sprintf(", others %.0f%%", others*100)
	}
	return text + fmt.Sprintf(", idle %.0f%%", c.Idle*100)
}
