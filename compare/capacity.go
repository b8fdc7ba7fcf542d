package compare

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/internal/ratefit"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// CapacityReport says up to which rate servers stay within limits. It is all that any
// format shows of a search.
type CapacityReport struct {
	Format     int               `json:"format"` // CapacityReportFormat
	Experiment string            `json:"experiment"`
	Limits     runfolder.Limits  `json:"limits"`
	Blocks     int               `json:"blocks"`
	Plan       runfolder.Plan    `json:"plan"`
	Host       runfolder.Host    `json:"host"`
	Workers    int               `json:"workers"`
	Load       string            `json:"load"`
	Agents     []string          `json:"agents,omitempty"` // that made it; none if the recorder did
	State      runfolder.State   `json:"state"`
	Reason     string            `json:"reason,omitempty"`
	Summary    []string          `json:"summary"`
	Subjects   []SubjectCapacity `json:"subjects"`
	Ratios     []CapacityRatio   `json:"ratios"` // of each subject but the first to that one
	Machine    MachineUse        `json:"machine"`
	Warnings   []Warning         `json:"warnings"`

	// SubjectAgent is what started the subjects; nil if the recorder did.
	SubjectAgent *runfolder.SubjectAgent `json:"subject_agent,omitempty"`

	recorded []Recording // of the subjects
	rule     Rule
}

// CapacityReportFormat is the version of a CapacityReport's JSON.
const CapacityReportFormat = 1

// SubjectCapacity is the highest rate at which one subject stays within the limits, in
// requests per second.
type SubjectCapacity struct {
	Name  string  `json:"name"`
	Rate  float64 `json:"rate_per_s"`
	Low   float64 `json:"low_per_s"`
	High  float64 `json:"high_per_s"`
	Level float64 `json:"level"` // that the interval really has
	// Bound is AtLeast or Below if Rate is not the server's limit.
	Bound      Bound           `json:"bound,omitempty"`
	Bottleneck Bottleneck      `json:"bottleneck"` // what kept it from more
	Shares     *CPUShare       `json:"cpu_share"`  // near that rate; nil if unknown
	Blocks     []float64       `json:"blocks"`     // rate of each
	Slopes     []float64       `json:"slopes"`     // by limit: how fast late requests grow with the rate
	Curve      []CapacityTrial `json:"curve"`      // all trials, by rate

	process bool        // it was running before
	logs    [][]float64 // by slope factor: logarithms of the rates of the blocks
	crossed float64     // requests that crossed the limit, per block
}

// Bound says that a rate is not the limit of the server.
type Bound string

// The bounds.
const (
	AtLeast Bound = "at least" // what held it was not the server, or the highest rate that was tried
	Below   Bound = "below"    // not even the lowest rate that was tried met the limits
)

