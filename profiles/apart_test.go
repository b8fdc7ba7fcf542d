package profiles

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestApart holds that all that is no part of blocks counts in none of them: the probe
// still does not when layouts were linked after it.
func TestApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorder{start: time.Now(), done: 1}
		r.MaxTime = 15 * time.Second
		for range 2 {
			if err := r.apart(func() error { time.Sleep(5 * time.Second); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second) // the block
		if r.timeIsUp() {
			t.Error("another block of 2 s has no room in the 3 s that are left")
		}
		time.Sleep(time.Second)
		if !r.timeIsUp() {
			t.Error("another block of 3 s has room in the 2 s that are left")
		}
	})
}
