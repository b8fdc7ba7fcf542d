package loadgen

import (
	"encoding/json"
	"testing"
)

// calls returns the first n calls of a worker, decoded, and their kinds.
func calls(t *testing.T, seed uint64, worker, n int) (bodies [][]any, kinds []int) {
	t.Helper()
	source := EventMix{Token: "secret", Streams: 100}.Source(seed, worker)
	var req Request
	for range n {
		kinds = append(kinds, source.Next(&req))
		var call []any
		if err := json.Unmarshal(req.Body, &call); err != nil {
			t.Fatalf("body %s: %v", req.Body, err)
		}
		bodies = append(bodies, call)
	}
	if got := req.Header.Get("Authorization"); got != "Bearer secret" {
		t.Errorf("Authorization: %q", got)
	}
	return bodies, kinds
}

func TestEventMixIsTenWritesToARead(t *testing.T) {
	bodies, kinds := calls(t, 1, 0, 110)
	count := map[int]int{}
	for i, call := range bodies {
		count[kinds[i]]++
		method := []string{"stream.write", "stream.get"}[kinds[i]]
		if call[0] != method {
			t.Fatalf("call %d of kind %d is %v", i, kinds[i], call[0])
		}
	}
	if count[kindWrite] != 100 || count[kindRead] != 10 {
		t.Errorf("%d writes and %d reads in 110 requests", count[kindWrite], count[kindRead])
	}
}

func TestEventMixMessage(t *testing.T) {
	bodies, _ := calls(t, 1, 0, 1)
	message := bodies[0][2].(map[string]any)
	data, metadata := message["data"].(map[string]any), message["metadata"].(map[string]any)
	if _, nested := data["customer"].(map[string]any); !nested {
		t.Errorf("data is not nested: %v", data)
	}
	if _, nested := metadata["trace"].(map[string]any); !nested {
		t.Errorf("metadata is not nested: %v", metadata)
	}
	text, err := json.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) < 280 || len(text) > 340 {
		t.Errorf("a message has %d bytes, want about 290", len(text))
	}
}

func TestEventMixIsReproducible(t *testing.T) {
	text := func(seed uint64, worker int) string {
		bodies, _ := calls(t, seed, worker, 20)
		b, err := json.Marshal(bodies)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if first, again := text(1, 2), text(1, 2); first != again {
		t.Error("equal seeds and workers gave different requests")
	}
	if text(1, 2) == text(1, 3) || text(1, 2) == text(2, 2) {
		t.Error("another worker or seed gave the same requests")
	}
}

func TestEventMixCheck(t *testing.T) {
	tests := []struct {
		name string
		kind int
		body string
		ok   bool
	}{
		{"position", kindWrite, `{"position":3,"globalPosition":9}`, true},
		{"keys the other way round", kindWrite, `{"globalPosition":9,"position":3}`, true},
		{"no position", kindWrite, `{"error":{}}`, false},
		{"white space", kindWrite, " \r\n{ \"position\" :\t3 }\n", true},
		{"an array with a position", kindWrite, `["position"]`, false},
		{"empty write", kindWrite, ``, false},
		{"rows", kindRead, `[["id","type",0,1,{},null,"2026-01-01T00:00:00Z"]]`, true},
		{"no rows", kindRead, `[]`, true},
		{"no rows, with a line feed", kindRead, "[]\n", true},
		{"white space", kindRead, "\n [ \t[0] ]\r\n", true},
		{"no rows, with white space inside", kindRead, "[ ]", true},
		{"more after no rows", kindRead, "[] []", false},
		{"numbers", kindRead, "[1, 2]", false},
		{"cut off", kindRead, "[", false},
		{"white space alone", kindRead, " \n", false},
		{"object", kindRead, `{}`, false},
		{"empty read", kindRead, ``, false},
	}
	source := EventMix{Streams: 1}.Source(1, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := source.Check(tt.kind, NewAnswer(200, nil, []byte(tt.body))); (err == nil) != tt.ok {
				t.Errorf("Check(%q) = %v", tt.body, err)
			}
		})
	}
}

func TestEventMixCheckProtobuf(t *testing.T) {
	const row, complete, position = "\x0a\x02\x08\x01", "\x10\x01", "\x1a\x04\x08\x03\x10\x09"
	tests := []struct {
		name string
		kind int
		body string
		ok   bool
	}{
		{"position", kindWrite, position, true},
		{"no position", kindWrite, "", false},
		{"cut off", kindWrite, position[:3], false},
		{"more", kindWrite, position + complete, false},
		{"rows to a write", kindWrite, row + complete, false},
		{"JSON", kindWrite, `{"position":3,"globalPosition":9}`, false},
		{"rows", kindRead, row + row + complete, true},
		{"no rows", kindRead, complete, true},
		{"incomplete", kindRead, row + row, false},
		{"incomplete, without rows", kindRead, "", false},
		{"cut off", kindRead, row + row[:3], false},
		{"position to a read", kindRead, position, false},
		{"JSON", kindRead, `[]`, false},
	}
	source := EventMix{Streams: 1, Protocol: Protobuf}.Source(1, 0)
	for _, tt := range tests {
		if err := source.Check(tt.kind, NewAnswer(200, nil, []byte(tt.body))); (err == nil) != tt.ok {
			t.Errorf("%s: Check(%q) = %v", tt.name, tt.body, err)
		}
	}
	if source.Check(kindWrite, NewAnswer(409, nil, []byte(position))) == nil {
		t.Error("status 409 was taken for a success")
	}
}

// TestEventMixAllocatesNothing: neither a request nor a check costs the generator
// memory, whatever the protocol.
func TestEventMixAllocatesNothing(t *testing.T) {
	answers := map[Protocol][]*Answer{
		JSON:     {NewAnswer(200, nil, []byte(`{"position":3}`)), NewAnswer(200, nil, []byte(`[]`))},
		Protobuf: {NewAnswer(200, nil, []byte("\x1a\x00")), NewAnswer(200, nil, []byte("\x10\x01"))},
	}
	for protocol, answer := range answers {
		source := EventMix{Streams: 100, Protocol: protocol}.Source(1, 0)
		var req Request
		n := testing.AllocsPerRun(100, func() {
			kind := source.Next(&req)
			if err := source.Check(kind, answer[kind]); err != nil {
				t.Error(err)
			}
		})
		if n > 0 {
			t.Errorf("%s: %v allocations per request", protocol, n)
		}
	}
}

func BenchmarkEventMixCheck(b *testing.B) {
	source := EventMix{Streams: 1}.Source(1, 0)
	for _, answer := range []struct {
		name string
		kind int
		body string
	}{
		{"write", kindWrite, `{"position":3,"globalPosition":9}`},
		{"read", kindRead, `[["id","type",0,1,{},null,"2026-01-01T00:00:00Z"]]`},
		{"empty", kindRead, "[]\n"},
	} {
		a := NewAnswer(200, nil, []byte(answer.body))
		b.Run(answer.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := source.Check(answer.kind, a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
