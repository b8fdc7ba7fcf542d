package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/server"
)

// longAnswer fills a store and begins an answer that does not fit in one part.
func longAnswer(t *testing.T, core *server.Core, call string) (first []byte, tail *server.Tail) {
	t.Helper()
	write := fmt.Appendf(nil, `["stream.write","a-1",{"type":"T","data":{"p":%q}}]`, strings.Repeat("x", 10_000))
	for range 20 {
		callWhole(t, core, write)
	}
	a := core.Call(t.Context(), cred, []byte(call), nil)
	if a.Status != 200 || a.Tail == nil {
		t.Fatalf("%d with %d bytes and tail %v", a.Status, len(a.Body), a.Tail)
	}
	if len(a.Body) > 100_000 {
		t.Errorf("the first part has %d bytes", len(a.Body))
	}
	return a.Body, a.Tail
}

var longCalls = []string{`["stream.get","a-1",{"batchSize":-1}]`, `["category.get","a",{"batchSize":-1}]`, `["category.get",""]`}

// TestLongAnswersEnd holds that a long answer ends with the messages there were
// when it began: a reader that is slower than the writers comes to an end.
func TestLongAnswersEnd(t *testing.T) {
	for _, call := range longCalls {
		core := newCore(t, server.CodecRaw)
		answer, tail := longAnswer(t, core, call)
		callWhole(t, core, []byte(`["stream.write","a-1",{"type":"late","data":{}}]`))
		more, err := io.ReadAll(tail)
		var rows []any
		if err := errors.Join(err, json.Unmarshal(append(answer, more...), &rows)); err != nil || len(rows) != 20 {
			t.Errorf("%s: %d rows (%v)", call, len(rows), err)
		}
	}
}

// TestLongAnswersKeepNothing reads an answer to its end when the request's memory
// holds something else, and another call has been made.
func TestLongAnswersKeepNothing(t *testing.T) {
	core := newCore(t, server.CodecRaw)
	for _, call := range longCalls {
		longAnswer(t, core, call)
		body := []byte(call)
		a := core.Call(t.Context(), cred, body, nil)
		copy(body, strings.Repeat("x", len(body)))
		callWhole(t, core, []byte(`["category.get","other"]`))
		more, err := io.ReadAll(a.Tail)
		var rows []any
		if err := errors.Join(err, json.Unmarshal(append(a.Body, more...), &rows)); err != nil || len(rows)%20 != 0 {
			t.Errorf("%s: %d rows (%v)", call, len(rows), err)
		}
	}
}

// TestLongAnswersMixNothing replaces or deletes the messages of a long answer
// before its second part is read: it ends with an error, and has no row of
// another namespace, or of another time, that has the same name.
func TestLongAnswersMixNothing(t *testing.T) {
	between := map[string]func(t *testing.T, core *server.Core){
		"replaced": func(t *testing.T, core *server.Core) {
			line := `{"id":"00000000-0000-4000-8000-000000000001","stream":"a-1","type":"T","pos":19,"gpos":19,"data":{"new":1},"time":"2025-01-02T03:04:05Z"}`
			im, err := core.Import(t.Context(), cred, "true", strings.NewReader(line))
			if err != nil {
				t.Fatal(err)
			}
			if err := im.Run(t.Context(), events{}); err != nil {
				t.Error(err)
			}
		},
		"deleted": func(t *testing.T, core *server.Core) {
			callWhole(t, core, []byte(`["ns.delete","default"]`))
		},
	}
	for name, do := range between {
		for _, call := range longCalls {
			core := newCore(t, server.CodecRaw)
			_, tail := longAnswer(t, core, call)
			do(t, core)
			more, err := io.ReadAll(tail)
			var e *server.Error
			if !errors.As(err, &e) || e.Code != server.CodeNamespaceNotFound || len(more) > 0 {
				t.Errorf("%s, %s: %d bytes, then %v", name, call, len(more), err)
			}
		}
	}
}

// events are discarded.
type events struct{}

func (events) Send([]byte) error { return nil }
