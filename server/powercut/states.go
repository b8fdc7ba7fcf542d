package powercut

import (
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Cut is a state of the disk and when the power went.
type Cut struct {
	After int    // how many calls of the trace there had been
	Hash  uint64 // of the state; states are equal if it is
	State State
	New   bool // no cut before had this state
}

// Search visits power cuts after every call of a trace: first with nothing that
// was not synced, then with all of it, then pass after pass with what chance
// decides. It ends when there were enough distinct states, when a pass brings no
// new one, or when visit returns false. Visit is called by several goroutines,
// each with a number below Workers. The seed decides all that chance does.
type Search struct {
	Trace  Trace
	Seed   uint64
	States int
	Visit  func(worker int, c Cut) bool

	hash  maphash.Seed
	mu    sync.Mutex
	seen  map[uint64]bool
	ended atomic.Bool
}

// Workers is the number of goroutines that visit.
var Workers = runtime.GOMAXPROCS(0)

// Run searches, and returns how many distinct states were visited.
func (s *Search) Run() int {
	s.hash, s.seen = maphash.MakeSeed(), map[uint64]bool{}
	for pass := 0; !s.ended.Load(); pass++ {
		before := len(s.seen)
		var wg sync.WaitGroup
		for worker := range Workers {
			wg.Go(func() { s.pass(pass, worker) })
		}
		wg.Wait()
		if len(s.seen) == before && pass > 1 {
			break
		}
	}
	return len(s.seen)
}

// pass cuts the power once after each call that is a worker's.
func (s *Search) pass(pass, worker int) {
	var d Disk
	for after := range len(s.Trace.Ops) + 1 {
		if after > 0 {
			d.Do(s.Trace.Ops[after-1])
		}
		if after%Workers != worker {
			continue
		}
		rng := rand.New(rand.NewPCG(s.Seed, uint64(pass)<<32|uint64(after)))
		state := d.Cut(fateOf(pass, rng, d.Pending()))
		c := Cut{After: after, Hash: s.hashOf(state), State: state}
		if c.New = s.note(c.Hash); s.ended.Load() {
			return
		}
		if !s.Visit(worker, c) {
			s.ended.Store(true)
		}
	}
}

// note reports whether a state is new. The search has ended if it would be one
// too many.
func (s *Search) note(hash uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[hash] {
		return false
	}
	if len(s.seen) == s.States {
		s.ended.Store(true)
		return false
	}
	s.seen[hash] = true
	return true
}

func (s *Search) hashOf(state State) uint64 {
	var h maphash.Hash
	h.SetSeed(s.hash)
	for _, name := range slices.Sorted(maps.Keys(state)) {
		maphash.WriteComparable(&h, name)
		maphash.WriteComparable(&h, len(state[name]))
		h.Write(state[name])
	}
	return h.Sum64()
}

// fateOf is what becomes of the pending calls in a pass.
func fateOf(pass int, rng *rand.Rand, pending int) Fate {
	switch pass {
	case 0:
		return Fate{Kept: func(Op, int64) bool { return false }}
	case 1:
		return Fate{Kept: func(Op, int64) bool { return true }}
	}
	fates := []func(*rand.Rand, int) Fate{oneLost, oneKept, inOrder, some, torn}
	return fates[rng.IntN(len(fates))](rng, pending)
}

// oneLost keeps all calls but one.
func oneLost(rng *rand.Rand, pending int) Fate {
	lost := rng.IntN(max(pending, 1))
	return Fate{Kept: func(Op, int64) bool { lost--; return lost != -1 }}
}

// oneKept keeps one call.
func oneKept(rng *rand.Rand, pending int) Fate {
	kept := rng.IntN(max(pending, 1))
	return Fate{Kept: func(Op, int64) bool { kept--; return kept == -1 }}
}

// some keeps any of the calls.
func some(rng *rand.Rand, _ int) Fate {
	share := rng.Float64()
	return Fate{Kept: func(Op, int64) bool { return rng.Float64() < share }}
}

// torn keeps any of the sectors.
func torn(rng *rand.Rand, pending int) Fate {
	fate := some(rng, pending)
	fate.Sector = sector(rng)
	return fate
}

// inOrder keeps the calls to each file up to somewhere, and may tear the last.
func inOrder(rng *rand.Rand, pending int) Fate {
	stopped := map[int]bool{} // by file; 0 is not one, and each move of a name is for itself
	share := 1 / float64(pending+1)
	return Fate{Sector: sector(rng), Kept: func(op Op, _ int64) bool {
		if op.Kind == Create || op.Kind == Remove {
			return rng.IntN(2) == 0
		}
		stopped[op.File] = stopped[op.File] || rng.Float64() < share
		return !stopped[op.File]
	}}
}

// sector is how much a disk or a page cache writes at once.
func sector(rng *rand.Rand) int64 { return []int64{512, 4096}[rng.IntN(2)] }
