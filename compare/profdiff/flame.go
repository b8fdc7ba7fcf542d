package profdiff

import (
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
	f := Flames{Names: []string{}, Graphs: []Flame{}}
	index := map[string]int{}
	for _, kind := range kinds {
		for _, value := range flameValues(kind) {
			root, err := mergedTree(runs, value)
			if err != nil {
				return Flames{}, err
			}
			g := Flame{Label: value.label, Unit: value.unit, Self: make([][]stat.Rounded, len(runs))}
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
	}
	return f, nil
}

// mergedTree merges one kind of value of all runs. What is far too small to be
// shown goes before the merge, so that the trees of many large profiles are
// never in memory together.
func mergedTree(runs []*runfolder.Run, value flameValue) (*frame, error) {
	root := newFrame(rootFrame, len(runs))
	for column, run := range runs {
		p, err := run.ProfileFile(value.file)
		if err != nil {
			return nil, err
		}
		one, err := callTree(p, value.sampleType, value.scale/sum(BlockOps(run)))
		if err != nil {
			return nil, err
		}
		one.sum()
		one.prune(limits(one, smallestFrame/10))
		root.merge(one, column)
	}
	root.sum()
	most := min(mostFrames, mostValues/len(runs))
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
