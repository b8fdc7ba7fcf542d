package runfolder

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/loadgen"
)

// Latency holds the latency histograms of a run in nanoseconds: one for each
// block and, within it, for each kind of request of the load.
type Latency [][]*hdrhistogram.Histogram

// Block merges the histograms of one block.
func (l Latency) Block(block int) *hdrhistogram.Histogram {
	return loadgen.Merged(l[block])
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
		all.Merge(loadgen.Merged(block))
	}
	return all
}

// latencyTags tags the histograms of a block: with the kind of request, and for
// those of an open loop that count from sending with the kind and "/sent". What
// the log format has no room for, such as a space in a kind, is escaped as in
// the path of a URL.
func latencyTags(l loadgen.Load) []string {
	var tags, sent []string
	for _, kind := range l.Kinds {
		tag := url.PathEscape(kind)
		tags = append(tags, tag)
		sent = append(sent, tag+"/sent")
	}
	if l.Open() {
		tags = append(tags, sent...)
	}
	return tags
}

// writeLatency writes an HdrHistogram interval log: a line for each block and
// tag, its interval the time from the block's first slice to its last. Any
// HdrHistogram tool reads it. sent is empty for a closed loop.
func writeLatency(w io.Writer, m Manifest, due, sent Latency, ends []time.Duration) error {
	log := hdrhistogram.NewHistogramLogWriter(w)
	log.SetBaseTime(m.Start.UnixMilli())
	err := errors.Join(
		log.OutputComment("[eventobench latency in ns; one interval per block and kind of request]"),
		log.OutputLogFormatVersion(),
		log.OutputStartTime(m.Start.UnixMilli()),
		log.OutputBaseTime(m.Start.UnixMilli()),
		log.OutputLegend(),
	)
	tags, blocks := latencyTags(m.Load), m.allBlocks()
	for b, all := range due {
		if m.Load.Open() {
			all = slices.Concat(all, sent[b])
		}
		for i, h := range all {
			h.SetTag(tags[i])
			h.SetStartTimeMs(m.Start.Add(blocks[b].Start).UnixMilli())
			h.SetEndTimeMs(m.Start.Add(ends[b]).UnixMilli())
			err = errors.Join(err, log.OutputIntervalHistogram(h))
		}
	}
	return err
}

// readLatency reads what writeLatency wrote for as many blocks of the same
// load.
func readLatency(r io.Reader, blocks int, load loadgen.Load) (due, sent Latency, err error) {
	in := hdrhistogram.NewHistogramLogReader(r)
	tags := latencyTags(load)
	for b := range blocks {
		all, err := readTagged(in, tags)
		if err != nil {
			return nil, nil, fmt.Errorf("damaged: block %d: %w", b, err)
		}
		due = append(due, all[:len(load.Kinds)])
		if load.Open() {
			sent = append(sent, all[len(load.Kinds):])
		}
	}
	if h, err := in.NextIntervalHistogram(); h != nil || err != nil {
		return nil, nil, fmt.Errorf("damaged: more histograms than %d blocks of %d", blocks, len(tags))
	}
	return due, sent, nil
}

// readTagged reads one histogram for each tag.
func readTagged(in *hdrhistogram.HistogramLogReader, tags []string) ([]*hdrhistogram.Histogram, error) {
	var all []*hdrhistogram.Histogram
	for _, tag := range tags {
		h, err := in.NextIntervalHistogram()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tag, err)
		}
		if h == nil || h.Tag() != tag {
			return nil, fmt.Errorf("no histogram of %s", tag)
		}
		all = append(all, h)
	}
	return all, nil
}
