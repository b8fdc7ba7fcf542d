package render

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/compare"
)

func fileDiff(t *testing.T, o compare.FileOptions) *compare.FileDiff {
	t.Helper()
	file := func(name string) string { return filepath.Join("..", "profdiff", "testdata", "pprof", name) }
	d, err := compare.CompareFiles(file("nethttp-allocs.prof"), file("fasthttp-allocs.prof"), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFileDiffGolden(t *testing.T) {
	d := fileDiff(t, compare.FileOptions{BaseOps: 1000, HeadOps: 1100, Flames: true})
	for _, format := range PageFormats {
		t.Run(format, func(t *testing.T) {
			var b bytes.Buffer
			if err := FileDiff(&b, d, format); err != nil {
				t.Fatal(err)
			}
			if format == "json" {
				var again compare.FileDiff
				if err := json.Unmarshal(b.Bytes(), &again); err != nil || again.Summary != d.Summary {
					t.Errorf("error %v, summary %q", err, again.Summary)
				}
				return
			}
			golden(t, "files."+format, assets.ReplaceAllString(b.String(), "$1…$2"))
		})
	}
	if err := FileDiff(&bytes.Buffer{}, d, "csv"); err == nil {
		t.Error("rendered a format that does not exist")
	}
}

// TestFileDiffTotals holds that without operations every format says what the
// figures depend on, and why there is no verdict.
func TestFileDiffTotals(t *testing.T) {
	d := fileDiff(t, compare.FileOptions{Flames: true})
	for _, format := range PageFormats {
		var b bytes.Buffer
		if err := FileDiff(&b, d, format); err != nil {
			t.Fatal(err)
		}
		for _, phrase := range []string{"totals, which depend on how long each was recorded",
			"a single profile does not tell how far it varies"} {
			if !strings.Contains(b.String(), phrase) {
				t.Errorf("%s does not say %q", format, phrase)
			}
		}
		if strings.Contains(b.String(), "B/op") ||
			format == "html" && strings.Contains(b.String(), "</span> per operation") {
			t.Errorf("%s has totals per operation", format)
		}
	}
}

// TestFileDiffNeedsFlames: a comparison that was made for the terminal has none.
func TestFileDiffNeedsFlames(t *testing.T) {
	err := FileDiff(&bytes.Buffer{}, fileDiff(t, compare.FileOptions{}), "html")
	if err == nil || !strings.Contains(err.Error(), "without the flame graphs") {
		t.Errorf("error %v", err)
	}
}
