package html

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/eventobench/eventobench/compare/history"
	"github.com/eventobench/eventobench/compare/render/view"
)

// TestHistoryStandsAlone holds that the page loads nothing and runs nothing but
// its own script, whatever subjects and machines are called.
func TestHistoryStandsAlone(t *testing.T) {
	records, err := history.Read("../../history/testdata/history.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		records[i].Curve, records[i].Load, records[i].Machine.CPUModel = nasty, nasty, nasty
		records[i].Head.Commit = nasty
	}
	var page bytes.Buffer
	err = WriteHistory(&page, view.NewHistory(history.Curves(records)))
	if err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	z := html.NewTokenizer(&page)
	for z.Next() != html.ErrorToken {
		token := z.Token()
		if token.Type == html.StartTagToken || token.Type == html.SelfClosingTagToken {
			elements[token.Data]++
			checkAttributes(t, token)
		}
	}
	if z.Err() != io.EOF {
		t.Fatal(z.Err())
	}
	if elements["script"] != len(historyScripts)+1 || elements["img"]+elements["link"]+elements["iframe"] > 0 {
		t.Errorf("elements %v", elements)
	}
	if elements["circle"] != 5*60 || elements["figure"] != 5 {
		t.Errorf("%d points in %d charts", elements["circle"], elements["figure"])
	}
}

func TestHistoryScale(t *testing.T) {
	tests := []struct {
		low, high float64 // of the values
		half      float64 // width of intervals
		relative  bool
		want      string
	}{
		{0, 5, 1.7, true, "+0% +5%"},
		{2923, 2983, 1, false, "2,940 2,960 2,980"},
		{37, 38, 0.01, false, "37.0 37.5 38.0"},
		{7, 7, 0, false, "6.95 7.00 7.05"},
		{0, 0, 0, true, "-0.0010% -0.0005% +0.0000% +0.0005% +0.0010%"},
		{-40, 60, 0, true, "+0% +50%"},
	}
	for _, tt := range tests {
		points := []history.Point{
			{Value: tt.low, Level: tt.low, Low: tt.low - tt.half, High: tt.low + tt.half},
			{Value: tt.high, Level: tt.high, Low: tt.high - tt.half, High: tt.high + tt.half},
		}
		s := scaleOf(points)
		var texts []string
		for _, v := range s.ticks() {
			texts = append(texts, tickText(v, s.step, tt.relative))
		}
		if diff := cmp.Diff(tt.want, strings.Join(texts, " ")); diff != "" {
			t.Errorf("%g to %g: %s", tt.low, tt.high, diff)
		}
	}
}

func TestNiceStep(t *testing.T) {
	for least, want := range map[float64]float64{1: 1, 1.1: 2, 3: 5, 7: 10, 0.03: 0.05, 250: 500} {
		if got := niceStep(least); math.Abs(got-want) > 1e-9*want {
			t.Errorf("step of at least %g: %g, want %g", least, got, want)
		}
	}
}
