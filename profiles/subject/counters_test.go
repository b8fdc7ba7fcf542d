package subject

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

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

func TestParseHeapPage(t *testing.T) {
	m, err := parseHeapPage(strings.NewReader(heapPage))
	if err != nil {
		t.Fatal(err)
	}
	want := runfolder.Counters{TotalAlloc: 1000, Mallocs: 20, NumGC: 3, HeapSys: 4096, GCPause: 50}
	if got := m.counters(1); got != want {
		t.Errorf("counters since collection 1: %+v, want %+v", got, want)
	}
}

func TestParseHeapPageRejects(t *testing.T) {
	for name, page := range map[string]string{
		"empty":           "",
		"no MemStats":     "heap profile: 1: 2 [3: 4] @ heap/1048576\n",
		"a field lacks":   strings.Replace(heapPage, "# NumGC = 3\n", "", 1),
		"not a number":    strings.Replace(heapPage, "Mallocs = 20", "Mallocs = many", 1),
		"an error page":   "<html>not here</html>",
		"a binary answer": "\x1f\x8b\x08",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := parseHeapPage(strings.NewReader(page)); err == nil {
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
		if got := (memStats{NumGC: tt.numGC, pauses: ring}).counters(tt.since).GCPause; got != tt.want {
			t.Errorf("pauses of collections %d to %d: %d, want %d", tt.since+1, tt.numGC, got, tt.want)
		}
	}
}

func FuzzParseHeapPage(f *testing.F) {
	f.Add(heapPage)
	f.Add("# PauseNs = [1 x]\n")
	f.Fuzz(func(t *testing.T, page string) {
		if m, err := parseHeapPage(strings.NewReader(page)); err == nil {
			m.counters(0)
		}
	})
}

func TestParseVarsPage(t *testing.T) {
	const page = `{"cmdline": ["x"], "hits": 7, "memstats": {"Alloc": 5, "TotalAlloc": 1000, "Mallocs": 20, "HeapSys": 4096,
		"PauseTotalNs": 60, "PauseNs": [10, 20, 30], "NumGC": 3, "BySize": [{"Size": 8}]}}`
	m, err := parseVarsPage(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	want := runfolder.Counters{TotalAlloc: 1000, Mallocs: 20, NumGC: 3, HeapSys: 4096, GCPause: 60}
	if got := m.counters(1); got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
	for _, page := range []string{"", "{}", "<html>", `{"memstats": 1}`, `{"memstats": {}}`, `{"memstats": {"Alloc": -1}}`} {
		if m, err := parseVarsPage(strings.NewReader(page)); err == nil {
			t.Errorf("read %+v from %s", m, page)
		}
	}
}

func FuzzParseVarsPage(f *testing.F) {
	f.Add(`{"memstats": {"TotalAlloc": 1, "PauseTotalNs": 2}}`)
	f.Fuzz(func(t *testing.T, page string) {
		if m, err := parseVarsPage(strings.NewReader(page)); err == nil {
			m.counters(0)
		}
	})
}

// TestReadCostIsTheLeast: what a collection adds to one reading is not taken
// from the requests.
func TestReadCostIsTheLeast(t *testing.T) {
	totals := []int{1000, 5000, 5300, 7300, 9300, 9800, 12000, 14000} // the least that a reading cost is 300
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != VarsPage {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `{"memstats": {"TotalAlloc": %d, "Mallocs": 3, "PauseTotalNs": 1}}`, totals[0])
		totals = totals[1:]
	}))
	defer server.Close()
	before, err := pagesOf(t, server).CountersBefore(t.Context(), VarsPage)
	if err != nil {
		t.Fatal(err)
	}
	if before.Counters.TotalAlloc != 14000 || before.ReadCost != (runfolder.Counters{TotalAlloc: 300}) {
		t.Errorf("counters %+v, cost of a reading %+v", before.Counters, before.ReadCost)
	}
}

func pagesOf(t *testing.T, server *httptest.Server) *Pages {
	t.Helper()
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPages(debugPagesOf(base))
	t.Cleanup(p.Close)
	return p
}

// TestPages tells what a server lacks from what goes wrong with it.
func TestPages(t *testing.T) {
	answers := map[string]func(http.ResponseWriter){
		"/debug/pprof/allocs":  func(w http.ResponseWriter) { http.Error(w, "profiling is off", http.StatusForbidden) },
		"/debug/pprof/heap":    func(w http.ResponseWriter) { http.Error(w, "out of cheese", http.StatusInternalServerError) },
		"/debug/pprof/mutex":   func(w http.ResponseWriter) { fmt.Fprint(w, "<html>welcome</html>") },
		"/debug/pprof/profile": func(w http.ResponseWriter) { http.Error(w, "", http.StatusNotFound) },
		"/debug/pprof/goroutine": func(w http.ResponseWriter) {
			fmt.Fprint(w, "goroutine profile: total 12\n7 @ 0x1\n#\t0x1\tmain.main\n")
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w) }))
	defer server.Close()
	p := pagesOf(t, server)
	for name, want := range map[string]string{
		"allocs": "GET /debug/pprof/allocs was answered with 403 Forbidden",
		"mutex":  "GET /debug/pprof/mutex was answered with something that is no profile",
		"cpu":    "GET /debug/pprof/profile?seconds=1 was answered with 404 Not Found",
		"heap":   "/debug/pprof/heap?gc=1 was answered with 500 Internal Server Error: out of cheese",
	} {
		k, _ := runfolder.KindNamed(name)
		var err error
		if k.Window == runfolder.WindowTaken {
			_, err = p.Record(t.Context(), k, time.Millisecond).Wait()
		} else {
			_, err = p.Profile(t.Context(), k)
		}
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
		var notServed *NotServedError
		if errors.As(err, &notServed) == (name == "heap") {
			t.Errorf("%s: %v is of the wrong type", name, err)
		}
	}
	if n, err := p.Goroutines(t.Context()); n != 12 || err != nil {
		t.Errorf("%d goroutines, %v", n, err)
	}
}

// TestPagesOfNoServer: a connection that fails is not a page that lacks.
func TestPagesOfNoServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	p := pagesOf(t, server)
	_, err := p.CountersPage(t.Context())
	var notServed *NotServedError
	if !errors.As(err, &notServed) || notServed.Page != HeapPage {
		t.Errorf("error %v", err)
	}
	server.Close()
	_, err = p.CountersPage(t.Context())
	notServed = nil
	if err == nil || errors.As(err, &notServed) {
		t.Errorf("error %v", err)
	}
}

func TestMaxUnsynced(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for _, test := range []struct {
		page    string
		want    *int64
		wantErr string
	}{
		{`{"memstats":{},"acknowledged_unsynced_max":812}`, n(812), ""},
		{`{"acknowledged_unsynced_max":-1}`, n(-1), ""},
		{`{"memstats":{}}`, nil, ""},
		{`{"acknowledged_unsynced_max":"many"}`, nil, "not a whole number"},
		{`not JSON`, nil, "no JSON"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, test.page) }))
		at, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		pages := NewPages(debugPagesOf(at))
		got, err := pages.MaxUnsynced(t.Context())
		if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
			t.Errorf("%s: %v, want %q", test.page, err, test.wantErr)
		}
		if err == nil && (got == nil) != (test.want == nil) || got != nil && test.want != nil && *got != *test.want {
			t.Errorf("%s: %v, want %v", test.page, got, test.want)
		}
		pages.Close()
		server.Close()
	}
}
