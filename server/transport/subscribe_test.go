package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// poke is what a subscriber is told of a message.
type poke struct {
	Stream                   string
	Position, GlobalPosition int64
}

// subscriber reads the frames of one subscription.
type subscriber struct {
	t     *testing.T
	lines *bufio.Reader
	stop  context.CancelFunc
}

// subscribe opens a subscription, which has begun when it returns.
func (s store) subscribe(t *testing.T, query string) *subscriber {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/subscribe?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
	})
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("subscribe: %d %s", resp.StatusCode, got)
	}
	sub := &subscriber{t: t, lines: bufio.NewReader(resp.Body), stop: cancel}
	if got := sub.frame(); got != ": ready" {
		t.Fatalf("first frame %q", got)
	}
	return sub
}

// frame reads up to an empty line; at the end of the stream it is "".
func (s *subscriber) frame() string {
	s.t.Helper()
	var lines []string
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return ""
		}
		if line == "\n" {
			return strings.Join(lines, "\n")
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
}

// pokes reads n pokes.
func (s *subscriber) pokes(n int) []poke {
	s.t.Helper()
	all := make([]poke, n)
	for i := range all {
		data, ok := strings.CutPrefix(s.frame(), "event: poke\ndata: ")
		if err := json.Unmarshal([]byte(data), &all[i]); !ok || err != nil {
			s.t.Fatalf("frame %d of %d is no poke: %q (%v)", i, n, data, err)
		}
	}
	return all
}

func (s *subscriber) wantPokes(want ...poke) {
	s.t.Helper()
	if got := s.pokes(len(want)); !slices.Equal(got, want) {
		s.t.Errorf("pokes %v, want %v", got, want)
	}
}

// write writes n messages to a stream; it may run in a goroutine.
func (s store) write(t *testing.T, stream string, n int) {
	t.Helper()
	for range n {
		body := fmt.Appendf(nil, `["stream.write",%q,{"type":"T","data":{}}]`, stream)
		if status, answer := s.do(t, http.MethodPost, "/rpc", "", body); status != 200 {
			t.Errorf("write: %d %s", status, answer)
			return
		}
	}
}

// transports runs a test on every transport, in test mode.
func transports(t *testing.T, test func(t *testing.T, s store)) {
	for k, kind := range kinds {
		places := []string{inMemory}
		if onPostgres(t, k) {
			places = append(places, inPostgres)
		}
		for _, where := range places {
			t.Run(fmt.Sprintf("%s/%s", kind, where), func(t *testing.T) {
				o := storeOptions(server.CodecRaw, true)
				test(t, serveOn(t, t.Context(), kind, openAt(t, where), o, Limits{}, listen(t)))
			})
		}
	}
}

// TestSubscribe subscribes between the writes, so that every subscription has
// messages to replay and one to wait for.
func TestSubscribe(t *testing.T) {
	tests := []struct {
		query string
		want  []poke
	}{
		{"stream=a-1", []poke{{"a-1", 0, 1}, {"a-1", 1, 2}, {"a-1", 2, 5}}},
		{"stream=a-1&position=1", []poke{{"a-1", 1, 2}, {"a-1", 2, 5}}},
		{"stream=a-1&position=2", []poke{{"a-1", 2, 5}}},
		{"category=a", []poke{{"a-1", 0, 1}, {"a-1", 1, 2}, {"a-2", 0, 4}, {"a-1", 2, 5}}},
		{"category=a&position=4", []poke{{"a-2", 0, 4}, {"a-1", 2, 5}}},
		{"category=a&consumer=0&size=2", []poke{{"a-1", 0, 1}, {"a-1", 1, 2}, {"a-1", 2, 5}}},
		{"category=a&consumer=1&size=2", []poke{{"a-2", 0, 4}}},
		{"all=true", []poke{{"a-1", 2, 5}}},
		{"all=true&position=3", []poke{{"b-2", 0, 3}, {"a-2", 0, 4}, {"a-1", 2, 5}}},
		{"all=true&position=-3&surplus=1", []poke{{"a-1", 0, 1}, {"a-1", 1, 2}, {"b-2", 0, 3}, {"a-2", 0, 4}, {"a-1", 2, 5}}},
	}
	transports(t, func(t *testing.T, s store) {
		s.write(t, "a-1", 2)
		s.write(t, "b-2", 1)
		s.write(t, "a-2", 1)
		subscribers := make([]*subscriber, len(tests))
		for i, tt := range tests {
			subscribers[i] = s.subscribe(t, tt.query)
		}
		s.write(t, "a-1", 1)
		for i, tt := range tests {
			if got := subscribers[i].pokes(len(tt.want)); !slices.Equal(got, tt.want) {
				t.Errorf("%s: pokes %v, want %v", tt.query, got, tt.want)
			}
		}
	})
}

