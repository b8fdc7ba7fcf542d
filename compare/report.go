// Package compare holds run folders against each other: it says how much each
// figure changed, how sure that is, and which functions explain it.
package compare

import (
	"fmt"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Report is a finished comparison: data only, in the order a reader asks.
type Report struct {
	Summary     []string     `json:"summary"`  // a sentence for each comparison
	Variants    []Variant    `json:"variants"` // one a folder; the first is the base
	Comparisons []Comparison `json:"comparisons"`
	Warnings    []Warning    `json:"warnings"`
}

// Variant is one run.
type Variant struct {
	Name        string             `json:"name"`
	Dir         string             `json:"dir"`
	Manifest    runfolder.Manifest `json:"manifest"`
	Totals      runfolder.Totals   `json:"totals"`
	Allocations FunctionTable      `json:"allocations"`
	CPU         FunctionTable      `json:"cpu"`

	run                  *runfolder.Run
	allocCosts, cpuCosts costs
}

// Comparison is what changed from the base to one other run.
type Comparison struct {
	Base           string           `json:"base"`
	Head           string           `json:"head"`
	Verdict        Verdict          `json:"verdict"`         // on all gated metrics together
	Paired         bool             `json:"paired"`          // recorded together, so that drift cancels
	OpenLoop       bool             `json:"open_loop"`       // the load sets the throughput, so it is not judged
	GeneratorBound bool             `json:"generator_bound"` // throughput shows only part of what the CPU per operation shows
	Blocks         int              `json:"blocks"`          // of each side that were compared; the smaller number if unpaired
	Metrics        []MetricChange   `json:"metrics"`
	Waivers        []WaiverUse      `json:"waivers,omitempty"`
	Looks          []runfolder.Look `json:"looks,omitempty"` // what was decided when, while it was recorded
	Allocations    ChangeTable      `json:"allocations"`
	CPU            ChangeTable      `json:"cpu"`
	Explanation    []string         `json:"explanation"` // what kinds of work account for the change, largest first
}

// MetricChange is one metric on both sides. The values are those of each
// whole run; the change is estimated block by block and need not be exactly
// their ratio.
type MetricChange struct {
	Name        string    `json:"name"`
	Label       string    `json:"label"`
	Unit        string    `json:"unit"`
	Better      Direction `json:"better"`
	Decimals    int       `json:"-"`
	Gated       bool      `json:"gated"`
	Rule        Rule      `json:"rule"`
	Verdict     Verdict   `json:"verdict"`
	Waived      bool      `json:"waived,omitempty"` // a regression that does not count
	Base        *float64  `json:"base"`
	Head        *float64  `json:"head"`
	Change      *Change   `json:"change"`
	Unavailable string    `json:"unavailable,omitempty"` // why a value or the change is missing
}

// Change is a relative change in percent with its confidence interval.
type Change struct {
	Percent float64 `json:"percent"`
	Low     float64 `json:"low_percent"`
	High    float64 `json:"high_percent"`
	Level   float64 `json:"level"` // that the interval really has
}

// Options say how to compare.
type Options struct {
	Criteria Criteria
	Groups   *Groups // nil for DefaultGroups
	Waivers  []Waiver
	Now      time.Time // for waivers that expire
}

// Compare reads run folders and compares each with the first.
func Compare(dirs []string, o Options) (*Report, error) {
	if o.Groups == nil {
		o.Groups = DefaultGroups()
	}
	variants, err := openVariants(dirs, o.Groups)
	if err != nil {
		return nil, err
	}
	return newReport(variants, o), nil
}

func newReport(variants []Variant, o Options) *Report {
	nameVariants(variants)
	r := &Report{Variants: variants}
	for _, head := range variants[1:] {
		c := compareTwo(variants[0], head, o)
		r.Comparisons = append(r.Comparisons, c)
		r.Summary = append(r.Summary, c.summary())
	}
	r.Warnings = warnings(r)
	return r
}

// openVariants reads the folders and refuses those that cannot be compared.
func openVariants(dirs []string, groups *Groups) ([]Variant, error) {
	if len(dirs) < 2 {
		return nil, fmt.Errorf("comparing needs two run folders or more, not %d", len(dirs))
	}
	var variants []Variant
	seen := map[string]string{}
	for _, dir := range dirs {
		v, err := openVariant(dir, groups)
		if err != nil {
			return nil, err
		}
		run := v.Manifest.Experiment + " " + v.Manifest.Subject.Name
		if other, twice := seen[run]; twice {
			return nil, fmt.Errorf("%s and %s are the same run; name two different ones", other, dir)
		}
		seen[run] = dir
		variants = append(variants, v)
		if base := variants[0]; !base.Manifest.Load.Equal(v.Manifest.Load) {
			return nil, fmt.Errorf("%s and %s were recorded under different loads (%s; %s) and cannot be compared; record both with the same settings",
				base.Dir, v.Dir, base.Manifest.Load, v.Manifest.Load)
		}
	}
	return variants, nil
}

func openVariant(dir string, groups *Groups) (Variant, error) {
	run, err := runfolder.Open(dir)
	if err != nil {
		return Variant{}, err
	}
	m := run.Manifest
	if len(m.Blocks) == 0 {
		return Variant{}, fmt.Errorf("run folder %s has no complete block (%s: %s); record it again", dir, m.State, m.Reason)
	}
	v := Variant{Name: m.Subject.Name, Dir: dir, Manifest: m, Totals: run.Totals(), run: run}
	if v.allocCosts, err = allocationCosts(run, v.Totals, groups); err != nil {
		return Variant{}, err
	}
	if v.cpuCosts, err = cpuCosts(run, v.Totals, groups); err != nil {
		return Variant{}, err
	}
	v.Allocations, v.CPU = v.allocCosts.table(), v.cpuCosts.table()
	return v, nil
}

// nameVariants makes names distinct: runs of the same subject are told apart
// by their experiment, and by their label if they have one.
func nameVariants(variants []Variant) {
	count := map[string]int{}
	for _, v := range variants {
		count[v.Name]++
	}
	for i := range variants {
		if v := &variants[i]; count[v.Name] > 1 {
			if v.Name += " " + v.Manifest.Experiment; v.Manifest.Label != "" {
				v.Name += " " + v.Manifest.Label
			}
		}
	}
}

func compareTwo(base, head Variant, o Options) Comparison {
	c := Comparison{
		Base: base.Name, Head: head.Name,
		Paired:   paired(base.run, head.run),
		OpenLoop: base.Manifest.Load.Open(),
		Blocks:   min(len(base.Manifest.Blocks), len(head.Manifest.Blocks)),
	}
	allocs := difference{base: base.allocCosts, head: head.allocCosts, paired: c.Paired}
	cpu := difference{base: base.cpuCosts, head: head.cpuCosts, paired: c.Paired}
	c.Allocations, c.CPU = allocs.table(), cpu.table()
	if c.Explanation = explain(allocs, cpu); !c.Paired {
		c.Explanation = explain(allocs) // CPU time drifts with the machine
	}
	metrics := metricsOf(base.Manifest.Load)
	found := findings(base.run, head.run, o.Criteria, metrics)
	for _, m := range metrics {
		c.Metrics = append(c.Metrics, m.describe(base, head, found[m.Name], o.Criteria))
	}
	c.Looks = looksAt(base.Manifest, head.Manifest)
	c.Waivers = waive(c.Metrics, head.Manifest.Subject.Name, o.Waivers, o.Now)
	c.Verdict = overall(c.Metrics)
	c.GeneratorBound = base.usage().generatorBound() || head.usage().generatorBound()
	return c
}

// paired tells whether two runs were recorded together.
func paired(base, head *runfolder.Run) bool {
	return base.Manifest.Experiment == head.Manifest.Experiment
}

// describe gives a metric's values on both sides, and what was found of its
// change.
func (m Metric) describe(base, head Variant, found result, c Criteria) MetricChange {
	mc := MetricChange{Name: m.Name, Label: m.Label, Unit: m.Unit, Better: m.Better, Decimals: m.Decimals, Rule: m.Rule}
	if c.gates(m) {
		mc.Gated, mc.Rule = true, c.Rules[m.Name]
	}
	mc.Base, _ = m.value(base)
	mc.Head, _ = m.value(head)
	if mc.Unavailable = found.missing; found.missing == "" {
		mc.Change, mc.Verdict = found.change(), found.verdict
	} else if mc.Gated && !found.incomparable {
		mc.Verdict = Inconclusive
	}
	return mc
}

// value is a metric of a whole run, or why there is none.
func (m Metric) value(v Variant) (*float64, string) {
	if reason, missing := v.Manifest.Unavailable[m.Source]; missing {
		return nil, reason
	}
	if m.total == nil {
		return new(Median(m.blocks(v.run))), ""
	}
	return new(m.total(v.Totals)), ""
}

// Metric returns the named metric, or nil.
func (c Comparison) Metric(name string) *MetricChange {
	for i := range c.Metrics {
		if c.Metrics[i].Name == name {
			return &c.Metrics[i]
		}
	}
	return nil
}
