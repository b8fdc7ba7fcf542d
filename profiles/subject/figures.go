package subject

import (
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Missing says what could not be read when the process was ready.
func (p *process) Missing() map[runfolder.Source]string { return p.missing }

// tryFigures reads every figure once.
func (p *process) tryFigures() map[runfolder.Source]string {
	var ignored runfolder.ProcessCounters
	missing := map[runfolder.Source]string{}
	note := func(source runfolder.Source, err error) {
		if err != nil {
			missing[source] = err.Error()
		}
	}
	_, err := p.CPU()
	note(runfolder.SourceCPUClock, err)
	_, err = p.RSSPeak()
	note(runfolder.SourceRSS, err)
	note(runfolder.SourceSwitches, addSwitches(p.server, &ignored))
	note(runfolder.SourceIO, addIO(p.server, &ignored))
	return missing
}

// CPU reads the CPU clock of the process that listens.
func (p *process) CPU() (time.Duration, error) { return cpuClock(p.server) }

// RSSPeak reads the peak memory of the process that listens.
func (p *process) RSSPeak() (int64, error) { return rssPeak(p.server) }

// Counters reads what the system counts of the process that listens.
func (p *process) Counters() (runfolder.ProcessCounters, error) {
	var c runfolder.ProcessCounters
	for source, add := range map[runfolder.Source]func(int, *runfolder.ProcessCounters) error{
		runfolder.SourceSwitches: addSwitches,
		runfolder.SourceIO:       addIO,
	} {
		if _, missing := p.missing[source]; missing {
			continue
		}
		if err := add(p.server, &c); err != nil {
			return c, err
		}
	}
	return c, nil
}
