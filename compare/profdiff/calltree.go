package profdiff

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// frame is a function as called along one path of calls. It holds a value for
// each column: a variant, or the only one of a tree of one variant.
type frame struct {
	name     string
	self     []float64 // without its callees
	cum      []float64 // with them; see sum
	children map[string]*frame
}

func newFrame(name string, columns int) *frame {
	return &frame{name: name, self: make([]float64, columns), cum: make([]float64, columns)}
}

// callTree sums the samples of a profile by path of calls, inlined calls
// included, and scales them. Samples of the profiling itself are left out.
func callTree(p *profile.Profile, sampleType string, scale float64) (*frame, error) {
	root := newFrame(rootFrame, 1)
	i, err := sampleIndex(p, sampleType)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Sample {
		if s.Value[i] == 0 || showsProfiling(s) {
			continue
		}
		f := root
		for _, name := range callers(s) {
			f = f.child(name)
		}
		f.self[0] += float64(s.Value[i]) * scale
	}
	return root, nil
}

// callers are the functions of a sample's stack, the outermost first.
func callers(s *profile.Sample) []string {
	var names []string
	for _, l := range slices.Backward(s.Location) {
		for _, line := range slices.Backward(l.Line) {
			if line.Function != nil {
				names = append(names, line.Function.Name)
			}
		}
	}
	if len(names) == 0 {
		return []string{unknownFunction}
	}
	return names
}

func (f *frame) child(name string) *frame {
	c := f.children[name]
	if c == nil {
		c = newFrame(name, len(f.self))
		f.adopt(c)
	}
	return c
}

func (f *frame) adopt(c *frame) {
	if f.children == nil {
		f.children = map[string]*frame{}
	}
	f.children[c.name] = c
}

// merge adds a tree of one column to one of several.
func (f *frame) merge(one *frame, column int) {
	f.self[column] += one.self[0]
	for name, c := range one.children {
		f.child(name).merge(c, column)
	}
}

// byName are the callees in an order that is always the same: so are sums then,
// to the last digit, and with them the order of what is equally large.
func (f *frame) byName() []*frame {
	return slices.SortedFunc(maps.Values(f.children), func(a, b *frame) int { return strings.Compare(a.name, b.name) })
}

// sum computes what every frame did with its callees.
func (f *frame) sum() {
	copy(f.cum, f.self)
	for _, c := range f.byName() {
		c.sum()
		addAll(f.cum, c.cum)
	}
}

// limits is a share of every column's total.
func limits(root *frame, share float64) []float64 {
	l := slices.Clone(root.cum)
	for i := range l {
		l[i] *= share
	}
	return l
}

// prune joins, below every frame, the callees that stay under the limit of
// every column. Sums stay as they are.
func (f *frame) prune(limits []float64) {
	small := newFrame(smallFrames, len(f.self))
	if kept := f.children[smallFrames]; kept != nil {
		small = kept
		delete(f.children, smallFrames)
	}
	for _, c := range f.byName() {
		if !c.below(limits) {
			c.prune(limits)
			continue
		}
		addAll(small.self, c.cum)
		addAll(small.cum, c.cum)
		delete(f.children, c.name)
	}
	if slices.Max(small.cum) > 0 {
		f.adopt(small)
	}
}

func (f *frame) below(limits []float64) bool {
	for i, v := range f.cum {
		if v >= limits[i] && v > 0 {
			return false
		}
	}
	return true
}

func (f *frame) count() int {
	n := 1
	for _, c := range f.children {
		n += c.count()
	}
	return n
}

// sorted are the callees by size, the joined small ones last.
func (f *frame) sorted() []*frame {
	all := f.byName()
	slices.SortStableFunc(all, func(a, b *frame) int {
		return cmp.Or(cmp.Compare(isSmall(a), isSmall(b)), cmp.Compare(slices.Max(b.cum), slices.Max(a.cum)))
	})
	return all
}

func isSmall(f *frame) int {
	if f.name == smallFrames {
		return 1
	}
	return 0
}

func addAll(sum, values []float64) {
	for i, v := range values {
		sum[i] += v
	}
}

// showsProfiling reports whether a sample shows the measurement at work.
// (profile.FilterSamplesByName would drop samples without a stack as well.)
func showsProfiling(s *profile.Sample) bool {
	return slices.ContainsFunc(callers(s), ofProfiling)
}
