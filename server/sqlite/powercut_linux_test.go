package sqlite

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server/powercut"
)

// cutSeed decides what chance does in the searches. The recorded calls differ
// from run to run, as their threads do.
const cutSeed = 15

// cutStates is how many distinct states of the disk TestPowerCut tries. The
// environment variable EVENTOBENCH_POWERCUT_STATES asks for another number.
func cutStates(t *testing.T) int {
	t.Helper()
	const few, many = 300, 10_000
	text := os.Getenv("EVENTOBENCH_POWERCUT_STATES")
	switch {
	case text == "" && testlong.On():
		return many
	case text == "":
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// record has a process of its own play a workload, under strace.
func record(t *testing.T, w workload, inject ...string) powercut.Trace {
	t.Helper()
	w.Dir = fastDir(t)
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	r := powercut.Recorder{
		Dir: w.Dir, Marks: os.DevNull, Inject: inject,
		// Whoever opens the database first makes the shared memory of the log anew,
		// from the log. openState lays junk in its place.
		Volatile: func(name string) bool { return strings.HasSuffix(name, "-shm") },
	}
	trace, err := r.Record(t.Context(), os.Args[0], nil, []string{workloadVar + "=" + string(text)})
	if errors.Is(err, powercut.ErrNoStrace) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// historyOf is what a recorded workload committed and acknowledged.
func historyOf(t *testing.T, w workload, inject ...string) *history {
	t.Helper()
	h, err := newHistory(t, record(t, w, inject...), w.Options)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestPowerCut cuts the power during writes, imports, a replacement and a deletion.
// With full sync nothing that was acknowledged is lost, whatever the disk did with
// what was not synced, and a batch is there wholly or not at all. With normal sync
// the newest may be lost, and the rest is sound. With sync off a cut may leave
// anything: it is counted.
func TestPowerCut(t *testing.T) {
	testlong.NotRaced(t, "it is about the disk, and under strace")
	for _, setting := range []struct {
		sync   Sync
		states int
	}{{SyncFull, cutStates(t)}, {SyncNormal, cutStates(t) / 10}, {SyncOff, cutStates(t) / 10}} {
		t.Run(string(setting.sync), func(t *testing.T) {
			h := historyOf(t, workload{Options: Options{Sync: setting.sync}, Writers: 4, Each: 25})
			c := newCrashes(t, h)
			states := c.search(h.trace, setting.states, func(loss) bool { return true })
			t.Logf("sync=%s, seed %d: %d distinct states after %d calls, %d commits and %d acknowledged calls: %s",
				setting.sync, cutSeed, states, len(h.trace.Ops), len(h.committed)-1, len(h.marks), c)
			if states < setting.states {
				t.Errorf("there were %d states only", states)
			}
			if setting.sync != SyncOff && c.breaks > 0 {
				t.Errorf("%d states are none that a commit left: %s", c.breaks, strings.Join(c.broken, "; "))
			}
			if setting.sync == SyncFull && c.losses > 0 {
				t.Errorf("%d states lack what was acknowledged", c.losses)
			}
			if setting.sync != SyncFull && c.losses == 0 {
				t.Error("nothing was ever lost: the test does not see what it is to see")
			}
			if said := h.maxUnsynced(); said != Everything && int64(c.worst.messages) > said {
				t.Errorf("the store says that %d can be lost at most", said)
			}
		})
	}
}

// search tries cuts of a trace until enough is true of what one took.
func (c *crashes) search(trace powercut.Trace, states int, goOn func(loss) bool) int {
	s := powercut.Search{Trace: trace, Seed: cutSeed, States: states, Visit: func(worker int, cut powercut.Cut) bool {
		return goOn(c.visit(worker, cut))
	}}
	return s.Run()
}

// String sums up what was lost.
func (c *crashes) String() string {
	if c.losses == 0 && c.breaks == 0 {
		return "nothing lost"
	}
	return fmt.Sprintf("%d cuts lost up to %d acknowledged writes, of up to %d ms before; %d left no sound store",
		c.losses, c.worst.messages, c.worst.since.Milliseconds(), c.breaks)
}

// TestPowerCutFindsAMissingSync takes the sync that a call waited for out of what
// was recorded: that must show within 1,000 states, or TestPowerCut could not
// fail. Of a deletion, of which there is one, another writer's sync can cover it.
func TestPowerCutFindsAMissingSync(t *testing.T) {
	testlong.NotRaced(t, "it is about the disk, and under strace")
	const enough = 1000
	h := historyOf(t, workload{Writers: 4, Each: 25})
	inDatabase := func(op powercut.Op) bool { return op.Kind == powercut.Sync && op.Name == database }
	ofFolder := func(op powercut.Op) bool { return op.Kind == powercut.SyncDir }
	for _, missing := range []struct {
		what  string
		syncs [][]int // of one of these calls
	}{
		{"of the log, after a write", h.awaited(func(m mark) bool { return m.Written })},
		{"of the log, after an import", h.awaited(func(m mark) bool { return len(m.IDs) == importBatch })},
		{"of the log, after a replacement", h.awaited(func(m mark) bool { return len(m.IDs) == replacement })},
		{"of the database, at a checkpoint", [][]int{middle(h.syncs(inDatabase))}},
		{"of the folder, by SQLite and by the store", [][]int{h.syncs(ofFolder)}},
	} {
		t.Run(missing.what, func(t *testing.T) {
			for _, syncs := range missing.syncs {
				c := newCrashes(t, h)
				states := c.search(h.trace.Without(syncs...), enough, func(l loss) bool { return !l.any() })
				if c.losses+c.breaks > 0 {
					t.Logf("without the sync %s (calls %d of %d), seed %d: caught at state %d", missing.what, syncs,
						len(h.trace.Ops), cutSeed, states)
					return
				}
			}
			t.Errorf("the loss of none of %d was caught", missing.syncs)
		})
	}
}

// awaited are the syncs of the log between the commit of an acknowledged call and
// its mark, of up to five such calls, the ones that have the fewest first. What drops
// old tables adds one to those of a replacement and of a deletion, and what another
// writer synced at the same time can cover them.
func (h *history) awaited(is func(mark) bool) (all [][]int) {
	for _, m := range h.marks {
		if m.Refused != "" || !is(m.mark) {
			continue
		}
		var syncs []int
		for i := h.committed[m.first].after; i < m.after; i++ {
			if op := h.trace.Ops[i]; op.Kind == powercut.Sync && op.Name == database+"-wal" {
				syncs = append(syncs, i)
			}
		}
		if len(syncs) > 0 {
			all = append(all, syncs)
		}
	}
	slices.SortStableFunc(all, func(a, b []int) int { return len(a) - len(b) })
	return all[:min(5, len(all))]
}

func middle(all []int) []int { return all[len(all)/2 : len(all)/2+1] }

// syncs are those of a kind behind the first commit.
func (h *history) syncs(is func(powercut.Op) bool) (found []int) {
	for i := h.committed[1].after; i < len(h.trace.Ops); i++ {
		if is(h.trace.Ops[i]) {
			found = append(found, i)
		}
	}
	return found
}

// maxUnsynced is what the store said could be lost at most.
func (h *history) maxUnsynced() (most int64) {
	for _, m := range h.marks {
		if m.Unsynced == Everything {
			return Everything
		}
		most = max(most, m.Unsynced)
	}
	return most
}
