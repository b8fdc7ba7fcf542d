package html

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render/view"
)

// read reads one of the reports that compare's golden test writes.
func read(t *testing.T, name string) *compare.Report {
	t.Helper()
	r, err := compare.ReadReport(filepath.Join("..", "..", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(t *testing.T, r *compare.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, view.New(r)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// nasty is a name that would do harm if it were not escaped.
const nasty = `</script><img/src=x/onerror="alert(1)"><!--&amp;'` + "`${1}`"

// TestStandsAlone holds that a page loads nothing and runs nothing but its own
// scripts, whatever the runs and functions in it are called.
func TestStandsAlone(t *testing.T) {
	r := read(t, "report")
	r.Variants[1].Name, r.Comparisons[0].Head, r.Variants[1].Dir = nasty, nasty, nasty
	r.Charts.Flames.Names[1] = nasty
	r.Comparisons[0].Profiles[0].Functions[0].Name = nasty
	r.Warnings = append(r.Warnings, compare.Warning{Code: nasty, Message: nasty})
	r.Variants[1].Manifest.Subject.Command = []string{nasty}
	page := render(t, r)
	elements := map[string]int{}
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		if z.Next() == html.ErrorToken {
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			break
		}
		token := z.Token()
		if token.Type == html.StartTagToken || token.Type == html.SelfClosingTagToken {
			elements[token.Data]++
			checkAttributes(t, token)
		}
	}
	if elements["script"] != len(pageScripts)+1 || elements["img"]+elements["link"]+elements["iframe"]+elements["base"] > 0 {
		t.Errorf("elements %v", elements)
	}
	if regexp.MustCompile(`@import|url\((?:["']?https?:|["']?//)`).MatchString(string(pageStyle)) {
		t.Error("the style sheet loads something")
	}
	data := dataOf(t, page)
	if data.Variants[1] != nasty || !slices.Contains(data.Flames.Names, nasty) {
		t.Errorf("variants %q, functions %q", data.Variants, data.Flames.Names)
	}
}

func checkAttributes(t *testing.T, token html.Token) {
	t.Helper()
	for _, a := range token.Attr {
		loads := slices.Contains([]string{"src", "srcset", "href", "action", "data", "poster"}, a.Key) && !strings.HasPrefix(a.Val, "#")
		if loads || strings.HasPrefix(a.Key, "on") || a.Key == "style" {
			t.Errorf("<%s %s=%q>", token.Data, a.Key, a.Val)
		}
	}
}

// pageData is the data of a page, as its scripts read it.
type pageData struct {
	Variants []string
	Borders  []float64
	Slices   []struct{ Start, Ops, Ms []*float64 }
	Latency  struct {
		Nines []float64
		Lines []struct {
			Label string
			Sent  bool
			Ms    []*float64
		}
	}
	Flames struct {
		Names  []string
		Graphs []struct {
			Label, Unit string
			Name, Depth []int
			Self        [][]float64
		}
	}
}

func dataOf(t *testing.T, page []byte) pageData {
	t.Helper()
	m := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindSubmatch(page)
	if m == nil {
		t.Fatal("the page has no data")
	}
	var data pageData
	if err := json.Unmarshal(m[1], &data); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestData holds that the scripts get what the report has.
func TestData(t *testing.T) {
	r := read(t, "odd-open")
	data := dataOf(t, render(t, r))
	if len(data.Borders) != len(r.Charts.Borders) || len(data.Slices) != 2 || len(data.Latency.Lines) != 4 || len(data.Flames.Graphs) != 3 {
		t.Errorf("%d borders, %d series, %d lines, %d flame graphs", len(data.Borders), len(data.Slices), len(data.Latency.Lines), len(data.Flames.Graphs))
	}
	for i, series := range data.Slices {
		for k, v := range series.Ops {
			want := float64(r.Charts.Slices[i].Ops[k])
			if (v == nil) != math.IsNaN(want) || v != nil && *v != want {
				t.Fatalf("point %d of series %d: %v, want %v", k, i, v, want)
			}
		}
	}
}

// TestNeedsCharts: a report that was made for the terminal has none.
func TestNeedsCharts(t *testing.T) {
	r := read(t, "gate")
	if err := Write(io.Discard, view.New(r)); err == nil || !strings.Contains(err.Error(), "without its charts") {
		t.Errorf("error %v", err)
	}
}

func TestForest(t *testing.T) {
	change := func(percent, low, high float64) view.Metric {
		return view.Metric{MetricChange: compare.MetricChange{
			ID: compare.OpsPerSec, Verdict: compare.Inconclusive, Rule: compare.Rule{Tolerance: 3, Floor: 0.5},
			Change: &compare.Change{Percent: percent, Low: low, High: high},
		}}
	}
	neutral := view.Metric{MetricChange: compare.MetricChange{Change: &compare.Change{Percent: 11, Low: 11, High: 12}}}
	tolerance, floor := span{"35.44%", "29.56%"}, span{"47.51%", "4.99%"}
	tests := []struct {
		change view.Metric
		want   plot
	}{
		{change(5, -5, 10), plot{Low: "25.00%", High: "100.00%", Point: "75.00%", Tolerance: tolerance, Floor: floor}},
		{change(5, -15, 25), plot{Low: "0.00%", High: "100.00%", Point: "75.00%", Tolerance: tolerance, Floor: floor, BeyondLow: true, BeyondHigh: true}},
		{neutral, plot{Low: "100.00%", High: "100.00%", BeyondHigh: true}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, *axis(10).plot(tt.change)); diff != "" {
			t.Errorf("%+v: %s", *tt.change.Change, diff)
		}
	}
}

func TestParts(t *testing.T) {
	got := strings.Join(parts("example.com/a/b.(*T).Do"), "|")
	if want := "example|.com/|a/|b|.(*T)|.Do"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
