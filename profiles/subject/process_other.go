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
func treeCPU(int) (time.Duration, error)                { return 0, errElsewhere }
func rssPeak(int) (int64, error)                        { return 0, errElsewhere }
func addSwitches(int, *runfolder.ProcessCounters) error { return errElsewhere }
func addIO(int, *runfolder.ProcessCounters) error       { return errElsewhere }
func executable(int) string                             { return "" }

func adoptOrphans()                                     {}
func awaitEnd(_ int, commandEnded <-chan struct{})      { <-commandEnded }
func (p *process) members() []int                       { return nil }
func (p *process) listener() (int, error)               { return 0, errElsewhere }
func (p *process) checkPages() error                    { return nil }
func (p *process) openPorts() ([]string, error)         { return nil, errElsewhere }
func listenerAmong(string, func(int) bool) (int, error) { return 0, errElsewhere }
