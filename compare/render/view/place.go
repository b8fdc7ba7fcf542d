package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Place is a function that grew, and where it stands in the source.
type Place struct {
	Function string
	File     string // from the top of the repository; empty of a function that is not the subject's own
	Line     int
	URL      string // of the line in the head's commit; empty if either is not known
	More     string // by how much it grew, such as "+86,000 B/op, +500 allocs/op"
}

// At is such as "cmd/server/main.go:81".
func (p Place) At() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// places are the functions that stand out of their noise, each once: of each kind
// of profile the first, then the second, and so on.
func places(g compare.Gate) []Place {
	var all []Place
	longest := 0
	for _, grown := range g.Grown {
		longest = max(longest, len(grown.Largest))
	}
	for rank := range longest {
		for _, grown := range g.Grown {
			if rank < len(grown.Largest) {
				all = addPlace(all, g, grown.Largest[rank], grown.Unit)
			}
		}
	}
	return all
}

// addPlace adds what a function grew by to its place, or a new place.
func addPlace(all []Place, g compare.Gate, e compare.GrownEntry, unit string) []Place {
	more := fmt.Sprintf("%s %s", texttab.Signed(e.More), unit)
	i := slices.IndexFunc(all, func(p Place) bool { return p.Function == e.Name })
	if i >= 0 {
		all[i].More += ", " + more
		return all
	}
	return append(all, Place{
		Function: e.Name, File: e.File, Line: e.Line, URL: lineURL(g, e), More: more,
	})
}

// lineURL is where GitHub, or GitLab, shows a line of the head's commit.
func lineURL(g compare.Gate, e compare.GrownEntry) string {
	commit, dirty := commitOf(g.Recorded[1].Manifest.Subject)
	if g.Repository == "" || commit == "" || dirty || e.File == "" {
		return ""
	}
	return fmt.Sprintf("%s/blob/%s/%s#L%d", strings.TrimSuffix(g.Repository, "/"), commit, e.File, e.Line)
}

// commitOf is the commit that a subject was built from, empty if it is not known,
// and whether its source was changed since.
func commitOf(s runfolder.SubjectInfo) (commit string, dirty bool) {
	if s.Build != nil {
		return s.Build.Commit, s.Build.Dirty
	}
	return s.Binary.Commit, s.Binary.Dirty
}
