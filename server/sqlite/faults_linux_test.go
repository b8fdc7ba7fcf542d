package sqlite

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/eventobench/eventobench/internal/testlong"
)

// serial is a workload whose calls to the system are the same in each run.
func serial(o Options) workload { return workload{Options: o, Writers: 2, Each: 3, Serial: true} }

// fault is what strace makes of one call to the system.
type fault struct {
	call, how   string
	short, long int // fail one in so many calls, by how long the tests may take; all with EVENTOBENCH_EVERY_FAULT
}

var faults = []fault{
	{"pwrite64", "error=EIO", 300, 80},
	{"pwrite64", "error=ENOSPC", 0, 80},
	{"pwrite64", "retval=0", 0, 80},
	{"fsync", "error=EIO", 40, 4},
	{"fsync", "error=ENOSPC", 0, 10},
	{"ftruncate", "error=EIO", 0, 2},
	{"ftruncate", "error=ENOSPC", 0, 2},
	{"unlink", "error=EIO", 0, 1},
}

// step is the distance of the calls to fail; 0 for none.
func (f fault) step() int {
	switch {
	case os.Getenv("EVENTOBENCH_EVERY_FAULT") != "":
		return 1
	case testlong.On():
		return f.long
	}
	return f.short
}

// TestErrorsAtEveryCall makes one call to the system fail, each in turn: whatever
// was asked of the store is either refused and not there, or acknowledged and
// there, and what was acknowledged is there after a power cut at any moment. (So
// may be what was refused because its sync failed, until the next commit takes its
// place.) That also holds if what a failed sync was to bring to the disk is gone
// for good and the next sync succeeds nevertheless.
func TestErrorsAtEveryCall(t *testing.T) {
	testlong.NotRaced(t, "it is about the disk, and under strace")
	for _, sync := range []Sync{SyncFull, SyncNormal} {
		for _, f := range faults {
			t.Run(fmt.Sprintf("%s/%s:%s", sync, f.call, f.how), func(t *testing.T) {
				step := f.step()
				if step == 0 {
					testlong.Need(t)
				}
				t.Parallel()
				failed, refused, states := 0, 0, 0
				for n := 1; ; n += step {
					h := historyOf(t, serial(Options{NoBatch: true, Sync: sync}), fmt.Sprintf("%s:%s:when=%d", f.call, f.how, n))
					if len(h.trace.Injected) == 0 {
						break
					}
					failed++
					refused += h.refused()
					states += checkFault(t, h)
				}
				t.Logf("%d of the calls to %s failed, %d of those to the store were refused; %d states", failed, f.call, refused, states)
				if failed == 0 {
					t.Error("there was no such call")
				}
			})
		}
	}
}

// TestShortWrites lets no file grow beyond a size, in steps: the write that
// crosses it is cut short there, and the next one fails.
func TestShortWrites(t *testing.T) {
	testlong.NotRaced(t, "it is about the disk, and under strace")
	const sector, most = 512, 110 << 10
	f := fault{short: 80, long: 15}
	cut, refused, states := 0, 0, 0
	for size := int64(sector / 2); size < most; size += sector * int64(f.step()) {
		w := serial(Options{NoBatch: true})
		w.Limit = size
		h := historyOf(t, w)
		cut += min(h.refused(), 1)
		refused += h.refused()
		states += checkFault(t, h)
	}
	if t.Logf("%d sizes, %d calls refused; %d states", cut, refused, states); cut == 0 {
		t.Error("no write was cut short")
	}
}

func (h *history) refused() (n int) {
	for _, m := range h.marks {
		if m.Refused != "" {
			n++
		}
	}
	return n
}

// checkFault judges what the store held at the end, and what power cuts left.
func checkFault(t *testing.T, h *history) (states int) {
	t.Helper()
	const enough = 40
	last := h.committed[len(h.committed)-1]
	there := func(m placedMark) bool {
		return slices.ContainsFunc(m.IDs, func(id uuid.UUID) bool { return last.messages[m.Namespace][id] })
	}
	failed := strings.Join(h.trace.Injected, "; ")
	for _, m := range h.marks {
		if m.Written && m.Namespace == "one" && there(m) == (m.Refused != "") {
			t.Errorf("after %s: there is %t, what was told is %+v", failed, there(m), m.mark)
		}
	}
	c := newCrashes(t, h)
	states = c.search(h.trace, enough, func(loss) bool { return true })
	if c.breaks > 0 || c.losses > 0 && h.options.Sync == SyncFull {
		t.Errorf("after %s: %s: %s", failed, c, strings.Join(c.broken, "; "))
	}
	return states
}
