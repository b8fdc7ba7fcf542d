package loadgen

import (
	"net/http"
	"testing"
	"time"
)

// closeTo reports whether two latencies are equal to three significant digits.
func closeTo(got, want time.Duration) bool {
	off := float64(got-want) / float64(want)
	return off >= -0.001 && off <= 0.001
}

// TestLongLatenciesAreRecorded: nothing that a valid load can produce is cut off.
func TestLongLatenciesAreRecorded(t *testing.T) {
	for _, want := range []time.Duration{3 * time.Minute, MaxTimeout, MaxSlice + MaxTimeout, maxLatency} {
		h := NewHistogram()
		recordLatency(h, want)
		if got := time.Duration(h.ValueAtQuantile(100)); !closeTo(got, want) {
			t.Errorf("a latency of %v is recorded as %v", want, got)
		}
	}
}

// TestHistogramsAreSmall: every worker has one or two per kind of request.
func TestHistogramsAreSmall(t *testing.T) {
	if size := NewHistogram().ByteSize(); size > 280_000 {
		t.Errorf("a histogram takes %d bytes", size)
	}
}

// TestLongLatenciesOfADriver: the same through a whole driver, at its limits.
func TestLongLatenciesOfADriver(t *testing.T) {
	taking := func(d time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(d)
			fine(w, r)
		}
	}
	inBubble(t, Load{Workers: 1, Timeout: MaxTimeout}, taking(3*time.Minute), func(t *testing.T, d *Driver) {
		r := d.Warmup(t.Context(), 1)
		if got := quantile(d.TakeLatency().Due, 100); r.Ops() != 1 || !closeTo(got, 3*time.Minute) {
			t.Errorf("an answer after 3m is recorded as %v; errors %v", got, r.Errors)
		}
	})
	// The first request is due after 0.5s and answered 59m later. Only then is the
	// second one sent, which was due after 1.5s.
	load := Load{Workers: 1, Timeout: MaxTimeout, Rate: 1, Arrivals: Constant}
	inBubble(t, load, taking(59*time.Minute), func(t *testing.T, d *Driver) {
		r := d.Slice(t.Context(), MaxSlice)
		if r.Ops() != 2 || r.Missed != 3598 || r.Errors.Total() != 0 {
			t.Errorf("%d answered, %d missed, errors %v", r.Ops(), r.Missed, r.Errors)
		}
		want := 2*59*time.Minute - time.Second
		if got := quantile(d.TakeLatency().Due, 100); !closeTo(got, want) {
			t.Errorf("a latency of %v is recorded as %v", want, got)
		}
	})
}
