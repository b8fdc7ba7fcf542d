package server_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/wire"
)

// serveProtobuf makes a call in protobuf and returns its whole answer.
func serveProtobuf(t testing.TB, core *server.Core, body []byte) (status int, answer *wire.Answer) {
	t.Helper()
	a := core.Serve(t.Context(), protobufRequest(body), nil)
	text := a.Body
	if a.Tail != nil {
		more, err := io.ReadAll(a.Tail)
		if err != nil {
			t.Error(err)
		}
		text = append(text, more...)
	}
	answer = &wire.Answer{}
	if err := proto.Unmarshal(text, answer); err != nil || a.Protocol != server.Protobuf {
		t.Fatalf("%q is answered with %q (%v)", body, text, err)
	}
	return a.Status, answer
}

func protobufRequest(body []byte) server.Request {
	return server.Request{Method: "POST", Path: "/rpc", Credentials: cred, Protocol: server.Protobuf, Body: body}
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func writeRequest(data, metadata string) *wire.Request {
	return &wire.Request{Call: &wire.Request_StreamWrite{StreamWrite: &wire.StreamWrite{
		Stream: "a-1", Message: &wire.NewMessage{Type: "T", Data: []byte(data), Metadata: []byte(metadata)},
	}}}
}

// TestPayloadsInProtobuf writes data and metadata in both protocols: what one
// takes the other takes, and both store the same.
func TestPayloadsInProtobuf(t *testing.T) {
	tests := []struct {
		data     string
		accepted bool
	}{
		{`{}`, true},
		{" {\"b\" : 1.50,\n\"a\":[ 1e400,-0 ],\"b\":\"\\u0041\u2028\"}\t", true},
		{nested(server.MaxDepth), true},
		{nested(server.MaxDepth + 1), false},
		{nested(server.MaxDepth + 10), false},
		{`[]`, false},
		{`"{}"`, false},
		{`7`, false},
		{` `, false},
		{`{`, false},
		{`{} {}`, false},
		{`{}x`, false},
		{"{\"a\":\"\xff\"}", false},
		{`{"a":"\ud800"}`, false},
		{`{"a":01}`, false},
		{"{\"a\":\"\x01\"}", false},
	}
	for _, tt := range tests {
		for _, m := range []struct{ data, metadata string }{{tt.data, ""}, {`{}`, tt.data}} {
			core := newCore(t, server.CodecRaw)
			status, a := serveProtobuf(t, core, marshal(t, writeRequest(m.data, m.metadata)))
			metadata := "null"
			if m.metadata != "" {
				metadata = m.metadata
			}
			body := `["stream.write","a-1",{"type":"T","data":` + m.data + `,"metadata":` + metadata + `}]`
			jsonStatus, answer := callWhole(t, core, []byte(body))
			refused := a.GetError().GetCode() == "INVALID_REQUEST"
			if status != jsonStatus || (status == 200) != tt.accepted || refused == tt.accepted {
				t.Errorf("%.50q, %.50q: protobuf %d %v, JSON %d %s", m.data, m.metadata, status, a, jsonStatus, answer)
			}
			_, rows := serveProtobuf(t, core, marshal(t, allRows))
			if r := rows.Rows; tt.accepted && (len(r) != 2 || payloads(r[0]) != payloads(r[1])) {
				t.Errorf("%.50q, %.50q: protobuf and JSON stored %.200v", m.data, m.metadata, r)
			}
		}
	}
}

func payloads(r *wire.Row) string { return string(r.Data) + " " + string(r.Metadata) }

var allRows = &wire.Request{Call: &wire.Request_CategoryGet{CategoryGet: &wire.CategoryGet{BatchSize: new(int64(-1))}}}

// TestCutProtobufAnswers holds that a long answer that is cut short can be told
// from a whole one wherever it is cut between two parts.
func TestCutProtobufAnswers(t *testing.T) {
	core := newCore(t, server.CodecRaw)
	large := marshal(t, writeRequest(`{"x":"`+strings.Repeat("x", 20_000)+`"}`, ""))
	const messages = 20
	for range messages {
		serveProtobuf(t, core, large)
	}
	a := core.Serve(t.Context(), protobufRequest(marshal(t, allRows)), nil)
	if a.Tail == nil || len(a.Body) > 100_000 {
		t.Fatalf("the first part has %d bytes, and its tail is %v", len(a.Body), a.Tail)
	}
	var first, whole wire.Answer
	more, err := io.ReadAll(a.Tail)
	err = errors.Join(err, proto.Unmarshal(a.Body, &first), proto.Unmarshal(append(a.Body, more...), &whole))
	if err != nil || first.Complete || len(first.Rows) == 0 || !whole.Complete || len(whole.Rows) != messages {
		t.Errorf("%d rows (complete: %v), and then %d (complete: %v): %v",
			len(first.Rows), first.Complete, len(whole.Rows), whole.Complete, err)
	}
}

// FuzzProtobuf holds that any body gets an answer in protobuf that is either an
// error of the caller's or none.
func FuzzProtobuf(f *testing.F) {
	for _, m := range []*wire.Request{
		{},
		writeRequest(`{"a":[1.0,"\u2028"]}`, `{"correlationStreamName":"w-1"}`),
		{Call: &wire.Request_StreamWrite{StreamWrite: &wire.StreamWrite{
			Stream: "a", Id: make([]byte, 15), ExpectedVersion: new(int64(-1)),
		}}},
		{Call: &wire.Request_StreamGet{StreamGet: &wire.StreamGet{Stream: "a-1", BatchSize: new(int64(1))}}},
		{Call: &wire.Request_StreamLast{StreamLast: &wire.StreamLast{Stream: "a-1", Type: "T"}}},
		{Call: &wire.Request_StreamVersion{StreamVersion: &wire.StreamVersion{Stream: "a-1"}}},
		{Call: &wire.Request_CategoryGet{CategoryGet: &wire.CategoryGet{Category: "a", Correlation: "w",
			ConsumerGroup: &wire.ConsumerGroup{Member: new(int64(0)), Size: new(int64(2))}}}},
		{Call: &wire.Request_NsCreate{NsCreate: &wire.NamespaceCreate{Namespace: "n", Token: new("x")}}},
		{Call: &wire.Request_NsDelete{NsDelete: &wire.NamespaceDelete{Namespace: "n"}}},
		{Call: &wire.Request_NsInfo{NsInfo: &wire.NamespaceInfo{Namespace: "default"}}},
		{Call: &wire.Request_NsStreams{NsStreams: &wire.NamespaceStreams{Prefix: "a", Limit: new(int64(5))}}},
	} {
		f.Add(marshal(f, m))
	}
	f.Add([]byte("\xa2\x06\x00"))
	f.Add([]byte("\x0a\x03\x0a\x01\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		core := newCore(t, server.CodecRaw)
		serveProtobuf(t, core, marshal(t, writeRequest(`{"n":1}`, "")))
		status, a := serveProtobuf(t, core, body)
		if status >= 500 || (status == 200) != (a.Error == nil) {
			t.Errorf("%q is answered with %d %v", body, status, a)
		}
	})
}

// BenchmarkCallProtobuf is BenchmarkCall in the other protocol.
func BenchmarkCallProtobuf(b *testing.B) {
	write := writeRequest(`{"orderId":"0123456789abcdef","amount":12345,"currency":"EUR","paid":false,`+
		`"customer":{"id":"0123456789abcdef","city":"Lisbon","vip":true},`+
		`"items":[{"sku":"A-100","quantity":2,"price":19.95}]}`,
		`{"correlationStreamName":"checkout-1","userId":"u-1001","trace":{"span":7,"sampled":true}}`)
	get := &wire.Request{Call: &wire.Request_StreamGet{StreamGet: &wire.StreamGet{
		Stream: "a-1", BatchSize: new(int64(10)),
	}}}
	core := newCore(b, server.CodecRaw)
	for range 10 {
		serveProtobuf(b, core, marshal(b, write))
	}
	for name, m := range map[string]*wire.Request{"get10": get, "write": write} {
		r := protobufRequest(marshal(b, m))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var answer []byte
			for b.Loop() {
				answer = core.Serve(b.Context(), r, answer[:0]).Body
			}
		})
	}
}
