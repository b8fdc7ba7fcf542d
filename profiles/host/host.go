// Package host tells on what machine an experiment ran, and what that machine
// did meanwhile that may disturb a measurement.
package host

import (
	"runtime"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Root is where the machine's proc and sys are mounted.
const Root = "/"

// Unknown stands for what the machine does not tell.
const Unknown = "unavailable"

// Read describes the machine as far as timing depends on it. Elsewhere than on
// Linux most of it is "unavailable" or zero.
func Read() runfolder.Host {
	h := runfolder.Host{
		OS:         runtime.GOOS,
		Arch:       runtime.GOARCH,
		Kernel:     Unknown,
		CPUModel:   Unknown,
		Governor:   Unknown,
		Affinity:   runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
	}
	describe(Root, &h)
	return h
}
