package compare

// Bottleneck is what kept a load from being answered faster.
type Bottleneck string

// The bottlenecks that can be told apart.
const (
	ByServer    Bottleneck = "server"    // its CPU time
	ByGenerator Bottleneck = "generator" // that of the load generator
	ByWorkers   Bottleneck = "workers"   // all of them waited for answers while CPUs idled
	ByMachine   Bottleneck = "machine"   // other processes, or the hypervisor
	ByRate      Bottleneck = "rate"      // nothing: the load asked for no more
	ByUnknown   Bottleneck = "unknown"
)
