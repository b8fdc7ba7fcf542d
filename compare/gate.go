package compare

import (
	"cmp"
	"slices"

	"github.com/eventobench/eventobench/compare/profdiff"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Gate is what a gate decides on one comparison, and why.
type Gate struct {
	Base        string       `json:"base"`
	Head        string       `json:"head"`
	Verdict     Verdict      `json:"verdict"`
	Blocks      int          `json:"blocks"`
	Layouts     int          `json:"layout_blocks,omitempty"` // that had the functions of both sides in other orders
	Paired      bool         `json:"paired"`
	SameProcess bool         `json:"same_process,omitempty"` // a side was not started afresh for each block
	Metrics     []GateMetric `json:"metrics"`                // the gated ones
	NullControl *NullControl `json:"null_control,omitempty"` // nil if there was none
	Layout      []string     `json:"layout,omitempty"`       // which part of a change is the code
	Requests    string       `json:"requests,omitempty"`     // what moved in which kinds of request; it does not count
	Explanation []string     `json:"explanation"`            // what kinds of work account for the change
	Grown       []Grown      `json:"grown"`                  // what explains the regressed metrics
	Waivers     []WaiverUse  `json:"waivers"`
	Warnings    []Warning    `json:"warnings"`
	Recorded    []Recording  `json:"recorded"`             // of the base and the head, without their blocks
	Repository  string       `json:"repository,omitempty"` // URL of the one that the subjects are from
	Again       string       `json:"again,omitempty"`      // command that repeats it
}

// GateMetric is one gated metric.
type GateMetric struct {
	MetricChange
	Grown int `json:"grown"` // index of what explains its regression, -1 if nothing does
}

// Grown is what grew in one kind of profile: the functions that stand out of
// their noise or, where none does, the next best that there is.
type Grown struct {
	Kind    string       `json:"kind"`
	Unit    string       `json:"unit"`
	ByCount bool         `json:"by_count"` // Unit is that of counts
	Metrics []MetricID   `json:"metrics"`  // that it explains
	Largest []GrownEntry `json:"functions"`

	// Where no function stands out:
	Groups   []GrownEntry      `json:"groups,omitempty"`   // kinds of work, most grown first
	Subtrees []GrownEntry      `json:"subtrees,omitempty"` // functions that with all they call do stand out
	Nearest  *profdiff.Nearest `json:"nearest,omitempty"`  // how many blocks would name a function
}

// GrownEntry is a function, a kind of work, or a function with all that it
// calls, per operation.
type GrownEntry struct {
	Name string   `json:"name"`
	File string   `json:"file,omitempty"` // of a function of the head's module, from the top of the repository
	Line int      `json:"line,omitempty"` // of File, where the most is charged
	Base float64  `json:"base"`
	Head float64  `json:"head"`
	More float64  `json:"more"`
	Low  *float64 `json:"low,omitempty"` // 95% interval of More; nil if unknown
	High *float64 `json:"high,omitempty"`
	Mark string   `json:"mark,omitempty"`
}

// NewGate takes from a report of two runs what a gate needs.
func NewGate(r *Report) Gate {
	c := r.Comparisons[0]
	g := Gate{
		Base: c.Base, Head: c.Head, Verdict: c.Verdict,
		Blocks: c.Blocks, Paired: c.Paired, SameProcess: c.SameProcess,
		Layouts: c.LayoutBlocks, NullControl: c.NullControl,
		Metrics: []GateMetric{}, Layout: c.LayoutSummary(), Requests: c.RequestsSummary(),
		Explanation: c.Explanation, Grown: []Grown{},
		Waivers: c.Waivers, Warnings: r.Warnings, Recorded: []Recording{},
	}
	for _, v := range r.Variants[:2] {
		g.Recorded = append(g.Recorded, v.Recording().withoutBlocks())
	}
	for _, m := range c.Metrics {
		if m.Gated {
			g.Metrics = append(g.Metrics, GateMetric{MetricChange: m, Grown: g.explain(c, m)})
		}
	}
	return g
}

func (r Recording) withoutBlocks() Recording {
	r.Manifest.Blocks, r.Manifest.Looks, r.Manifest.LayoutBlocks = []runfolder.Block{}, nil, nil
	return r
}

// explain returns the index of what explains a metric's regression, which
// metrics of the same profile share, or -1.
func (g *Gate) explain(c Comparison, mc MetricChange) int {
	m, known := FindMetric(mc.ID)
	t, recorded := c.Profile(m.ExplainedBy)
	if mc.Verdict != Regressed || !known || !recorded {
		return -1
	}
	shared := func(e Grown) bool { return e.Kind == m.ExplainedBy && e.ByCount == m.ByCount }
	i := slices.IndexFunc(g.Grown, shared)
	if i < 0 {
		i = len(g.Grown)
		g.Grown = append(g.Grown, newGrown(t, m.ByCount))
	}
	g.Grown[i].Metrics = append(g.Grown[i].Metrics, mc.ID)
	return i
}

func newGrown(t profdiff.ChangeTable, byCount bool) Grown {
	const mostFunctions, mostOthers = 5, 3
	g := Grown{Kind: t.Kind, Unit: t.Unit, ByCount: byCount}
	if byCount {
		g.Unit = t.CountUnit
	}
	isNoise := func(f profdiff.FunctionChange) bool { return f.Noise }
	beyondNoise := slices.DeleteFunc(slices.Clone(t.Functions), isNoise)
	g.Largest = grown(beyondNoise, byCount, mostFunctions)
	if len(g.Largest) == 0 {
		g.Groups = grown(t.Groups, byCount, mostOthers)
		g.Nearest = t.Nearest
	}
	if len(g.Largest) == 0 && !byCount { // the counts of subtrees are not known
		g.Subtrees = grown(t.Subtrees, false, mostOthers)
	}
	return g
}

// grown are the changes to more, most first.
func grown(changes []profdiff.FunctionChange, byCount bool, most int) []GrownEntry {
	entries := []GrownEntry{}
	for _, f := range changes {
		e := GrownEntry{Name: f.Name, File: f.File, Line: f.Line, Mark: f.Mark,
			Base: f.Base, Head: f.Head, More: f.Diff, Low: f.Low, High: f.High}
		if byCount {
			e.Base, e.Head, e.More, e.Low, e.High = f.BaseCount, f.HeadCount, f.DiffCount, nil, nil
		}
		if e.More > 0 {
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b GrownEntry) int { return cmp.Compare(b.More, a.More) })
	return entries[:min(most, len(entries))]
}
