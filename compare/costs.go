package compare

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// cost is what a function, or a kind of work, costs in one operation.
type cost struct {
	value  float64   // of itself, without its callees
	cum    float64   // of itself and its callees
	allocs float64   // number of allocations of itself
	blocks []float64 // value, in an operation of each block; nil if unknown

	variance float64 // of value, that sampling alone causes

	charged            map[string]float64 // value by the group it is charged to
	inlined, standsOut bool               // seen as part of its caller; seen as a function called
}

// plus adds what two costs have in themselves: of functions that call each
// other, the sum of cum means nothing, so it has none.
func (c cost) plus(d cost) cost {
	sum := cost{value: c.value + d.value, allocs: c.allocs + d.allocs, variance: c.variance + d.variance, blocks: slices.Clone(c.blocks)}
	if len(sum.blocks) < len(d.blocks) {
		sum.blocks = append(sum.blocks, make([]float64, len(d.blocks)-len(sum.blocks))...)
	}
	for i, v := range d.blocks {
		sum.blocks[i] += v
	}
	return sum
}

// costs are those of everything that one profile of a run shows.
type costs struct {
	unit   string
	exact  *float64 // what the counters say, if there are any
	blocks int      // 0 if the samples do not tell their blocks

	values   map[string]cost         // by function
	groups   map[string]cost         // by kind of work
	packages map[packageInGroup]cost // what is charged to each package of a group
}

// The units of costs.
const (
	allocUnit = "B/op"
	cpuUnit   = "us/op"
)

type packageInGroup struct{ group, path string }

// allocationCosts reads what every function allocated in the measured window.
func allocationCosts(run *runfolder.Run, t runfolder.Totals, g *Groups) (costs, error) {
	c, err := readCosts(run, runfolder.FileAllocs, sampled{value: "alloc_space", count: "alloc_objects", allocs: true, scale: 1}, g)
	c.unit, c.exact = allocUnit, t.AllocBytesPerOp
	return c, err
}

// cpuCosts reads the CPU time of every function in the measured window.
func cpuCosts(run *runfolder.Run, t runfolder.Totals, g *Groups) (costs, error) {
	const micros = 1e-3 // of a nanosecond
	c, err := readCosts(run, runfolder.FileCPU, sampled{value: "cpu", count: "samples", scale: micros}, g)
	c.unit, c.exact = cpuUnit, t.CPUPerOp
	return c, err
}

// sampled names the sample types of a profile that costs are read from.
type sampled struct {
	value, count string
	allocs       bool // count is a number of allocations, not of samples
	scale        float64
}

// variance is that of a value which sampling alone causes. The CPU timer takes
// samples that stand for the same time each; their number is taken to be
// Poisson. The heap profiler takes an allocation of size s with probability
// p = 1-exp(-s/rate) and lets it stand for 1/p of them; the variance is Horvitz
// and Thompson's estimate (Journal of the American Statistical Association 47
// (1952) 663-685).
func (k sampled) variance(value, count, rate float64) float64 {
	if value <= 0 || count <= 0 {
		return 0
	}
	if !k.allocs {
		return value * value / count
	}
	p := -math.Expm1(-value / count / rate)
	return value * value / (count * p) * (1 - p)
}

// readCosts reads one profile of a run and keeps only the sums.
func readCosts(run *runfolder.Run, file string, types sampled, g *Groups) (costs, error) {
	p, err := run.Profile(file)
	if err != nil {
		return costs{}, err
	}
	c, err := sumCosts(p, types, blockOps(run), g.of(run.Manifest.Subject.Binary.Module))
	if err != nil {
		return costs{}, fmt.Errorf("%s: %w", filepath.Join(run.Dir, file), err)
	}
	return c, nil
}

// blockOps is the number of requests of every block.
func blockOps(run *runfolder.Run) []float64 {
	ops := make([]float64, len(run.Manifest.Blocks))
	for _, s := range run.Slices {
		ops[s.Block] += float64(s.Ops())
	}
	return ops
}

