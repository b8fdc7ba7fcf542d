package runfolder

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Schema is the version of the run-folder format this package writes. Folders
// of the same or an older version can be read.
const Schema = 2

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

// Source names where a figure comes from. A source a subject lacks makes the
// figures that need it unavailable, never zero.
type Source string

// The sources of figures that not every subject has.
const (
	SourceCPUClock Source = "cpu_clock" // the process's CPU clock
	SourceMemStats Source = "memstats"  // runtime.MemStats at /debug/pprof/heap?debug=1
	SourceRSS      Source = "rss"       // the peak resident set size in /proc
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

// Manifest describes one run: one subject's part of an experiment. It is
// stored as manifest.json.
type Manifest struct {
	Schema      int               `json:"schema"`
	Experiment  string            `json:"experiment"` // shared by all subjects recorded together
	Folders     []string          `json:"folders"`    // base names of all run folders of the experiment, this one included
	Tool        string            `json:"tool_version"`
	Label       string            `json:"label,omitempty"`
	Subject     SubjectInfo       `json:"subject"`
	Load        loadgen.Load      `json:"load"`
	Plan        Plan              `json:"plan"`
	Capture     CaptureInfo       `json:"capture"`
	Host        Host              `json:"host"`
	Start       time.Time         `json:"start"`
	End         time.Time         `json:"end"`
	State       State             `json:"state"`
	Reason      string            `json:"reason,omitempty"` // why the run ended before its last block
	Errors      map[string]int64  `json:"errors,omitempty"` // failed requests by kind, warm-up included
	Unavailable map[Source]string `json:"unavailable,omitempty"`
	Looks       []Look            `json:"looks,omitempty"` // what was decided when
	Blocks      []Block           `json:"blocks"`
}

// Look is what the blocks of an experiment so far said about its gated metrics.
type Look struct {
	Blocks    int        `json:"blocks"` // that were complete
	Done      bool       `json:"done"`   // every gated metric was decided
	Decisions []Decision `json:"decisions"`
}

// Decision is the verdict on one metric of one subject against the first.
type Decision struct {
	Head    string  `json:"head"`
	Metric  string  `json:"metric"`
	Verdict string  `json:"verdict"`
	Percent float64 `json:"percent"`
	Low     float64 `json:"low_percent"`
	High    float64 `json:"high_percent"`
	Level   float64 `json:"level"`
}

// SubjectInfo tells what was measured, well enough to start it again.
type SubjectInfo struct {
	Name    string            `json:"name"`
	Kind    string            `json:"kind"` // "built-in"
	Command []string          `json:"command"`
	Options map[string]string `json:"options,omitempty"`
	Binary  Binary            `json:"binary"`
}

// Binary identifies the executable of a subject by content and by the build
// information the Go linker left in it.
type Binary struct {
	SHA256    string `json:"sha256"`
	GoVersion string `json:"go_version,omitempty"`
	Module    string `json:"module,omitempty"`
	Version   string `json:"version,omitempty"`
	Commit    string `json:"commit,omitempty"`
	Dirty     bool   `json:"dirty,omitempty"` // built from a checkout with uncommitted changes
}

// Plan says how an experiment is divided: Blocks fresh starts of every
// subject, Warmup unmeasured requests each, then Rounds slices of Slice each.
// If it is Sequential, Blocks is the most, and the experiment may end at an
// earlier look.
type Plan struct {
	Blocks     int           `json:"blocks"`
	Sequential bool          `json:"sequential,omitempty"`
	Rounds     int           `json:"rounds"`
	Slice      time.Duration `json:"slice_ns"`
	Warmup     int           `json:"warmup_requests"`
	Seed       uint64        `json:"seed"`
}

// DefaultPlan is up to twenty blocks of forty 50 ms slices a subject.
func DefaultPlan() Plan {
	return Plan{Blocks: 20, Sequential: true, Rounds: 40, Slice: 50 * time.Millisecond, Warmup: 2000}
}

// QuickPlan is a smoke run of a few seconds: too short for a verdict.
func QuickPlan() Plan {
	return Plan{Blocks: 3, Rounds: 10, Slice: 50 * time.Millisecond, Warmup: 500}
}

// Looks are the numbers of complete blocks after which the experiment is
// judged: 60%, 80% and all of them if it is sequential and large enough for the
// first to decide anything, else only all. The shares are fixed, because the
// level of each look depends on them.
func (p Plan) Looks() []int {
	const fewest = 12 // below, exact tests of four metrics reach no verdict
	first := (p.Blocks*3 + 2) / 5
	if !p.Sequential || first < fewest {
		return []int{p.Blocks}
	}
	return []int{first, (p.Blocks*4 + 2) / 5, p.Blocks}
}

// Validate reports the first value that no experiment can be run with.
func (p Plan) Validate() error {
	switch {
	case p.Blocks < 1:
		return fmt.Errorf("the plan needs at least 1 block, not %d", p.Blocks)
	case p.Rounds < 1:
		return fmt.Errorf("the plan needs at least 1 round a block, not %d", p.Rounds)
	case p.Slice < time.Millisecond:
		return fmt.Errorf("the plan needs slices of at least 1ms, not %v", p.Slice)
	case p.Warmup < 0:
		return fmt.Errorf("the plan cannot warm up with %d requests", p.Warmup)
	}
	return nil
}

// CaptureInfo holds the settings of the profilers while the run was recorded.
type CaptureInfo struct {
	CPUHz          int      `json:"cpu_hz"`           // samples a second of CPU time
	MemProfileRate int      `json:"mem_profile_rate"` // bytes allocated per sample; 0 without a profile of allocations
	Profiles       []string `json:"profiles"`         // names of the kinds of profiles that the folder holds
}

// Equal reports whether two runs were profiled in the same way.
func (c CaptureInfo) Equal(d CaptureInfo) bool {
	return c.CPUHz == d.CPUHz && c.MemProfileRate == d.MemProfileRate && slices.Equal(c.Profiles, d.Profiles)
}

// Block holds what one fresh process of the subject showed in one block.
// Times are offsets from the start of the experiment.
type Block struct {
	Block      int           `json:"block"`       // from 0
	StartOrder int           `json:"start_order"` // place of this subject in the order of process starts
	Start      time.Duration `json:"start_ns"`    // when the first slice of the block began
	WarmupOps  int64         `json:"warmup_ops"`
	Before     Counters      `json:"before"`
	After      Counters      `json:"after"`
	ReadCost   Counters      `json:"read_cost"` // what reading the counters itself adds to them
	RSSPeak    int64         `json:"rss_peak_bytes"`
	Goroutines int64         `json:"goroutines"`        // at the end of the block
	Machine    *Machine      `json:"machine,omitempty"` // nil in folders of format 1
}

// Window is what the subject itself did between the counter readings before
// and after the rounds: the difference, less the cost of the first reading.
func (b Block) Window() Counters {
	return b.After.Sub(b.Before).Sub(b.ReadCost)
}

// Counters are exact figures of a Go process, of the fields of
// runtime.MemStats with the same names.
type Counters struct {
	TotalAlloc int64 `json:"total_alloc"` // bytes
	Mallocs    int64 `json:"mallocs"`
	NumGC      int64 `json:"num_gc"`
	GCPause    int64 `json:"gc_pause_ns"` // pauses of all NumGC collections
	HeapSys    int64 `json:"heap_sys"`    // bytes; the largest size the heap has had
}

// Add returns the sum of two windows. Of HeapSys, a level, it is the larger.
func (c Counters) Add(d Counters) Counters {
	return Counters{
		TotalAlloc: c.TotalAlloc + d.TotalAlloc,
		Mallocs:    c.Mallocs + d.Mallocs,
		NumGC:      c.NumGC + d.NumGC,
		GCPause:    c.GCPause + d.GCPause,
		HeapSys:    max(c.HeapSys, d.HeapSys),
	}
}

// Sub returns the growth from d to c. HeapSys, a level rather than a count, is
// taken from c.
func (c Counters) Sub(d Counters) Counters {
	return Counters{
		TotalAlloc: c.TotalAlloc - d.TotalAlloc,
		Mallocs:    c.Mallocs - d.Mallocs,
		NumGC:      c.NumGC - d.NumGC,
		GCPause:    c.GCPause - d.GCPause,
		HeapSys:    c.HeapSys,
	}
}

// decodeManifest is strict: a newer schema, an unknown field or a state that
// does not exist is an error.
func decodeManifest(data []byte) (Manifest, error) {
	var version struct{ Schema int }
	if err := json.Unmarshal(data, &version); err != nil {
		return Manifest{}, fmt.Errorf("not a manifest: %w", err)
	}
	switch {
	case version.Schema > Schema:
		return Manifest{}, fmt.Errorf("written in format %d by a newer eventobench; this one reads up to %d: upgrade it", version.Schema, Schema)
	case version.Schema < 1:
		return Manifest{}, fmt.Errorf("not a manifest: it has no schema version")
	}
	var m Manifest
	if err := unmarshalStrict(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("damaged: %w", err)
	}
	return m, m.check()
}

func (m Manifest) check() error {
	switch m.State {
	case StateRecording, StateComplete, StateInterrupted, StateFailed:
	default:
		return fmt.Errorf("damaged: unknown state %q", m.State)
	}
	if m.Subject.Name == "" || m.Experiment == "" {
		return fmt.Errorf("damaged: no subject or experiment")
	}
	for i, b := range m.Blocks {
		if b.Block != i {
			return fmt.Errorf("damaged: block %d stands at place %d", b.Block, i)
		}
		if (b.Machine == nil) != (m.Schema == 1) {
			return fmt.Errorf("damaged: block %d of format %d and what the machine did meanwhile do not go together", i, m.Schema)
		}
	}
	if m.Schema == 1 && m.Load.Open() {
		return fmt.Errorf("damaged: a load with a rate in format 1, which has none")
	}
	if err := m.Load.Validate(); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	return nil
}
