package host

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

func TestQuota(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  float64 // 0 for none
		err   string
	}{
		{"none in version 2", map[string]string{"proc/7/cgroup": "0::/app\n",
			"sys/fs/cgroup/app/cpu.max": "max 100000\n"}, 0, ""},
		{"no file", map[string]string{"proc/7/cgroup": "0::/\n"}, 0, ""},
		{
			"the least of version 2", map[string]string{
				"proc/7/cgroup": "0::/app/web\n", "sys/fs/cgroup/app/cpu.max": "150000 100000\n",
				"sys/fs/cgroup/app/web/cpu.max": "400000 100000\n",
			}, 1.5, "",
		},
		{
			"version 1", map[string]string{
				"proc/7/cgroup": "3:cpu,cpuacct:/x\n", "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "50000\n",
				"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":    "-1\n",
			}, 0.5, "",
		},
		{"damaged", map[string]string{"proc/7/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "much 100000\n"}, 0,
			"a CPU quota"},
		{"no period", map[string]string{"proc/7/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000\n"}, 0,
			"a CPU quota"},
		{"no group", map[string]string{"proc/7/cgroup": "9:pids:/\n"}, 0, "names no control group of the CPU"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readQuota(machine(t, tt.files))
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if (got != nil) != (tt.want > 0) || got != nil && *got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestHypervisor(t *testing.T) {
	const cpu = "processor\t: 0\nvendor_id\t: X\nflags\t\t: fpu vme "
	tests := []struct {
		flags, vendor string
		virtual       bool
		name          string
	}{
		{"hypervisor", "QEMU\n", true, "QEMU"},
		{"hypervisor", "", true, ""},
		{"sse", "Some Vendor\n", false, ""},
	}
	for _, tt := range tests {
		files := map[string]string{"proc/cpuinfo": cpu + tt.flags + "\n"}
		if tt.vendor != "" {
			files["sys/class/dmi/id/sys_vendor"] = tt.vendor
		}
		if virtual, name := hypervisor(machine(t, files)); virtual != tt.virtual || name != tt.name {
			t.Errorf("flags %s: %v, %q", tt.flags, virtual, name)
		}
	}
}

func TestProcessFiles(t *testing.T) {
	const status, io = "Name:\tx\nVmHWM:\t    1000 kB\n", "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: " +
		"4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n"
	tests := []struct {
		files map[string]string
		want  string // part of the error, empty for none
	}{
		{map[string]string{"proc/7/status": status, "proc/7/io": io}, ""},
		{map[string]string{"proc/7/status": status}, "io: no such file"},
		{map[string]string{"proc/7/status": "Name:\tx\n", "proc/7/io": io}, "VmHWM"},
		{map[string]string{"proc/7/cgroup": "0::/\n"}, "status: no such file"},
	}
	for _, tt := range tests {
		err := probeProcessFiles(machine(t, tt.files))
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

// TestProcessClock reads the clock of the process that started this one, and of
// one that cannot be.
func TestProcessClock(t *testing.T) {
	if err := probeProcessClock(os.Getppid()); err != nil {
		t.Error(err)
	}
	if err := probeProcessClock(1 << 28); err == nil {
		t.Error("read the clock of a process that does not exist")
	}
}

// TestLook surveys a machine that tells everything, and one that tells nothing.
func TestLook(t *testing.T) {
	root := machine(t, machineBefore())
	s, err := Look(t.Context(), root, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if s.Clocksource != "tsc" || s.Frequency != 2500 || len(s.Missing) != 0 || s.Now.Steal == nil ||
		*s.Now.Steal != 0 || s.Now.Runnable == nil || *s.Now.Runnable != 2 {
		t.Errorf("%+v, now %+v", s, s.Now)
	}
	s, err = Look(t.Context(), t.TempDir(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if s.ProcessFiles == "" || s.QuotaError == "" || s.Missing[runfolder.SourceMachineCPU] == "" || s.Now.Busy != nil {
		t.Errorf("of nothing: %+v, now %+v", s, s.Now)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Look(ended, root, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
