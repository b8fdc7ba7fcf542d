package host

import (
	"time"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// reading holds all sources at one moment. Times and counts are since the
// machine started, or since some other moment in the past.
type reading struct {
	missing map[runfolder.Source]string // why a source could not be read

	cpus              int
	busy, idle, steal time.Duration
	pressure          time.Duration
	throttled         time.Duration
	throttledPeriods  int64
	thermalEvents     int64
	frequencyMHz      float64
	clocksource       string
	runnable          int64
}

// source is one thing that is known of the machine: how it is read, and what
// two readings of it, before and after a window, say about the window.
type source struct {
	name runfolder.Source
	read func(root string, r *reading) error
	fill func(m *runfolder.Machine, before, after *reading)
}

// sources are all, but for the run queue: its readings are taken in between.
var sources = []source{
	{runfolder.SourceMachineCPU, readCPU, func(m *runfolder.Machine, before, after *reading) {
		m.CPUs = after.cpus
		m.Busy = new(after.busy - before.busy)
		m.Idle = new(after.idle - before.idle)
		m.Steal = new(after.steal - before.steal)
	}},
	{runfolder.SourcePressure, readPressure, func(m *runfolder.Machine, before, after *reading) {
		m.Pressure = new(after.pressure - before.pressure)
	}},
	{runfolder.SourceThrottling, readThrottling, func(m *runfolder.Machine, before, after *reading) {
		m.Throttled = new(after.throttled - before.throttled)
		m.ThrottledPeriods = new(after.throttledPeriods - before.throttledPeriods)
	}},
	{runfolder.SourceThermal, readThermal, func(m *runfolder.Machine, before, after *reading) {
		m.ThermalEvents = new(after.thermalEvents - before.thermalEvents)
	}},
	{runfolder.SourceFrequency, readFrequency, func(m *runfolder.Machine, _, after *reading) {
		m.FrequencyMHz = &after.frequencyMHz
	}},
	{runfolder.SourceClocksource, readClocksource, func(m *runfolder.Machine, _, after *reading) {
		m.Clocksource = &after.clocksource
	}},
	{runfolder.SourceRunQueue, readRunQueue, func(*runfolder.Machine, *reading, *reading) {}},
}

func read(root string) *reading {
	r := &reading{missing: map[runfolder.Source]string{}}
	for _, s := range sources {
		if err := s.read(root, r); err != nil {
			r.missing[s.name] = err.Error()
		}
	}
	return r
}

// Missing tells which sources of the machine below root cannot be read, and
// why.
func Missing(root string) map[runfolder.Source]string { return read(root).missing }

// Window follows the machine over the rounds of a block.
type Window struct {
	root     string
	start    time.Time
	ownCPU   time.Duration
	before   *reading
	looks    int64 // at the run queue
	runnable int64 // the sum of what they saw
	err      error // of looking
}

// OpenWindow begins to follow the machine below root.
func OpenWindow(root string) *Window {
	w := &Window{root: root, before: read(root)}
	w.start, w.ownCPU = time.Now(), loadgen.OwnCPU()
	return w
}

// Look reads the run queue. Nothing of ours may be loading the machine at that
// moment.
func (w *Window) Look() {
	var r reading
	if err := readRunQueue(w.root, &r); err != nil {
		w.err = err
		return
	}
	w.looks++
	w.runnable += r.runnable
}

// Close ends the window and tells what the machine did in it. subjects is the
// CPU time that the subjects used, nil if it is not known.
func (w *Window) Close(subjects *time.Duration) *runfolder.Machine {
	m := &runfolder.Machine{Window: time.Since(w.start)}
	if subjects != nil {
		m.Ours = new(*subjects + loadgen.OwnCPU() - w.ownCPU)
	}
	after := read(w.root)
	for _, s := range sources {
		if w.before.missing[s.name] == "" && after.missing[s.name] == "" {
			s.fill(m, w.before, after)
		}
	}
	if w.err == nil && w.looks > 0 {
		m.Runnable = new(float64(w.runnable) / float64(w.looks))
	}
	return m
}
