package host

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// files is a file system of the given texts.
func files(texts map[string]string) fs.FS {
	m := fstest.MapFS{}
	for name, text := range texts {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

const clocksourceFile = "sys/devices/system/clocksource/clocksource0/current_clocksource"

// machineBefore and machineAfter are a machine of two CPUs, 10 s apart.
func machineBefore() map[string]string {
	return map[string]string{
		"proc/stat":                      "cpu  100 10 50 1000 5 7 8 20 0 0\ncpu0 50 5 25 500 0 0 0 10 0 0\ncpu1 50 5 25 500 5 7 8 10 0 0\nintr 1\nprocs_running 3\n",
		"proc/pressure/cpu":              "some avg10=1.00 avg60=2.00 avg300=3.00 total=1000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"proc/loadavg":                   "0.50 0.40 0.30 3/170 4711\n",
		"proc/self/cgroup":               "0::/app/web\n",
		"sys/fs/cgroup/cpu.stat":         "usage_usec 1\n",
		"sys/fs/cgroup/app/cpu.stat":     "usage_usec 1\nnr_periods 5\nnr_throttled 2\nthrottled_usec 1000\n",
		"sys/fs/cgroup/app/web/cpu.stat": "usage_usec 1\nnr_periods 5\nnr_throttled 1\nthrottled_usec 500\n",
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "4\n",
		"sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "0\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq":             "2000000\n",
		"sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq":             "3000000\n",
		clocksourceFile: "tsc\n",
	}
}

func machineAfter() map[string]string {
	m := machineBefore()
	m["proc/stat"] = "cpu  900 10 450 1700 15 7 8 100 0 0\ncpu0 1\ncpu1 1\n"
	m["proc/pressure/cpu"] = "some avg10=1.00 avg60=2.00 avg300=3.00 total=3500000\n"
	m["sys/fs/cgroup/app/cpu.stat"] = "nr_throttled 12\nthrottled_usec 301000\n"
	m["sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count"] = "6\n"
	m[clocksourceFile] = "hpet\n"
	return m
}

func TestMachineWindow(t *testing.T) {
	w := OpenWindow(files(machineBefore()))
	w.Look()
	w.root = files(machineAfter())
	w.Look()
	got := w.Close(new(5 * time.Second))
	if got.Window <= 0 || *got.Ours < 5*time.Second {
		t.Errorf("window %v, of ours %v", got.Window, *got.Ours)
	}
	got.Window, got.Ours = 0, nil
	want := &runfolder.Machine{
		CPUs: 2, Busy: new(12 * time.Second), Idle: new(7100 * time.Millisecond), Steal: new(800 * time.Millisecond),
		Pressure: new(2500 * time.Millisecond), Runnable: new(2.0),
		Throttled: new(300 * time.Millisecond), ThrottledPeriods: new(int64(10)), ThermalEvents: new(int64(6)),
		FrequencyMHz: new(2500.0), Clocksource: new("hpet"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMachineWithoutSources: what cannot be read is missing with a reason, and
// does not take the rest with it.
func TestMachineWithoutSources(t *testing.T) {
	got := OpenWindow(files(nil)).Close(nil)
	got.Window = 0
	if diff := cmp.Diff(&runfolder.Machine{}, got); diff != "" {
		t.Errorf("read from nothing: %s", diff)
	}
	if missing := ReadMachine(files(nil)).Missing; len(missing) != len(machineSources) {
		t.Errorf("missing %v", missing)
	}
	for file, source := range map[string]runfolder.Source{
		"proc/stat": runfolder.SourceMachineCPU, "proc/pressure/cpu": runfolder.SourcePressure, "proc/loadavg": runfolder.SourceRunQueue,
		"proc/self/cgroup": runfolder.SourceThrottling, clocksourceFile: runfolder.SourceClocksource,
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": runfolder.SourceFrequency,
	} {
		for _, text := range []string{"", "nonsense", "cpu  1 2 3", "some avg10=0", "1 2 3 x/y", "9:cpu"} {
			if file == clocksourceFile {
				break // any text is a name
			}
			machine := machineBefore()
			machine[file] = text
			if missing := ReadMachine(files(machine)).Missing; len(missing) != 1 || missing[source] == "" {
				t.Errorf("%s of %q: missing %v", file, text, missing)
			}
		}
		machine := machineBefore()
		delete(machine, file)
		if file == "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq" {
			delete(machine, strings.Replace(file, "cpu0", "cpu1", 1))
		}
		if missing := ReadMachine(files(machine)).Missing; len(missing) != 1 || missing[source] == "" {
			t.Errorf("without %s: missing %v", file, missing)
		}
	}
}

func TestCPUGroup(t *testing.T) {
	tests := []struct {
		name, cgroup string
		also         []string // files that are there
		dir, top     string
	}{
		{"version 2", "0::/app\n", nil, "sys/fs/cgroup/app", "sys/fs/cgroup"},
		{"version 2, at the top", "0::/\n", nil, "sys/fs/cgroup", "sys/fs/cgroup"},
		{"version 1", "5:cpuset:/c\n2:cpu:/app\n0::/\n", nil, "sys/fs/cgroup/cpu/app", "sys/fs/cgroup/cpu"},
		{"version 1, controllers together", "2:cpu,cpuacct:/app\n", []string{"sys/fs/cgroup/cpu,cpuacct/cpu.stat"}, "sys/fs/cgroup/cpu,cpuacct/app", "sys/fs/cgroup/cpu,cpuacct"},
		{"version 1, linked", "2:cpu,cpuacct:/app\n", nil, "sys/fs/cgroup/cpu/app", "sys/fs/cgroup/cpu"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			texts := map[string]string{"proc/self/cgroup": tt.cgroup}
			for _, file := range tt.also {
				texts[file] = ""
			}
			dir, top, err := cpuGroup(files(texts))
			if dir != tt.dir || top != tt.top || err != nil {
				t.Errorf("%s below %s, %v", dir, top, err)
			}
		})
	}
}

func TestThrottlingOfVersion1(t *testing.T) {
	var r machineReading
	err := readThrottling(files(map[string]string{
		"proc/self/cgroup":               "3:cpu:/a/b\n",
		"sys/fs/cgroup/cpu/a/b/cpu.stat": "nr_periods 1\nnr_throttled 2\nthrottled_time 5000\n",
		"sys/fs/cgroup/cpu/cpu.stat":     "nr_periods 0\nnr_throttled 1\nthrottled_time 10\n",
	}), &r)
	if err != nil || r.throttledPeriods != 3 || r.throttled != 5010 {
		t.Errorf("%d periods, %v, %v", r.throttledPeriods, r.throttled, err)
	}
}

// FuzzReadMachine: whatever stands in the files, nothing panics, and what could
// not be read is said to be missing.
func FuzzReadMachine(f *testing.F) {
	m := machineBefore()
	f.Add(m["proc/stat"], m["proc/pressure/cpu"], m["proc/loadavg"], m["proc/self/cgroup"], m["sys/fs/cgroup/app/cpu.stat"])
	f.Fuzz(func(t *testing.T, stat, pressure, loadavg, cgroup, cpuStat string) {
		r := ReadMachine(files(map[string]string{
			"proc/stat": stat, "proc/pressure/cpu": pressure, "proc/loadavg": loadavg, "proc/self/cgroup": cgroup, "sys/fs/cgroup/app/cpu.stat": cpuStat,
		}))
		if r.Missing[runfolder.SourceClocksource] == "" {
			t.Error("read a clocksource that is not there")
		}
	})
}
