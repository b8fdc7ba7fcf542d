package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// machineRoot is where /proc and /sys are.
var MachineRoot = os.DirFS("/")

// machineSources reads one source each into a reading of the machine.
var machineSources = map[runfolder.Source]func(root fs.FS, r *machineReading) error{
	runfolder.SourceMachineCPU:  readMachineCPU,
	runfolder.SourcePressure:    readPressure,
	runfolder.SourceThrottling:  readThrottling,
	runfolder.SourceThermal:     readThermal,
	runfolder.SourceFrequency:   readFrequency,
	runfolder.SourceClocksource: readClocksource,
	runfolder.SourceRunQueue:    readRunnable,
}

// machineReading holds all sources at one moment. Times and counts are since
// the machine started, or since some other moment in the past.
type machineReading struct {
	Missing map[runfolder.Source]string // why a source could not be read

	cpus              int
	busy, idle, steal time.Duration
	pressure          time.Duration
	throttled         time.Duration
	throttledPeriods  int64
	thermalEvents     int64
	frequencyMHz      float64
	clocksource       string
	runnable          int64
}

func ReadMachine(root fs.FS) machineReading {
	r := machineReading{Missing: map[runfolder.Source]string{}}
	for source, read := range machineSources {
		if err := read(root, &r); err != nil {
			r.Missing[source] = unreadable(err)
		}
	}
	return r
}

func unreadable(err error) string {
	if runtime.GOOS != "linux" {
		return "read on Linux only"
	}
	return err.Error()
}

// Window follows the machine over the rounds of a block.
type Window struct {
	root     fs.FS
	start    time.Time
	ownCPU   time.Duration
	before   machineReading
	readings int64 // of the run queue
	runnable int64 // their sum
	err      error // of reading the run queue
}

func OpenWindow(root fs.FS) *Window {
	w := &Window{root: root, before: ReadMachine(root)}
	w.start, w.ownCPU = time.Now(), loadgen.OwnCPU()
	return w
}

// look reads the run queue; nothing of ours may be loading the machine.
func (w *Window) Look() {
	var r machineReading
	if err := readRunnable(w.root, &r); err != nil {
		w.err = err
		return
	}
	w.readings++
	w.runnable += r.runnable
}

// close ends the window. Of what was used in it, subjects is the CPU time of
// the subjects, nil if it is not known.
func (w *Window) Close(subjects *time.Duration) *runfolder.Machine {
	m := &runfolder.Machine{Window: time.Since(w.start)}
	if subjects != nil {
		m.Ours = new(*subjects + loadgen.OwnCPU() - w.ownCPU)
	}
	before, after := w.before, ReadMachine(w.root)
	both := func(s runfolder.Source) bool { return before.Missing[s] == "" && after.Missing[s] == "" }
	if both(runfolder.SourceMachineCPU) {
		m.CPUs = after.cpus
		m.Busy, m.Idle, m.Steal = new(after.busy-before.busy), new(after.idle-before.idle), new(after.steal-before.steal)
	}
	if both(runfolder.SourcePressure) {
		m.Pressure = new(after.pressure - before.pressure)
	}
	if both(runfolder.SourceThrottling) {
		m.Throttled, m.ThrottledPeriods = new(after.throttled-before.throttled), new(after.throttledPeriods-before.throttledPeriods)
	}
	if both(runfolder.SourceThermal) {
		m.ThermalEvents = new(after.thermalEvents - before.thermalEvents)
	}
	if both(runfolder.SourceFrequency) {
		m.FrequencyMHz = &after.frequencyMHz
	}
	if both(runfolder.SourceClocksource) {
		m.Clocksource = &after.clocksource
	}
	if w.err == nil && w.readings > 0 {
		m.Runnable = new(float64(w.runnable) / float64(w.readings))
	}
	return m
}

// tick is the unit of the times in /proc/stat, USER_HZ, which Linux has as 100
// a second on every architecture Go runs on.
const tick = 10 * time.Millisecond

// readMachineCPU reads the line of all CPUs in /proc/stat; see proc_stat(5).
// Interrupts are left out: they come of our own traffic as of anything else.
func readMachineCPU(root fs.FS, r *machineReading) error {
	text, err := fs.ReadFile(root, "proc/stat")
	if err != nil {
		return err
	}
	line, rest, _ := strings.Cut(string(text), "\n")
	t := statInts(strings.TrimPrefix(line, "cpu "))
	const user, nice, system, idle, iowait, steal = 0, 1, 2, 3, 4, 7
	if !strings.HasPrefix(line, "cpu ") || len(t) <= steal {
		return errors.New("proc/stat does not begin with the times of all CPUs")
	}
	r.busy = time.Duration(t[user]+t[nice]+t[system]) * tick
	r.idle = time.Duration(t[idle]+t[iowait]) * tick
	r.steal = time.Duration(t[steal]) * tick
	r.cpus = strings.Count("\n"+rest, "\ncpu")
	return nil
}

