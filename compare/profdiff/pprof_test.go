package profdiff

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/driver"
	"github.com/google/pprof/profile"
)

// asPprof, if set, makes the test program be pprof, which "go tool pprof" would
// have to build first: the same code.
const asPprof = "PROFDIFF_TEST_PPROF"

func TestMain(m *testing.M) {
	if os.Getenv(asPprof) == "" {
		os.Exit(m.Run())
	}
	if err := driver.PProf(&driver.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// flatCum is what a line of "go tool pprof -top" says of a function.
type flatCum struct{ Flat, Cum int64 }

// Our differences are those of "go tool pprof -diff_base", function by
// function.
func TestAgreesWithPprof(t *testing.T) {
	tests := []struct {
		file, unit string
		kind       string
		value      string
	}{
		{"allocs.prof", "B", "allocs", "alloc_space"},
		{"allocs.prof", "", "allocs", "alloc_objects"},
		{"cpu.prof", "ns", "cpu", "cpu"},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			base, head := filepath.Join("testdata", "pprof", "nethttp-"+tt.file), filepath.Join("testdata", "pprof", "fasthttp-"+tt.file)
			want := pprofDiff(t, base, head, tt.value, tt.unit)
			if len(want) < 50 {
				t.Fatalf("pprof lists only %d functions", len(want))
			}
			kind := kindNamed(t, tt.kind)
			kind.Value = tt.value
			if diff := cmp.Diff(want, ourDiff(t, base, head, kind)); diff != "" {
				t.Errorf("pprof's (-) and our (+) differences:\n%s", diff)
			}
		})
	}
}

func ourDiff(t *testing.T, base, head string, kind runfolder.ProfileKind) map[string]flatCum {
	t.Helper()
	const blocks = 6 // that the profiles hold, each of one operation here
	kind.Scale = blocks
	read := func(path string) *Attribution {
		ops := []float64{1, 1, 1, 1, 1, 1}
		a, err := Attribute(readProfile(t, path), kind, ops, Options{Groups: DefaultGroups(), Leaves: true})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	b, h := read(base), read(head)
	got := map[string]flatCum{}
	for _, f := range (Diff{Base: b, Head: h}).changes(match(b.functions, h.functions)) {
		if d := (flatCum{int64(math.Round(f.Diff)), int64(math.Round(f.HeadCum - f.BaseCum))}); d != (flatCum{}) {
			got[f.Name] = d
		}
	}
	return got
}

func readProfile(t testing.TB, path string) *profile.Profile {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var topLine = regexp.MustCompile(`^ *(-?\d+)(?:B|ns|widgets?)? +\S+% +\S+% ` +
	`+(-?\d+)(?:B|ns|widgets?)? +\S+% +(.+?)(?: \((?:partial-)?inline\))?$`)

func pprofDiff(t *testing.T, base, head, index, unit string) map[string]flatCum {
	t.Helper()
	args := []string{
		"-top", "-symbolize=none", "-nodecount=100000", "-nodefraction=0", "-edgefraction=0",
		"-ignore=^(net/http|runtime)/pprof\\.", "-sample_index=" + index, "-diff_base", base,
	}
	if unit != "" {
		args = append(args, "-unit="+unit)
	}
	cmd := exec.Command(os.Args[0], append(args, head)...)
	cmd.Env = append(os.Environ(), asPprof+"=1")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(string(exit.Stderr))
		}
		t.Fatalf("pprof: %v", err)
	}
	found := map[string]flatCum{}
	for line := range strings.Lines(string(out)) {
		if m := topLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			flat, _ := strconv.ParseInt(m[1], 10, 64)
			cum, _ := strconv.ParseInt(m[2], 10, 64)
			if flat != 0 || cum != 0 {
				found[m[3]] = flatCum{flat, cum}
			}
		}
	}
	return found
}