// sumCosts sums the samples of a profile by function and by group and divides
// them by the number of operations. Samples of the profiling itself are left
// out.
func sumCosts(p *profile.Profile, types sampled, ops []float64, g *Groups) (costs, error) {
	v, n := sampleIndex(p, types.value), sampleIndex(p, types.count)
	if v < 0 || n < 0 {
		return costs{}, fmt.Errorf("the profile lacks the sample type %s or %s", types.value, types.count)
	}
	if !slices.ContainsFunc(ops, func(n float64) bool { return n > 0 }) {
		return costs{}, errors.New("no request was measured, so there is nothing to divide it by")
	}
	s := newSummation(p, g, ops, types.scale)
	for _, sample := range p.Sample {
		value, count := float64(sample.Value[v]), float64(sample.Value[n])
		what := amount{value: value, variance: types.variance(value, count, float64(max(p.Period, 1)))}
		if types.allocs {
			what.allocs = count
		}
		if err := s.add(sample, what); err != nil {
			return costs{}, err
		}
	}
	return s.costs(), nil
}

func sampleIndex(p *profile.Profile, name string) int {
	return slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == name })
}

// amount is what one sample of a profile stands for.
type amount struct{ value, allocs, variance float64 }

// sum is a cost while it is summed up, in the profile's own unit.
type sum struct {
	cost
	counted int // the sample whose cum it holds already: one that recurs counts once
}

// frame is a function in the stacks of a profile.
type frame struct {
	*sum
	path      string // of its package
	group     *sum   // nil if it works for its caller
	label     string // of the group
	inPackage *sum
	inlined   bool
}

// place is a location in the stacks: the function there, and the callers it is
// inlined into.
type place struct {
	frames      []frame
	ofProfiling bool // the measurement at work
}

// summation sums up one profile.
type summation struct {
	rules     *Groups
	ops       []float64
	scale     float64
	places    map[*profile.Location]place
	values    map[string]*sum
	groups    map[string]*sum
	packages  map[packageInGroup]*sum
	stack     []place // of the sample that is added
	sample    int     // its number, from 1
	unblocked bool    // some sample does not tell its block, or a block has no operations
}

func newSummation(p *profile.Profile, g *Groups, ops []float64, scale float64) *summation {
	s := &summation{
		rules: g, ops: ops, scale: scale,
		places: make(map[*profile.Location]place, len(p.Location)),
		values: map[string]*sum{}, groups: map[string]*sum{}, packages: map[packageInGroup]*sum{},
	}
	frames := map[string]frame{}
	for _, l := range p.Location {
		s.places[l] = s.place(l, frames)
	}
	return s
}

// place resolves a location; known are the functions met so far.
func (s *summation) place(l *profile.Location, known map[string]frame) place {
	var at place
	for i, line := range l.Line {
		name := unknownFunction
		if line.Function != nil {
			name = line.Function.Name
		}
		f, ok := known[name]
		if !ok {
			f = s.frame(name)
			known[name] = f
		}
		f.inlined = i < len(l.Line)-1
		at.frames = append(at.frames, f)
		at.ofProfiling = at.ofProfiling || ofProfiling(name)
	}
	if len(at.frames) == 0 {
		at.frames = []frame{s.frame(unknownFunction)}
	}
	return at
}

// ofProfiling tells whether a function is part of the measurement.
func ofProfiling(function string) bool {
	return strings.HasPrefix(function, "net/http/pprof.") || strings.HasPrefix(function, "runtime/pprof.")
}

// unknownFunction is where the profile has no name.
const unknownFunction = "(unknown)"

func (s *summation) frame(name string) frame {
	f := frame{sum: at(s.values, name), path: packagePath(name)}
	if f.label = s.rules.group(name, f.path); f.label != "" {
		f.group = at(s.groups, f.label)
		f.inPackage = at(s.packages, packageInGroup{f.label, f.path})
	}
	return f
}

func at[K comparable](sums map[K]*sum, key K) *sum {
	if sums[key] == nil {
		sums[key] = &sum{}
	}
	return sums[key]
}

