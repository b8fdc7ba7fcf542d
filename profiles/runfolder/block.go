package runfolder

import (
	"time"

	"github.com/eventobench/eventobench/loadgen"
)

// Block holds what one fresh process of the subject showed in one block.
// Times are offsets from the start of the experiment.
type Block struct {
	Block      int           `json:"block"`                    // from 0
	Layout     int64         `json:"layout,omitempty"`         // seed of the order of functions, the same for all subjects; 0 as built
	Program    string        `json:"program_sha256,omitempty"` // that was linked so; empty as built
	StartOrder int           `json:"start_order"`              // place of this subject in the order of process starts
	Start      time.Duration `json:"start_ns"`                 // when the first slice of the block began
	WarmupOps  int64         `json:"warmup_ops"`

	Before   Counters `json:"before"`
	After    Counters `json:"after"`
	ReadCost Counters `json:"read_cost"` // what reading the counters itself adds to them

	ProcessBefore ProcessCounters `json:"process_before"`
	ProcessAfter  ProcessCounters `json:"process_after"`

	GoroutinesBefore int64 `json:"goroutines_before"` // at the start of the window
	Goroutines       int64 `json:"goroutines"`        // at its end
	RSSPeak          int64 `json:"rss_peak_bytes"`

	DatabaseCPU *time.Duration `json:"database_cpu_ns,omitempty"` // in the slices; nil where the run has no SourceDatabaseCPU

	// MaxUnsynced is the most writes that the subject had acknowledged and not yet
	// on disk at any moment since its process began; negative if it never brings
	// them there, nil if it does not publish VarUnsynced.
	MaxUnsynced *int64 `json:"acknowledged_unsynced_max,omitempty"`

	Answers []Answers `json:"answers,omitempty"` // by kind of request, in the order of Load.Kinds

	// Agents made the load, each a part of it; nil if the recorder did.
	Agents []loadgen.Agent `json:"agents,omitempty"`

	Machine *Machine `json:"machine"`
}

// agentOps is the number of requests that agents got an answer to, if agents made the
// load.
func (b Block) agentOps() (ops int64, shared bool) {
	for _, a := range b.Agents {
		ops += a.Ops
	}
	return ops, len(b.Agents) > 0
}

// VarUnsynced is the variable of expvar by which a server tells MaxUnsynced.
const VarUnsynced = "acknowledged_unsynced_max"

// Answers sums up what came back for one kind of request in one block.
type Answers struct {
	Failed   int64         `json:"failed,omitempty"` // requests that count in no rate and no latency
	Bytes    int64         `json:"bytes"`            // of the bodies of those that count
	Statuses map[int]int64 `json:"statuses"`         // complete answers by status, failed ones included
}

// Window is what the subject itself did between the counter readings before
// and after the rounds: the difference, less the cost of the first reading. The
// correction never takes away more than there is.
func (b Block) Window() Counters {
	w := b.After.Sub(b.Before).Sub(b.ReadCost)
	w.TotalAlloc, w.Mallocs = max(w.TotalAlloc, 0), max(w.Mallocs, 0)
	return w
}

// Process is what the system counted of the subject's process between the
// readings before and after the rounds.
func (b Block) Process() ProcessCounters {
	return b.ProcessAfter.Sub(b.ProcessBefore)
}

// Counters are exact figures of a Go process, of the fields of
// runtime.MemStats with the same names.
type Counters struct {
	TotalAlloc int64 `json:"total_alloc"` // bytes
	Mallocs    int64 `json:"mallocs"`
	NumGC      int64 `json:"num_gc"`
	GCPause    int64 `json:"gc_pause_ns"` // since some moment before the window
	HeapSys    int64 `json:"heap_sys"`    // bytes; the largest size the heap has had
}

// Add returns the sum of two windows' counters, and the larger HeapSys.
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

// ProcessCounters are what the system counts of a process since its start,
// whatever it is written in: context switches of its living threads, bytes that it
// read and wrote by any means, sockets and pipes included, and instructions.
type ProcessCounters struct {
	VoluntarySwitches   int64 `json:"voluntary_switches"`   // a thread had nothing to do
	InvoluntarySwitches int64 `json:"involuntary_switches"` // a thread had to make room
	ReadBytes           int64 `json:"read_bytes"`
	WrittenBytes        int64 `json:"written_bytes"`
	Instructions        int64 `json:"instructions,omitempty"` // in user space, by hardware counters
}

// Add returns the sum of two windows' counters.
func (c ProcessCounters) Add(d ProcessCounters) ProcessCounters {
	return ProcessCounters{
		VoluntarySwitches:   c.VoluntarySwitches + d.VoluntarySwitches,
		InvoluntarySwitches: c.InvoluntarySwitches + d.InvoluntarySwitches,
		ReadBytes:           c.ReadBytes + d.ReadBytes,
		WrittenBytes:        c.WrittenBytes + d.WrittenBytes,
		Instructions:        c.Instructions + d.Instructions,
	}
}

// Sub returns the growth from d to c. It is never negative: threads that ended
// meanwhile took their switches with them.
func (c ProcessCounters) Sub(d ProcessCounters) ProcessCounters {
	return ProcessCounters{
		VoluntarySwitches:   max(c.VoluntarySwitches-d.VoluntarySwitches, 0),
		InvoluntarySwitches: max(c.InvoluntarySwitches-d.InvoluntarySwitches, 0),
		ReadBytes:           max(c.ReadBytes-d.ReadBytes, 0),
		WrittenBytes:        max(c.WrittenBytes-d.WrittenBytes, 0),
		Instructions:        max(c.Instructions-d.Instructions, 0),
	}
}
