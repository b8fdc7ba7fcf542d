package compare

import (
	"fmt"
	"math"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// What a probe must show, with all of an interval.
const (
	// probeGrowth is by how many percent twice the workers must raise the throughput for
	// the workers to be what limited it: a little more is had by many servers from the
	// requests that they find waiting.
	probeGrowth = 5
	// probeCeiling is the share of the rate of a server that does nothing, in percent, from
	// which the generator limits: half of the time of a request is not the server's then,
	// so that throughput shows half of a change in its cost or less.
	probeCeiling = 50
)

// heldProbed says what held a throughput by what a probe measured. Where neither workers
// nor generator did, it was the server, or what it waits for while CPUs idle.
func heldProbed(p *runfolder.Probe, c *CPUShare, others float64) Held {
	growth := probeChange(p.Usual, p.More)
	figures := fmt.Sprintf("in a probe %d workers instead of %d made %s; %s",
		p.More.Workers, p.Usual.Workers, growth, ceilingText(p))
	if c != nil {
		figures += "; " + c.figures(others)
	}
	switch {
	case growth.Low > probeGrowth:
		return Held{ByWorkers, figures, moreWorkers}
	case p.Ceiling != nil && 100+probeChange(*p.Ceiling, p.Usual).Low > probeCeiling:
		return Held{ByGenerator, figures, "Make the load on other machines (--agents), or judge CPU per operation"}
	case c != nil && others > c.Server+c.Generator:
		return Held{ByMachine, figures, lessOthers}
	case c.waiting():
		return Held{ByOther, figures, "The server waits while CPUs idle: for locks, a disk, another server"}
	}
	return Held{By: ByServer, Figures: figures}
}

// ceilingText relates the throughput to the generator's ceiling.
func ceilingText(p *runfolder.Probe) string {
	if p.Ceiling == nil {
		return "the generator's ceiling is not known: " + p.NoCeiling
	}
	return fmt.Sprintf("it was %.0f%% of the %s/s that a server makes which does nothing",
		100+probeChange(*p.Ceiling, p.Usual).Percent, texttab.Number(stat.Median(p.Ceiling.PerSec), 0))
}

// probeChange is how the second rates compare to the first, slice by slice.
func probeChange(from, to runfolder.ProbeRates) *Change {
	ratios := make([]float64, len(from.PerSec))
	for i := range ratios {
		ratios[i] = math.Log(to.PerSec[i] / from.PerSec[i])
	}
	f := finding{estimator: stat.SignedRank(ratios)}
	f.interval = f.estimator.Interval(1 - FalseAlarms)
	return f.change()
}

// heldDoubt is why nothing is said of the throughput of two runs: a probe showed that one
// of them was held by the generator, or by too few workers.
func heldDoubt(base, head side) string {
	for _, s := range []side{base, head} {
		p := s.Manifest.Probe
		if p == nil {
			continue
		}
		h := heldProbed(p, nil, 0)
		if h.By == ByGenerator || h.By == ByWorkers {
			return fmt.Sprintf("that of %s was held by the %s. %s", s.Manifest.Subject.Name, h.By, h.Do)
		}
	}
	return ""
}
