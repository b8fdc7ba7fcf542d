package compare

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// What a flame graph shows. A frame that is smaller than this in every variant
// joins its parent's frame for the small ones; with too many frames for a
// browser to draw or a file to hold, the limit is raised.
const (
	smallestFrame = 0.001  // of the variant's total
	mostFrames    = 4000   // in a graph
	mostValues    = 40_000 // frames times variants
	smallFrames   = "(small frames)"
	rootFrame     = "total"
)

// flameSource names the values of a profile that a flame graph is drawn of.
type flameSource struct {
	label, unit      string
	file, sampleType string
	scale            float64 // how many of the profile's units one of unit is
}

var flameSources = []flameSource{
	{"CPU time", "us/op", runfolder.FileCPU, "cpu", 1e3},
	{"allocated bytes", "B/op", runfolder.FileAllocs, "alloc_space", 1},
	{"allocations", "allocs/op", runfolder.FileAllocs, "alloc_objects", 1},
}

// flames are the flame graphs of a report, as its page reads them.
type flames struct {
	Names  []string `json:"names"` // of functions
	Graphs []flame  `json:"graphs"`
}

// flame is one merged tree of calls of all variants. Its frames are listed in
// preorder: every frame follows its caller, and the first is the total.
type flame struct {
	Label string     `json:"label"`
	Unit  string     `json:"unit"`
	Name  []int      `json:"name"`  // of each frame: an index into the names
	Depth []int      `json:"depth"` // of each frame
	Self  [][]figure `json:"self"`  // of each variant and frame: without callees, per operation
}

// flameFrame is a function as called along one path of calls. It holds a value for
// each column: a variant, or the only one of a tree of one variant.
type flameFrame struct {
	name     string
	self     []float64 // without its callees
	cum      []float64 // with them; see sum
	children map[string]*flameFrame
}

func newFrame(name string, columns int) *flameFrame {
	return &flameFrame{name: name, self: make([]float64, columns), cum: make([]float64, columns)}
}

// flames reads the profiles of all variants, one at a time, into merged trees.
func (r *Report) flames() (flames, error) {
	var f flames
	index := map[string]int{}
	for _, source := range flameSources {
		root, err := r.flameTree(source)
		if err != nil {
			return flames{}, err
		}
		g := flame{Label: source.label, Unit: source.unit, Self: make([][]figure, len(r.Variants))}
		g.add(root, 0, func(name string) int {
			i, known := index[name]
			if !known {
				i = len(f.Names)
				index[name], f.Names = i, append(f.Names, name)
			}
			return i
		})
		f.Graphs = append(f.Graphs, g)
	}
	return f, nil
}

// flameTree merges one kind of profile of all variants. What is far too small
// to be shown goes before the merge, so that the trees of many large profiles
// are never in memory together.
func (r *Report) flameTree(source flameSource) (*flameFrame, error) {
	root := newFrame(rootFrame, len(r.Variants))
	for column, v := range r.Variants {
		p, err := v.run.Profile(source.file)
		if err != nil {
			return nil, err
		}
		one := callTree(p, source.sampleType, float64(v.Totals.TotalOps)*source.scale)
		one.sum()
		one.prune(limits(one, smallestFrame/10))
		root.merge(one, column)
	}
	root.sum()
	most := min(mostFrames, mostValues/len(r.Variants))
	for share := smallestFrame; ; share *= 2 {
		if root.prune(limits(root, share)); root.count() <= most {
			return root, nil
		}
	}
}

// callTree sums the samples of a profile by path of calls, inlined calls
// included, and divides them. Samples of the profiling itself are left out.
func callTree(p *profile.Profile, sampleType string, divisor float64) *flameFrame {
	root := newFrame(rootFrame, 1)
	i := sampleIndex(p, sampleType)
	for _, s := range p.Sample {
		if s.Value[i] == 0 || showsProfiling(s) {
			continue
		}
		f := root
		for _, name := range callers(s) {
			f = f.child(name)
		}
		f.self[0] += float64(s.Value[i]) / divisor
	}
	return root
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

func (f *flameFrame) child(name string) *flameFrame {
	c := f.children[name]
	if c == nil {
		c = newFrame(name, len(f.self))
		f.adopt(c)
	}
	return c
}

func (f *flameFrame) adopt(c *flameFrame) {
	if f.children == nil {
		f.children = map[string]*flameFrame{}
	}
	f.children[c.name] = c
}

// merge adds a tree of one column to one of several.
func (f *flameFrame) merge(one *flameFrame, column int) {
	f.self[column] += one.self[0]
	for name, c := range one.children {
		f.child(name).merge(c, column)
	}
}

// byName are the callees in an order that is always the same: so are sums then,
// to the last digit, and with them the order of what is equally large.
func (f *flameFrame) byName() []*flameFrame {
	return slices.SortedFunc(maps.Values(f.children), func(a, b *flameFrame) int { return strings.Compare(a.name, b.name) })
}

// sum computes what every frame did with its callees.
func (f *flameFrame) sum() {
	copy(f.cum, f.self)
	for _, c := range f.byName() {
		c.sum()
		addAll(f.cum, c.cum)
	}
}

// limits is a share of every column's total.
func limits(root *flameFrame, share float64) []float64 {
	l := slices.Clone(root.cum)
	for i := range l {
		l[i] *= share
	}
	return l
}

// prune joins, below every frame, the callees that stay under the limit of
// every column. Sums stay as they are.
func (f *flameFrame) prune(limits []float64) {
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

func (f *flameFrame) below(limits []float64) bool {
	for i, v := range f.cum {
		if v >= limits[i] && v > 0 {
			return false
		}
	}
	return true
}

func (f *flameFrame) count() int {
	n := 1
	for _, c := range f.children {
		n += c.count()
	}
	return n
}

// sorted are the callees by size, the joined small ones last.
func (f *flameFrame) sorted() []*flameFrame {
	all := f.byName()
	slices.SortStableFunc(all, func(a, b *flameFrame) int {
		return cmp.Or(cmp.Compare(isSmall(a), isSmall(b)), cmp.Compare(slices.Max(b.cum), slices.Max(a.cum)))
	})
	return all
}

func isSmall(f *flameFrame) int {
	if f.name == smallFrames {
		return 1
	}
	return 0
}

// add lists a frame and what it calls in preorder.
func (g *flame) add(f *flameFrame, depth int, index func(name string) int) {
	g.Name, g.Depth = append(g.Name, index(f.name)), append(g.Depth, depth)
	for column, v := range f.self {
		g.Self[column] = append(g.Self[column], figure(v))
	}
	for _, c := range f.sorted() {
		g.add(c, depth+1, index)
	}
}

func addAll(sum, values []float64) {
	for i, v := range values {
		sum[i] += v
	}
}
