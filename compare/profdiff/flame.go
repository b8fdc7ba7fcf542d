package profdiff

import (
	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/compare/stat"
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

// Flames are the flame graphs of several runs, a merged tree for each kind of
// value.
type Flames struct {
	Names  []string `json:"names"` // of functions
	Graphs []Flame  `json:"graphs"`
}

// Flame is one merged tree of calls of all runs. Its frames are listed in
// preorder: every frame follows its caller, and the first is the total.
type Flame struct {
	Label string           `json:"label"`
	Unit  string           `json:"unit"`
	Name  []int            `json:"name"`  // of each frame: an index into the names
	Depth []int            `json:"depth"` // of each frame
	Self  [][]stat.Rounded `json:"self"`  // of each run and frame: without callees, per operation
}

// flameValue names the values of a profile that a flame graph is drawn of.
type flameValue struct {
	label, unit string
	file        string
	sampleType  string
	scale       float64
}

// flameValues are those of a kind: its values and, if they mean something, its
// counts.
func flameValues(k runfolder.ProfileKind) []flameValue {
	values := []flameValue{{k.Title, k.Unit, k.File, k.Value, k.Scale}}
	if k.CountUnit != "" {
		values = append(values, flameValue{k.Title, k.CountUnit, k.File, k.Count, 1})
	}
	return values
}

// NewFlames reads profiles of the given kinds, which all runs must have, one at
// a time, into merged trees.
func NewFlames(runs []*runfolder.Run, kinds []runfolder.ProfileKind) (Flames, error) {
	b := newFlameBuilder(len(runs))
	for _, kind := range kinds {
		for _, value := range flameValues(kind) {
			err := b.graph(value, func(column int) (*profile.Profile, float64, error) {
				p, err := runs[column].ProfileFile(value.file)
				return p, sum(BlockOps(runs[column], kind)), err
			})
			if err != nil {
				return Flames{}, err
			}
		}
	}
	return b.Flames, nil
}

// flameBuilder collects the graphs of several columns, such as runs.
type flameBuilder struct {
	Flames
	columns int
	index   map[string]int // of names
}

func newFlameBuilder(columns int) *flameBuilder {
	return &flameBuilder{
		Flames: Flames{Names: []string{}, Graphs: []Flame{}}, columns: columns, index: map[string]int{},
	}
}

// flameColumn gives the profile of a column, and what its values are divided by.
type flameColumn func(column int) (p *profile.Profile, divisor float64, err error)

// graph adds the graph of one kind of value.
func (b *flameBuilder) graph(value flameValue, columnOf flameColumn) error {
	root, err := mergedTree(b.columns, value, columnOf)
	if err != nil {
		return err
	}
	g := Flame{Label: value.label, Unit: value.unit, Self: make([][]stat.Rounded, b.columns)}
	g.add(root, 0, b.name)
	b.Graphs = append(b.Graphs, g)
	return nil
}

// name is the index of a function's name.
func (b *flameBuilder) name(name string) int {
	i, known := b.index[name]
	if !known {
		i = len(b.Names)
		b.index[name], b.Names = i, append(b.Names, name)
	}
	return i
}

// mergedTree merges one kind of value of all columns. What is far too small to be
// shown goes before the merge, so that the trees of many large profiles are
// never in memory together.
func mergedTree(columns int, value flameValue, columnOf flameColumn) (*frame, error) {
	root := newFrame(rootFrame, columns)
	for column := range columns {
		p, divisor, err := columnOf(column)
		if err != nil {
			return nil, err
		}
		one, err := callTree(p, value.sampleType, value.scale/divisor)
		if err != nil {
			return nil, err
		}
		one.sum()
		one.prune(limits(one, smallestFrame/10))
		root.merge(one, column)
	}
	root.sum()
	most := min(mostFrames, mostValues/columns)
	for share := smallestFrame; ; share *= 2 {
		if root.prune(limits(root, share)); root.count() <= most {
			return root, nil
		}
	}
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

// add lists a frame and what it calls in preorder.
func (g *Flame) add(f *frame, depth int, index func(name string) int) {
	g.Name, g.Depth = append(g.Name, index(f.name)), append(g.Depth, depth)
	for column, v := range f.self {
		g.Self[column] = append(g.Self[column], stat.Rounded(v))
	}
	for _, c := range f.sorted() {
		g.add(c, depth+1, index)
	}
}
