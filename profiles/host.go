package profiles

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

const unknown = "unavailable"

// Host describes the machine an experiment ran on, as far as timing depends
// on it.
type Host struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Kernel     string `json:"kernel"`
	CPUModel   string `json:"cpu_model"`
	Cores      int    `json:"cores"`    // of the machine, 0 if unknown
	Affinity   int    `json:"affinity"` // those of them the processes may run on
	GOMAXPROCS int    `json:"gomaxprocs"`
	Governor   string `json:"governor"` // CPU frequency governor
	Memory     int64  `json:"memory_bytes"`
}

// readHost reads what Linux tells about the machine; elsewhere most of it is
// "unavailable" or zero.
func readHost() Host {
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	return Host{
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

// readBinary identifies the program file of a subject. A program that is not
// Go's has no build information, and a hash all the same.
func readBinary(s Subject) (Binary, error) {
	path, err := exec.LookPath(s.Command[0])
	if err != nil {
		return Binary{}, fmt.Errorf("subject %s: %w", s.Name, err)
	}
	sum, err := hashFile(path)
	if err != nil {
		return Binary{}, fmt.Errorf("subject %s: %w", s.Name, err)
	}
	b := Binary{SHA256: sum}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return b, nil
	}
	b.GoVersion, b.Module, b.Version = info.GoVersion, info.Main.Path, info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b, nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
