package host

import (
	"context"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Survey is what a machine lets us measure, and what it does right now. What
// could not be read has its reason in place of a figure.
type Survey struct {
	Host    runfolder.Host              `json:"host"`
	Missing map[runfolder.Source]string `json:"missing"` // of what is followed during a run

	ProcessClock string `json:"process_clock,omitempty"` // why the CPU clocks of processes cannot be read
	ProcessFiles string `json:"process_files,omitempty"` // likewise the files of processes in /proc
	PerfEvents   string `json:"perf_events,omitempty"`   // likewise hardware counters

	Quota       *float64 `json:"quota_cpus"`              // the least of our control groups, in CPUs; nil without
	QuotaError  string   `json:"quota_error,omitempty"`   // why it cannot be read
	Virtual     bool     `json:"virtual"`                 // a hypervisor is below
	Hypervisor  string   `json:"hypervisor,omitempty"`    // what it calls itself, if it tells
	Clocksource string   `json:"clocksource,omitempty"`   // in use
	Frequency   float64  `json:"frequency_mhz,omitempty"` // mean over CPUs; 0 if unknown

	Now *runfolder.Machine `json:"now"` // what the machine did in a short window without load of ours
}

// Look surveys the machine below root, and watches it for a while.
func Look(ctx context.Context, root string, watch time.Duration) (Survey, error) {
	at := read(root)
	s := Survey{Host: Read(), Missing: at.missing, Clocksource: at.clocksource, Frequency: at.frequencyMHz}
	if root != Root {
		describe(root, &s.Host)
	}
	s.probe(root)
	w := OpenWindow(root)
	timer := time.NewTimer(watch)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return s, ctx.Err()
	case <-timer.C:
	}
	w.Look()
	none := time.Duration(0)
	s.Now = w.Close(&none)
	return s, nil
}

// reason is an error's text, empty for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
