package compare

import "github.com/eventobench/eventobench/profiles"

// Functions lists the functions that used the CPU and those that allocated in
// the measured window of one run, per operation. The run must have a complete
// block; a missing or damaged profile is an error that names the file.
func Functions(run *profiles.Run) (cpu, allocations FunctionTable, err error) {
	totals := run.Totals()
	c, err := cpuCosts(run, totals)
	if err != nil {
		return cpu, allocations, err
	}
	a, err := allocationCosts(run, totals)
	if err != nil {
		return cpu, allocations, err
	}
	return c.table(), a.table(), nil
}