// CapacityTrial is a point of the curve of latency against rate.
type CapacityTrial struct {
	Rate       float64 `json:"rate_per_s"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
	P999Ms     float64 `json:"p999_ms"`
	Unanswered int64   `json:"unanswered,omitempty"` // failed or never sent
	Met        bool    `json:"met"`
}

// CapacityRatio is how the capacity of one subject compares to the first.
type CapacityRatio struct {
	Base    string  `json:"base"`
	Head    string  `json:"head"`
	Verdict Verdict `json:"verdict"`
	Doubt   string  `json:"doubt,omitempty"`   // why a change has no verdict
	Bounded bool    `json:"bounded,omitempty"` // a side's rate is not its limit, so that the change means nothing
	Change  *Change `json:"change"`
}

// slopeFactors are how far the slopes of the fit may be off. Intervals hold for all
// of them: TestCapacityCoverage counts how often.
var slopeFactors = []float64{1, 1 / 1.25, 1.25}

// capacityMetric is what a search finds. No run has it.
var capacityMetric = Metric{
	ID: CapacityRate, Label: "capacity", Unit: "requests/s", Better: Up, Rule: timeRule, Timing: true,
	Source: runfolder.SourceLatencies,
}

// NewCapacityReport fits the trials of a search and judges the ratios. A search without a
// complete block is an error.
func NewCapacityReport(c *runfolder.Capacity, criteria Criteria) (*CapacityReport, error) {
	r := &CapacityReport{
		Format: CapacityReportFormat, Experiment: c.Experiment, Limits: c.Limits,
		Blocks: len(c.Subjects[0].Blocks), Plan: c.Plan, Host: c.Host, Workers: c.Load.Workers, Load: c.Load.Workload,
		SubjectAgent: c.SubjectAgent, State: c.State, Reason: c.Reason, Ratios: []CapacityRatio{},
		rule: criteria.rule(capacityMetric, nil),
	}
	if r.Blocks == 0 {
		return nil, errors.New(cmp.Or(c.Reason, "it has no complete block"))
	}
	r.Machine = capacityMachine(c)
	for _, s := range c.Subjects {
		r.Subjects = append(r.Subjects, subjectCapacity(c, s))
		r.recorded = append(r.recorded, Recording{s.Subject.Name, capacityManifest(c, s), r.Machine})
	}
	for _, a := range Agents(r.recorded[0].Manifest) {
		r.Agents = append(r.Agents, a.Name)
	}
	for _, head := range r.Subjects[1:] {
		r.Ratios = append(r.Ratios, capacityRatio(r.Subjects[0], head, r.rule))
	}
	r.Summary = r.summary()
	r.Warnings = r.warnings()
	return r, nil
}

// capacityMachine is what else the machine did: all subjects of a block share it.
func capacityMachine(c *runfolder.Capacity) MachineUse {
	var blocks []*runfolder.Machine
	for _, b := range c.Subjects[0].Blocks {
		blocks = append(blocks, b.Machine)
	}
	return machineUse(blocks)
}

func subjectCapacity(c *runfolder.Capacity, run runfolder.CapacityRun) SubjectCapacity {
	allowed := c.Limits.Allowed()
	s := SubjectCapacity{Name: run.Subject.Name, process: run.Subject.Kind == runfolder.KindURL}
	var blocks [][]ratefit.Trial
	for _, b := range run.Blocks {
		var fitted []ratefit.Trial
		for _, t := range b.Trials {
			s.Curve = append(s.Curve, capacityTrial(t))
			if t.Counts {
				fitted = append(fitted, t.Fitted())
			}
		}
		blocks = append(blocks, fitted)
	}
	slices.SortFunc(s.Curve, func(a, b CapacityTrial) int { return cmp.Compare(a.Rate, b.Rate) })
	slopes := ratefit.SlopesOf(blocks, allowed)
	s.Slopes = slopes
	for _, factor := range slopeFactors {
		var rates []float64
		for _, b := range blocks {
			rates = append(rates, ratefit.Sought(b, allowed, slopes.Scaled(factor)))
		}
		s.logs = append(s.logs, rates)
	}
	s.estimate()
	s.crossed = crossedPerBlock(blocks)
	s.Shares = trialShares(c, run)
	s.Bottleneck = s.held(c, run)
	return s
}

func capacityTrial(t runfolder.Trial) CapacityTrial {
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	return CapacityTrial{
		Rate: t.Rate, P50Ms: ms(t.P50), P99Ms: ms(t.P99), P999Ms: ms(t.P999), Unanswered: t.Unanswered(), Met: t.Met,
	}
}

// estimate is the rate and an interval that holds whatever the slope.
func (s *SubjectCapacity) estimate() {
	e := stat.SignedRank(s.logs[0])
	i := e.Interval(1 - FalseAlarms)
	for _, rates := range s.logs[1:] {
		other := stat.SignedRank(rates).Interval(1 - FalseAlarms)
		i.Low, i.High = min(i.Low, other.Low), max(i.High, other.High)
	}
	widening := allowance(s.process)
	s.Rate, s.Level = math.Exp(e.Estimate()), i.Level
	s.Low, s.High = math.Exp(i.Low-widening), math.Exp(i.High+widening)
	for _, rate := range s.logs[0] {
		s.Blocks = append(s.Blocks, math.Exp(rate))
	}
	lowest := s.Curve[0]
	if s.Rate < lowest.Rate && !lowest.Met {
		s.Bound, s.Rate = Below, lowest.Rate
	}
}

// allowance is what intervals of one process are wider by, on the scale of logarithms.
func allowance(sameProcess bool) float64 {
	if !sameProcess {
		return 0
	}
	return stat.LogRatio(ProcessAllowance)
}

// crossedPerBlock is how many requests crossed the limit that most did, per block.
func crossedPerBlock(blocks [][]ratefit.Trial) float64 {
	var most float64
	for limit := range blocks[0][0].Crossed {
		n := 0.0
		for _, b := range blocks {
			for _, t := range b {
				n += t.Crossed[limit]
			}
		}
		most = max(most, n/float64(len(blocks)))
	}
	return most
}

// tried are all trials.
func tried(run runfolder.CapacityRun) (all []runfolder.Trial) {
	for _, b := range run.Blocks {
		all = append(all, b.Trials...)
	}
	return all
}

// counting are the trials near the capacity.
func counting(run runfolder.CapacityRun) []runfolder.Trial {
	return slices.DeleteFunc(tried(run), func(t runfolder.Trial) bool { return !t.Counts })
}

// beyond are the trials that did not stay within the limits.
func beyond(trials []runfolder.Trial) []runfolder.Trial {
	return slices.DeleteFunc(trials, func(t runfolder.Trial) bool { return t.Met })
}

// trialShares is where the CPU time went in the trials that count.
func trialShares(c *runfolder.Capacity, run runfolder.CapacityRun) *CPUShare {
	var server, generator, capacity float64
	for _, t := range counting(run) {
		server += t.Server.Seconds()
		if !c.LoadedFromElsewhere() {
			generator += t.Generator.Seconds()
		}
		capacity += t.Duration.Seconds() * float64(c.Host.Affinity)
	}
	if _, unknown := c.Unavailable[run.Subject.Name]; unknown || capacity == 0 {
		return nil
	}
	share := &CPUShare{Server: server / capacity, Generator: generator / capacity}
	share.Idle = max(0, 1-share.Server-share.Generator)
	return share
}

// held says what most of the trials beyond the limits were held by. If it was not the
// server, the rate is no limit of it.
func (s *SubjectCapacity) held(c *runfolder.Capacity, run runfolder.CapacityRun) Bottleneck {
	const disturbed = 0.1 // of the CPUs: as much as a server's last trials have left
	unmet := beyond(counting(run))
	if len(unmet) == 0 { // on the way there some may have been
		unmet = beyond(tried(run))
	}
	count := map[Bottleneck]int{}
	for _, t := range unmet {
		_, unknown := c.Unavailable[run.Subject.Name]
		count[heldTrial(c, t, !unknown)]++
	}
	by, most := ByServer, 0
	for _, b := range []Bottleneck{ByServer, ByWorkers, ByGenerator} {
		if count[b] > most {
			by, most = b, count[b]
		}
	}
	if most == 0 {
		s.Bound, s.Rate = AtLeast, s.Curve[len(s.Curve)-1].Rate
		return ByRate
	}
	machine := capacityMachine(c)
	if by == ByGenerator && orZero(machine.Others)+orZero(machine.Steal) > disturbed {
		by = ByMachine
	}
	if by != ByServer {
		s.Bound = AtLeast
	}
	return by
}

// heldTrial says what kept a trial from its limits. If requests were late from when
// they were sent, or failed, that was the server. If they were late only because they
// were sent late, there was no free worker, or the generator did not come to it. Where
// the server had all the CPU time that the machine could give it, more workers or a
// swifter generator would have been of no use. A recorder on another machine has CPUs of
// its own, which it may use nearly all of.
func heldTrial(c *runfolder.Capacity, t runfolder.Trial, clock bool) Bottleneck {
	const (
		most      = 0.5 // of the CPUs: a generator that uses more is what limits
		mostOfOwn = 0.9 // of a generator on a machine of its own
		saturated = 0.1 // idle
		busy      = 0.5 // of the workers, on average
	)
	share := func(used time.Duration, cpus int) float64 {
		return used.Seconds() / (t.Duration.Seconds() * float64(max(1, cpus)))
	}
	generator, server := share(t.Generator, c.Host.Affinity), share(t.Server, c.Host.Affinity)
	elsewhere := c.LoadedFromElsewhere()
	if elsewhere {
		generator = 0
	}
	fromSent := t.Fitted()
	for limit, over := range t.OverSent {
		fromSent.Crossed[limit] = float64(over + t.Failed)
	}
	fromSent.Crossed[len(t.OverSent)] = float64(t.Failed) // those left unsent are no fault of the server yet
	switch {
	case generator > most, elsewhere && share(t.Generator, c.RecorderCPUs) > mostOfOwn:
		return ByGenerator
	case !c.Limits.Allowed().Met(fromSent):
		return ByServer
	case clock && 1-generator-server < saturated:
		return ByServer
	case t.InFlight > busy*float64(c.Load.Workers):
		return ByWorkers
	}
	return ByGenerator
}

// capacityRatio compares two subjects block by block.
func capacityRatio(base, head SubjectCapacity, rule Rule) CapacityRatio {
	changes := func(h, b int) []float64 {
		d := make([]float64, len(head.logs[h]))
		for i := range d {
			d[i] = head.logs[h][i] - base.logs[b][i]
		}
		return d
	}
	level := 1 - FalseAlarms
	f := &finding{better: Up, rule: rule, estimator: stat.SignedRank(changes(0, 0))}
	i := f.estimator.Interval(level)
	for h := range slopeFactors {
		for b := range slopeFactors {
			other := stat.SignedRank(changes(h, b)).Interval(level)
			f.widening = max(f.widening, i.Low-other.Low, other.High-i.High)
		}
	}
	f.widening += allowance(base.process || head.process)
	judge([]*finding{f}, once(FalseAlarms))
	r := CapacityRatio{Base: base.Name, Head: head.Name, Verdict: f.verdict, Change: f.change()}
	for _, s := range []SubjectCapacity{base, head} {
		if s.Bound != "" {
			r.Verdict, r.Bounded = Inconclusive, true
			r.Doubt = fmt.Sprintf("the capacity of %s is %s. %s", s.Name, s.Text(), s.help())
		}
	}
	if r.Doubt == "" && r.Change.Level < level {
		r.Doubt = "there are too few blocks for a verdict, which takes 8 (--blocks, --max-time)"
	}
	return r
}

// help is what would show the limit of the server where the search did not.
func (s SubjectCapacity) help() string {
	switch {
	case s.Bound == Below:
		return "Allow a longer latency, or record longer slices (--slice)"
	case s.Bottleneck == ByGenerator:
		return "Make the load with more --agents, on other machines if you can"
	case s.Bottleneck == ByWorkers:
		return "Record with more --workers"
	case s.Bottleneck == ByMachine:
		return lessOthers
	}
	return "Try higher rates (--max-rate)"
}

// Text is the capacity with its interval, and what it was held by if not the server.
func (s SubjectCapacity) Text() string {
	rate := texttab.Number(s.Rate, 0) + "/s"
	switch {
	case s.Bound == Below:
		return fmt.Sprintf("below %s, the lowest rate that was tried", rate)
	case s.Bound == AtLeast && s.Bottleneck == ByRate:
		return fmt.Sprintf("at least %s, the highest rate that was tried", rate)
	case s.Bound == AtLeast:
		return fmt.Sprintf("at least %s: held by the %s", rate, s.Bottleneck)
	}
	return fmt.Sprintf("%s [%s, %s]", rate, texttab.Number(s.Low, 0), texttab.Number(s.High, 0))
}

func (r *CapacityReport) summary() []string {
	var all []string
	for _, s := range r.Subjects {
		all = append(all, fmt.Sprintf("capacity of %s at %s: %s", s.Name, r.Limits, s.Text()))
	}
	for _, ratio := range r.Ratios {
		all = append(all, ratio.summary())
	}
	return all
}

func (c CapacityRatio) summary() string {
	text := fmt.Sprintf("%s against %s: %s, capacity %s", c.Head, c.Base, c.Verdict, c.Change)
	if c.Doubt != "" {
		text += ": " + c.Doubt
	}
	return text
}

func (r *CapacityReport) warnings() []Warning {
	const few = 30 // late requests of a block: clumps of some, whose number varies by a half
	var w warner
	if r.State != runfolder.StateComplete || r.Reason != "" {
		w.add(WarnIncomplete, "not all planned blocks are there", fmt.Sprintf("%d of %d: %s", r.Blocks, r.Plan.Blocks,
			cmp.Or(r.Reason, string(r.State))), "")
	}
	w.otherLoad("the search", r.Machine)
	for i, s := range r.Subjects {
		w.capacity(s, r.Workers)
		w.agents(s.Name, r.recorded[i].Manifest)
		if s.crossed < few && s.Bound == "" {
			w.add(WarnFewLate, "few requests crossed a limit, so that the rate is rough and rather too high",
				fmt.Sprintf("%.0f in a block of %s", s.crossed, s.Name), "Record with a longer --slice")
		}
	}
	return w.warnings()
}

// capacity is about a rate that is not the server's limit, or is that of the server
// together with the generator.
func (w *warner) capacity(s SubjectCapacity, workers int) {
	switch {
	case s.Bound == AtLeast && s.Bottleneck == ByGenerator:
		w.add(WarnGeneratorBound, "requests were sent late by the load generator's own fault, which says nothing of the server",
			s.Name, s.help())
	case s.Bound == AtLeast && s.Bottleneck == ByWorkers:
		w.add(WarnNotSaturated, "requests waited for a free worker, which says nothing of the server",
			fmt.Sprintf("for %s, of %d", s.Name, workers), s.help())
	case s.Shares.generatorBound():
		w.add(WarnGeneratorBound,
			"the load generator takes much of the CPU time, so that the server has more to give on a machine of its own",
			fmt.Sprintf("%.0f%% of what was used for %s", s.Shares.ofGenerator()*100, s.Name),
			"The ratio shows only part of a change in the server's cost")
	}
}

// capacityManifest is that of a run which was recorded as a subject of a search was.
func capacityManifest(c *runfolder.Capacity, run runfolder.CapacityRun) runfolder.Manifest {
	m := runfolder.Manifest{
		Format: runfolder.Format, Schema: runfolder.Schema, Experiment: c.Experiment, Tool: c.Tool, Label: c.Label,
		Subject: run.Subject, Load: c.Load, Plan: c.Plan, Host: c.Host, Start: c.Start, End: c.End,
		SubjectAgent: c.SubjectAgent, State: c.State, Reason: c.Reason, Repeated: c.Repeated, Unavailable: map[runfolder.Source]string{},
	}
	if why, unknown := c.Unavailable[run.Subject.Name]; unknown {
		m.Unavailable[runfolder.SourceCPUClock] = why
	}
	for i, b := range run.Blocks {
		m.Blocks = append(m.Blocks, runfolder.Block{Block: i, Agents: b.Agents, Machine: b.Machine})
	}
	return m
}

// OfCapacity reports whether the gate is on a capacity, rather than on runs.
func (g Gate) OfCapacity() bool { return len(g.Metrics) == 1 && g.Metrics[0].ID == CapacityRate }

// NewCapacityGate is what a gate decides on the ratio of the first two subjects.
func NewCapacityGate(r *CapacityReport, o Options) Gate {
	base, head, ratio := r.Subjects[0], r.Subjects[1], r.Ratios[0]
	m := MetricChange{
		ID: capacityMetric.ID, Label: fmt.Sprintf("%s at %s", capacityMetric.Label, r.Limits),
		Unit: capacityMetric.Unit, Better: capacityMetric.Better, Gated: true, Rule: r.rule,
		Verdict: ratio.Verdict, Base: &base.Rate, Head: &head.Rate, Change: ratio.Change, Doubt: ratio.Doubt,
	}
	if ratio.Bounded {
		m.Change, m.Unavailable, m.Doubt = nil, ratio.Doubt, ""
	}
	metrics := []MetricChange{m}
	g := Gate{
		Base: base.Name, Head: head.Name, Blocks: r.Blocks, Paired: true, SameProcess: base.process || head.process,
		Waivers: waive(metrics, head.Name, o.Waivers, o.Now), Verdict: overall(metrics),
		Metrics: []GateMetric{{metrics[0], -1}}, Explanation: []string{}, Grown: []Grown{}, Warnings: r.Warnings,
	}
	for i, s := range r.Subjects[:2] {
		text := fmt.Sprintf("capacity of %s: %s", s.Name, s.Text())
		if s.Bound == "" {
			text += fmt.Sprintf(", held by the %s", s.Bottleneck)
		}
		g.Explanation = append(g.Explanation, text)
		g.Recorded = append(g.Recorded, r.recorded[i].withoutBlocks())
	}
	return g
}
