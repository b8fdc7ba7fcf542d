package compare

import (
	"fmt"
	"math"
	"slices"

	"github.com/eventobench/eventobench/profiles"
)

// Warning is a reason to trust a comparison less.
type Warning struct {
	Code    string `json:"code"` // stable, for programs
	Message string `json:"message"`
}

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
		if v.Manifest.State != profiles.StateComplete {
			add("incomplete", "%s is %s: only %d of %d blocks are compared", v.Name, v.Manifest.State, len(v.Manifest.Blocks), v.Manifest.Plan.Blocks)
		}
		warnSampling(add, v.Name+"'s allocation profile", v.Allocations)
	}
	base := r.Variants[0]
	for i, c := range r.Comparisons {
		head := r.Variants[i+1]
		warnPairing(add, c)
		warnSettings(add, base, head)
	}
	return found
}

// warnSampling objects to samples that do not show what the counters counted.
func warnSampling(add func(code, format string, args ...any), what string, t FunctionTable) {
	const tolerated = 0.10
	if t.Exact == nil || *t.Exact == 0 {
		return
	}
	if ratio := t.Total.Value / *t.Exact; math.Abs(ratio-1) > tolerated {
		add("sampling", "%s shows %.0f%% of what the counters counted: the samples are few, read the function tables with care", what, ratio*100)
	}
}

func warnPairing(add func(code, format string, args ...any), c Comparison) {
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

func warnSettings(add func(code, format string, args ...any), base, head Variant) {
	b, h := base.Manifest, head.Manifest
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
