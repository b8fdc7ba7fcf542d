package loadgen

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// recorded asks for /0 after 0 ms, /1 after 1 ms, /2 after 4 ms, and begins again
// after 10 ms.
type recorded struct{}

func (recorded) Name() string                 { return "recorded" }
func (recorded) Kinds() []string              { return []string{"page"} }
func (r recorded) Source(uint64, int) Source  { return r }
func (recorded) Check(_ int, a *Answer) error { return a.CheckStatus() }
func (recorded) Times() ([]time.Duration, time.Duration) {
	return []time.Duration{0, time.Millisecond, 4 * time.Millisecond}, 10 * time.Millisecond
}

func (recorded) Next(req *Request) int {
	req.Target = fmt.Sprintf("/%d", req.Number%3)
	return 0
}

// Each request of a recording is sent at its own time, over all slices as if there
// were nothing between them, whichever worker sends it.
func TestReplay(t *testing.T) {
	type sent struct {
		at     time.Duration
		target string
	}
	const slice = 7 * time.Millisecond
	var mu sync.Mutex
	var all []sent
	var begun time.Time
	var done time.Duration
	handler := func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, sent{done + time.Since(begun), r.URL.Path})
		mu.Unlock()
		time.Sleep(1500 * time.Microsecond)
	}
	load := Load{Workers: 3, Rate: 300, Arrivals: Replay}
	inBubbleWith(t, recorded{}, load, handler, func(t *testing.T, d *Driver) {
		if ops := d.Warmup(context.Background(), 5).Ops(); ops != 5 {
			t.Errorf("the warm-up sent %d requests", ops)
		}
		all = nil
		for range 10 {
			begun = time.Now()
			if r := d.Slice(context.Background(), slice); r.Missed > 0 || r.Late > 0 {
				t.Errorf("%d missed, %d late", r.Missed, r.Late)
			}
			done += slice
			time.Sleep(time.Second)
		}
	})
	if len(all) != 21 {
		t.Fatalf("sent %d requests in 7 times the length of the recording", len(all))
	}
	targets := map[time.Duration]string{0: "/0", time.Millisecond: "/1", 4 * time.Millisecond: "/2"}
	for i, s := range all {
		shift := all[slices.IndexFunc(all, func(s sent) bool { return s.target == "/0" })].at
		of := (s.at - shift + 10*slice).Round(time.Microsecond) % (10 * time.Millisecond)
		if targets[of] != s.target {
			t.Errorf("request %d, %s, was sent %v after the recording began", i, s.target, of)
		}
	}
}

// Blocks replay different parts of a recording, and subjects the same.
func TestReplayBeginsWhereTheSeedSays(t *testing.T) {
	first := func(seed uint64) (time.Duration, int64) {
		due, number := newReplay(recorded{}, seed).slice(time.Second)
		return due[0], number
	}
	seen := map[int64]bool{}
	for seed := range uint64(100) {
		due, number := first(seed)
		if again, same := first(seed); again != due || same != number {
			t.Errorf("seed %d: %v and %v", seed, due, again)
		}
		seen[number] = true
		if due < 0 || due > 6*time.Millisecond {
			t.Errorf("seed %d: the first is due after %v, longer than any gap", seed, due)
		}
	}
	if len(seen) < 3 {
		t.Errorf("100 seeds begin with %v only", seen)
	}
}
