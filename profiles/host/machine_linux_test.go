package host

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// machine is a folder with proc and sys as in the given files. Whose process
// reads is process 7.
func machine(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		write(t, root, name, text)
	}
	return root
}

func write(t testing.TB, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(root, "proc/self")
	if _, err := os.Lstat(self); err != nil && strings.HasPrefix(name, "proc/") {
		if err := os.Symlink("7", self); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	clocksourceFile = "sys/devices/system/clocksource/clocksource0/current_clocksource"
	cpuFolder       = "sys/devices/system/cpu/"
)

// machineBefore and machineAfter are a machine of two CPUs, 10 s apart.
func machineBefore() map[string]string {
	m := map[string]string{
		"proc/stat": "cpu  100 10 50 1000 5 7 8 20 0 0\ncpu0 50 5 25 500 0 0 0 10 0 0\n" +
			"cpu1 50 5 25 500 5 7 8 10 0 0\nintr 1\nprocs_running 3\n",
		"proc/pressure/cpu": "some avg10=1.00 avg60=2.00 avg300=3.00 total=1000000\n" +
			"full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"proc/7/cgroup":                  "0::/app/web\n",
		"sys/fs/cgroup/cpu.stat":         "usage_usec 1\n",
		"sys/fs/cgroup/app/cpu.stat":     "usage_usec 1\nnr_periods 5\nnr_throttled 2\nthrottled_usec 1000\n",
		"sys/fs/cgroup/app/web/cpu.stat": "usage_usec 1\nnr_periods 5\nnr_throttled 1\nthrottled_usec 500\n",
		clocksourceFile:                  "tsc\n",
		filepath.Dir(clocksourceFile) + "/available_clocksource": "tsc hpet\n",
		cpuFolder + "offline": "\n",
	}
	for cpu, figures := range map[string][2]string{"cpu0": {"4\n", "2000000\n"}, "cpu1": {"0\n", "3000000\n"}} {
		m[cpuFolder+cpu+"/thermal_throttle/core_throttle_count"] = figures[0]
		m[cpuFolder+cpu+"/thermal_throttle/package_throttle_count"] = "9\n"
		m[cpuFolder+cpu+"/cpufreq/scaling_cur_freq"] = figures[1]
		for _, name := range []string{
			"scaling_available_governors", "scaling_driver", "scaling_governor", "related_cpus", "scaling_setspeed",
		} {
			m[cpuFolder+cpu+"/cpufreq/"+name] = "performance\n"
		}
	}
	return m
}

func machineAfter() map[string]string {
	m := machineBefore()
	m["proc/stat"] = "cpu  900 10 450 1700 15 7 8 100 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0\n" +
		"cpu1 1 0 0 0 0 0 0 0 0 0\nprocs_running 3\n"
	m["proc/pressure/cpu"] = "some avg10=1.00 avg60=2.00 avg300=3.00 total=3500000\n"
	m["sys/fs/cgroup/app/cpu.stat"] = "nr_throttled 12\nthrottled_usec 301000\n"
	m[cpuFolder+"cpu1/thermal_throttle/core_throttle_count"] = "6\n"
	m[clocksourceFile] = "hpet\n"
	return m
}

func TestMachineWindow(t *testing.T) {
	w := OpenWindow(machine(t, machineBefore()))
	w.Look()
	w.root = machine(t, machineAfter())
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

func TestDescribe(t *testing.T) {
	files := machineBefore()
	files["proc/sys/kernel/osrelease"] = "6.1.0-test\n"
	files["proc/meminfo"] = "MemTotal:        8000 kB\nMemFree:         10 kB\n"
	files["proc/cpuinfo"] = "processor\t: 0\nvendor_id\t: Test\nmodel name\t: Test CPU @ 1 GHz\n\n" +
		"processor\t: 1\nvendor_id\t: Test\nmodel name\t: Test CPU @ 1 GHz\n\n"
	var got runfolder.Host
	describe(machine(t, files), &got)
	want := runfolder.Host{
		Kernel: "6.1.0-test", CPUModel: "Test CPU @ 1 GHz", Cores: 2, Governor: "performance", Memory: 8000 << 10,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestMachineWithoutSources: what cannot be read is missing with a reason, and
// does not take the rest with it.
func TestMachineWithoutSources(t *testing.T) {
	got := OpenWindow(t.TempDir()).Close(nil)
	got.Window = 0
	if diff := cmp.Diff(&runfolder.Machine{}, got); diff != "" {
		t.Errorf("read from nothing: %s", diff)
	}
	if missing := Missing(t.TempDir()); len(missing) != len(sources) {
		t.Errorf("missing %v", missing)
	}
	stat := []runfolder.Source{runfolder.SourceMachineCPU, runfolder.SourceRunQueue}
	for file, want := range map[string][]runfolder.Source{
		"proc/stat":         stat,
		"proc/pressure/cpu": {runfolder.SourcePressure},
		"proc/7/cgroup":     {runfolder.SourceThrottling},
		clocksourceFile:     {runfolder.SourceClocksource},
		cpuFolder + "cpu0/cpufreq/scaling_cur_freq":             {runfolder.SourceFrequency},
		cpuFolder + "cpu0/thermal_throttle/core_throttle_count": {runfolder.SourceThermal},
	} {
		for _, text := range []string{"", "nonsense", "cpu  1 2 3", "some avg10=0", "9:cpu"} {
			if file == clocksourceFile {
				break // any text is a name
			}
			files := machineBefore()
			files[file] = text
			checkMissing(t, file+" of "+text, files, want)
		}
		files := machineBefore()
		for name := range files {
			same := strings.Replace(name, "cpu1/", "cpu0/", 1) == file
			if same || filepath.Dir(name) == filepath.Dir(file) && strings.Contains(name, "thermal") {
				delete(files, name)
			}
		}
		checkMissing(t, "without "+file, files, want)
	}
}

// checkMissing holds that exactly the given sources of a machine are missing.
func checkMissing(t *testing.T, name string, files map[string]string, want []runfolder.Source) {
	t.Helper()
	missing := slices.Sorted(maps.Keys(Missing(machine(t, files))))
	if !slices.Equal(missing, slices.Sorted(slices.Values(want))) {
		t.Errorf("%s: missing %v, want %v", name, missing, want)
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
		{"version 1, controllers together", "2:cpu,cpuacct:/app\n", []string{"sys/fs/cgroup/cpu,cpuacct/cpu.stat"},
			"sys/fs/cgroup/cpu,cpuacct/app", "sys/fs/cgroup/cpu,cpuacct"},
		{"version 1, linked", "2:cpu,cpuacct:/app\n", nil, "sys/fs/cgroup/cpu/app", "sys/fs/cgroup/cpu"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"proc/7/cgroup": tt.cgroup}
			for _, file := range tt.also {
				files[file] = ""
			}
			root := machine(t, files)
			dir, top, err := cpuGroup(root)
			if dir != filepath.Join(root, tt.dir) || top != filepath.Join(root, tt.top) || err != nil {
				t.Errorf("%s below %s, %v", dir, top, err)
			}
		})
	}
}

func TestThrottlingOfVersion1(t *testing.T) {
	var r reading
	err := readThrottling(machine(t, map[string]string{
		"proc/7/cgroup":                  "3:cpu:/a/b\n",
		"sys/fs/cgroup/cpu/a/b/cpu.stat": "nr_periods 1\nnr_throttled 2\nthrottled_time 5000\n",
		"sys/fs/cgroup/cpu/cpu.stat":     "nr_periods 0\nnr_throttled 1\nthrottled_time 10\n",
	}), &r)
	if err != nil || r.throttledPeriods != 3 || r.throttled != 5010 {
		t.Errorf("%d periods, %v, %v", r.throttledPeriods, r.throttled, err)
	}
}

// FuzzReadMachine: whatever stands in the files, nothing panics, nothing is
// negative, and what could not be read is said to be missing.
func FuzzReadMachine(f *testing.F) {
	m := machineBefore()
	f.Add(m["proc/stat"], m["proc/pressure/cpu"], m["proc/7/cgroup"], m["sys/fs/cgroup/app/cpu.stat"])
	f.Fuzz(func(t *testing.T, stat, pressure, cgroup, cpuStat string) {
		r := read(machine(t, map[string]string{
			"proc/stat": stat, "proc/pressure/cpu": pressure, "proc/7/cgroup": cgroup, "sys/fs/cgroup/app/cpu.stat": cpuStat,
		}))
		if r.missing[runfolder.SourceClocksource] == "" {
			t.Error("read a clocksource that is not there")
		}
		if r.missing[runfolder.SourceRunQueue] == "" && (r.cpus < 1 || r.runnable < 0) {
			t.Errorf("%d tasks runnable on %d CPUs", r.runnable, r.cpus)
		}
	})
}
