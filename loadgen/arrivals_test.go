package loadgen

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTimeline(t *testing.T) {
	const us, ms = time.Microsecond, time.Millisecond
	tests := []struct {
		name   string
		load   Load
		length time.Duration
		want   [][]time.Duration // of consecutive slices
	}{
		{"every slice alike", Load{Rate: 400, Arrivals: Constant}, 5 * ms,
			[][]time.Duration{{1250 * us, 3750 * us}, {1250 * us, 3750 * us}}},
		{"less often than slices", Load{Rate: 50, Arrivals: Constant}, 8 * ms,
			[][]time.Duration{nil, {2 * ms}, nil, {6 * ms}, nil, nil, {2 * ms}}},
		{"a slice and a half", Load{Rate: 100, Arrivals: Constant}, 15 * ms,
			[][]time.Duration{{5 * ms}, {0, 10 * ms}, {5 * ms}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			line := newTimeline(nil, tt.load, 1)
			for i, want := range tt.want {
				if got, _ := line.slice(tt.length); !slices.Equal(got, want) {
					t.Errorf("slice %d: %v, want %v", i, got, want)
				}
			}
		})
	}
}

// dues are the first n due times of a timeline, over slices of 10 ms.
func dues(l Load, seed uint64, n int) []time.Duration {
	const slice = 10 * time.Millisecond
	var all []time.Duration
	line := newTimeline(nil, l, seed)
	for start := time.Duration(0); len(all) < n; start += slice {
		more, _ := line.slice(slice)
		for _, due := range more {
			all = append(all, start+due)
		}
	}
	return all[:n]
}

func TestPoissonIsReproducible(t *testing.T) {
	load := Load{Rate: 3000, Arrivals: Poisson}
	if first, again := dues(load, 1, 1000), dues(load, 1, 1000); !slices.Equal(first, again) {
		t.Error("equal seeds gave different arrivals")
	}
	if slices.Equal(dues(load, 1, 1000), dues(load, 2, 1000)) {
		t.Error("different seeds gave equal arrivals")
	}
}

// TestSetRate holds that the requests at another rate are the same ones, further apart
// or closer together, whatever slices they fall into.
func TestSetRate(t *testing.T) {
	const second = time.Second
	for _, arrivals := range []Arrivals{Poisson, Constant} {
		steady, changed := newTimeline(nil, Load{Rate: 100, Arrivals: arrivals}, 1), newTimeline(nil, Load{Rate: 100, Arrivals: arrivals}, 1)
		first, _ := steady.slice(second)
		same, _ := changed.slice(second)
		if !slices.Equal(first, same) {
			t.Fatalf("%s: equal seeds gave different arrivals", arrivals)
		}
		changed.setRate(200)
		want, _ := steady.slice(second)
		got, number := changed.slice(second / 2)
		if len(got) != len(want) || number != int64(len(same)) {
			t.Fatalf("%s: %d requests in half the time from number %d, want %d from %d", arrivals, len(got), number, len(want), len(same))
		}
		for i := range got {
			if off := got[i] - want[i]/2; off.Abs() > time.Microsecond {
				t.Errorf("%s: request %d at %v, want %v", arrivals, i, got[i], want[i]/2)
			}
		}
	}
}

// TestPoissonGaps compares the gaps with the exponential distribution: their
// mean and standard deviation are one over the rate, and 1-1/e of them are
// below it. The seed is fixed, so the outcome is too.
func TestPoissonGaps(t *testing.T) {
	const n, rate = 100_000, 5000.0
	var sum, squares, below float64
	last := time.Duration(0)
	for _, due := range dues(Load{Rate: rate, Arrivals: Poisson}, 1, n) {
		gap := (due - last).Seconds() * rate
		last = due
		sum, squares = sum+gap, squares+gap*gap
		if gap < 1 {
			below++
		}
	}
	mean := sum / n
	for name, off := range map[string]float64{
		"mean":                 mean - 1,
		"standard deviation":   math.Sqrt(squares/n-mean*mean) - 1,
		"share below the mean": below/n - (1 - 1/math.E),
	} {
		if math.Abs(off) > 0.01 {
			t.Errorf("%s of the gaps is %.4f off", name, off)
		}
	}
}

func TestPacers(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	due := []time.Duration{0, 5 * time.Millisecond, 9 * time.Millisecond}
	planned := &schedule{first: 70, start: start, due: due, end: at(20)}
	three := &fixedNumber{requests: 3}
	tests := []struct {
		name    string
		pacer   Pacer
		now     []time.Time
		want    []time.Time // shorter than now: then there is nothing to send
		numbers []int64
	}{
		{"closed loop", &closedLoop{end: at(10)},
			[]time.Time{at(0), at(9), at(10)}, []time.Time{{}, {}}, []int64{0, 0}},
		{"fixed number", three,
			[]time.Time{at(0), at(0), at(99), at(99)}, []time.Time{{}, {}, {}}, []int64{0, 1, 2}},
		{"schedule, early and late", planned,
			[]time.Time{at(0), at(1), at(15), at(15)}, []time.Time{at(0), at(5), at(9)}, []int64{70, 71, 72}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, now := range tt.now {
				due, number, ok := tt.pacer.Next(now)
				if ok != (i < len(tt.want)) {
					t.Fatalf("call %d at %v: %v, %v", i, now, due, ok)
				}
				if ok && (!due.Equal(tt.want[i]) || number != tt.numbers[i]) {
					t.Errorf("call %d: number %d due %v, want %d, %v", i, number, due, tt.numbers[i], tt.want[i])
				}
			}
		})
	}
	if n := planned.missed(); n != 0 {
		t.Errorf("missed %d of a schedule that was taken", n)
	}
}

