package profiles

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/loadgen"
)

// Latency holds the latency histograms of a run in nanoseconds: one for each
// block and, within it, for each kind of request of the load.
type Latency [][]*hdrhistogram.Histogram

// Block merges the histograms of one block.
func (l Latency) Block(block int) *hdrhistogram.Histogram {
	return mergeHistograms(l[block])
}

// Kind merges the histograms of one kind of request over all blocks.
func (l Latency) Kind(kind int) *hdrhistogram.Histogram {
	all := loadgen.NewHistogram()
	for _, block := range l {
		all.Merge(block[kind])
	}
	return all
}

// All merges every histogram of the run.
func (l Latency) All() *hdrhistogram.Histogram {
	all := loadgen.NewHistogram()
	for _, block := range l {
		all.Merge(mergeHistograms(block))
	}
	return all
}

func mergeHistograms(hs []*hdrhistogram.Histogram) *hdrhistogram.Histogram {
	all := loadgen.NewHistogram()
	for _, h := range hs {
		all.Merge(h)
	}
	return all
}

// writeLatency writes an HdrHistogram interval log: a line for each block and
// kind, tagged with the kind, its interval the time from the block's first
// slice to its last. Any HdrHistogram tool reads it.
func writeLatency(w io.Writer, m Manifest, l Latency, ends []time.Duration) error {
	log := hdrhistogram.NewHistogramLogWriter(w)
	log.SetBaseTime(m.Start.UnixMilli())
	err := errors.Join(
		log.OutputComment("[eventobench latency in ns; an interval a block and kind of request]"),
		log.OutputLogFormatVersion(),
		log.OutputStartTime(m.Start.UnixMilli()),
		log.OutputBaseTime(m.Start.UnixMilli()),
		log.OutputLegend(),
	)
	for b, kinds := range l {
		for k, h := range kinds {
			h.SetTag(m.Load.Kinds[k])
			h.SetStartTimeMs(m.Start.Add(m.Blocks[b].Start).UnixMilli())
			h.SetEndTimeMs(m.Start.Add(ends[b]).UnixMilli())
			err = errors.Join(err, log.OutputIntervalHistogram(h))
		}
	}
	return err
}

// readLatency reads what writeLatency wrote for the same blocks and kinds.
func readLatency(r io.Reader, blocks int, kinds []string) (Latency, error) {
	in := hdrhistogram.NewHistogramLogReader(r)
	l := make(Latency, blocks)
	for b := range l {
		for _, kind := range kinds {
			h, err := in.NextIntervalHistogram()
			if err != nil {
				return nil, fmt.Errorf("damaged: block %d, %s: %w", b, kind, err)
			}
			if h == nil || h.Tag() != kind {
				return nil, fmt.Errorf("damaged: block %d has no histogram of kind %q", b, kind)
			}
			l[b] = append(l[b], h)
		}
	}
	if h, err := in.NextIntervalHistogram(); h != nil || err != nil {
		return nil, fmt.Errorf("damaged: more histograms than %d blocks of %d kinds", blocks, len(kinds))
	}
	return l, nil
}
