package view

import (
	"fmt"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/profdiff"
)

// FileDiff is the comparison of two pprof files as every format shows it.
type FileDiff struct {
	Title      string
	Names      []string // of the base and the head
	Summary    string
	Notes      []string
	Per        string     // what values are per; empty for totals
	Comparison Comparison // its one profile; there are no metrics
	Sides      []Variant
	Commands   []string // to look deeper
	Flames     *profdiff.Flames
}

const sampled = "The figures are sampled. Samples of the profiling itself are left out."

// NewFileDiff shows a comparison of files.
func NewFileDiff(d *compare.FileDiff) *FileDiff {
	p := &FileDiff{
		Title: d.Base.Name + " → " + d.Head.Name, Names: []string{d.Base.Name, d.Head.Name},
		Summary: d.Summary, Notes: d.Notes, Flames: d.Flames,
		Comparison: Comparison{
			Base: d.Base.Name, Head: d.Head.Name, Profiles: []Changes{{d.Changes, sampled}},
		},
		Commands: []string{
			fmt.Sprintf("go tool pprof -http=127.0.0.1:9090 -sample_index=%s -diff_base %s %s", d.SampleType,
				d.Base.Path, d.Head.Path),
		},
	}
	if d.PerOperation {
		p.Per = "per operation"
	}
	for _, s := range []compare.FileSide{d.Base, d.Head} {
		p.Sides = append(p.Sides, Variant{Name: s.Name, Profiles: []Functions{
			{FunctionTable: s.Functions, Heading: s.Functions.Title + " by function"},
		}})
	}
	return p
}
