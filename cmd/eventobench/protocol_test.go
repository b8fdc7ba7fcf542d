package main

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/server/wire"
)

// TestProtocolsSayTheSame holds that the generator makes the same calls in both
// protocols, from the same seed.
func TestProtocolsSayTheSame(t *testing.T) {
	mix := storeWorkload()
	asJSON := inProtocol(mix, "json").Source(7, 3)
	asProtobuf := inProtocol(mix, "protobuf").Source(7, 3)
	var first, second loadgen.Request
	for n := range 33 {
		kind := asJSON.Next(&first)
		if other := asProtobuf.Next(&second); other != kind {
			t.Fatalf("request %d is of kinds %d and %d", n, kind, other)
		}
		var m wire.Request
		if err := proto.Unmarshal(second.Body, &m); err != nil {
			t.Fatal(err)
		}
		if got := callText(t, &m); got != string(first.Body) {
			t.Errorf("request %d is\n  in JSON     %s\n  in protobuf %s", n, first.Body, got)
		}
	}
	types := first.Header.Get("Content-Type") + " " + second.Header.Get("Content-Type")
	if types != "application/json application/protobuf" {
		t.Errorf("headers %v and %v", first.Header, second.Header)
	}
}

// callText is a call in protobuf as the generator says it in JSON.
func callText(t *testing.T, m *wire.Request) string {
	t.Helper()
	call := []any{"stream.get", m.GetStreamGet().GetStream(),
		map[string]any{"batchSize": m.GetStreamGet().GetBatchSize()}}
	if w := m.GetStreamWrite(); w != nil {
		type message struct {
			Type     string          `json:"type"`
			Data     json.RawMessage `json:"data"`
			Metadata json.RawMessage `json:"metadata"`
		}
		call = []any{"stream.write", w.Stream, message{w.Message.Type, w.Message.Data, w.Message.Metadata}}
	}
	text, err := json.Marshal(call)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
