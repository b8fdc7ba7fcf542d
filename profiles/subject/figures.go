package subject

import (
	"time"

	"github.com/eventobench/eventobench/profiles/perf"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// figures are what the system tells of the process that listens.
type figures struct {
	server  int // its id; 0 if it was not found
	missing map[runfolder.Source]string
	counter *perf.Counter // of instructions; nil if it cannot be had
}

// readFigures reads every figure of a process once, to see which can be had. Of
// a process that was not found, none can.
func readFigures(pid int, notFound error) figures {
	f := figures{server: pid, missing: map[runfolder.Source]string{}}
	note := func(source runfolder.Source, err error) {
		if err != nil {
			f.missing[source] = err.Error()
		}
	}
	if notFound != nil {
		for _, source := range processSources {
			note(source, notFound)
		}
		return f
	}
	var ignored runfolder.ProcessCounters
	_, err := f.CPU()
	note(runfolder.SourceCPUClock, err)
	_, err = f.RSSPeak()
	note(runfolder.SourceRSS, err)
	note(runfolder.SourceSwitches, addSwitches(pid, &ignored))
	note(runfolder.SourceIO, addIO(pid, &ignored))
	f.counter, err = perf.Open(pid)
	note(runfolder.SourceInstructions, err)
	return f
}

// processSources are the figures of a process.
var processSources = []runfolder.Source{
	runfolder.SourceCPUClock, runfolder.SourceRSS, runfolder.SourceSwitches, runfolder.SourceIO,
	runfolder.SourceInstructions,
}

// Process is the id of the process that listens.
func (f figures) Process() int { return f.server }

// Missing says what could not be read when the process was ready.
func (f figures) Missing() map[runfolder.Source]string { return f.missing }

// CPU reads the CPU clock of the process that listens.
func (f figures) CPU() (time.Duration, error) { return cpuClock(f.server) }

// RSSPeak reads the peak memory of the process that listens.
func (f figures) RSSPeak() (int64, error) { return rssPeak(f.server) }

// Counters reads what the system counts of the process that listens.
func (f figures) Counters() (runfolder.ProcessCounters, error) {
	var c runfolder.ProcessCounters
	for source, add := range map[runfolder.Source]func(int, *runfolder.ProcessCounters) error{
		runfolder.SourceSwitches: addSwitches,
		runfolder.SourceIO:       addIO,
	} {
		if _, missing := f.missing[source]; missing {
			continue
		}
		if err := add(f.server, &c); err != nil {
			return c, err
		}
	}
	return c, f.addInstructions(&c)
}

func (f figures) addInstructions(c *runfolder.ProcessCounters) (err error) {
	if f.counter != nil {
		c.Instructions, err = f.counter.Read()
	}
	return err
}

// close ends what reads figures.
func (f figures) close() {
	if f.counter != nil {
		f.counter.Close()
	}
}
