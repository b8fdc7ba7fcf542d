package compare

import (
	"fmt"
	"slices"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// looksAt are the looks of the experiment that judged head against base, with
// no other subject's decisions. There are none if the two were not recorded
// together, base first. A metric that this version does not know is an error.
func looksAt(base, head runfolder.Manifest) ([]runfolder.Look, error) {
	if base.Experiment != head.Experiment || wasJudged(base) {
		return nil, nil
	}
	var looks []runfolder.Look
	for _, l := range head.Looks {
		own := runfolder.Look{Blocks: l.Blocks, Done: l.Done, Reason: l.Reason}
		for _, d := range l.Decisions {
			if _, known := FindMetric(MetricID(d.Metric)); !known {
				return nil, fmt.Errorf("it was judged by a metric %q, which this eventobench does not know; "+
					"upgrade it, or remove the looks from %s",
					d.Metric, runfolder.FileManifest)
			}
			if d.Head == head.Subject.Name {
				own.Decisions = append(own.Decisions, d)
			}
		}
		if len(own.Decisions) > 0 {
			looks = append(looks, own)
		}
	}
	return looks, nil
}

// wasJudged reports whether a subject was judged itself, so that it is not the one that
// others were judged against.
func wasJudged(m runfolder.Manifest) bool {
	for _, l := range m.Looks {
		own := func(d runfolder.Decision) bool { return d.Head == m.Subject.Name }
		if slices.ContainsFunc(l.Decisions, own) {
			return true
		}
	}
	return false
}
