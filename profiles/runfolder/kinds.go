package runfolder

import (
	"fmt"
	"slices"
	"strings"
)

// Window says how a kind of profile relates to the measured window of a block.
type Window string

// The windows.
const (
	WindowTaken      Window = "taken"      // the server samples while the window lasts
	WindowDifference Window = "difference" // the server counts since its start: after the window less before it
	WindowLevel      Window = "level"      // what is there at a moment, such as memory in use
	WindowCounted    Window = "counted"    // of no window: runs of their own, see Instructions
)

// ProfileKind is one kind of pprof profile: how it is asked for, where a run
// folder keeps it, and what its values mean. Everything that handles profiles
// ranges over Kinds, so a new kind is a new row.
type ProfileKind struct {
	Name  string // short, fit for a flag and a URL
	Title string // of its values, as a heading
	Noun  string // what an amount of the unit is of, where the unit does not say it
	About string // what the profile tells, in a few words
	Page  string // below /debug/pprof/, with its query
	File  string // in the run folder
	Needs string // what makes a server serve it

	Value, Count string  // its two sample types; Count is empty if there is one only
	BySize       bool    // an allocation is sampled with a probability that grows with its size
	Unit         string  // of Value times Scale: per operation, or per process for a level
	CountUnit    string  // of Count, if the number means something by itself
	Scale        float64 // from the profile's unit to Unit

	Window   Window
	Recorder string // of WindowTaken: the function that runs in the server while it samples
	Off      string // stands on the page with debug=1 of a server that does not sample; empty if no page says so
	AtStart  bool   // a level that is kept for the window's start too, as Before
	Explains string // the metric whose exact value the total estimates; empty if none is counted exactly
	Counts   string // the same for the total of Count
	Default  bool   // recorded unless asked otherwise
}

// needsPprof is what makes a Go server serve the usual profiles.
const needsPprof = `a Go server serves it with import _ "net/http/pprof"`

// Kinds are all kinds of profiles, in the order in which reports show them.
var Kinds = []ProfileKind{
	{
		Name: "cpu", Title: "CPU time", Noun: "CPU time", About: "CPU time in the window, idle gaps between slices included",
		Page: "profile", File: FileCPU, Needs: needsPprof,
		Value: "cpu", Count: "samples", Unit: "us/op", Scale: 1e-3,
		Window: WindowTaken, Recorder: "runtime/pprof.profileWriter", Explains: "cpu_per_op", Default: true,
	},
	{
		Name: "allocs", Title: "Allocated", About: "what was allocated in the window",
		Page: "allocs", File: FileAllocs, Needs: needsPprof,
		Value: "alloc_space", Count: "alloc_objects", Unit: "B/op", CountUnit: "allocs/op", Scale: 1,
		BySize: true, Window: WindowDifference, Explains: "alloc_bytes_per_op", Counts: "allocs_per_op", Default: true,
	},
	{
		Name: "mutex", Title: "Waiting for locks", Noun: "waiting for locks",
		About: "waiting for locks in the window, by who held them",
		Page:  "mutex", File: "mutex.prof", Needs: needsPprof + " and runtime.SetMutexProfileFraction",
		Value: "delay", Count: "contentions", Unit: "us/op", CountUnit: "waits/op", Scale: 1e-3,
		Window: WindowDifference, Off: "sampling period=0\n",
	},
	{
		Name: "block", Title: "Blocked", Noun: "being blocked",
		About: "time that goroutines waited in the window, by where they did",
		Page:  "block", File: "block.prof", Needs: needsPprof + " and runtime.SetBlockProfileRate",
		Value: "delay", Count: "contentions", Unit: "us/op", CountUnit: "waits/op", Scale: 1e-3,
		Window: WindowDifference,
	},
	{
		Name: "heap", Title: "Heap", About: "memory in use, after a garbage collection",
		Page: "heap?gc=1", File: FileHeapAfter, Needs: needsPprof,
		Value: "inuse_space", Count: "inuse_objects", Unit: "B", CountUnit: "objects", Scale: 1,
		Window: WindowLevel, AtStart: true, Default: true,
	},
	{
		Name: "goroutine", Title: "Goroutines", About: "goroutines at the end of the window",
		Page: "goroutine", File: FileGoroutine, Needs: needsPprof,
		Value: "goroutine", Unit: "goroutines", Scale: 1,
		Window: WindowLevel, Default: true,
	},
	{
		Name: "goroutineleak", Title: "Leaked goroutines",
		About: "goroutines that nothing can wake any more",
		Page:  "goroutineleak", File: "goroutineleak.prof", Needs: needsPprof + ", built with Go 1.27 or later",
		Value: "goroutineleak", Unit: "goroutines", Scale: 1,
		Window: WindowLevel,
	},
	{
		Name: "instructions", Title: "Instructions", Noun: "instructions",
		About: "instructions of runs under valgrind, by function",
		File:  FileInstructions, Needs: "--instructions counts them",
		Value: "instructions", Unit: "instr/op", Scale: 1,
		Window: WindowCounted, Explains: "instructions_per_op",
	},
}

// Before names the file that holds a profile as it was at the window's start:
// "allocs-before.prof". Only kinds of WindowDifference or with AtStart have it.
func (k ProfileKind) Before() string { return k.Name + "-before.prof" }

// After names the file that holds a profile of counts since the server's start
// as they were at the window's end: "allocs-after.prof".
func (k ProfileKind) After() string { return k.Name + "-after.prof" }

// Files are all files of the kind in a run folder, File first.
func (k ProfileKind) Files() []string {
	switch {
	case k.Window == WindowDifference:
		return []string{k.File, k.Before(), k.After()}
	case k.AtStart:
		return []string{k.File, k.Before()}
	}
	return []string{k.File}
}

// Source is where the kind's figures come from, for Manifest.Unavailable.
func (k ProfileKind) Source() Source { return Source(k.Name + "_profile") }

// Served reports whether a server has a page of it. The others are made here.
func (k ProfileKind) Served() bool { return k.Window != WindowCounted }

// PerOperation reports whether values are divided by the number of operations;
// those of a level are divided by the number of processes.
func (k ProfileKind) PerOperation() bool { return k.Window != WindowLevel }

// Timing reports whether the values are times, which depend on the speed of the
// machine.
func (k ProfileKind) Timing() bool { return k.Unit == "us/op" }

// KindNamed returns the kind of a name, and false if there is none.
func KindNamed(name string) (ProfileKind, bool) {
	i := slices.IndexFunc(Kinds, func(k ProfileKind) bool { return k.Name == name })
	if i < 0 {
		return ProfileKind{}, false
	}
	return Kinds[i], true
}

// ParseKinds returns the default kinds and those that are named in addition;
// "none" in place of names is no kind at all.
func ParseKinds(names []string) ([]ProfileKind, error) {
	if len(names) == 1 && names[0] == "none" {
		return nil, nil
	}
	for _, name := range names {
		if k, known := KindNamed(name); !known || !k.Served() {
			return nil, fmt.Errorf("unknown profile %q; use any of %s, or none alone",
				name, strings.Join(kindNames(selectKinds(ProfileKind.Served)), ", "))
		}
	}
	wanted := func(k ProfileKind) bool { return k.Default || slices.Contains(names, k.Name) }
	return selectKinds(wanted), nil
}

func selectKinds(keep func(ProfileKind) bool) []ProfileKind {
	var kinds []ProfileKind
	for _, k := range Kinds {
		if keep(k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

func kindNames(kinds []ProfileKind) []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}
