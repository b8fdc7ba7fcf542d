package host

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

const unknown = "unavailable"

// readHost reads what Linux tells about the machine; elsewhere most of it is
// "unavailable" or zero.
func ReadHost() runfolder.Host {
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	return runfolder.Host{
		OS:         runtime.GOOS,
		Arch:       runtime.GOARCH,
		Kernel:     readText("/proc/sys/kernel/osrelease"),
		CPUModel:   field(string(cpuinfo), "model name"),
		Cores:      bytes.Count(cpuinfo, []byte("processor\t")),
		Affinity:   runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		Governor:   readText("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Memory:     memoryBytes(),
	}
}

func readText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return unknown
	}
	return strings.TrimSpace(string(text))
}

// field finds the first "name: value" line of a file in /proc.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

func memoryBytes() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	kb, err := strconv.ParseInt(strings.TrimSuffix(field(string(text), "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}
