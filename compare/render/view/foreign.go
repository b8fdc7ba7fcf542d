package view

import (
	"cmp"
	"fmt"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// foreignNote says what the table of metrics means where a side was recorded by
// something else.
const foreignNote = "The values are those of the whole runs. One run without blocks does not tell how " +
	"far its figures vary, so that nothing has an interval or a verdict."

// overallBadge is the verdict of a comparison.
func overallBadge(c compare.Comparison) Badge {
	return Badge{string(c.Verdict), cmp.Or(string(c.Verdict), "not judged")}
}

// howRecorded says when and how a run was recorded.
func howRecorded(v compare.Variant) string {
	m := v.Manifest
	at := "recorded " + m.Start.Format("2006-01-02 15:04:05 MST")
	if !m.Foreign() {
		return fmt.Sprintf("%s: %s, %s of %d slices of %v, seed %d%s",
			v.Name, at, texttab.Count(len(m.Blocks), "block"), m.Plan.Rounds, m.Plan.Slice, m.Plan.Seed,
			build(m.Subject.Binary))
	}
	if m.Start.IsZero() {
		at = "recorded"
	}
	return fmt.Sprintf("%s: %s by something else, as one run of %v", v.Name, at, m.Plan.Slice)
}

// whereRecorded describes the machine and the load of a run.
func whereRecorded(m runfolder.Manifest) []string {
	if m.Foreign() {
		return []string{"host and load: unknown"}
	}
	h := m.Host
	return []string{
		fmt.Sprintf("host: %s, %d of %d CPUs, %s/%s, kernel %s", h.CPUModel, h.Affinity, h.Cores, h.OS, h.Arch,
			h.Kernel),
		fmt.Sprintf("load: %s", m.Load),
	}
}

// fileOf is the file of a kind of profile, for pprof's command line. Of a foreign
// folder it is the one at the end of the load, from which pprof subtracts nothing.
func fileOf(v compare.Variant, kind runfolder.ProfileKind) string {
	if v.Manifest.Foreign() && kind.Window == runfolder.WindowDifference &&
		v.Manifest.Subject.Options[kind.Name] != kind.File {
		return v.Dir + "/" + kind.After()
	}
	return v.Dir + "/" + kind.File
}