// TestNothingIsLostAtTheSeam subscribes while many writers write: every message
// must be told once and in order, those before and those after alike.
func TestNothingIsLostAtTheSeam(t *testing.T) {
	const writers, each = 8, 150 // more than a page in all
	transports(t, func(t *testing.T, s store) {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() { s.write(t, fmt.Sprintf("a-%d", w), each) })
		}
		for range 4 {
			wg.Go(func() {
				next := map[string]int64{}
				for i, p := range s.subscribe(t, "category=a").pokes(writers * each) {
					if p.GlobalPosition != int64(i+1) || p.Position != next[p.Stream] {
						t.Errorf("poke %d is %+v", i, p)
						return
					}
					next[p.Stream]++
				}
			})
		}
		wg.Wait()
	})
}

func TestSubscribersThatLeaveOrStandStill(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		s.write(t, "a-1", 1)
		s.subscribe(t, "stream=a-1").stop()
		s.subscribe(t, "all=true&position=0") // reads nothing more
		s.write(t, "a-1", 500)
		s.subscribe(t, "stream=a-1&position=500").wantPokes(poke{"a-1", 500, 501})
	})
}

// TestNamesInQueries subscribes to names as clients write them that encode
// them, or do not.
func TestNamesInQueries(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		for query, stream := range map[string]string{
			"stream=a-1;b": "a-1;b", "stream=100%-x": "100%-x", "stream=a%2Db%20%C3%BC": "a-b ü", "stream=a-1%2Bx": "a-1+x", "stream=x:y-1/2": "x:y-1/2",
		} {
			s.write(t, stream, 1)
			if got := s.subscribe(t, query).pokes(1)[0].Stream; got != stream {
				t.Errorf("%s: a poke of %q", query, got)
			}
		}
	})
}

func TestSubscriptionsEndWithTheirNamespace(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		sub := s.subscribe(t, "all=true&token="+otherToken)
		if status, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["ns.delete","other"]`)); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
		if got := sub.frame(); got != "" {
			t.Errorf("after the end: %q", got)
		}
	})
}

func TestSubscribeRejects(t *testing.T) {
	transports(t, func(t *testing.T, s store) {
		for _, query := range []string{
			"", "stream=a&category=b", "stream=a&all=true", "all=yes", "all=false", "stream=", "stream=a&position=1.0",
			"category=a&consumer=0", "category=a&consumer=2&size=2", "category=a&size=-2", "category=a&consumer=-1&size=2", "category=a&consumer=x&size=2", "stream=a&position=%zz",
		} {
			if status, answer := s.do(t, http.MethodGet, "/subscribe?"+query, "", nil); status != 400 || !strings.Contains(answer, "INVALID_REQUEST") {
				t.Errorf("%s: %d %s", query, status, answer)
			}
		}
	})
	s := startStore(t, FastHTTP, server.CodecRaw, sqlite.Memory, false)
	if status, _ := s.do(t, http.MethodGet, "/subscribe?all=true", "", nil); status != 401 {
		t.Errorf("without a token: %d", status)
	}
}
