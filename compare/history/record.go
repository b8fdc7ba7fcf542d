// Package history keeps what comparisons found, one record each, and shows where
// the figures of a server changed over its commits.
package history

import (
	"fmt"
	"maps"
	"time"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Format and Schema name the format of a history's lines and its version, which
// stand in every line.
const (
	Format = "eventobench history"
	Schema = 1
)

// Record is one comparison of a head with its base, or one run alone. It is a
// line of a history.
type Record struct {
	Format     string          `json:"format"`
	Schema     int             `json:"schema"`
	Time       time.Time       `json:"time"` // when recording began
	Tool       string          `json:"tool_version"`
	Experiment string          `json:"experiment"`
	Curve      string          `json:"curve"` // what is measured: records of one curve and one load are shown together
	Load       string          `json:"load"`
	Machine    runfolder.Host  `json:"machine"`
	Base       *Build          `json:"base,omitempty"` // nil if the head was measured alone
	Head       Build           `json:"head"`
	Paired     bool            `json:"paired,omitempty"` // recorded together, so that drift cancels
	Blocks     int             `json:"blocks"`
	Verdict    compare.Verdict `json:"verdict,omitempty"` // on all gated metrics together
	Metrics    []Metric        `json:"metrics"`           // those that have a better direction
}

// Build is what was measured.
type Build struct {
	Subject string            `json:"subject"`
	Options map[string]string `json:"options,omitempty"`
	Commit  string            `json:"commit,omitempty"`
	Dirty   bool              `json:"dirty,omitempty"`  // built with uncommitted changes
	SHA256  string            `json:"sha256,omitempty"` // of the executable
	Go      string            `json:"go_version,omitempty"`
}

// Metric is one metric of a record. The value is that of the head on the
// machine, the change is head against base.
type Metric struct {
	ID      compare.MetricID `json:"name"`
	Value   *float64         `json:"value"` // nil if the head could not have it
	Change  *compare.Change  `json:"change,omitempty"`
	Verdict compare.Verdict  `json:"verdict,omitempty"`
}

// FromReport are the records of a report's comparisons.
func FromReport(r *compare.Report) []Record {
	var records []Record
	for i, c := range r.Comparisons {
		if r.Variants[i+1].Manifest.Subject.NullControl {
			continue
		}
		base := newBuild(r.Variants[0].Manifest.Subject)
		record := FromVariant(r.Variants[i+1])
		record.Base, record.Paired, record.Blocks, record.Verdict = &base, c.Paired, c.Blocks, c.Verdict
		record.Metrics = []Metric{}
		for _, m := range c.Metrics {
			if m.Better != compare.Neutral {
				record.Metrics = append(record.Metrics, newMetric(m, c.Paired))
			}
		}
		records = append(records, record)
	}
	return records
}

// FromCapacity is the record of a gate on a capacity. Those at other limits are of another
// load.
func FromCapacity(g compare.Gate) Record {
	base := newBuild(g.Recorded[0].Manifest.Subject)
	r := recordOf(g.Recorded[1].Manifest)
	r.Base, r.Paired, r.Blocks, r.Verdict = &base, g.Paired, g.Blocks, g.Verdict
	for _, m := range g.Metrics {
		r.Load += ", " + m.Label
		r.Metrics = append(r.Metrics, newMetric(m.MetricChange, g.Paired))
	}
	return r
}

// newMetric leaves out how timing changed between runs that were not recorded
// together: it drifts with the machine.
//
// The value is that of the program as built, also where the change is not.
func newMetric(m compare.MetricChange, paired bool) Metric {
	row, known := compare.FindMetric(m.ID)
	metric := Metric{ID: m.ID, Value: m.Head}
	if m.AsBuilt != nil {
		metric.Value = m.AsBuilt.Head
	}
	if paired || known && !row.Timing {
		metric.Change, metric.Verdict = m.Change, m.Verdict
	}
	return metric
}

// FromVariant is the record of a run alone.
func FromVariant(v compare.Variant) Record {
	m := v.Manifest
	record := recordOf(m)
	for _, value := range v.Metrics {
		row, known := compare.FindMetric(value.ID)
		if known && row.Better != compare.Neutral && !(row.Asked && m.Load.Open()) {
			record.Metrics = append(record.Metrics, Metric{ID: value.ID, Value: value.Value})
		}
	}
	return record
}

// recordOf is a record without figures.
func recordOf(m runfolder.Manifest) Record {
	return Record{
		Format: Format, Schema: Schema, Time: m.Start.UTC(), Tool: m.Tool, Experiment: m.Experiment,
		Curve: curveOf(m), Load: m.Load.String(), Machine: m.Host, Head: newBuild(m.Subject),
		Blocks: len(m.Blocks), Metrics: []Metric{},
	}
}

// curveOf names what a run measured, whatever the commit: its label, the
// transport of the built-in store, or else the module of the server.
func curveOf(m runfolder.Manifest) string {
	switch {
	case m.Label != "":
		return m.Label
	case m.Subject.Kind == "built-in" || m.Subject.Binary.Module == "":
		return m.Subject.Name
	}
	return m.Subject.Binary.Module
}

// newBuild takes the commit from the executable or, if that does not tell, from
// how it was built for the occasion.
func newBuild(s runfolder.SubjectInfo) Build {
	b := Build{
		Subject: s.Name, Options: s.Options, Commit: s.Binary.Commit, Dirty: s.Binary.Dirty,
		SHA256: s.Binary.SHA256, Go: s.Binary.GoVersion,
	}
	if b.Commit == "" && s.Build != nil {
		b.Commit, b.Dirty = s.Build.Commit, s.Build.Dirty
	}
	return b
}

// Same reports whether two builds are the same executable with the same options,
// or made of the same commit by the same Go. Builds that nothing is known of are
// never the same.
func (b Build) Same(c Build) bool {
	if !maps.Equal(b.Options, c.Options) {
		return false
	}
	clean := b.Commit != "" && !b.Dirty && !c.Dirty
	return b.SHA256 != "" && b.SHA256 == c.SHA256 || clean && b.Commit == c.Commit && b.Go == c.Go
}

// String is the commit in short, with a + if there were changes beside it, or
// what there is of the executable's hash.
func (b Build) String() string {
	const short, shortSum = 7, 8
	switch {
	case b.Commit == "" && b.SHA256 == "":
		return b.Subject
	case b.Commit == "":
		return "binary " + b.SHA256[:min(shortSum, len(b.SHA256))]
	case b.Dirty:
		return b.Commit[:min(short, len(b.Commit))] + "+"
	}
	return b.Commit[:min(short, len(b.Commit))]
}

// Metric returns a metric of the record, or nil.
func (r Record) Metric(id compare.MetricID) *Metric {
	for i := range r.Metrics {
		if r.Metrics[i].ID == id {
			return &r.Metrics[i]
		}
	}
	return nil
}

// key tells the records of a history apart.
func (r Record) key() string {
	base := "alone"
	if r.Base != nil {
		base = "against " + r.Base.Subject
	}
	return fmt.Sprintf("%s %s of experiment %s", r.Head.Subject, base, r.Experiment)
}
