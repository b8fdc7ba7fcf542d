package runfolder

import "strings"

// Window says how a kind of profile relates to the measured window of a block.
type Window string

// The windows.
const (
	WindowTaken      Window = "taken"      // the server samples while the window lasts
	WindowDifference Window = "difference" // the server counts since its start: after the window less before it
	WindowLevel      Window = "level"      // what is there at a moment, such as memory in use
)

// ProfileKind is one kind of pprof profile: how it is asked for, where a run
// folder keeps it, and what its values mean. Everything that handles profiles
// ranges over Kinds, so a new kind is a new row.
type ProfileKind struct {
	Name  string // short, fit for a flag and a URL
	Title string // of its values, as a heading
	Noun  string // what an amount of the unit is of, where the unit does not say it
	Page  string // below /debug/pprof/, with its query
	File  string // in the run folder

	Value, Count string  // its two sample types; Count is empty if there is one only
	BySize       bool    // an allocation is sampled with a probability that grows with its size
	Unit         string  // of Value times Scale: per operation, or per process for a level
	CountUnit    string  // of Count, if the number means something by itself
	Scale        float64 // from the profile's unit to Unit

	Window   Window
	Explains string // the metric whose exact value the total estimates; empty if none is counted exactly
	Counts   string // the same for the total of Count
	Default  bool   // recorded unless asked otherwise
}

// Kinds are all kinds of profiles, in the order in which reports show them.
var Kinds = []ProfileKind{
	{
		Name: "cpu", Title: "CPU time", Noun: "CPU time", Page: "profile", File: FileCPU,
		Value: "cpu", Count: "samples", Unit: "us/op", Scale: 1e-3,
		Window: WindowTaken, Explains: "cpu_per_op", Default: true,
	},
	{
		Name: "allocs", Title: "Allocated", Page: "allocs", File: FileAllocs,
		Value: "alloc_space", Count: "alloc_objects", Unit: "B/op", CountUnit: "allocs/op", Scale: 1,
		BySize: true, Window: WindowDifference, Explains: "alloc_bytes_per_op", Counts: "allocs_per_op", Default: true,
	},
	{
		Name: "mutex", Title: "Waiting for locks", Noun: "waiting for locks", Page: "mutex", File: "mutex.prof",
		Value: "delay", Count: "contentions", Unit: "us/op", CountUnit: "waits/op", Scale: 1e-3,
		Window: WindowDifference,
	},
	{
		Name: "block", Title: "Blocked", Noun: "being blocked", Page: "block", File: "block.prof",
		Value: "delay", Count: "contentions", Unit: "us/op", CountUnit: "waits/op", Scale: 1e-3,
		Window: WindowDifference,
	},
	{
		Name: "heap", Title: "Heap", Page: "heap?gc=1", File: FileHeapAfter,
		Value: "inuse_space", Count: "inuse_objects", Unit: "B", CountUnit: "objects", Scale: 1,
		Window: WindowLevel, Default: true,
	},
	{
		Name: "goroutine", Title: "Goroutines", Page: "goroutine", File: FileGoroutine,
		Value: "goroutine", Unit: "goroutines", Scale: 1,
		Window: WindowLevel, Default: true,
	},
	{
		Name: "goroutineleak", Title: "Leaked goroutines", Page: "goroutineleak", File: "goroutineleak.prof",
		Value: "goroutineleak", Unit: "goroutines", Scale: 1,
		Window: WindowLevel,
	},
}

// Before and After name the files that hold a profile of counts since the
// server's start at the two ends of the window: "allocs-before.prof".
func (k ProfileKind) Before() string { return strings.TrimSuffix(k.File, ".prof") + "-before.prof" }

// After is like Before, for the end of the window.
func (k ProfileKind) After() string { return strings.TrimSuffix(k.File, ".prof") + "-after.prof" }

// Source is where the kind's figures come from, for Manifest.Unavailable.
func (k ProfileKind) Source() Source { return Source(k.Name + "_profile") }

// PerOperation reports whether values are divided by the number of operations;
// those of a level are divided by the number of processes.
func (k ProfileKind) PerOperation() bool { return k.Window != WindowLevel }

// Timing reports whether the values are times, which depend on the speed of the
// machine.
func (k ProfileKind) Timing() bool { return k.Unit == "us/op" }
