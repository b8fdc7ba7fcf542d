package compare

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// FileDiffFormat is the version of a file comparison's JSON.
const FileDiffFormat = 1

// FileDiff is what changed from one pprof file to another of the same kind: all
// that any format shows of it. Two profiles do not tell how far they vary, so that
// nothing in it has an interval or a verdict.
type FileDiff struct {
	Format       int                  `json:"format"` // FileDiffFormat
	SampleType   string               `json:"sample_type"`
	PerOperation bool                 `json:"per_operation"`
	Normalized   bool                 `json:"normalized"` // the head is scaled to the base's total
	Base         FileSide             `json:"base"`
	Head         FileSide             `json:"head"`
	Summary      string               `json:"summary"`
	Notes        []string             `json:"notes"` // how to read it
	Changes      profdiff.ChangeTable `json:"changes"`
	Flames       *profdiff.Flames     `json:"flames,omitempty"` // nil if they were not asked for
}

// FileSide is one of the two files.
type FileSide struct {
	Name      string                 `json:"name"`
	Path      string                 `json:"path"`
	DividedBy float64                `json:"divided_by"`           // operations, or what normalizing takes; else 1
	DurationS float64                `json:"duration_s,omitempty"` // that it covers; 0 if it does not tell
	Period    int64                  `json:"period,omitempty"`     // between two samples, in Unit
	Unit      string                 `json:"period_unit,omitempty"`
	Functions profdiff.FunctionTable `json:"functions"`
}

// FileOptions say how to compare two files.
type FileOptions struct {
	SampleType       string           // empty for pprof's default of the base
	BaseOps, HeadOps float64          // operations that each covers; both 0 if unknown
	Normalize        bool             // scale the head to the base's total
	Groups           *profdiff.Groups // nil for profdiff.DefaultGroups
	Leaves           bool             // rows are of the functions in which samples were taken
	Flames           bool             // the result shall hold flame graphs
}

func (o FileOptions) perOperation() bool { return o.BaseOps > 0 }

func (o FileOptions) check() error {
	for _, ops := range []float64{o.BaseOps, o.HeadOps} {
		if ops < 0 || math.IsNaN(ops) || math.IsInf(ops, 0) {
			return fmt.Errorf("a profile cannot cover %v operations", ops)
		}
	}
	switch {
	case (o.BaseOps == 0) != (o.HeadOps == 0):
		return errors.New("operations are known of one profile only; " +
			"give those of both (--per-a and --per-b), or of none")
	case o.perOperation() && o.Normalize:
		return errors.New("values are per operation (--per-a, --per-b) or scaled to the base's total " +
			"(--normalize), not both")
	}
	return nil
}

