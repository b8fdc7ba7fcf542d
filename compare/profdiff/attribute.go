package profdiff

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Attribution of a sample. A sample is a stack of frames, leaf first, and a
// value. It counts
//
//   - in the row of one function: the first from the leaf that neither works for
//     its caller nor is part of the runtime or of the way into the kernel, since
//     those hide who asked for the work. With leaves, the leaf itself;
//   - in one group, a kind of work: that of the first frame from the leaf that
//     has a group, see Groups;
//   - in the cumulative value of every function in the stack, once each.

// acc accumulates what one function, or one group, is charged, in the profile's
// own unit.
type acc struct {
	perOp
	counted int // the sample whose cumulative value it holds: one that recurs counts once
}

// site is one function in the stacks of a profile.
type site struct {
	*acc
	name      string
	path      string // of its package
	group     *acc   // nil if it works for its caller
	label     string // of the group
	inPackage *acc
	inlined   bool
	line      int64 // at the location; 0 if unknown
	helper    bool  // works for its caller as far as rows are concerned
}

// location is an address in the stacks: the function there, and the callers
// that it is inlined into, innermost first.
type location struct {
	sites       []site
	ofProfiling bool // the measurement at work
}

// weight is what one sample of a profile stands for.
type weight struct{ value, count, variance float64 }

// builder attributes the samples of one profile.
type builder struct {
	rules     *Groups
	source    Source
	kind      runfolder.ProfileKind
	leaves    bool
	ops       []float64 // of each block
	locations map[*profile.Location]location
	functions map[string]*acc
	groups    map[string]*acc
	packages  map[packageInGroup]*acc
	samples   int  // that were attributed so far
	unblocked bool // some sample does not tell its block, or a block has no operations
}

func newBuilder(p *profile.Profile, kind runfolder.ProfileKind, ops []float64, o Options) *builder {
	b := &builder{
		rules: o.Groups, source: o.Source, kind: kind, ops: ops, leaves: o.Leaves,
		locations: make(map[*profile.Location]location, len(p.Location)),
		functions: map[string]*acc{}, groups: map[string]*acc{}, packages: map[packageInGroup]*acc{},
		unblocked: slices.Contains(ops, 0),
	}
	known := map[string]site{}
	for _, l := range p.Location {
		b.locations[l] = b.locate(l, known)
	}
	return b
}

// locate resolves an address; known are the functions met so far.
func (b *builder) locate(l *profile.Location, known map[string]site) location {
	var at location
	for i, line := range l.Line {
		name, file := unknownFunction, ""
		if line.Function != nil {
			name, file = line.Function.Name, line.Function.Filename
		}
		s, ok := known[name]
		if !ok {
			s = b.site(name)
			s.file = b.source.file(name, file)
			known[name] = s
		}
		s.inlined, s.line = i < len(l.Line)-1, line.Line
		at.sites = append(at.sites, s)
		at.ofProfiling = at.ofProfiling || ofProfiling(name)
	}
	if len(at.sites) == 0 {
		at.sites = []site{b.site(unknownFunction)}
	}
	return at
}

// ofProfiling reports whether a function is part of the measurement. Labels are a server's
// own, and below Do is what it does under them; so are variables, but for their page.
func ofProfiling(function string) bool {
	if inPprof, ok := strings.CutPrefix(function, "runtime/pprof."); ok {
		return !labeling.MatchString(inPprof)
	}
	return strings.HasPrefix(function, "net/http/pprof.") || strings.HasPrefix(function, "expvar.expvarHandler")
}

// labeling are the functions of runtime/pprof about labels, and their closures.
var labeling = regexp.MustCompile(
	`^(Do|Labels|WithLabels|SetGoroutineLabels|Label|ForLabels|mergeLabelSets|\(?\*?(labelMap|LabelSet)\)?\.\w+)(\.|$)`)

// unknownFunction is where the profile has no name.
const unknownFunction = "(unknown)"

func (b *builder) site(name string) site {
	s := site{acc: entry(b.functions, name), name: name, path: packagePath(name)}
	s.label = b.rules.group(name, s.path)
	if s.label != "" {
		s.group = entry(b.groups, s.label)
		s.inPackage = entry(b.packages, packageInGroup{s.label, s.path})
	}
	s.helper = s.label == "" || s.label == groupSyscalls || ofRuntime(s.path)
	return s
}

// entry is the value of a key, made if need be.
func entry[K comparable](all map[K]*acc, key K) *acc {
	if all[key] == nil {
		all[key] = &acc{}
	}
	return all[key]
}

// attribute counts one sample, unless it shows the measurement at work.
func (b *builder) attribute(sample *profile.Sample, w weight) error {
	stack, ok := b.stack(sample)
	if !ok {
		return nil
	}
	block, err := b.block(sample)
	if err != nil {
		return err
	}
	b.samples++
	b.cumulate(stack, w, block)
	row, charged := b.row(stack), b.charged(stack)
	if group := charged.group; group.counted != b.samples {
		group.addCum(w, block, len(b.ops), b.samples)
		charged.inPackage.addCum(w, block, len(b.ops), b.samples)
	}
	for _, to := range []*acc{row.acc, charged.group, charged.inPackage} {
		to.add(w, block, len(b.ops))
	}
	row.charge(charged.label, w.value)
	if row.file != "" {
		row.chargeLine(row.line, w.value)
	}
	return nil
}

