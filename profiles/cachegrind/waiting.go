package cachegrind

import (
	"regexp"
	"strings"
)

// waiting are the functions of Go's runtime that wait, look for work, wake a thread that
// may have some, or watch over others by the clock. How often they run depends on how long
// everything takes, and under valgrind that is tens of times longer than else: between runs
// of one program they differ by several hundred instructions per request, and the rest of
// the program by a tenth of that. Names that a version of Go does not have do no harm.
var waiting = regexp.MustCompile(`^runtime\.(` + strings.Join([]string{
	// the search for a goroutine to run
	`schedule`, `findRunnable`, `stealWork`, `runqgrab`, `runqsteal`, `becomeSpinning`, `resetspinning`,
	`check(Runqs|Timers|IdleGC)NoP`, `pidle(get|getSpinning|put)`, `pMask\..*`, `injectglist`,
	`\(\*timers\)\.(check|wakeTime)`, `netpoll`, `netpollready`, `netpollBreak`,
	// threads that begin and end to wait
	`startm`, `stopm`, `handoffp`, `wakep`, `mput`, `mget`, `mPark`, `acquirep.*`, `releasep.*`, `wirep`,
	`checkdead`, `incidlelocked`, `\(\*limiterEvent\)\..*`,
	`note(sleep|wakeup|tsleep.*)`, `futex.*`, `usleep.*`, `osyield.*`, `procyield.*`,
	// locks of the runtime, which spin
	`lock2`, `unlock2`,
	// the monitor, and what it does to those that take long
	`sysmon`, `retake`, `gcTrigger\.test`, `setBlockOnExitSyscall`, `syscallingThread\..*`, `exitsyscallTryGetP`,
	`preempt(one|M)`, `signalM`, `sig(tramp|trampgo|handler|fwdgo).*`, `doSigPreempt`, `asyncPreempt.*`,
	`wantAsyncPreempt`, `isAsyncSafePoint`, `adjustSignalStack`,
	// the clock
	`nanotime1`,
}, "|") + `)(\.abi0)?$|^internal/runtime/syscall(/linux)?\.EpollWait$`)

func waits(function string) bool { return waiting.MatchString(function) }
