package render

import (
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare"
)

// TestForeignGolden holds how folders that something else recorded are shown.
func TestForeignGolden(t *testing.T) {
	r := read(t, "foreign")
	for _, format := range []string{"text", "md", "csv"} {
		golden(t, "foreign."+format, render(t, r, format))
	}
}

// TestForeignIsNotJudged holds that every format shows the figures, and nothing
// that looks like a verdict or an interval, once the report was written and read
// too.
func TestForeignIsNotJudged(t *testing.T) {
	r := read(t, "foreign")
	again, err := compare.DecodeReport(strings.NewReader(render(t, r, "json")))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"text", "md", "html"} {
		text := render(t, r, format)
		if text != render(t, again, format) {
			t.Errorf("%s differs once it was written and read", format)
		}
		for _, phrase := range []string{"not judged", "foreign_folder", "6.0%, no interval",
			"by something else, as one run of 30.0"} {
			if !strings.Contains(text, phrase) {
				t.Errorf("%s does not say %q", format, phrase)
			}
		}
	}
	for _, word := range []string{"improved", "regressed", "inconclusive", "equivalent", "seed 0", "0 CPUs"} {
		if strings.Contains(render(t, r, "text"), word) {
			t.Errorf("the text says %q", word)
		}
	}
}
