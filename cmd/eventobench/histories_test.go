package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/eventobench/eventobench/internal/testlong"
)

// A streamCall is one call to a stream: a write with an expected version, or a
// read of the last message.
type streamCall struct {
	stream   string
	kind     string // of the message to write, which no other one has; empty for a read
	expected int64
}

// A streamState is what a stream looks like: its version and the type of its last
// message.
type streamState struct {
	version int64
	kind    string
}

// A streamAnswer is what a call was told of its stream. Of a call without an
// answer nobody knows whether it was carried out.
type streamAnswer struct {
	streamState
	refused, unknown bool
}

// streamModel says how a stream may behave.
var streamModel = porcupine.Model{
	Partition: byStream,
	Init:      func() any { return streamState{version: -1} },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(streamState), input.(streamCall), output.(streamAnswer))
	},
}

func step(s streamState, c streamCall, a streamAnswer) (bool, streamState) {
	switch {
	case c.kind == "":
		return a.unknown || a.streamState == s, s
	case c.expected != s.version:
		return a.unknown || a.refused && a.version == s.version, s
	default:
		next := streamState{s.version + 1, c.kind}
		return a.unknown || !a.refused && a.version == next.version, next
	}
}

func byStream(history []porcupine.Operation) [][]porcupine.Operation {
	streams := map[string][]porcupine.Operation{}
	for _, op := range history {
		name := op.Input.(streamCall).stream
		streams[name] = append(streams[name], op)
	}
	var parts [][]porcupine.Operation
	for _, part := range streams {
		parts = append(parts, part)
	}
	return parts
}

// historyLength is how many calls TestHistories makes: a few, more in CI, and a
// million with "make histories".
func historyLength(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("EVENTOBENCH_HISTORY_CALLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if testlong.On() {
		return 30_000
	}
	return 3_000
}

const (
	historyClients = 32
	historyStreams = 16 // of a round
)

// chronicle is a record of calls from many clients to a server that is killed and
// started again.
type chronicle struct {
	t      *testing.T
	client http.Client
	token  string
	begin  time.Time
	server *serving
	made   atomic.Int64 // messages, so that each has a type of its own

	mu    sync.Mutex
	calls []porcupine.Operation
}

// TestHistories kills a server with SIGKILL in the middle of each round, starts it
// again on another transport, and holds that for each stream there is one order of
// the calls that explains all answers.
func TestHistories(t *testing.T) {
	total, kinds := historyLength(t), []string{"nethttp", "fasthttp", "fasthttp-adapter"}
	perRound := max(total/100, 1000)
	h := &chronicle{
		t: t, token: "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64), begin: time.Now(),
		client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: historyClients}},
	}
	defer h.client.CloseIdleConnections()
	store := "--store=sqlite:" + filepath.Join(t.TempDir(), "events.db")
	checked, lost := 0, 0
	start := func(round int) {
		h.server = startServe(t, store, "--sync=full", "--token="+h.token, "--transport="+kinds[round%len(kinds)])
	}
	start(0)
	for round := 1; checked < total; round++ {
		h.run(round, perRound/2, true)
		start(round)
		h.run(round, perRound/2, false)
		if !porcupine.CheckOperations(streamModel, h.calls) {
			t.Fatalf("round %d: no order of the calls explains the answers", round)
		}
		h.checkMutation(round)
		checked += len(h.calls)
		lost += h.unanswered()
		h.calls = h.calls[:0]
	}
	h.server.stop(t)
	t.Logf("%d calls from %d clients in one order per stream, %d of them without an answer", checked, historyClients, lost)
}

// run has the clients make n calls, and then kills the server under them if kill
// is set.
func (h *chronicle) run(round, n int, kill bool) {
	var begun atomic.Int64
	var wg sync.WaitGroup
	for client := range historyClients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(round), uint64(client)))
			versions := map[string]int64{}
			for {
				i := begun.Add(1)
				if i > int64(n) && !kill {
					return
				}
				if i == int64(n) && kill {
					_ = h.server.cmd.Process.Kill() // the others are in the middle of their calls
				}
				if !h.call(client, h.draw(r, round, versions), versions) {
					return
				}
			}
		})
	}
	wg.Wait()
	if kill {
		_ = h.server.cmd.Wait() // it was killed
	}
}

// draw chooses a call: to write, for the most part, behind what the client knows.
func (h *chronicle) draw(r *rand.Rand, round int, versions map[string]int64) streamCall {
	c := streamCall{stream: fmt.Sprintf("h-%d+%d", round, r.IntN(historyStreams))}
	if r.IntN(3) == 0 {
		return c
	}
	version, known := versions[c.stream]
	if !known {
		version = -1
	}
	c.kind, c.expected = fmt.Sprint("T", h.made.Add(1)), version
	return c
}