// add counts one sample.
func (s *summation) add(sample *profile.Sample, a amount) error {
	if !s.resolve(sample) {
		return nil
	}
	block, ok := runfolder.SampleBlock(sample)
	if ok && (block < 0 || block >= len(s.ops)) {
		return fmt.Errorf("damaged: a sample of block %d, where the run has %d blocks", block+1, len(s.ops))
	}
	if !ok {
		s.unblocked, block = true, -1
	}
	s.sample++
	leaf, charged := s.stack[0].frames[0], s.walk(a.value)
	for _, to := range []*sum{leaf.sum, charged.group, charged.inPackage} {
		to.add(a, block, len(s.ops))
	}
	leaf.charge(charged.label, a.value)
	return nil
}

// resolve looks up the stack of a sample. It is false if the sample shows the
// measurement at work.
func (s *summation) resolve(sample *profile.Sample) bool {
	s.stack = s.stack[:0]
	for _, l := range sample.Location {
		at := s.places[l]
		if at.ofProfiling {
			return false
		}
		s.stack = append(s.stack, at)
	}
	if len(s.stack) == 0 {
		s.stack = append(s.stack, s.place(&profile.Location{}, nil))
	}
	return true
}

// walk adds a sample to the cum of everything in its stack, and returns the
// frame whose group the sample is charged to: the first from the leaf that
// does not work for its caller.
func (s *summation) walk(value float64) frame {
	var charged frame
	for _, at := range s.stack {
		for _, f := range at.frames {
			f.sum.inlined = f.sum.inlined || f.inlined
			f.sum.standsOut = f.sum.standsOut || !f.inlined
			f.sum.addCum(value, s.sample)
			if f.group == nil {
				continue
			}
			f.group.addCum(value, s.sample)
			f.inPackage.addCum(value, s.sample)
			if charged.group == nil {
				charged = f
			}
		}
	}
	if charged.group == nil {
		charged = s.unclaimed()
		charged.group.addCum(value, s.sample)
		charged.inPackage.addCum(value, s.sample)
	}
	return charged
}

// unclaimed is where a stack is charged in which every frame works for its
// caller.
func (s *summation) unclaimed() frame {
	f := s.stack[0].frames[0]
	f.label = GroupRuntime
	for _, at := range s.stack {
		for _, g := range at.frames {
			if !ofRuntime(g.path) || g.sum == s.values[unknownFunction] {
				f.label = GroupOther
			}
		}
	}
	f.group, f.inPackage = at(s.groups, f.label), at(s.packages, packageInGroup{f.label, f.path})
	return f
}

func (s *sum) add(a amount, block, blocks int) {
	s.value += a.value
	s.allocs += a.allocs
	s.variance += a.variance
	if s.blocks == nil {
		s.blocks = make([]float64, blocks)
	}
	if block >= 0 {
		s.blocks[block] += a.value
	}
}

func (s *sum) addCum(value float64, sample int) {
	if s.counted != sample {
		s.cum += value
		s.counted = sample
	}
}

func (s *sum) charge(label string, value float64) {
	if s.charged == nil {
		s.charged = map[string]float64{}
	}
	s.charged[label] += value
}

// costs divides the sums by the operations.
func (s *summation) costs() costs {
	s.unblocked = s.unblocked || slices.Contains(s.ops, 0)
	c := costs{values: perOp(s, s.values), groups: perOp(s, s.groups), packages: perOp(s, s.packages)}
	if !s.unblocked {
		c.blocks = len(s.ops)
	}
	return c
}

// perOp divides sums by the operations, and leaves out those of nothing.
func perOp[K comparable](s *summation, sums map[K]*sum) map[K]cost {
	var ops float64
	for _, n := range s.ops {
		ops += n
	}
	out := make(map[K]cost, len(sums))
	for key, sum := range sums {
		c := sum.cost
		if c.cum == 0 && c.value == 0 {
			continue
		}
		c.value, c.cum, c.allocs = c.value*s.scale/ops, c.cum*s.scale/ops, c.allocs/ops
		c.variance *= s.scale / ops * s.scale / ops
		if s.unblocked {
			c.blocks = nil
		}
		for b := range c.blocks {
			c.blocks[b] *= s.scale / s.ops[b]
		}
		out[key] = c
	}
	return out
}
