// Package profdiff explains a change by profiles: what every function and every
// kind of work costs in one operation on each side, how that differs, and how
// far sampling and the spread over blocks let the difference be trusted.
package profdiff

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// perOp is what a function, or a kind of work, costs in one operation, in the
// unit of its profile kind.
type perOp struct {
	value     float64   // of itself, without its callees
	cum       float64   // of itself and its callees
	count     float64   // of itself: number of allocations, of waits
	blocks    []float64 // value, in an operation of each block; nil if unknown
	cumBlocks []float64 // cum, likewise

	variance    float64 // of value, that sampling alone causes
	cumVariance float64 // of cum, likewise

	byGroup           map[string]float64 // value by the group it is charged to
	file              string             // of a function of the module's, see Source
	lines             map[int64]float64  // value by the line of that file
	inlined, outlined bool               // seen as part of its caller; seen as a function called
}

// divided turns sums over a run into costs per operation: of all ops, and of
// those of each block.
func (c perOp) divided(scale, ops float64, blockOps []float64, unblocked bool) perOp {
	c.value *= scale / ops
	c.cum *= scale / ops
	c.count /= ops
	c.variance *= scale / ops * scale / ops
	c.cumVariance *= scale / ops * scale / ops
	if unblocked {
		c.blocks, c.cumBlocks = nil, nil
	}
	for b := range c.blocks {
		c.blocks[b] *= scale / blockOps[b]
	}
	for b := range c.cumBlocks {
		c.cumBlocks[b] *= scale / blockOps[b]
	}
	return c
}

// plus adds what two have in themselves. Of functions that call each other the
// sum of cum means nothing, so the result has none.
func (c perOp) plus(d perOp) perOp {
	sum := perOp{
		value: c.value + d.value, count: c.count + d.count,
		variance: c.variance + d.variance, blocks: slices.Clone(c.blocks),
	}
	if len(sum.blocks) < len(d.blocks) {
		sum.blocks = append(sum.blocks, make([]float64, len(d.blocks)-len(sum.blocks))...)
	}
	for i, v := range d.blocks {
		sum.blocks[i] += v
	}
	return sum
}

// cumulative is the same with callees, to compare whole subtrees.
func (c perOp) cumulative() perOp {
	c.value, c.blocks, c.variance, c.count = c.cum, c.cumBlocks, c.cumVariance, 0
	return c
}

// Attribution is what everything that one profile of a run shows costs in one
// operation.
type Attribution struct {
	Kind  runfolder.ProfileKind
	Exact *float64 // what the counters say the total is, nil if nothing counts it

	blocks    int // 0 if the samples do not tell their blocks
	functions map[string]perOp
	groups    map[string]perOp         // by kind of work
	packages  map[packageInGroup]perOp // what is charged to each package of a group
}

type packageInGroup struct{ group, path string }

// Options say how to attribute.
type Options struct {
	Groups *Groups // nil for DefaultGroups
	Leaves bool    // rows are of the functions in which samples were taken
	Source Source  // Read takes that of the run
}

// Read attributes one profile of a run that has it.
func Read(run *runfolder.Run, kind runfolder.ProfileKind, o Options) (*Attribution, error) {
	p, err := run.Profile(kind)
	if err != nil {
		return nil, err
	}
	if o.Groups == nil {
		o.Groups = DefaultGroups()
	}
	o.Groups = o.Groups.of(run.Manifest.Subject.Binary.Module)
	o.Source = sourceOf(run.Manifest.Subject)
	a, err := Attribute(p, kind, BlockOps(run, kind), o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(run.Dir, kind.File), err)
	}
	return a, nil
}

// BlockOps is the number of requests of every block that a kind of profile is of.
func BlockOps(run *runfolder.Run, kind runfolder.ProfileKind) []float64 {
	if counted := run.Manifest.Instructions; kind.Window == runfolder.WindowCounted && counted != nil {
		return slices.Repeat([]float64{float64(counted.Ops())}, len(counted.Blocks))
	}
	ops := make([]float64, len(run.Manifest.Blocks))
	for _, s := range run.Slices {
		ops[s.Block] += float64(s.Ops())
	}
	return ops
}

// Attribute attributes the samples of a profile to functions and groups and
// divides them by the operations of all blocks. Samples of the profiling itself
// are left out.
func Attribute(p *profile.Profile, kind runfolder.ProfileKind, ops []float64, o Options) (*Attribution, error) {
	v, err := sampleIndex(p, kind.Value)
	if err != nil {
		return nil, err
	}
	n, err := countIndex(p, kind)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(ops, func(n float64) bool { return n > 0 }) {
		return nil, errors.New("no request was measured, so there is nothing to divide it by")
	}
	b := newBuilder(p, kind, ops, o)
	for _, sample := range p.Sample {
		value, count := float64(sample.Value[v]), 0.0
		if n >= 0 {
			count = float64(sample.Value[n])
		}
		w := weight{value: value, variance: variance(kind, value, count, float64(max(p.Period, 1)))}
		if kind.CountUnit != "" {
			w.count = count
		}
		if err := b.attribute(sample, w); err != nil {
			return nil, err
		}
	}
	return b.attribution(), nil
}

// countIndex finds the sample type of a kind's counts, -1 if it has none.
func countIndex(p *profile.Profile, kind runfolder.ProfileKind) (int, error) {
	if kind.Count == "" {
		return -1, nil
	}
	return sampleIndex(p, kind.Count)
}

// sampleIndex finds a sample type by its name.
func sampleIndex(p *profile.Profile, name string) (int, error) {
	i, err := p.SampleIndexByName(name)
	if err != nil {
		return 0, fmt.Errorf("the profile lacks the sample type %s", name)
	}
	return i, nil
}

// variance is that of a value which sampling alone causes. The CPU timer takes
// samples that stand for the same time each, and contention is counted event by
// event; their number is taken to be Poisson. The heap profiler takes an
// allocation of size s with probability p = 1-exp(-s/rate) and lets it stand for
// 1/p of them; the variance is Horvitz and Thompson's estimate (Journal of the
// American Statistical Association 47 (1952) 663-685).
func variance(kind runfolder.ProfileKind, value, count, rate float64) float64 {
	if value <= 0 || count <= 0 {
		return 0
	}
	if !kind.BySize {
		return value * value / count
	}
	p := -math.Expm1(-value / count / rate)
	return value * value / (count * p) * (1 - p)
}
