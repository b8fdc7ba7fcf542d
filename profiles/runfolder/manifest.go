package runfolder

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Format and Schema name the run-folder format and its version, which stand in
// every manifest.
const (
	Format = "eventobench run folder"
	Schema = 1
)

// State says how the recording of a run folder ended.
type State string

// The states of a run folder. A folder in state recording belongs to an
// experiment that is still running, or whose recorder was killed.
const (
	StateRecording   State = "recording"
	StateComplete    State = "complete"
	StateInterrupted State = "interrupted"
	StateFailed      State = "failed"
)

// Source names where a figure comes from. A source that a subject lacks makes
// the figures that need it unavailable, never zero.
type Source string

// The sources of figures that not every subject has. Each kind of profile is
// one more; see ProfileKind.Source.
const (
	SourceCPUClock     Source = "cpu_clock"        // the process's CPU clock
	SourceMemStats     Source = "memstats"         // runtime.MemStats, see CaptureInfo.Counters
	SourceRSS          Source = "rss"              // the peak resident set size, in /proc
	SourceSwitches     Source = "context_switches" // of all threads, in /proc
	SourceIO           Source = "io"               // bytes read and written by the process, in /proc
	SourceGoroutines   Source = "goroutines"       // their number, at /debug/pprof/goroutine
	SourceLayouts      Source = "layouts"          // the program, linked with its functions in other orders
	SourceInstructions Source = "instructions"     // hardware counters, or valgrind

	// The CPU clocks of the database server's processes. It is available or
	// unavailable only in experiments that have a database server.
	SourceDatabaseCPU Source = "database_cpu"
)

// The sources of what the machine did meanwhile, in /proc and /sys.
const (
	SourceMachineCPU  Source = "machine_cpu"        // times of all CPUs
	SourcePressure    Source = "cpu_pressure"       // pressure stall information
	SourceRunQueue    Source = "run_queue"          // tasks that run or want to
	SourceThrottling  Source = "cgroup_throttling"  // by CPU quotas
	SourceThermal     Source = "thermal_throttling" // by heat
	SourceFrequency   Source = "cpu_frequency"
	SourceClocksource Source = "clocksource"
)

// Sources are all there are.
func Sources() []Source {
	all := []Source{
		SourceCPUClock, SourceMemStats, SourceRSS, SourceSwitches, SourceIO, SourceGoroutines,
		SourceLayouts, SourceInstructions, SourceDatabaseCPU,
		SourceDuration, SourceMeanLatency, SourceLatencies,
		SourceMachineCPU, SourcePressure, SourceRunQueue, SourceThrottling, SourceThermal, SourceFrequency, SourceClocksource,
	}
	for _, k := range Kinds {
		all = append(all, k.Source())
	}
	return all
}

// Manifest describes one run: one subject's part of an experiment. It is
// stored as manifest.json.
type Manifest struct {
	Format       string            `json:"format"`
	Schema       int               `json:"schema"`
	Experiment   string            `json:"experiment"` // shared by all subjects recorded together
	Folders      []string          `json:"folders"`    // base names of all run folders of the experiment, this one included
	Tool         string            `json:"tool_version"`
	Label        string            `json:"label,omitempty"`
	Subject      SubjectInfo       `json:"subject"`
	Load         loadgen.Load      `json:"load"`
	Plan         Plan              `json:"plan"`
	Capture      CaptureInfo       `json:"capture"`
	Host         Host              `json:"host"`                    // of the subject
	SubjectAgent *SubjectAgent     `json:"subject_agent,omitempty"` // nil if the recorder started the subject
	Start        time.Time         `json:"start"`
	End          time.Time         `json:"end"`
	State        State             `json:"state"`
	Reason       string            `json:"reason,omitempty"` // why the run ended before its last block
	Errors       map[string]int64  `json:"errors,omitempty"` // failed requests by kind, warm-up included
	Unavailable  map[Source]string `json:"unavailable,omitempty"`
	Looks        []Look            `json:"looks,omitempty"`        // what was decided when
	Instructions *Instructions     `json:"instructions,omitempty"` // nil if no valgrind counted them
	Repeated     []Repeated        `json:"repeated,omitempty"`     // what was thrown away
	Probe        *Probe            `json:"probe,omitempty"`        // nil if none was asked for
	Blocks       []Block           `json:"blocks"`

	// LayoutBlocks came after the others. In each of them the subjects are linked
	// with their functions in another order. Profiles and totals leave them out.
	LayoutBlocks []Block `json:"layout_blocks,omitempty"`
}

