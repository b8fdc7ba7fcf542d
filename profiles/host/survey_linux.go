package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/eventobench/eventobench/profiles/perf"
)

// probe tries what only a try can tell, and reads what is not followed during a
// run. The CPU clock and hardware counters are those of the running kernel,
// whatever root is.
func (s *Survey) probe(root string) {
	s.ProcessClock = reason(probeProcessClock(os.Getppid()))
	s.ProcessFiles = reason(probeProcessFiles(root))
	s.PerfEvents = reason(perf.Probe(filepath.Join(root, "proc/sys/kernel/perf_event_paranoid")))
	quota, err := readQuota(root)
	s.Quota, s.QuotaError = quota, reason(err)
	s.Virtual, s.Hypervisor = hypervisor(root)
}

// probeProcessClock reads the CPU clock of another process.
func probeProcessClock(pid int) error {
	const schedulerClock = 2 // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	var ts unix.Timespec
	return unix.ClockGettime(int32(^pid<<3|schedulerClock), &ts)
}

// probeProcessFiles reads what a run reads of every process.
func probeProcessFiles(root string) error {
	proc, err := procOf(root)
	if err != nil {
		return err
	}
	self, err := proc.Self()
	if err != nil {
		return err
	}
	status, err := self.NewStatus()
	if err != nil {
		return err
	}
	if status.VmHWM == 0 {
		return errors.New("/proc/PID/status does not tell the peak of memory (VmHWM)")
	}
	_, err = self.IO()
	return err
}

// readQuota is the least CPU quota of our control group and all above it, in
// CPUs; nil if there is none.
func readQuota(root string) (*float64, error) {
	dir, top, err := cpuGroup(root)
	if err != nil {
		return nil, err
	}
	var least *float64
	for ; ; dir = filepath.Dir(dir) {
		quota, err := groupQuota(dir)
		if err != nil {
			return nil, err
		}
		if quota != nil && (least == nil || *quota < *least) {
			least = quota
		}
		if dir == top || dir == filepath.Dir(dir) {
			return least, nil
		}
	}
}

// groupQuota reads the quota of one control group: "cpu.max" of version 2, with
// "max" for none, or the two files of version 1, with -1 for none.
func groupQuota(dir string) (*float64, error) {
	fields, err := readFields(filepath.Join(dir, "cpu.max"))
	if err != nil {
		return nil, err
	}
	if fields == nil {
		quota, err := readFields(filepath.Join(dir, "cpu.cfs_quota_us"))
		if err != nil {
			return nil, err
		}
		period, err := readFields(filepath.Join(dir, "cpu.cfs_period_us"))
		if err != nil {
			return nil, err
		}
		fields = slices.Concat(quota, period)
	}
	if len(fields) == 0 || fields[0] == "max" || fields[0] == "-1" {
		return nil, nil
	}
	if len(fields) != 2 {
		return nil, fmt.Errorf("%s: a CPU quota %q that is none", dir, fields)
	}
	quota, err := strconv.ParseFloat(fields[0], 64)
	period, periodErr := strconv.ParseFloat(fields[1], 64)
	if err := errors.Join(err, periodErr); err != nil || !(quota > 0) || !(period > 0) {
		return nil, fmt.Errorf("%s: a CPU quota %q that is none", dir, fields)
	}
	return new(quota / period), nil
}

// readFields are the words in a file; nil if there is no such file.
func readFields(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return strings.Fields(string(text)), err
}

// hypervisor reports whether the CPUs say that there is one below, and what it
// calls itself.
func hypervisor(root string) (virtual bool, name string) {
	for _, file := range []string{
		"sys/hypervisor/type", "sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name",
	} {
		if text, err := os.ReadFile(filepath.Join(root, file)); err == nil && name == "" {
			name = strings.TrimSpace(string(text))
		}
	}
	proc, err := procOf(root)
	if err != nil {
		return false, ""
	}
	cpus, err := proc.CPUInfo()
	if err != nil || len(cpus) == 0 || !slices.Contains(cpus[0].Flags, "hypervisor") {
		return false, ""
	}
	return true, name
}
