package profdiff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/google/go-cmp/cmp"
)

// lines shows a tree of calls, a line a frame, callees indented.
func (f *frame) lines(indent string) string {
	text := fmt.Sprintf("%s%s %v %v\n", indent, f.name, f.self, f.cum)
	for _, c := range f.sorted() {
		text += c.lines(indent + "  ")
	}
	return text
}

func TestCallTree(t *testing.T) {
	root, err := callTree(testProfile(
		stack{1, "leaf middle main"},
		stack{2, "leaf middle main"}, // of another block: the same path
		stack{1, "inlined< middle main"},
		stack{1, "leaf other"},
		stack{1, "leaf runtime/pprof.writeHeap net/http.serve"},
		stack{1, ""},
	), "alloc_space", 0.1)
	if err != nil {
		t.Fatal(err)
	}
	root.sum()
	want := `total [0] [50]
  main [0] [30]
    middle [0] [30]
      leaf [20] [20]
      inlined [10] [10]
  (unknown) [10] [10]
  other [0] [10]
    leaf [10] [10]
`
	if diff := cmp.Diff(want, root.lines("")); diff != "" {
		t.Error(diff)
	}
}

// TestPrune joins what is small in every variant and keeps every sum.
func TestPrune(t *testing.T) {
	root := newFrame(rootFrame, 2)
	for column, tree := range []string{"a b:90;a c:1;a d:1;e:3", "a b:70;a c:25;a f:1;g:4"} {
		for part := range strings.SplitSeq(tree, ";") {
			var value float64
			path, number, _ := strings.Cut(part, ":")
			fmt.Sscan(number, &value)
			f := root
			for name := range strings.FieldsSeq(path) {
				f = f.child(name)
			}
			f.self[column] += value
		}
	}
	root.sum()
	root.prune(limits(root, 0.05))
	want := `total [0 0] [95 100]
  a [0 0] [92 96]
    b [90 70] [90 70]
    c [1 25] [1 25]
    (small frames) [1 1] [1 1]
  (small frames) [3 4] [3 4]
`
	if diff := cmp.Diff(want, root.lines("")); diff != "" {
		t.Error(diff)
	}
	root.prune(limits(root, 0.5)) // again, with more to join
	want = `total [0 0] [95 100]
  a [0 0] [92 96]
    b [90 70] [90 70]
    (small frames) [2 26] [2 26]
  (small frames) [3 4] [3 4]
`
	if diff := cmp.Diff(want, root.lines("")); diff != "" {
		t.Error(diff)
	}
}

// TestLargeFlameGraph holds that a graph of many frames is cut to what a
// browser can draw, and still sums up to the total.
func TestLargeFlameGraph(t *testing.T) {
	testlong.Need(t)
	var stacks []stack
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var names []string
		for depth := range 12 {
			names = append(names, fmt.Sprintf("f%d.%d", 12-depth, rng.IntN(6)))
		}
		stacks = append(stacks, stack{1, strings.Join(names, " ")})
	}
	base := folderWith(t, runfolder.FileAllocs, testProfile(stacks...))
	head := folderWith(t, runfolder.FileAllocs, testProfile(stacks[:10_000]...))
	got, err := NewFlames([]*runfolder.Run{base, head}, []runfolder.ProfileKind{kindNamed(t, "allocs")})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range got.Graphs {
		if n := len(g.Name); n < 100 || n > mostFrames || len(g.Depth) != n || len(g.Self[0]) != n {
			t.Errorf("%s: %d frames", g.Label, n)
		}
	}
	var all float64
	for _, v := range got.Graphs[0].Self[1] {
		all += float64(v)
	}
	if want := 10_000 * 100 / sum(BlockOps(head, kindNamed(t, "allocs"))); !near(all/want, 1, 1e-9) {
		t.Errorf("frames of head sum up to %v B/op, want %v", all, want)
	}
}

func BenchmarkFlames(b *testing.B) {
	var stacks []stack
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		var names []string
		for depth := range 30 {
			names = append(names, fmt.Sprintf("f%d.%d", 30-depth, rng.IntN(4)))
		}
		stacks = append(stacks, stack{1, strings.Join(names, " ")})
	}
	p := testProfile(stacks...)
	for b.Loop() {
		root, err := callTree(p, "alloc_space", 0.1)
		if err != nil {
			b.Fatal(err)
		}
		root.sum()
		root.prune(limits(root, smallestFrame))
	}
}
