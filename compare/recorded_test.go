package compare

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/eventobench/eventobench/compare/profdiff"
)

// figures are all numbers of a comparison, by the names they have in JSON.
type figures struct {
	Verdict  Verdict                  `json:"verdict"`
	Metrics  []metricFigures          `json:"metrics"`
	Profiles map[string]profileFigure `json:"profiles"`
}

type metricFigures struct {
	Name    MetricID `json:"name"`
	Base    *float64 `json:"base"`
	Head    *float64 `json:"head"`
	Change  *Change  `json:"change"`
	Verdict Verdict  `json:"verdict"`
}

type profileFigure struct {
	Total     rowFigures   `json:"total"`
	Groups    []rowFigures `json:"groups"`
	Functions []rowFigures `json:"functions"`
}

type rowFigures struct {
	Name    string   `json:"name"`
	Base    float64  `json:"base"`
	Head    float64  `json:"head"`
	Diff    float64  `json:"diff"`
	Low     *float64 `json:"diff_low"`
	High    *float64 `json:"diff_high"`
	BaseCum float64  `json:"base_cum"`
	HeadCum float64  `json:"head_cum"`
}

// TestRecordedFigures compares two recorded pairs of run folders, made again by
// "make recorded", and holds every figure. Metrics that came later are passed
// over. The first figures.json was written by the program as it was before the
// model, the statistics and the formats were parted.
func TestRecordedFigures(t *testing.T) {
	path := filepath.Join("testdata", "recorded", "figures.json")
	got := map[string]figures{}
	for _, name := range []string{"pair", "open"} {
		r, err := Compare(recordedDirs(t, name), Options{Criteria: DefaultCriteria(), Leaves: true})
		if err != nil {
			t.Fatal(err)
		}
		got[name] = figuresOf(r.Comparisons[0])
	}
	if *update {
		text, err := json.MarshalIndent(got, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]figures
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for name, w := range want {
		g := got[name]
		g.Metrics = onlyNamed(g.Metrics, w.Metrics)
		if diff := cmp.Diff(w, g, cmpopts.EquateApprox(1e-9, math.SmallestNonzeroFloat64)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// recordedDirs are the base and the head of a recorded pair.
func recordedDirs(t *testing.T, name string) []string {
	t.Helper()
	var dirs []string
	for _, subject := range []string{"nethttp", "fasthttp"} {
		found, err := filepath.Glob(filepath.Join("testdata", "recorded", name, "*-"+subject))
		if err != nil || len(found) != 1 {
			t.Fatalf("%d recorded folders of %s (%v)", len(found), subject, err)
		}
		dirs = append(dirs, found[0])
	}
	return dirs
}

func figuresOf(c Comparison) figures {
	f := figures{Verdict: c.Verdict, Profiles: map[string]profileFigure{}}
	for _, m := range c.Metrics {
		f.Metrics = append(f.Metrics, metricFigures{m.ID, m.Base, m.Head, m.Change, m.Verdict})
	}
	for _, t := range c.Profiles {
		f.Profiles[t.Kind] = profileFigure{rowOf(t.Total), rowsOf(t.Groups), rowsOf(t.Functions)}
	}
	return f
}

func rowsOf(changes []profdiff.FunctionChange) []rowFigures {
	rows := []rowFigures{}
	for _, f := range changes {
		rows = append(rows, rowOf(f))
	}
	return rows
}

func rowOf(f profdiff.FunctionChange) rowFigures {
	return rowFigures{f.Name, f.Base, f.Head, f.Diff, f.Low, f.High, f.BaseCum, f.HeadCum}
}

// onlyNamed keeps the metrics that others has too.
func onlyNamed(all, others []metricFigures) []metricFigures {
	var kept []metricFigures
	for _, m := range all {
		for _, o := range others {
			if m.Name == o.Name {
				kept = append(kept, m)
			}
		}
	}
	return kept
}