// call makes a call and records it. It reports whether the server still answers.
func (h *chronicle) call(client int, c streamCall, versions map[string]int64) bool {
	op := porcupine.Operation{ClientId: client, Input: c, Call: int64(time.Since(h.begin))}
	answer := h.ask(c)
	op.Output, op.Return = answer, int64(time.Since(h.begin))
	if answer.unknown {
		op.Return = 1<<63 - 1 // it may still be carried out, or never
	} else {
		versions[c.stream] = answer.version
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, op)
	return !answer.unknown
}

func (h *chronicle) ask(c streamCall) streamAnswer {
	body := fmt.Sprintf(`["stream.last",%q]`, c.stream)
	if c.kind != "" {
		body = fmt.Sprintf(`["stream.write",%q,{"type":%q,"data":{}},{"expectedVersion":%d}]`, c.stream, c.kind, c.expected)
	}
	resp, err := h.client.Post(h.server.url+"/rpc?token="+h.token, "application/json", strings.NewReader(body))
	if err != nil {
		return streamAnswer{unknown: true}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return streamAnswer{unknown: true}
	}
	answer, err := readStreamAnswer(c, resp.StatusCode, text)
	if err != nil {
		h.t.Errorf("%s: %d %s (%v)", body, resp.StatusCode, text, err)
	}
	return answer
}

func readStreamAnswer(c streamCall, status int, text []byte) (a streamAnswer, err error) {
	switch {
	case status == http.StatusConflict:
		var conflict struct {
			Error struct{ Details struct{ Actual int64 } }
		}
		err = json.Unmarshal(text, &conflict)
		a.refused, a.version = true, conflict.Error.Details.Actual
	case status != http.StatusOK:
		err = fmt.Errorf("status %d", status)
	case c.kind != "":
		var written struct{ Position int64 }
		err = json.Unmarshal(text, &written)
		a.version = written.Position
	case string(text) == "null":
		a.version = -1
	default:
		row := []any{nil, &a.kind, &a.version}
		err = json.Unmarshal(text, &row)
	}
	return a, err
}

func (h *chronicle) unanswered() int {
	n := 0
	for _, op := range h.calls {
		if op.Output.(streamAnswer).unknown {
			n++
		}
	}
	return n
}

// checkMutation takes a write that was acknowledged, and seen by others, out of a
// history, as if the server had lost it: the checker must refuse what is left.
func (h *chronicle) checkMutation(round int) {
	h.t.Helper()
	for i, op := range h.calls {
		c, a := op.Input.(streamCall), op.Output.(streamAnswer)
		if c.kind == "" || a.refused || a.unknown || a.version != 0 {
			continue
		}
		if porcupine.CheckOperations(streamModel, slices.Delete(slices.Clone(h.calls), i, i+1)) {
			h.t.Errorf("round %d: a history without an acknowledged write is accepted", round)
		}
		return
	}
	h.t.Errorf("round %d: no write was acknowledged", round)
}

// TestStreamModel holds that the checker refuses what a store must not do.
func TestStreamModel(t *testing.T) {
	write := func(at int64, kind string, expected int64, a streamAnswer) porcupine.Operation {
		return porcupine.Operation{Input: streamCall{"s", kind, expected}, Output: a, Call: at, Return: at + 1}
	}
	ok := func(version int64) streamAnswer { return streamAnswer{streamState: streamState{version: version}} }
	last := func(version int64, kind string) streamAnswer {
		return streamAnswer{streamState: streamState{version, kind}}
	}
	refused := func(actual int64) streamAnswer {
		return streamAnswer{streamState: streamState{version: actual}, refused: true}
	}
	first := write(0, "A", -1, ok(0))
	unknown := write(0, "A", -1, streamAnswer{unknown: true})
	unknown.Return = 1 << 62
	for name, tt := range map[string]struct {
		want  bool
		calls []porcupine.Operation
	}{
		"in order":                   {true, []porcupine.Operation{first, write(2, "B", 0, ok(1)), write(4, "", 0, last(1, "B"))}},
		"a lost write":               {false, []porcupine.Operation{first, write(2, "", 0, last(-1, ""))}},
		"a write over another":       {false, []porcupine.Operation{first, write(2, "B", -1, ok(0))}},
		"another's message":          {false, []porcupine.Operation{first, write(2, "", 0, last(0, "B"))}},
		"refused without a reason":   {false, []porcupine.Operation{first, write(2, "B", 0, refused(0))}},
		"a stale read":               {false, []porcupine.Operation{first, write(2, "B", 0, ok(1)), write(4, "", 0, last(0, "A"))}},
		"unknown and carried out":    {true, []porcupine.Operation{unknown, write(2, "", 0, last(0, "A"))}},
		"unknown and not":            {true, []porcupine.Operation{unknown, write(2, "", 0, last(-1, ""))}},
		"unknown, seen and then not": {false, []porcupine.Operation{unknown, write(2, "", 0, last(0, "A")), write(4, "", 0, last(-1, ""))}},
	} {
		if got := porcupine.CheckOperations(streamModel, tt.calls); got != tt.want {
			t.Errorf("%s: accepted %v, want %v", name, got, tt.want)
		}
	}
}
