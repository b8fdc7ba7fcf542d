package cachegrind

import (
	"regexp"
	"strings"
)

// waiting are the functions of Go's runtime that wait, look for work, wake a thread that
// may have some, or watch over others by the clock, and those of which chance decides how
// often they run. Under valgrind everything takes tens of times longer than else, and what
// else the machine does decides whether a goroutine finds what it waits for there already: between
// runs of one program these functions differ by several hundred instructions per request, and
// the rest of the program by a tenth of that. Names that a version of Go does not have do no harm.
var waiting = regexp.MustCompile(`^runtime\.(` + strings.Join([]string{
	// the search for a goroutine to run
	`schedule`, `findRunnable`, `stealWork`, `runqgrab`, `runqsteal`, `becomeSpinning`, `resetspinning`,
	`check(Runqs|Timers|IdleGC)NoP`, `pidle(get|getSpinning|put)`, `pMask\..*`, `injectglist`,
	`\(\*m\)\.(clearAllpSnapshot|snapshotAllp)`, `\(\*gcControllerState\)\.releaseNextGCMarkWorker`,
	// the change to it
	`execute`, `casgstatus`, `mcall`, `gogo`, `park_m`, `gosched.*`, `globrunqget.*`, `runqputbatch`,
	// timers that may be due, and connections that have nothing to read yet
	`\(\*timers\)\..*`, `\(\*timer\)\.(maybeAdd|unlockAndRun)`, `timeSleepUntil`,
	`netpoll`, `netpoll(ready|Break)`, `netpollblock.*`, `\(\*pollDesc\)\.setEventErr`,
	// threads that begin and end to wait
	`startm`, `stopm`, `handoffp`, `wakep`, `mput`, `mget`, `mPark`, `acquirep.*`, `releasep.*`, `wirep`,
	`checkdead`, `incidlelocked`, `\(\*limiterEvent\)\..*`,
	`note(sleep|wakeup|tsleep.*)`, `futex.*`, `usleep.*`, `osyield.*`, `procyield.*`,
	// locks of the runtime, which spin
	`lock2`, `unlock2`,
	// the monitor, and what it does to those that take long
	`sysmon`, `retake`, `gcTrigger\.test`, `setBlockOnExitSyscall`, `syscallingThread\..*`, `exitsyscall(TryGetP|NoP)`,
	`preempt(one|M)`, `signalM`, `sig(tramp|trampgo|handler|fwdgo).*`, `doSigPreempt`, `asyncPreempt.*`,
	`wantAsyncPreempt`, `isAsyncSafePoint`, `adjustSignalStack`,
	// the clock
	`nanotime1`, `\(\*timeHistogram\)\.record`,
	// memory that is given back, by the clock, and the search for pages, which comes across it
	`\(\*pageAlloc\)\.(find|update|scavenge.*)`, `\(\*pallocBits\)\.summarize`, `mergeSummaries`,
	`\(\*pallocData\)\.findScavengeCandidate`, `\(\*scavengeIndex\)\..*`, `\(\*scavengerState\)\..*`, `bgscavenge.*`,
	// assertions of interfaces that are not in the cache of their place yet: one of 1024 enters it
	`typeAssert`, `interfaceSwitch`, `getitab`, `\(\*itabTableType\)\.find`,
}, "|") + `)(\.abi0)?$|^gogo$|^os/signal\.signalWaitUntilIdle$` +
	`|^internal/runtime/syscall(/linux)?\.EpollWait$|^internal/poll\.(runtime_pollWait|\(\*pollDesc\)\.wait)$`)

func waits(function string) bool { return waiting.MatchString(function) }
