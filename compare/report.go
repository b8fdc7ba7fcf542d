// Package compare judges run folders against each other: it says how much each
// figure changed, how sure that is, and which functions explain it. Its result,
// a Report, is plain data; compare/render shows it.
package compare

import (
	"fmt"
	"slices"
	"time"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Report is a finished comparison: all that any format shows of it. It is
// written to JSON and read back without loss.
type Report struct {
	Format      int          `json:"format"`   // ReportFormat
	Summary     []string     `json:"summary"`  // one sentence per comparison
	Variants    []Variant    `json:"variants"` // one per folder; the first is the base
	Comparisons []Comparison `json:"comparisons"`
	Warnings    []Warning    `json:"warnings"`
	Charts      *Charts      `json:"charts,omitempty"` // nil if they were not asked for
}

// Variant is one run.
type Variant struct {
	Name       string                   `json:"name"`
	Dir        string                   `json:"dir"`
	Manifest   runfolder.Manifest       `json:"manifest"`
	Totals     runfolder.Totals         `json:"totals"`
	Metrics    []MetricValue            `json:"metrics"`         // in the order of Metrics
	BlockOps   []int64                  `json:"block_ops"`       // requests of every block
	Kinds      []KindValues             `json:"kinds,omitempty"` // if the load has several kinds of request
	CPU        *CPUShare                `json:"cpu_share"`       // nil if unknown, or if the load has a rate
	Machine    MachineUse               `json:"machine"`
	Bottleneck Held                     `json:"bottleneck"` // what kept it from more throughput
	Profiles   []profdiff.FunctionTable `json:"profiles"`   // of the kinds that the run has

	side         side
	attributions map[string]*profdiff.Attribution // by kind
}

// Recording is how a run was recorded.
type Recording struct {
	Name     string             `json:"name"`
	Manifest runfolder.Manifest `json:"manifest"`
	Machine  MachineUse         `json:"machine"`
}

// Recording is how the run was recorded.
func (v Variant) Recording() Recording { return Recording{v.Name, v.Manifest, v.Machine} }

// MetricValue is one metric of a run: of the whole run, and of every block. What
// the run could not have, or is no number, is nil.
type MetricValue struct {
	ID     MetricID   `json:"id"`
	Value  *float64   `json:"value"`
	Blocks []*float64 `json:"blocks"`
}

// KindValues are the figures of one kind of request of a run.
type KindValues struct {
	Kind     string        `json:"kind"`
	Metrics  []MetricValue `json:"metrics"`
	BlockOps []int64       `json:"block_ops"` // answered requests of every block
}

// Comparison is what changed from the base to one other run.
type Comparison struct {
	Base    string  `json:"base"`
	Head    string  `json:"head"`
	Verdict Verdict `json:"verdict"` // on all gated metrics together
	Paired  bool    `json:"paired"`  // recorded together, so that drift cancels
	// a side was recorded by something else, without blocks
	Foreign bool `json:"foreign,omitempty"`
	// the load sets the throughput, so it is not judged
	OpenLoop bool `json:"open_loop"`
	// a side was not started afresh for each block
	SameProcess bool `json:"same_process,omitempty"`
	// throughput shows only part of what the CPU per operation shows
	GeneratorBound bool `json:"generator_bound"`
	// of each side that were compared; the smaller number if unpaired
	Blocks int `json:"blocks"`
	// of each side with its functions in other orders
	LayoutBlocks int                    `json:"layout_blocks,omitempty"`
	NullControl  *NullControl           `json:"null_control,omitempty"` // of the experiment; nil without one, and in its own comparison
	Metrics      []MetricChange         `json:"metrics"`
	Requests     *Requests              `json:"requests,omitempty"` // of every kind; nil if the load has one
	Waivers      []WaiverUse            `json:"waivers,omitempty"`
	Looks        []runfolder.Look       `json:"looks,omitempty"` // what was decided when, while it was recorded
	Profiles     []profdiff.ChangeTable `json:"profiles"`        // of the kinds that both runs have
	Explanation  []string               `json:"explanation"`     // kinds of work behind the change, largest first

	answers answerChanges
}

// MetricChange is one metric on both sides. The values are those of each
// whole run; the change is estimated block by block and need not be exactly
// their ratio.
type MetricChange struct {
	ID          MetricID  `json:"name"`
	Label       string    `json:"label"`
	Unit        string    `json:"unit"`
	Better      Direction `json:"better"`
	Decimals    int       `json:"decimals"`
	Gated       bool      `json:"gated"`
	Rule        Rule      `json:"rule"`
	Verdict     Verdict   `json:"verdict"`
	Doubt       string    `json:"doubt,omitempty"`  // why a clear improvement is inconclusive
	Waived      bool      `json:"waived,omitempty"` // a regression that does not count
	Base        *float64  `json:"base"`
	Head        *float64  `json:"head"`
	BaseAll     bool      `json:"base_all,omitempty"` // Base is a bound that there is none of: all may be lost
	HeadAll     bool      `json:"head_all,omitempty"`
	Change      *Change   `json:"change"`
	AsBuilt     *AsBuilt  `json:"as_built,omitempty"`    // where all else is of other layouts
	Unavailable string    `json:"unavailable,omitempty"` // why a value or the change is missing
}

// Change is a relative change in percent with its confidence interval. That of a
// share is a difference, in percentage points.
type Change struct {
	Percent float64 `json:"percent"`
	Low     float64 `json:"low_percent"`
	High    float64 `json:"high_percent"`
	Level   float64 `json:"level"` // that the interval really has
	Points  bool    `json:"points,omitempty"`
}

// String is the change with its interval, such as "+6.7% [+5.3, +8.1]"; a
// narrow interval gets a second decimal.
func (c *Change) String() string {
	if c.Points {
		return fmt.Sprintf("%+.2f [%+.2f, %+.2f] points", c.Percent, c.Low, c.High)
	}
	const narrow = 0.2
	if c.High-c.Low < narrow {
		return fmt.Sprintf("%+.2f%% [%+.2f, %+.2f]", c.Percent, c.Low, c.High)
	}
	return fmt.Sprintf("%+.1f%% [%+.1f, %+.1f]", c.Percent, c.Low, c.High)
}

// Found says what was found: the change, or why there is none. Of a share it
// also names both values, such as "from 0 to 0.31%, +0.30 [+0.22, +0.40] points".
func (m MetricChange) Found() string {
	switch {
	case m.Change == nil:
		return m.Unavailable
	case m.Change.Points:
		return fmt.Sprintf("%s, %s", fromTo(m.Base, m.Head, true), m.Change)
	}
	return m.Change.String()
}

// fromTo names both values of a metric.
func fromTo(base, head *float64, share bool) string {
	if share {
		return fmt.Sprintf("from %.3g to %.3g%%", orZero(base), orZero(head))
	}
	return fmt.Sprintf("from %s to %s", texttab.Decimals(orZero(base)), texttab.Decimals(orZero(head)))
}

// Options say how to compare.
type Options struct {
	Criteria Criteria
	Groups   *profdiff.Groups // nil for profdiff.DefaultGroups
	Leaves   bool             // rows are of the functions in which samples were taken
	Charts   bool             // the report shall hold what charts and flame graphs show
	Waivers  []Waiver
	Now      time.Time // for waivers that expire
}

// Compare reads run folders and compares each with the first. A folder that is
// missing, damaged or empty, or was recorded under another load, is an error.
func Compare(dirs []string, o Options) (*Report, error) {
	variants, err := openVariants(dirs, o)
	if err != nil {
		return nil, err
	}
	return newReport(variants, o)
}

func newReport(variants []Variant, o Options) (*Report, error) {
	nameVariants(variants)
	r := &Report{Format: ReportFormat, Variants: variants, Summary: []string{}, Comparisons: []Comparison{}}
	control := newNullControl(variants, o)
	for i, head := range variants[1:] {
		c, err := compareTwo(variants[0], head, control, o)
		if err != nil {
			return nil, fmt.Errorf("run folder %s: %w", head.Dir, err)
		}
		v := &r.Variants[i+1]
		v.Metrics, v.Kinds = v.side.metricValues(), v.side.kindValues() // which know the base's redirects now
		r.Comparisons = append(r.Comparisons, c)
		r.Summary = append(r.Summary, c.summary())
	}
	r.Warnings = warnings(r)
	if o.Charts {
		charts, err := newCharts(r)
		if err != nil {
			return nil, err
		}
		r.Charts = charts
	}
	return r, nil
}

func compareTwo(base, head Variant, control *NullControl, o Options) (Comparison, error) {
	head.side.countRedirects(base.side)
	c := Comparison{
		Base: base.Name, Head: head.Name,
		Paired:         paired(base.side.Run, head.side.Run),
		Foreign:        base.Manifest.Foreign() || head.Manifest.Foreign(),
		OpenLoop:       base.Manifest.Load.Open(),
		SameProcess:    running(base.Manifest) || running(head.Manifest),
		GeneratorBound: base.CPU.generatorBound() || head.CPU.generatorBound(),
		Blocks:         blocksOf(base.side, head.side),
		answers:        compareAnswers(base.side, head.side),
	}
	if base.side.layouts != nil && head.side.layouts != nil {
		c.LayoutBlocks = blocksOf(*base.side.layouts, *head.side.layouts)
	}
	var err error
	if c.Looks, err = looksAt(base.Manifest, head.Manifest); err != nil {
		return c, err
	}
	metrics := metricsOfPair(base.side, head.side, o.Criteria)
	found := judgeAll(base.side, head.side, o.Criteria, metrics, c.answers.doubt())
	for _, m := range metrics {
		c.Metrics = append(c.Metrics, describe(m, base.side, head.side, found[m.ID], o.Criteria))
	}
	if isNullControl(base.Manifest, head.Manifest) {
		o.Waivers = nil
	} else if c.Paired {
		c.NullControl = control
		c.NullControl.doubt(c.Metrics)
	}
	c.Waivers = waive(c.Metrics, head.Manifest.Subject.Name, o.Waivers, o.Now)
	c.Verdict = overall(c.Metrics)
	if c.Foreign {
		c.Verdict = NotJudged
	} else {
		c.Requests = compareRequests(base.side, head.side, o.Criteria, c.answers.doubt())
	}
	c.addProfiles(base, head)
	return c, nil
}

// addProfiles explains the change by the profiles that both runs have. CPU time
// of runs that were not recorded together drifts with the machine, and explains
// nothing.
func (c *Comparison) addProfiles(base, head Variant) {
	c.Profiles = []profdiff.ChangeTable{}
	var explaining []profdiff.Diff
	for _, kind := range runfolder.Kinds {
		b, h := base.attributions[kind.Name], head.attributions[kind.Name]
		if b == nil || h == nil {
			continue
		}
		d := profdiff.Diff{Base: b, Head: h, Paired: c.Paired}
		c.Profiles = append(c.Profiles, d.Table())
		if c.Paired || !kind.Timing() {
			explaining = append(explaining, d)
		}
	}
	c.Explanation = slices.Insert(profdiff.Explain(explaining...), 0, c.explainInstructions()...)
}

// describe gives a metric's values on both sides, and what was found of its
// change.
func describe(m Metric, base, head side, found result, c Criteria) MetricChange {
	asBuilt := found.describeAsBuilt(m, base, head)
	if asBuilt != nil {
		base, head = *base.layouts, *head.layouts
	}
	mc := MetricChange{
		ID: m.ID, Label: m.Label, Unit: m.Unit, Better: m.Better, Decimals: m.Decimals,
		Gated: c.gates(m), Rule: c.rule(m, base.value(m)), Unavailable: found.missing, Doubt: found.doubt,
		Base: base.value(m), Head: head.value(m), BaseAll: base.boundless(m), HeadAll: head.boundless(m),
		AsBuilt: asBuilt,
	}
	switch {
	case found.finding != nil:
		mc.Change, mc.Verdict = found.change(), found.verdict
	case mc.Gated, m.Bound && found.bare != Inconclusive:
		mc.Verdict = found.bare
	}
	return mc
}

// Metric returns a metric of the comparison, or nil.
func (c Comparison) Metric(id MetricID) *MetricChange {
	for i := range c.Metrics {
		if c.Metrics[i].ID == id {
			return &c.Metrics[i]
		}
	}
	return nil
}

// RequestsSummary says what moved in which kinds of request; it is empty for a
// load with one kind.
func (c Comparison) RequestsSummary() string {
	if c.Requests == nil {
		return ""
	}
	return c.Requests.Summary
}

// Profile returns the changes of one kind of profile, and false if the runs do
// not both have it.
func (c Comparison) Profile(kind string) (profdiff.ChangeTable, bool) {
	for _, t := range c.Profiles {
		if t.Kind == kind {
			return t, true
		}
	}
	return profdiff.ChangeTable{}, false
}

// Value returns a metric of the whole run, nil if it does not have it.
func (v Variant) Value(id MetricID) *float64 {
	for _, m := range v.Metrics {
		if m.ID == id {
			return m.Value
		}
	}
	return nil
}