// readPressure reads "some avg10=… total=MICROSECONDS" in /proc/pressure/cpu.
func readPressure(root fs.FS, r *machineReading) error {
	text, err := fs.ReadFile(root, "proc/pressure/cpu")
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	_, total, found := strings.Cut(line, "total=")
	us, err := strconv.ParseInt(total, 10, 64)
	if !found || !strings.HasPrefix(line, "some ") || err != nil {
		return errors.New("proc/pressure/cpu has no line of some tasks with a total")
	}
	r.pressure = time.Duration(us) * time.Microsecond
	return nil
}

// readRunnable reads the number of tasks that run or want to, from the fourth
// field of /proc/loadavg, "RUNNABLE/ALL". The reader itself is one of them.
func readRunnable(root fs.FS, r *machineReading) error {
	text, err := fs.ReadFile(root, "proc/loadavg")
	if err != nil {
		return err
	}
	fields := append(strings.Fields(string(text)), "", "", "", "")
	runnable, _, found := strings.Cut(fields[3], "/")
	n, err := strconv.ParseInt(runnable, 10, 64)
	if !found || err != nil {
		return errors.New("proc/loadavg has no number of runnable tasks in its fourth field")
	}
	r.runnable = max(0, n-1)
	return nil
}

// readThrottling adds up cpu.stat of our control group and all above it, each
// of which may have a quota.
func readThrottling(root fs.FS, r *machineReading) error {
	dir, top, err := cpuGroup(root)
	if err != nil {
		return err
	}
	found := false
	for ; ; dir = path.Dir(dir) {
		if text, err := fs.ReadFile(root, path.Join(dir, "cpu.stat")); err == nil {
			found = r.addThrottling(text) || found
		}
		if dir == top || dir == "." {
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
func cpuGroup(root fs.FS) (dir, top string, err error) {
	const mount = "sys/fs/cgroup"
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	dir, top = "", mount
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3) // number, controllers, path
		if len(parts) < 3 {
			continue
		}
		switch {
		case parts[1] == "cpu" || strings.HasPrefix(parts[1], "cpu,"):
			top = path.Join(mount, parts[1])
			if _, err := fs.Stat(root, top); err != nil {
				top = path.Join(mount, "cpu")
			}
			return path.Join(top, parts[2]), top, nil
		case parts[1] == "":
			dir = path.Join(mount, parts[2])
		}
	}
	if dir == "" {
		return "", "", errors.New("proc/self/cgroup names no control group of the CPU")
	}
	return dir, top, nil
}

// addThrottling reads "nr_throttled N" and the time, which version 1 gives as
// "throttled_time NANOSECONDS" and version 2 as "throttled_usec MICROSECONDS".
func (r *machineReading) addThrottling(cpuStat []byte) (found bool) {
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

func readThermal(root fs.FS, r *machineReading) error {
	counts, err := readPerCPU(root, "thermal_throttle/core_throttle_count")
	for _, n := range counts {
		r.thermalEvents += n
	}
	return err
}

func readFrequency(root fs.FS, r *machineReading) error {
	kHz, err := readPerCPU(root, "cpufreq/scaling_cur_freq")
	for _, n := range kHz {
		r.frequencyMHz += float64(n) / 1e3 / float64(len(kHz))
	}
	return err
}

// readPerCPU reads a file with one number that every CPU has in /sys.
func readPerCPU(root fs.FS, name string) ([]int64, error) {
	files, _ := fs.Glob(root, "sys/devices/system/cpu/cpu[0-9]*/"+name) // the pattern is a good one
	if len(files) == 0 {
		return nil, fmt.Errorf("no CPU in /sys has %s, as in most virtual machines", name)
	}
	var values []int64
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		values = append(values, n)
	}
	return values, nil
}

func readClocksource(root fs.FS, r *machineReading) error {
	text, err := fs.ReadFile(root, "sys/devices/system/clocksource/clocksource0/current_clocksource")
	r.clocksource = strings.TrimSpace(string(text))
	return err
}

// statInts reads a list such as "[1 2 3]"; a list it cannot read is empty.
func statInts(list string) []int64 {
	var ints []int64
	for _, field := range strings.Fields(strings.Trim(list, "[]")) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil
		}
		ints = append(ints, n)
	}
	return ints
}
