package subject

import (
	"time"

	"github.com/prometheus/procfs"
)

// treeCPU is the CPU time of a process, of its children, and of those that have
// ended. Of these the kernel tells in ticks, of the others in nanoseconds.
func treeCPU(pid int) (time.Duration, error) {
	for {
		before, err := endedChildren(pid)
		if err != nil {
			return 0, err
		}
		sum, err := cpuClock(pid)
		if err != nil {
			return 0, err
		}
		for _, r := range relations() {
			if r.parent != pid {
				continue
			}
			if used, err := cpuClock(r.pid); err == nil { // else it has just ended, which shows below
				sum += used
			}
		}
		after, err := endedChildren(pid)
		if err != nil {
			return 0, err
		}
		if before == after {
			return sum + after, nil
		}
	}
}

// endedChildren is the CPU time of the children that a process has waited for.
func endedChildren(pid int) (time.Duration, error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	const tick = time.Second / 100 // the unit of times in /proc, on all of Linux
	return time.Duration(stat.CUTime+stat.CSTime) * tick, err
}
