package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"github.com/prometheus/procfs/sysfs"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

func procOf(root string) (procfs.FS, error) { return procfs.NewFS(filepath.Join(root, "proc")) }

func sysOf(root string) (sysfs.FS, error) { return sysfs.NewFS(filepath.Join(root, "sys")) }

// describe fills in what /proc and /sys tell about the machine. What they do
// not tell stays as it is.
func describe(root string, h *runfolder.Host) {
	if proc, err := procOf(root); err == nil {
		describeProc(proc, h)
	}
	if sys, err := sysOf(root); err == nil {
		if cpus, err := sys.SystemCpufreq(); err == nil && cpus[0].Governor != "" {
			h.Governor = cpus[0].Governor
		}
	}
}

func describeProc(proc procfs.FS, h *runfolder.Host) {
	if release, err := proc.SysctlStrings("kernel/osrelease"); err == nil && len(release) == 1 {
		h.Kernel = release[0]
	}
	if cpus, err := proc.CPUInfo(); err == nil && len(cpus) > 0 {
		h.Cores = len(cpus)
		if cpus[0].ModelName != "" {
			h.CPUModel = cpus[0].ModelName
		}
	}
	if memory, err := proc.Meminfo(); err == nil && memory.MemTotalBytes != nil {
		h.Memory = int64(*memory.MemTotalBytes)
	}
}

// readCPU reads the times of all CPUs. Interrupts are left out: they come of
// our own traffic as of anything else.
func readCPU(root string, r *reading) error {
	stat, err := readStat(root)
	if err != nil {
		return err
	}
	all := stat.CPUTotal
	r.busy = duration(all.User + all.Nice + all.System)
	r.idle = duration(all.Idle + all.Iowait)
	r.steal = duration(all.Steal)
	r.cpus = len(stat.CPU)
	return nil
}

func readStat(root string) (procfs.Stat, error) {
	proc, err := procOf(root)
	if err != nil {
		return procfs.Stat{}, err
	}
	stat, err := proc.Stat()
	if err == nil && len(stat.CPU) == 0 {
		err = errors.New("/proc/stat names no CPU")
	}
	return stat, err
}

// duration turns the seconds that procfs makes of the kernel's ticks of 10 ms
// back into whole ticks.
func duration(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds*100)) * 10 * time.Millisecond
}

// readRunQueue reads the number of tasks that run or want to. The reader itself
// is one of them.
func readRunQueue(root string, r *reading) error {
	stat, err := readStat(root)
	if err != nil {
		return err
	}
	if stat.ProcessesRunning < 1 {
		return errors.New("/proc/stat does not count running processes")
	}
	r.runnable = int64(stat.ProcessesRunning) - 1
	return nil
}

func readPressure(root string, r *reading) error {
	proc, err := procOf(root)
	if err != nil {
		return err
	}
	psi, err := proc.PSIStatsForResource("cpu")
	if err != nil {
		return err
	}
	if psi.Some == nil {
		return errors.New("/proc/pressure/cpu has no line of some tasks")
	}
	r.pressure = time.Duration(psi.Some.Total) * time.Microsecond
	return nil
}

// readThrottling adds up cpu.stat of our control group and all above it, each
// of which may have a quota.
func readThrottling(root string, r *reading) error {
	dir, top, err := cpuGroup(root)
	if err != nil {
		return err
	}
	found := false
	for ; ; dir = filepath.Dir(dir) {
		if text, err := os.ReadFile(filepath.Join(dir, "cpu.stat")); err == nil {
			found = r.addThrottling(text) || found
		}
		if dir == top || dir == filepath.Dir(dir) {
			break
		}
	}
	if !found {
		return errors.New("no cpu.stat of a control group counts throttling")
	}
	return nil
}

// cpuGroup finds the folder of our control group that has the CPU controller,
// and the one of the group at the top, in both versions of control groups.
func cpuGroup(root string) (dir, top string, err error) {
	groups, err := ownGroups(root)
	if err != nil {
		return "", "", err
	}
	mount := filepath.Join(root, "sys/fs/cgroup")
	for _, g := range groups {
		if slices.Contains(g.Controllers, "cpu") {
			top = controllerMount(mount, g.Controllers)
			return filepath.Join(top, g.Path), top, nil
		}
	}
	for _, g := range groups {
		if g.HierarchyID == 0 { // version 2
			return filepath.Join(mount, g.Path), mount, nil
		}
	}
	return "", "", errors.New("/proc/self/cgroup names no control group of the CPU")
}

func ownGroups(root string) ([]procfs.Cgroup, error) {
	proc, err := procOf(root)
	if err != nil {
		return nil, err
	}
	self, err := proc.Self()
	if err != nil {
		return nil, err
	}
	return self.Cgroups()
}

// controllerMount is where version 1 has mounted controllers: below all their
// names, or below the one that matters.
func controllerMount(mount string, controllers []string) string {
	together := filepath.Join(mount, strings.Join(controllers, ","))
	if _, err := os.Stat(together); err != nil {
		return filepath.Join(mount, "cpu")
	}
	return together
}

// addThrottling reads "nr_throttled N" and the time, which version 1 gives as
// "throttled_time NANOSECONDS" and version 2 as "throttled_usec MICROSECONDS".
func (r *reading) addThrottling(cpuStat []byte) (found bool) {
	for line := range bytes.Lines(cpuStat) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "nr_throttled":
			r.throttledPeriods += n
			found = true
		case "throttled_time":
			r.throttled += time.Duration(n)
		case "throttled_usec":
			r.throttled += time.Duration(n) * time.Microsecond
		}
	}
	return found
}

func readThermal(root string, r *reading) error {
	sys, err := sysOf(root)
	if err != nil {
		return err
	}
	cpus, err := sys.CPUs()
	if err != nil {
		return err
	}
	found := false
	for _, cpu := range cpus {
		t, err := cpu.ThermalThrottle()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = true
		r.thermalEvents += int64(t.CoreThrottleCount)
	}
	if !found {
		return errors.New("no CPU in /sys has thermal_throttle, as in most virtual machines")
	}
	return nil
}

func readFrequency(root string, r *reading) error {
	sys, err := sysOf(root)
	if err != nil {
		return err
	}
	cpus, err := sys.SystemCpufreq()
	if err != nil {
		return fmt.Errorf("reading CPU frequencies: %w", err)
	}
	var sum, known float64
	for _, cpu := range cpus {
		if kHz := cpu.ScalingCurrentFrequency; kHz != nil {
			sum += float64(*kHz) / 1e3
			known++
		}
	}
	if known == 0 {
		return errors.New("no CPU in /sys has cpufreq/scaling_cur_freq, as in most virtual machines")
	}
	r.frequencyMHz = sum / known
	return nil
}

func readClocksource(root string, r *reading) error {
	sys, err := sysOf(root)
	if err != nil {
		return err
	}
	sources, err := sys.ClockSources()
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return errors.New("/sys names no clocksource")
	}
	r.clocksource = sources[0].Current
	return nil
}
