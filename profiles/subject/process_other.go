//go:build unix && !linux

package subject

import (
	"errors"
	"syscall"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

var errElsewhere = errors.New("read of another process on Linux only")

func cpuClock(int) (time.Duration, error)               { return 0, errElsewhere }
func rssPeak(int) (int64, error)                        { return 0, errElsewhere }
func addSwitches(int, *runfolder.ProcessCounters) error { return errElsewhere }
func addIO(int, *runfolder.ProcessCounters) error       { return errElsewhere }
func executable(int) string                             { return "" }
func listener(leader int, _ string) int                 { return leader }
