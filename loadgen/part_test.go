package loadgen

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestPartsMakeTheWhole: the parts of a load have each worker, each request of a
// warm-up and each request that is due once, and at the time it has in the whole.
func TestPartsMakeTheWhole(t *testing.T) {
	const workers, requests, rate, seed = 11, 100, 20000, 3
	mix := EventMix{Streams: 1}
	load := Load{Workload: mix.Name(), Kinds: mix.Kinds(), Workers: workers, Timeout: time.Second,
		Rate: rate, Arrivals: Poisson}
	for _, of := range []int{1, 2, 3, 7} {
		var all []int
		var warm []int64
		due := map[int64]time.Duration{}
		for index := range of {
			part := Part{index, of}
			for from, to := part.workers(workers); from < to; from++ {
				all = append(all, from)
			}
			n := &fixedNumber{requests: requests, part: part}
			for _, number, ok := n.Next(time.Time{}); ok; _, number, ok = n.Next(time.Time{}) {
				warm = append(warm, number)
			}
			line := newTimeline(mix, load, seed)
			for slice := range time.Duration(3) {
				times, first := part.share(line.slice(10 * time.Millisecond))
				for i, at := range times {
					due[first+int64(i*of)] = slice*10*time.Millisecond + at
				}
			}
		}
		if !slices.Equal(all, upTo(workers)) {
			t.Errorf("%d parts have the workers %v", of, all)
		}
		if slices.Sort(warm); len(warm) != requests || warm[0] != 0 || warm[requests-1] != requests-1 {
			t.Errorf("%d parts warm up with %v", of, warm)
		}
		whole := map[int64]time.Duration{}
		line := newTimeline(mix, load, seed)
		for slice := range time.Duration(3) {
			times, first := line.slice(10 * time.Millisecond)
			for i, at := range times {
				whole[first+int64(i)] = slice*10*time.Millisecond + at
			}
		}
		if !reflect.DeepEqual(due, whole) {
			t.Errorf("%d parts send %d requests at other times than the whole of %d", of, len(due), len(whole))
		}
	}
}

func upTo(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestCeiling(t *testing.T) {
	start := time.Now()
	c := &ceiling{start: start, perS: 1000}
	sent := 0
	for at := time.Duration(0); at < time.Second; at += 100 * time.Microsecond { // ten times as many
		if c.allows(start.Add(at)) {
			sent++
		}
	}
	if sent < 50 || sent > 60 || !c.isExceeded() { // the first refusal ends it
		t.Errorf("%d requests at ten times the rate, exceeded %v", sent, c.isExceeded())
	}
	even := &ceiling{start: start, perS: 1000}
	for at := time.Duration(0); at < time.Second; at += time.Millisecond {
		if !even.allows(start.Add(at)) {
			t.Fatalf("refused after %v", at)
		}
	}
}

// TestMergedLatency: agents that were given the values of one machine between them
// have its histograms, bucket for bucket.
func TestMergedLatency(t *testing.T) {
	const kinds, agents = 2, 3
	rng := rand.New(rand.NewPCG(1, 2))
	one := Latency{Due: newHistograms(kinds), Sent: newHistograms(kinds)}
	parts := make([]Latency, agents)
	for i := range parts {
		parts[i] = Latency{Due: newHistograms(kinds), Sent: newHistograms(kinds)}
	}
	for range 20000 {
		kind, agent := rng.IntN(kinds), rng.IntN(agents)
		due := time.Duration(rng.ExpFloat64() * float64(time.Millisecond))
		for _, l := range []Latency{one, parts[agent]} {
			recordLatency(l.Due[kind], due)
			recordLatency(l.Sent[kind], due/2)
		}
	}
	merged := MergeLatency(kinds, true, parts)
	for kind := range kinds {
		if !reflect.DeepEqual(merged.Due[kind].Export(), one.Due[kind].Export()) ||
			!reflect.DeepEqual(merged.Sent[kind].Export(), one.Sent[kind].Export()) {
			t.Errorf("kind %d differs", kind)
		}
	}
}

func TestMerge(t *testing.T) {
	start := time.Now()
	part := func(after, length time.Duration, ops int64) Result {
		return Result{
			Start: start.Add(after), Duration: length, CPU: time.Second, Late: 1, MaxLate: after, Missed: 2,
			Reopened: 3, Errors: Errors{Kinds: map[string]int64{"timeout": 1}, First: "first"},
			Setup: Errors{Kinds: map[string]int64{"refused": 1}, First: "setup"},
			Kinds: []KindResult{{Ops: ops, Latency: time.Second, Bytes: 5, Errors: 1, Statuses: map[int]int64{200: ops}}},
		}
	}
	got := Merge(1, []Result{part(time.Millisecond, 50*time.Millisecond, 7), part(0, 48*time.Millisecond, 5)})
	want := Result{
		Start: start, Duration: 51 * time.Millisecond, CPU: 2 * time.Second, Late: 2, MaxLate: time.Millisecond,
		Missed: 4, Reopened: 6, Errors: Errors{Kinds: map[string]int64{"timeout": 2}, First: "first"},
		Setup: Errors{Kinds: map[string]int64{"refused": 2}, First: "setup"},
		Kinds: []KindResult{{Ops: 12, Latency: 2 * time.Second, Bytes: 10, Errors: 2, Statuses: map[int]int64{200: 12}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// burstOf is a recording of a hundred requests at once, every 200 ms.
type burstOf struct{ recorded }

func (b burstOf) Source(uint64, int) Source { return b }
func (burstOf) Times() ([]time.Duration, time.Duration) {
	return make([]time.Duration, 100), 200 * time.Millisecond
}

// TestCeilingOfRecording: a recording, whose rate is one on average, is held down where it
// is faster.
func TestCeilingOfRecording(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	load := Load{Workers: 4, Timeout: 10 * time.Second, Rate: 500, Arrivals: Replay}
	for limit, limited := range map[float64]bool{500: true, 5000: false, 0: false} {
		d := NewPart(u, burstOf{}, load, Connect{}, 1, Part{}, limit)
		r := d.Slice(t.Context(), 200*time.Millisecond)
		d.Close()
		if r.Limited != limited || limited && r.Ops() > 40 || !limited && r.Ops()+r.Missed != 100 {
			t.Errorf("at most %v/s: %d requests, limited %v", limit, r.Ops(), r.Limited)
		}
	}
}

// TestCeilingOfWarmup: a warm-up that would be too fast is held down, and sends all of its
// requests.
func TestCeilingOfWarmup(t *testing.T) {
	const requests, perS = 500, 1000
	inBubble(t, Load{Workers: 4}, fine, func(t *testing.T, d *Driver) {
		d.limit = perS
		r := d.Warmup(t.Context(), requests)
		const last = (requests-1)*time.Second/perS - burst
		if r.Ops() != requests || r.Limited || r.Duration != last {
			t.Errorf("%d of %d requests in %v, limited %v, want %v", r.Ops(), requests, r.Duration, r.Limited, last)
		}
	})
}
