package profiles

import (
	"context"
	"net/url"
	"time"

	"github.com/eventobench/eventobench/loadgen"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Generator puts the load of an experiment on one instance of a subject. Its
// methods are not called at the same time. A loadgen.Driver is one. What it returns
// says whether a part of the generator was lost: then nothing of the block counts.
type Generator interface {
	// Warmup sends a number of requests that are not measured.
	Warmup(ctx context.Context, requests int) loadgen.Result
	// Slice loads the instance for the given time, and returns once every
	// request is answered. Its result tells the CPU time that took.
	Slice(ctx context.Context, length time.Duration) loadgen.Result
	// TakeLatency returns the latencies since it was last called.
	TakeLatency() loadgen.Latency
	// Close closes the connections.
	Close()
}

// Drive returns a factory of generators in this process, for
// Experiment.NewGenerator. All subjects get the same workload.
func Drive(
	w loadgen.Workload, l loadgen.Load, c loadgen.Connect,
) func(s runfolder.SubjectInfo, server *url.URL, seed uint64) Generator {
	return func(_ runfolder.SubjectInfo, server *url.URL, seed uint64) Generator {
		return loadgen.NewDriver(server, w, l, c, seed)
	}
}