// stack is the sample's frames, leaf first. It is false if the sample shows the
// measurement at work.
func (b *builder) stack(sample *profile.Sample) ([]site, bool) {
	var stack []site
	for _, l := range sample.Location {
		at := b.locations[l]
		if at.ofProfiling {
			return nil, false
		}
		stack = append(stack, at.sites...)
	}
	if len(stack) == 0 {
		stack = append(stack, b.site(unknownFunction))
	}
	return stack, true
}

// block is the block that the sample was taken in, -1 if it does not tell.
func (b *builder) block(sample *profile.Sample) (int, error) {
	block, ok := runfolder.SampleBlock(sample)
	if !ok {
		b.unblocked = true
		return -1, nil
	}
	if block < 0 || block >= len(b.ops) {
		return 0, fmt.Errorf("damaged: a sample of block %d, where the run has %d blocks", block+1, len(b.ops))
	}
	return block, nil
}

// cumulate adds a sample to everything in its stack.
func (b *builder) cumulate(stack []site, w weight, block int) {
	for _, s := range stack {
		s.acc.inlined = s.acc.inlined || s.inlined
		s.acc.outlined = s.acc.outlined || !s.inlined
		s.addCum(w, block, len(b.ops), b.samples)
		if s.group != nil {
			s.group.addCum(w, block, len(b.ops), b.samples)
			s.inPackage.addCum(w, block, len(b.ops), b.samples)
		}
	}
}

// row is the function in whose row a stack counts. Where all frames are helpers
// it is the outermost one with a name of its own: what the runtime was doing for
// nobody in particular.
func (b *builder) row(stack []site) site {
	if b.leaves {
		return stack[0]
	}
	for _, s := range stack {
		if !s.helper {
			return s
		}
	}
	for _, s := range slices.Backward(stack) {
		if !entryPoint(s.name) {
			return s
		}
	}
	return stack[0]
}

// entryPoint reports whether a function of the runtime only begins a stack, and
// says nothing of the work.
func entryPoint(function string) bool {
	switch function {
	case "runtime.goexit", "runtime.mcall", "runtime.mstart", "runtime.mstart0", "runtime.mstart1",
		"runtime.systemstack", "runtime.main", "runtime.rt0_go", "runtime.morestack", "runtime.asmcgocall":
		return true
	}
	return false
}

// charged is the frame whose group a stack is charged to: the first from the
// leaf that has one.
func (b *builder) charged(stack []site) site {
	for _, s := range stack {
		if s.group != nil {
			return s
		}
	}
	return b.runtimeOrOther(stack)
}

// runtimeOrOther is where a stack is charged in which every frame works for its
// caller.
func (b *builder) runtimeOrOther(stack []site) site {
	leaf := stack[0]
	leaf.label = GroupRuntime
	for _, s := range stack {
		if !ofRuntime(s.path) || s.name == unknownFunction {
			leaf.label = GroupOther
		}
	}
	leaf.group = entry(b.groups, leaf.label)
	leaf.inPackage = entry(b.packages, packageInGroup{leaf.label, leaf.path})
	return leaf
}

// add counts a sample in the value itself. A negative block is unknown.
func (a *acc) add(w weight, block, blocks int) {
	a.value += w.value
	a.count += w.count
	a.variance += w.variance
	a.blocks = addToBlock(a.blocks, w.value, block, blocks)
}

// addCum counts a sample in the cumulative value, once.
func (a *acc) addCum(w weight, block, blocks, sample int) {
	if a.counted == sample {
		return
	}
	a.counted = sample
	a.cum += w.value
	a.cumVariance += w.variance
	a.cumBlocks = addToBlock(a.cumBlocks, w.value, block, blocks)
}

func addToBlock(values []float64, value float64, block, blocks int) []float64 {
	if values == nil {
		values = make([]float64, blocks)
	}
	if block >= 0 {
		values[block] += value
	}
	return values
}

func (a *acc) charge(label string, value float64) {
	if a.byGroup == nil {
		a.byGroup = map[string]float64{}
	}
	a.byGroup[label] += value
}

// attribution divides what was accumulated by the operations.
func (b *builder) attribution() *Attribution {
	a := &Attribution{
		Kind:      b.kind,
		functions: perOperation(b, b.functions),
		groups:    perOperation(b, b.groups),
		packages:  perOperation(b, b.packages),
	}
	if !b.unblocked {
		a.blocks = len(b.ops)
	}
	return a
}

// perOperation divides by the operations, and leaves out what is nothing.
func perOperation[K comparable](b *builder, all map[K]*acc) map[K]perOp {
	var ops float64
	for _, n := range b.ops {
		ops += n
	}
	out := make(map[K]perOp, len(all))
	for key, a := range all {
		if a.cum != 0 || a.value != 0 {
			out[key] = a.perOp.divided(b.kind.Scale, ops, b.ops, b.unblocked)
		}
	}
	return out
}
