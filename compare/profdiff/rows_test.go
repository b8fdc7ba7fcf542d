package profdiff

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestRows holds whose row a stack counts in: that of the function that asked
// for the work.
func TestRows(t *testing.T) {
	tests := []struct{ stack, row string }{
		{"net/textproto.readMIMEHeader net/http.readRequest", "net/textproto.readMIMEHeader"},
		{"runtime.memmove bytes.Clone main.handle net/http.(*conn).serve", "main.handle"},
		{"runtime.mallocgc context.withCancel net/http.(*conn).serve", "net/http.(*conn).serve"},
		{"internal/runtime/syscall.Syscall6 syscall.write internal/poll.(*FD).Write net.(*conn).Write bufio.(*Writer).Flush net/http.(*response).finishRequest", "net/http.(*response).finishRequest"},
		{"runtime.gcDrainN runtime.gcAssistAlloc runtime.mallocgc encoding/json.x main.handle", "encoding/json.x"},
		{"runtime.scanobject runtime.gcDrain runtime.gcBgMarkWorker", "runtime.gcBgMarkWorker"},
		{"runtime.futex runtime.notesleep runtime.stopm runtime.findRunnable runtime.schedule runtime.park_m runtime.mcall", "runtime.park_m"},
		{"internal/runtime/syscall.Syscall6 os.(*File).Read", "os.(*File).Read"},
		{"runtime.goexit", "runtime.goexit"},
		{"", unknownFunction},
	}
	for _, tt := range tests {
		p := testProfile(stack{1, tt.stack})
		a, err := Attribute(p, kindNamed(t, "allocs"), []float64{1}, Options{Groups: DefaultGroups().of("")})
		if err != nil {
			t.Fatal(err)
		}
		table := a.Table()
		if len(table.Functions) != 1 || table.Functions[0].Name != tt.row || table.Functions[0].Value != 100 {
			t.Errorf("%s counts for %+v, want %s", tt.stack, table.Functions, tt.row)
		}
	}
}

// readBoth attributes the recorded profiles of a kind of both transports.
func readBoth(t *testing.T, kind string, leaves bool) Diff {
	t.Helper()
	read := func(transport string) *Attribution {
		p := readProfile(t, filepath.Join("testdata", "pprof", transport+"-"+kind+".prof"))
		a, err := Attribute(p, kindNamed(t, kind), []float64{1, 1, 1, 1, 1, 1}, Options{Groups: DefaultGroups().of("github.com/eventobench/eventobench"), Leaves: leaves})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	return Diff{Base: read("nethttp"), Head: read("fasthttp"), Paired: true}
}

// TestPrintedRowsExplain holds that a table names rows until what is left over
// accounts for less than a quarter of the difference, as far as rows stand out of
// their noise at all and there are not too many.
func TestPrintedRowsExplain(t *testing.T) {
	table := ChangeTable{Total: FunctionChange{Name: "total"}}
	for i := range 60 {
		diff := math.Pow(0.93, float64(i))
		table.Functions = append(table.Functions, FunctionChange{Name: fmt.Sprintf("f%d", i), Diff: diff})
		table.Total.Diff += diff
	}
	rows := table.Printed()
	left := rows[len(rows)-2]
	if left.Diff > unnamedShare*table.Total.Diff || left.Diff < 0.9*unnamedShare*table.Total.Diff {
		t.Errorf("%d rows leave %v of %v", len(rows)-2, left.Diff, table.Total.Diff)
	}
	for i := range table.Functions { // the first ten leave little
		table.Functions[i].Diff = math.Pow(0.5, float64(i))
	}
	table.Total.Diff = 2
	if rows := table.Printed(); len(rows) != topRows+2 {
		t.Errorf("%d rows, though the first ten explain enough", len(rows))
	}
}

// TestRowsMoveNothing holds that whose row a sample counts in changes neither
// groups nor totals.
func TestRowsMoveNothing(t *testing.T) {
	byCaller, byLeaf := readBoth(t, "cpu", false).Table(), readBoth(t, "cpu", true).Table()
	if diff := gocmp.Diff(byLeaf.Groups, byCaller.Groups, gocmp.AllowUnexported(FunctionChange{})); diff != "" {
		t.Error(diff)
	}
	if !near(byLeaf.Total.Diff, byCaller.Total.Diff, 1e-6*math.Abs(byLeaf.Total.Diff)) {
		t.Errorf("total %v by leaf, %v by caller", byLeaf.Total.Diff, byCaller.Total.Diff)
	}
}

// TestSubtrees holds that work which is spread over many functions below one
// that grew is found by the one, and not by all above and below it.
func TestSubtrees(t *testing.T) {
	var before, after []stack
	for block := int64(1); block <= 8; block++ {
		for i := range 20 {
			leaf := string(rune('a'+i)) + ".work"
			before = append(before, stack{block, leaf + " main.parse main.handle main.main"})
			after = append(after, stack{block, leaf + " main.parse main.handle main.main"}, stack{block, leaf + " main.parse main.handle main.main"})
			for range 4 {
				before = append(before, stack{block, leaf + " main.main"})
				after = append(after, stack{block, leaf + " main.main"})
			}
		}
	}
	attribute := func(stacks []stack) *Attribution {
		p := testProfile(stacks...)
		p.Period = 1 // every allocation is sampled: nothing is left to chance
		a, err := Attribute(p, kindNamed(t, "allocs"), []float64{1, 1, 1, 1, 1, 1, 1, 1}, Options{Groups: DefaultGroups().of("")})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	d := Diff{Base: attribute(before), Head: attribute(after), Paired: true}
	subtrees := d.Table().Subtrees
	if len(subtrees) == 0 || subtrees[0].Diff != 2000 || subtrees[0].Name != "main.handle" && subtrees[0].Name != "main.parse" {
		t.Fatalf("%+v", subtrees)
	}
	for _, s := range subtrees {
		if s.Name == "main.main" || len(subtrees) > 1 && s.Diff == 2000 && s.Name != subtrees[0].Name {
			t.Errorf("%s is named too", s.Name)
		}
	}
}

// TestNearest holds the estimate of how long a run must be to name a function: a
// change of half its interval takes four times as many blocks.
func TestNearest(t *testing.T) {
	low, high := -1.0, 9.0
	d := Diff{Base: &Attribution{blocks: 10}, Head: &Attribution{blocks: 12}}
	got := d.nearest([]FunctionChange{
		{Name: "shrank", Diff: -1, Low: &low, High: &high, Noise: true},
		{Name: "far", Diff: 0.1, Low: &low, High: &high, Noise: true},
		{Name: "near", Diff: 1, Low: &low, High: &high, Noise: true},
		{Name: "stands out", Diff: 2, Low: &high, High: &high},
	})
	if want := (Nearest{Name: "near", Blocks: 40}); got == nil || *got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