// SubjectAgent is the agent that started the subject.
type SubjectAgent struct {
	Name      string `json:"name"`
	Version   string `json:"version"`   // of its program
	Elsewhere bool   `json:"elsewhere"` // on another machine than the recorder
}

// Repeated is a block that was thrown away before it was complete, and recorded
// again: an agent was lost.
type Repeated struct {
	Block  int    `json:"block"` // from 0
	Reason string `json:"reason"`
}

// Look is what the blocks of an experiment so far said about its gated metrics.
type Look struct {
	Blocks    int        `json:"blocks"`           // that were complete
	Done      bool       `json:"done"`             // every gated metric was decided
	Reason    string     `json:"reason,omitempty"` // why more blocks would not decide the others: the last look
	Decisions []Decision `json:"decisions"`
}

// Decision is the verdict on one metric of one subject against the first.
type Decision struct {
	Head    string  `json:"head"`
	Metric  string  `json:"metric"`
	Verdict string  `json:"verdict"` // improved, regressed, equivalent or inconclusive
	Percent float64 `json:"percent"`
	Low     float64 `json:"low_percent"`
	High    float64 `json:"high_percent"`
	Level   float64 `json:"level"`
}

// KindURL is the kind of a subject that was running before the experiment: all its
// blocks are of one process.
const KindURL = "url"

// SubjectInfo tells what was measured, well enough to start it again.
type SubjectInfo struct {
	Name    string            `json:"name"`
	Kind    string            `json:"kind"`    // built-in, exec, url, go, git, or KindForeign
	Command []string          `json:"command"` // null if it was running already
	Options map[string]string `json:"options,omitempty"`
	Binary  Binary            `json:"binary"`
	Build   *BuildInfo        `json:"build,omitempty"` // nil if it was not built for this

	// NullControl marks the base of an experiment that takes part a second time.
	NullControl bool `json:"null_control,omitempty"`
}

// How tells in one line how the subject was started, or where it was running.
func (s SubjectInfo) How() string {
	if len(s.Command) == 0 {
		return s.Options["url"]
	}
	return strings.Join(s.Command, " ")
}

// BuildInfo tells how a subject was built from source.
type BuildInfo struct {
	Ref       string   `json:"ref,omitempty"`    // as it was asked for; empty if the working tree was built
	Commit    string   `json:"commit,omitempty"` // empty outside of a Git repository
	Dir       string   `json:"dir,omitempty"`    // of the module in the repository; empty if it is the top
	Dirty     bool     `json:"dirty,omitempty"`  // the working tree had uncommitted changes
	Command   []string `json:"command"`          // {out} stands for the program
	GoVersion string   `json:"go_version"`       // of the toolchain
	Flags     []string `json:"flags,omitempty"`  // variables of the environment that make a difference, such as GOFLAGS
}

// Binary identifies the executable of a subject by content and by the build
// information that the Go linker left in it. If the command is a script, SHA256
// is the script's and the rest is that of the server it starts, as far as that
// can be told.
type Binary struct {
	SHA256    string `json:"sha256"`
	GoVersion string `json:"go_version,omitempty"`
	Package   string `json:"package,omitempty"` // import path of the main package
	Module    string `json:"module,omitempty"`
	Version   string `json:"version,omitempty"`
	Commit    string `json:"commit,omitempty"`
	Dirty     bool   `json:"dirty,omitempty"` // built from a checkout with uncommitted changes
}

// CaptureInfo tells what was asked of the subject beside the load, and how its
// profilers were set.
type CaptureInfo struct {
	Profiles []string         `json:"profiles"`           // names of the kinds that were recorded
	Periods  map[string]int64 `json:"periods,omitempty"`  // by kind: ns of CPU time, bytes allocated, per sample
	Counters string           `json:"counters,omitempty"` // the page that runtime.MemStats were read from
}

// Equal reports whether two runs were asked for the same in the same way, so
// that profiling costs them the same.
func (c CaptureInfo) Equal(d CaptureInfo) bool {
	return slices.Equal(c.served(), d.served()) && maps.Equal(c.Periods, d.Periods) && c.Counters == d.Counters
}

// served are the kinds of profiles that the subject served.
func (c CaptureInfo) served() []string {
	return slices.DeleteFunc(slices.Clone(c.Profiles), func(name string) bool {
		k, known := KindNamed(name)
		return known && !k.Served()
	})
}
