package runfolder

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Probe is what other conditions made of the throughput of a subject before its first
// block: it tells what holds the throughput by measurement.
type Probe struct {
	Slice time.Duration `json:"slice_ns"`
	Usual ProbeRates    `json:"usual"` // as many workers as the load has
	More  ProbeRates    `json:"more"`  // more of them

	// Ceiling is what as many workers as the load has get out of a server on this machine
	// that does nothing; nil if that could not be had.
	Ceiling   *ProbeRates `json:"ceiling,omitempty"`
	NoCeiling string      `json:"no_ceiling,omitempty"` // why
}

// ProbeRates are answers per second of a number of workers, slice by slice. Slices of the
// same place in the three lists came after each other, in random order.
type ProbeRates struct {
	Workers int       `json:"workers"`
	PerSec  []float64 `json:"answers_per_s"`
}

// check returns an error about what no recorder writes.
func (p *Probe) check() error {
	if p == nil {
		return nil
	}
	arms := []ProbeRates{p.Usual, p.More}
	if p.Ceiling != nil {
		arms = append(arms, *p.Ceiling)
	}
	if (p.Ceiling == nil) != (p.NoCeiling != "") {
		return errors.New("the probe has a ceiling and why it has none, or neither")
	}
	for _, a := range arms {
		if a.Workers < 1 || len(a.PerSec) == 0 || len(a.PerSec) != len(p.Usual.PerSec) || !(slices.Min(a.PerSec) > 0) {
			return fmt.Errorf("the probe has %d slices of %d workers, of which one has no answer, or others have %d",
				len(a.PerSec), a.Workers, len(p.Usual.PerSec))
		}
	}
	return nil
}
