package compare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// openRun reads a run folder, or one that something else recorded.
func openRun(dir string) (*runfolder.Run, error) {
	if runfolder.IsForeign(dir) {
		return runfolder.OpenForeign(dir)
	}
	if neither(dir) {
		return nil, fmt.Errorf("%s is no folder of profiles: it has neither %s, as \"eventobench run\" writes "+
			"it, nor %s with %s or %s, as other tools do",
			dir, runfolder.FileManifest, runfolder.FileTotals, runfolder.FileCPU, "allocs-after.prof")
	}
	return runfolder.Open(dir)
}

// neither reports whether a folder is there and holds nothing of a run folder,
// so that it is not a damaged one.
func neither(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	for _, name := range []string{runfolder.FileManifest, runfolder.FileSamples, runfolder.FileLatency} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return false
		}
	}
	return true
}

// withoutBlocks is what can be said of a metric where a side is foreign: the change
// of one run, without interval and verdict.
func withoutBlocks(m Metric, base, head side) result {
	for _, s := range []side{base, head} {
		if reason := s.missing(m); reason != "" {
			return result{missing: reason}
		}
	}
	b, h := orZero(base.value(m)), orZero(head.value(m))
	if b <= 0 {
		return result{missing: "no interval"}
	}
	return result{missing: fmt.Sprintf("%+.1f%%, no interval", 100*(h/b-1))}
}

// foreignSummary is such as "b against a: not judged. throughput 10,980 to 11,643
// ops/s (+6.0%, no interval)".
func (c Comparison) foreignSummary() string {
	parts := []string{}
	for _, m := range c.Metrics {
		if m.Base != nil && m.Head != nil && max(*m.Base, *m.Head) > 0 {
			parts = append(parts, fmt.Sprintf("%s %s to %s %s (%s)", m.Label, texttab.Number(*m.Base, m.Decimals),
				texttab.Number(*m.Head, m.Decimals), m.Unit, m.Unavailable))
		}
	}
	return fmt.Sprintf("%s against %s: not judged. %s", c.Head, c.Base, strings.Join(parts, "; "))
}

// foreign is about a side that something else recorded.
func (w *warner) foreign(variants []Variant) {
	for _, v := range variants {
		if !v.Manifest.Foreign() {
			continue
		}
		w.add(WarnForeign, "folders were recorded by another tool, as one run each without blocks, so nothing shows "+
			"how far their figures vary: timing has no interval and no verdict",
			v.Name+foreignFiles(v), "Record both sides with \"eventobench run\" for a verdict")
	}
}

// foreignFiles says what the tables of a foreign folder were made of.
func foreignFiles(v Variant) string {
	text := ""
	for _, kind := range v.Manifest.Capture.Profiles {
		text += fmt.Sprintf(", %s from %s", kind, v.Manifest.Subject.Options[kind])
	}
	return text
}
