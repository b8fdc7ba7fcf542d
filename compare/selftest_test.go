package compare

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRecordedSelftest holds that the figures are those of the page that they are
// from.
func TestRecordedSelftest(t *testing.T) {
	s := RecordedSelftest()
	page, err := os.ReadFile(filepath.Join("..", s.Page))
	if err != nil {
		t.Fatal(err)
	}
	drawn := fmt.Sprintf("%d experiments drawn from %d blocks without a handicap: %.2f%% call",
		s.Drawn, s.DrawnFromBlocks, float64(s.DrawnFalseAlarms)/float64(s.Drawn)*100)
	for _, want := range []string{"\n    " + s.Command + "\n", drawn} {
		if !strings.Contains(string(page), want) {
			t.Errorf("%s does not say %q", s.Page, want)
		}
	}
	row := regexp.MustCompile(fmt.Sprintf(`(?m)^none +%d +0 +%d +`, s.Experiments, s.FalseAlarms)) // regressed, improved
	if !row.Match(page) {
		t.Errorf("%s has no row %s", s.Page, row)
	}
}
