package compare

import (
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/compare/stat"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// measured is what one block showed, or all blocks of a run together: what the
// values of metrics are computed from. Times are in seconds. What is of one kind
// of request only has no figures of the process.
type measured struct {
	run      *runfolder.Run
	kind     int // of the load's kinds, or allKinds
	from, to int // the blocks, the last one not included

	tells      bool // of its answers: the next three, and failed of a single kind
	bytes      float64
	statuses   map[int]float64
	redirected float64 // answered requests whose redirects count as failures

	ops, failed, duration, cpu, databaseCPU, latency float64
	window                                           runfolder.Counters        // summed over the blocks
	process                                          runfolder.ProcessCounters // likewise
	instructions                                     float64
	block                                            runfolder.Block // the last one

	dueHistogram, sentHistogram *hdrhistogram.Histogram // once they were asked for
}

const allKinds = -1

func measure(run *runfolder.Run, kind, from, to int) *measured {
	m := &measured{run: run, kind: kind, from: from, to: to, tells: true, statuses: map[int]float64{}}
	for b := from; b < to; b++ {
		block := run.Manifest.Blocks[b]
		m.addAnswers(block.Answers)
		for _, s := range run.BlockSlices(b) {
			m.addSlice(s)
		}
		if kind == allKinds {
			m.block = block
			m.window = m.window.Add(block.Window())
			m.process = m.process.Add(block.Process())
			m.instructions += float64(block.Process().Instructions)
			m.databaseCPU += orZero(block.DatabaseCPU).Seconds()
		}
	}
	return m
}

func (m *measured) addAnswers(answers []runfolder.Answers) {
	m.tells = m.tells && len(answers) > 0
	for kind, a := range answers {
		if m.kind != allKinds && m.kind != kind {
			continue
		}
		m.bytes += float64(a.Bytes)
		if m.kind != allKinds { // the slices tell of all of them, in older folders too
			m.failed += float64(a.Failed)
		}
		for status, n := range a.Statuses {
			m.statuses[status] += float64(n)
		}
	}
}

func (m *measured) addSlice(s runfolder.Slice) {
	if m.kind != allKinds {
		k := s.Kinds[m.kind]
		m.ops += float64(k.Ops)
		m.latency += k.Latency.Seconds()
		return
	}
	m.ops += float64(s.Ops())
	m.failed += float64(s.Errors)
	m.duration += s.Duration.Seconds()
	m.cpu += s.ServerCPU.Seconds()
	m.latency += s.Latency().Seconds()
}

// failures are the requests that count as failed.
func (m *measured) failures() float64 { return m.failed + m.redirected }

// due are the latencies from when requests were due, in ns.
func (m *measured) due() *hdrhistogram.Histogram {
	if m.dueHistogram == nil {
		latency := m.run.Latency[m.from:m.to]
		if m.kind == allKinds {
			m.dueHistogram = latency.All()
		} else {
			m.dueHistogram = latency.Kind(m.kind)
		}
	}
	return m.dueHistogram
}

// sent are the latencies from sending, in ns; of runs under a rate only.
func (m *measured) sent() *hdrhistogram.Histogram {
	if m.sentHistogram == nil {
		m.sentHistogram = m.run.Sent[m.from:m.to].All()
	}
	return m.sentHistogram
}

// side is a run, measured block by block and as a whole.
type side struct {
	*runfolder.Run
	blocks  []*measured
	whole   *measured
	kinds   []side      // the same of each kind of request
	layouts *side       // the blocks of other layouts; nil without
	counted []*measured // the blocks of instructions
}

func newSide(run *runfolder.Run) side {
	s := newSideOf(run, allKinds)
	if run.Layouts != nil {
		s.layouts = new(newSideOf(run.Layouts, allKinds))
	}
	for kind := range run.Manifest.Load.Kinds {
		s.kinds = append(s.kinds, newSideOf(run, kind))
	}
	return s
}

func newSideOf(run *runfolder.Run, kind int) side {
	n := len(run.Manifest.Blocks)
	s := side{Run: run, whole: measure(run, kind, 0, n)}
	for b := range n {
		s.blocks = append(s.blocks, measure(run, kind, b, b+1))
	}
	s.counted = countedBlocks(run, s.blocks)
	return s
}

// missing says why a run does not have a metric; it is empty if it does.
func (s side) missing(m Metric) string {
	ofKind := s.whole.kind != allKinds
	switch {
	case (m.Answers || m.Share && ofKind) && !s.whole.tells:
		return "recorded before answers were counted"
	case m.Bound && !s.publishesDurability():
		return "the server does not publish " + runfolder.VarUnsynced
	case ofKind && s.requests() == 0:
		return "no request of this kind"
	case ofKind && s.whole.ops == 0 && !m.Share:
		return "no answer to this kind of request"
	case m.Counted:
		return s.withoutInstructions()
	case m.Database && !s.tellsOfDatabase():
		return "recorded without a database server"
	}
	return s.Manifest.Unavailable[m.Source]
}

// tellsOfDatabase reports whether the run's experiment had a database server.
func (s side) tellsOfDatabase() bool {
	_, missing := s.Manifest.Unavailable[runfolder.SourceDatabaseCPU]
	return missing || slices.ContainsFunc(s.Manifest.Blocks, func(b runfolder.Block) bool { return b.DatabaseCPU != nil })
}

// values are the metric's in every block that it is of.
func (s side) values(m Metric) []float64 {
	blocks := s.blocks
	if m.Counted {
		blocks = s.counted
	}
	values := make([]float64, len(blocks))
	for b, block := range blocks {
		values[b] = m.value(block)
	}
	return values
}

// value is the metric of the whole run, nil if it does not have it.
func (s side) value(m Metric) *float64 {
	if s.missing(m) != "" {
		return nil
	}
	v := 0.0
	switch {
	case m.Typical:
		v = stat.Median(s.values(m))
	case m.Counted:
		v = m.value(countedWhole(s.counted))
	case m.Bound:
		v = slices.Max(s.values(m))
	default:
		v = m.value(s.whole)
	}
	if !stat.Finite(v) {
		return nil
	}
	return &v
}

// scaled are the values of every block on the scale on which a change is a
// difference: logarithms, but for shares.
func (s side) scaled(m Metric) []float64 {
	values := s.values(m)
	for b, v := range values {
		values[b] = m.scaled(v)
	}
	return values
}

func (m Metric) scaled(v float64) float64 {
	if m.Share {
		return v
	}
	return math.Log(v)
}

// change is by how much two values differ on that scale.
func (m Metric) change(base, head float64) float64 {
	if m.Share {
		return head - base
	}
	return math.Log(head / base)
}

// pairedChanges returns, for each of the first n blocks, ln(head/base), or head
// less base of a share: from the paired slices of the block where slices tell,
// else from its totals. Slices in which nothing was asked of either side say
// nothing.
func pairedChanges(m Metric, base, head side, n int) []float64 {
	d := make([]float64, n)
	for b := range d {
		if m.slice == nil {
			d[b] = m.change(m.value(base.blocks[b]), m.value(head.blocks[b]))
			continue
		}
		var ratios []float64
		heads := head.BlockSlices(b)
		for round, s := range base.BlockSlices(b) {
			if s.Ops() > 0 || heads[round].Ops() > 0 {
				ratios = append(ratios, m.change(m.slice(s), m.slice(heads[round])))
			}
		}
		d[b] = stat.SignedRank(ratios).Estimate()
	}
	return d
}
