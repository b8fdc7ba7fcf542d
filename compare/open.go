package compare

import (
	"fmt"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Open reads one run folder on its own, with the warnings that concern it
// alone. The run must have a complete block; whatever is missing or damaged is
// an error that names the file.
func Open(dir string) (Variant, []Warning, error) {
	v, err := openVariant(dir, Options{})
	if err != nil {
		return Variant{}, nil, err
	}
	return v, warnings(&Report{Variants: []Variant{v}}), nil
}

// openVariants reads the folders and rejects those that cannot be compared.
func openVariants(dirs []string, o Options) ([]Variant, error) {
	if len(dirs) < 2 {
		return nil, fmt.Errorf("comparing needs two run folders or more, not %d", len(dirs))
	}
	var variants []Variant
	seen := map[string]string{}
	for _, dir := range dirs {
		v, err := openVariant(dir, o)
		if err != nil {
			return nil, err
		}
		run := v.Manifest.Experiment + " " + v.Manifest.Subject.Name
		if other, twice := seen[run]; twice {
			return nil, fmt.Errorf("%s and %s are the same run; name two different ones", other, dir)
		}
		seen[run] = dir
		variants = append(variants, v)
		if err := SameLoad(variants[0].side.Run, v.side.Run); err != nil {
			return nil, err
		}
	}
	return variants, nil
}

// SameLoad is an error if two runs were recorded under different loads, so that
// they cannot be compared.
func SameLoad(base, head *runfolder.Run) error {
	b, h := base.Manifest.Load, head.Manifest.Load
	foreign := base.Manifest.Foreign() || head.Manifest.Foreign() // whose load nobody knows
	if b.Equal(h) || foreign && b.Open() == h.Open() {
		return nil
	}
	return fmt.Errorf("%s and %s were recorded under different loads (%s; %s) and cannot be compared; "+
		"record both with the same settings", base.Dir, head.Dir, b, h)
}

func openVariant(dir string, o Options) (Variant, error) {
	run, err := openRun(dir)
	if err != nil {
		return Variant{}, err
	}
	m := run.Manifest
	if len(m.Blocks) == 0 {
		return Variant{}, fmt.Errorf("run folder %s has no complete block (%s: %s); record it again", dir, m.State, m.Reason)
	}
	v := newVariant(run)
	return v, v.readProfiles(o)
}

func newVariant(run *runfolder.Run) Variant {
	v := Variant{
		Name: run.Manifest.Subject.Name, Dir: run.Dir, Manifest: run.Manifest, Totals: run.Totals(),
		Profiles: []profdiff.FunctionTable{},
		side:     newSide(run), attributions: map[string]*profdiff.Attribution{},
	}
	v.Metrics = v.side.metricValues()
	v.BlockOps = v.side.blockOps()
	v.Kinds = v.side.kindValues()
	v.Machine = machineUse(machinesOf(run.Manifest))
	v.CPU = cpuShare(run, v.Machine)
	v.Bottleneck = held(v)
	return v
}

// metricValues are all metrics of a run, in the order of Metrics.
func (s side) metricValues() []MetricValue {
	all := []MetricValue{}
	for _, m := range metricsOf(s.Manifest.Load, false, s.tellsOfDatabase()) {
		if m.Bound && s.missing(m) != "" {
			continue
		}
		all = append(all, newMetricValue(m, s))
	}
	return all
}

func (s side) blockOps() []int64 {
	ops := []int64{}
	for _, b := range s.blocks {
		ops = append(ops, int64(b.ops))
	}
	return ops
}

// kindValues are those of every kind of request of a load with several.
func (s side) kindValues() []KindValues {
	if len(s.kinds) < 2 {
		return nil
	}
	var all []KindValues
	for k, kind := range s.kinds {
		values := KindValues{Kind: s.Manifest.Load.Kinds[k], BlockOps: kind.blockOps()}
		for _, m := range byKind(Metrics) {
			values.Metrics = append(values.Metrics, newMetricValue(m, kind))
		}
		all = append(all, values)
	}
	return all
}

func newMetricValue(m Metric, s side) MetricValue {
	v := MetricValue{ID: m.ID, Value: s.value(m), Blocks: make([]*float64, len(s.blocks))}
	if s.missing(m) != "" || ownBlocks(m, s) { // whose blocks are in the manifest
		return v
	}
	for b, value := range s.values(m) {
		if stat.Finite(value) {
			v.Blocks[b] = &value
		}
	}
	return v
}

// readProfiles attributes the profiles that the run has and that can be divided
// by operations.
func (v *Variant) readProfiles(o Options) error {
	for _, kind := range runfolder.Kinds {
		if !kind.PerOperation() || !v.side.Recorded(kind) {
			continue
		}
		a, err := profdiff.Read(v.side.Run, kind, profdiff.Options{Groups: o.Groups, Leaves: o.Leaves})
		if err != nil {
			return err
		}
		a.Exact = v.Value(MetricID(kind.Explains))
		v.attributions[kind.Name] = a
		v.Profiles = append(v.Profiles, a.Table())
	}
	return nil
}

// nameVariants makes names distinct: runs of the same subject are told apart
// by their experiment, and by their label if they have one.
func nameVariants(variants []Variant) {
	count := map[string]int{}
	for _, v := range variants {
		count[v.Name]++
	}
	for i := range variants {
		v := &variants[i]
		if count[v.Name] < 2 {
			continue
		}
		v.Name += " " + v.Manifest.Experiment
		if v.Manifest.Label != "" {
			v.Name += " " + v.Manifest.Label
		}
	}
}