// CompareFiles compares two pprof files of any kind. What is no pprof file, holds
// no sample, or is of another kind than the other is an error.
func CompareFiles(base, head string, o FileOptions) (*FileDiff, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if sameFile(base, head) {
		return nil, fmt.Errorf("%s and %s are the same file; name two different ones", base, head)
	}
	b, err := profdiff.ReadFile(base)
	if err != nil {
		return nil, err
	}
	h, err := profdiff.ReadFile(head)
	if err != nil {
		return nil, err
	}
	return diffFiles(b, h, o)
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false // reading it says why
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

func diffFiles(base, head profdiff.File, o FileOptions) (*FileDiff, error) {
	t, err := profdiff.CommonType(base, head, o.SampleType)
	if err != nil {
		return nil, err
	}
	kind, err := profdiff.FileKind(t, base, head, o.perOperation())
	if err != nil {
		return nil, err
	}
	d := &FileDiff{
		Format: FileDiffFormat, SampleType: t.Type, PerOperation: o.perOperation(), Normalized: o.Normalize,
		Base: newFileSide(base, o.BaseOps), Head: newFileSide(head, o.HeadOps),
	}
	d.Base.Name, d.Head.Name = distinctNames(base.Path, head.Path)
	if err := d.attribute(base, head, kind, o); err != nil {
		return nil, err
	}
	d.Summary, d.Notes = d.summary(), d.notes()
	if !o.Flames {
		return d, nil
	}
	flames, err := profdiff.FileFlames(kind, base, head, d.Base.DividedBy, d.Head.DividedBy)
	d.Flames = &flames
	return d, err
}

func newFileSide(f profdiff.File, ops float64) FileSide {
	s := FileSide{Path: f.Path, DividedBy: ops, Period: f.Profile.Period,
		DurationS: time.Duration(f.Profile.DurationNanos).Seconds()}
	if f.Profile.PeriodType != nil {
		s.Unit = f.Profile.PeriodType.Unit
	}
	if ops == 0 {
		s.DividedBy = 1
	}
	return s
}

// distinctNames are the files' names, with as much of their paths as tells them
// apart.
func distinctNames(base, head string) (string, string) {
	b, h := pathElements(base), pathElements(head)
	for n := range max(len(b), len(h)) {
		x, y := lastElements(b, n+1), lastElements(h, n+1)
		if x != y {
			return x, y
		}
	}
	return base, head
}

func pathElements(path string) []string {
	return strings.Split(filepath.ToSlash(filepath.Clean(path)), "/")
}

func lastElements(all []string, n int) string {
	return strings.Join(all[max(0, len(all)-n):], "/")
}

// attribute fills in the tables.
func (d *FileDiff) attribute(base, head profdiff.File, kind runfolder.ProfileKind, o FileOptions) error {
	b, err := d.Base.attribute(base, kind, o)
	if err != nil {
		return err
	}
	h, err := d.Head.attribute(head, kind, o)
	if err != nil {
		return err
	}
	if o.Normalize {
		ratio := d.Head.Functions.Total.Value / d.Base.Functions.Total.Value
		if !(ratio > 0) || math.IsInf(ratio, 0) {
			return fmt.Errorf("%s cannot be scaled to the total of %s: they are %s and %s %s", head.Path, base.Path,
				texttab.Decimals(d.Head.Functions.Total.Value), texttab.Decimals(d.Base.Functions.Total.Value),
				kind.Unit)
		}
		d.Head.DividedBy = ratio
		if h, err = d.Head.attribute(head, kind, o); err != nil {
			return err
		}
	}
	d.Changes = profdiff.Diff{Base: b, Head: h}.Table()
	return nil
}

func (s *FileSide) attribute(f profdiff.File, kind runfolder.ProfileKind,
	o FileOptions) (*profdiff.Attribution, error) {
	a, err := profdiff.AttributeFile(f, kind, s.DividedBy, profdiff.Options{Groups: o.Groups, Leaves: o.Leaves})
	if err != nil {
		return nil, err
	}
	s.Functions = a.Table()
	return a, nil
}

// summary is such as "b.prof against a.prof: CPU time +12.3%, from 1,234 to 1,386 ms".
func (d *FileDiff) summary() string {
	total := d.Changes.Total
	text := fmt.Sprintf("%s against %s: %s", d.Head.Name, d.Base.Name, d.Changes.Title)
	if total.Base > 0 && !d.Normalized {
		text += fmt.Sprintf(" %+.1f%%,", 100*total.Diff/total.Base)
	}
	return text + fmt.Sprintf(" from %s to %s %s", texttab.Decimals(total.Base),
		texttab.Decimals(total.Head), d.Changes.Unit)
}

func (d *FileDiff) notes() []string {
	notes := []string{
		d.basis(),
		"There are no intervals and there is no verdict: a single profile does not tell how far it varies from " +
			"one recording to the next. Run folders do; see \"eventobench run\".",
	}
	if b, h := d.Base, d.Head; b.Period != h.Period {
		notes = append(notes, fmt.Sprintf("The two were sampled at different rates (one sample per %d and %d "+
			"%s), so that small functions of one may be missing in the other.",
			b.Period, h.Period, b.Unit))
	}
	return notes
}

// basis says what the values are of.
func (d *FileDiff) basis() string {
	switch {
	case d.PerOperation:
		return fmt.Sprintf("Values are per operation: %s is divided by %s operations, %s by %s.",
			d.Base.Name, operations(d.Base.DividedBy), d.Head.Name, operations(d.Head.DividedBy))
	case d.Normalized:
		return fmt.Sprintf("%s is divided by %s, so that both totals are the same: differences are between "+
			"shares of the total, and a change that is the same everywhere does not show.",
			d.Head.Name, texttab.Decimals(d.Head.DividedBy))
	}
	return fmt.Sprintf("Values are totals, which depend on how long each was recorded and on how much was "+
		"done meanwhile%s. Operations of both (--per-a, --per-b) give costs per operation; "+
		"--normalize compares shares.",
		d.durations())
}

func (d *FileDiff) durations() string {
	if d.Base.DurationS == 0 || d.Head.DurationS == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s covers %s s, %s %s s)", d.Base.Name, texttab.Decimals(d.Base.DurationS),
		d.Head.Name, texttab.Decimals(d.Head.DurationS))
}

// operations prints a number of operations: in full, as it was given.
func operations(n float64) string {
	if n == math.Trunc(n) {
		return texttab.Number(n, 0)
	}
	return texttab.Decimals(n)
}
