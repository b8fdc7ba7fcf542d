package subject

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

const heapPage = `heap profile: 1: 2 [3: 4] @ heap/1048576
1: 2 [3: 4] @ 0x1

# runtime.MemStats
# Alloc = 5
# TotalAlloc = 1000
# Mallocs = 20
# HeapSys = 4096
# PauseNs = [10 20 30 0]
# NumGC = 3
# MaxRSS = 7
`

func TestParseMemStats(t *testing.T) {
	m, err := parseMemStats(strings.NewReader(heapPage))
	if err != nil {
		t.Fatal(err)
	}
	want := runfolder.Counters{TotalAlloc: 1000, Mallocs: 20, NumGC: 3, HeapSys: 4096, GCPause: 50}
	if got := m.Counters(1); got != want {
		t.Errorf("counters since collection 1: %+v, want %+v", got, want)
	}
}

func TestParseMemStatsRejects(t *testing.T) {
	for name, page := range map[string]string{
		"empty":           "",
		"no MemStats":     "heap profile: 1: 2 [3: 4] @ heap/1048576\n",
		"a field lacks":   strings.Replace(heapPage, "# NumGC = 3\n", "", 1),
		"not a number":    strings.Replace(heapPage, "Mallocs = 20", "Mallocs = many", 1),
		"an error page":   "<html>not here</html>",
		"a binary answer": "\x1f\x8b\x08",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := parseMemStats(strings.NewReader(page)); err == nil {
				t.Errorf("read %+v", m)
			}
		})
	}
}

func TestGCPauses(t *testing.T) {
	ring := []int64{1, 2, 4, 8} // of collections 1, 2, 3, 4, or of 5, 2, 3, 4, …
	tests := []struct{ numGC, since, want int64 }{
		{3, 3, 0},
		{3, 2, 4},
		{4, 0, 15},
		{5, 3, 8 + 1},
		{8, 0, 30}, // twice what the ring holds
	}
	for _, tt := range tests {
		if got := (MemStats{NumGC: tt.numGC, pauses: ring}).Counters(tt.since).GCPause; got != tt.want {
			t.Errorf("pauses of collections %d to %d: %d, want %d", tt.since+1, tt.numGC, got, tt.want)
		}
	}
}

func FuzzParseMemStats(f *testing.F) {
	f.Add(heapPage)
	f.Add("# PauseNs = [1 x]\n")
	f.Fuzz(func(t *testing.T, page string) {
		if m, err := parseMemStats(strings.NewReader(page)); err == nil {
			m.Counters(0)
		}
	})
}

func TestPprofClientExplainsErrors(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/pprof/goroutine" {
			_, _ = w.Write([]byte("not a profile"))
			return
		}
		http.Error(w, "profiling is off", http.StatusForbidden)
	}))
	defer server.Close()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := PprofClient{Base: base}
	for page, want := range map[string]string{"allocs": "403 Forbidden: profiling is off", "goroutine": "GET " + server.URL + "/debug/pprof/goroutine: "} {
		if _, err := c.Profile(t.Context(), page); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v does not say %q", page, err, want)
		}
	}
}