func TestScheduleCountsWhatNobodyTook(t *testing.T) {
	start := time.Unix(1000, 0)
	s := &schedule{start: start, due: make([]time.Duration, 10), end: start.Add(time.Second)}
	for range 3 {
		s.Next(start)
	}
	if _, _, ok := s.Next(start.Add(time.Second)); ok {
		t.Error("a request was handed out after the end")
	}
	if n := s.missed(); n != 7 {
		t.Errorf("missed %d, want 7", n)
	}
}

func TestScheduleHandsEachRequestToOneWorker(t *testing.T) {
	const n = 1000
	start := time.Unix(1000, 0)
	s := &schedule{start: start, end: start.Add(time.Second)}
	for i := range n {
		s.due = append(s.due, time.Duration(i))
	}
	var mu sync.Mutex
	taken := map[time.Time]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				due, _, ok := s.Next(start)
				if !ok {
					return
				}
				mu.Lock()
				taken[due]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(taken) != n || s.missed() != 0 {
		t.Errorf("%d of %d requests taken, %d missed", len(taken), n, s.missed())
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{
		"5000/s": 5000, "5000": 5000, "300/m": 5, "0.5/s": 0.5, "1e6": 1e6, "30/m": 0.5,
		"": 0, "0": 0, "-1/s": 0, "/s": 0, "10/": 0, "10/h": 0, "fast": 0, "NaN": 0, "Inf": 0,
		"1000001/s": 0, "5000 /s": 0, "10/s/s": 0,
	} {
		got, err := ParseRate(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("ParseRate(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	f.Add("300/m")
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := ParseRate(text)
		if err != nil {
			return
		}
		l := Load{Workers: 1, Timeout: testTimeout, Rate: rate, Arrivals: Poisson}
		if err := l.Validate(); err != nil || !l.Open() {
			t.Errorf("ParseRate(%q) = %v, which is no rate: %v", text, rate, err)
		}
	})
}

func TestValidateLoad(t *testing.T) {
	const second, never = time.Second, time.Duration(math.MaxInt64)
	tests := []struct {
		load Load
		want string // in the error; empty if the load is valid
	}{
		{Load{Workers: 1, Timeout: second}, ""},
		{Load{Workers: 1, Timeout: 1}, ""},
		{Load{Workers: 1, Timeout: MaxTimeout}, ""},
		{Load{Workers: 1, Timeout: second, Rate: 100, Arrivals: Poisson}, ""},
		{Load{Workers: 1, Timeout: second, Rate: MaxRate, Arrivals: Constant}, ""},
		{Load{}, "at least 1 worker, not 0"},
		{Load{Workers: 1}, "a timeout above 0, not 0s"},
		{Load{Workers: 1, Timeout: -second}, "a timeout above 0, not -1s"},
		{Load{Workers: 1, Timeout: MaxTimeout + 1}, "a timeout of at most 1h0m0s, not 1h0m0.000000001s"},
		{Load{Workers: 1, Timeout: never}, "a timeout of at most 1h0m0s, not 2562047h47m16.854775807s"},
		{Load{Workers: 1, Timeout: second, Rate: 2 * MaxRate, Arrivals: Poisson}, "a rate of at most 1000000/s"},
		{Load{Workers: 1, Timeout: second, Rate: -1, Arrivals: Poisson}, "not -1/s"},
		{Load{Workers: 1, Timeout: second, Rate: math.NaN(), Arrivals: Poisson}, "not NaN/s"},
		{Load{Workers: 1, Timeout: second, Rate: 100}, `unknown arrivals ""`},
		{Load{Workers: 1, Timeout: second, Rate: 100, Arrivals: "sometimes"}, `unknown arrivals "sometimes"`},
		{Load{Workers: 1, Timeout: second, Arrivals: Constant}, "arrivals (constant) need a rate"},
	}
	for _, tt := range tests {
		err := tt.load.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.load, err, tt.want)
		}
	}
}

func TestEqualLoads(t *testing.T) {
	load := Load{Workload: "w", Kinds: []string{"k"}, Workers: 1, Rate: 5, Arrivals: Poisson}
	if !load.Equal(load) {
		t.Error("a load differs from itself")
	}
	for name, change := range map[string]func(*Load){
		"workload": func(l *Load) { l.Workload = "v" },
		"kinds":    func(l *Load) { l.Kinds = []string{"k", "k"} },
		"workers":  func(l *Load) { l.Workers = 2 },
		"timeout":  func(l *Load) { l.Timeout = time.Second },
		"rate":     func(l *Load) { l.Rate = 6 },
		"arrivals": func(l *Load) { l.Arrivals = Constant },
	} {
		other := load
		change(&other)
		if load.Equal(other) {
			t.Errorf("loads of different %s are equal", name)
		}
	}
}
