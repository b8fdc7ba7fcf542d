package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server"
)

var (
	token = "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)
	cred  = server.Credentials{Authorization: "Bearer " + token}
)

func newCore(t testing.TB, codec server.Codec) *server.Core {
	t.Helper()
	return newCoreWith(t, server.Options{Codec: codec})
}

// TestServeAllocatesNothing: routing costs no memory; only calls do.
func TestServeAllocatesNothing(t *testing.T) {
	core := newCore(t, server.CodecRaw)
	dst := make([]byte, 0, 1024)
	request := server.Request{Method: "GET", Path: "/health"}
	if n := testing.AllocsPerRun(100, func() { core.Serve(t.Context(), request, dst) }); n > 0 {
		t.Errorf("%v allocations per request of a route that needs none", n)
	}
}

// TestCallsAllocateNothing: what a call takes from its request stays there, and the
// rest is memory that calls share.
func TestCallsAllocateNothing(t *testing.T) {
	testlong.NotRaced(t, "the detector empties pools")
	core, dst := newCore(t, server.CodecRaw), make([]byte, 0, 1<<16)
	for _, body := range []string{
		`["stream.write","a-1",` + message + `]`,
		`["stream.get","a-1",{"position":0,"globalPosition":0,"batchSize":10}]`,
		`["category.get","a",{"position":1,"batchSize":10}]`,
		`["stream.version","a-1"]`,
	} {
		// Memory that is shared may be given back at any time, and is made again.
		if n := testing.AllocsPerRun(200, func() { core.Call(t.Context(), cred, []byte(body), dst) }); n > 1 {
			t.Errorf("%v allocations for %s", n, body)
		}
	}
}

// callWhole returns an answer with its tail.
func callWhole(t testing.TB, core *server.Core, body []byte) (int, []byte) {
	t.Helper()
	a := core.Call(t.Context(), cred, body, nil)
	if a.Tail == nil {
		return a.Status, a.Body
	}
	more, err := io.ReadAll(a.Tail)
	if err != nil {
		t.Error(err)
	}
	return a.Status, append(a.Body, more...)
}

// drawn is what differs between two stores that got the same calls.
var drawn = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}`)

// FuzzCall gives all codecs the same calls: the answers must be the same, be
// JSON, and never be an error of the server's own.
func FuzzCall(f *testing.F) {
	for _, body := range []string{
		`["stream.write","a-1",{"type":"T","data":{"a":1.0,"b":[1e400,"\u2028"]},"metadata":{"correlationStreamName":"w-1"}},{"id":"","expectedVersion":-1}]`,
		`["stream.get","a-1",{"position":0,"batchSize":-1,"globalPosition":null}]`,
		`["stream.last","a-1",{"type":"T"}]`,
		`["stream.version","a-1"]`,
		`["category.get","a",{"correlation":"w","consumerGroup":{"member":0,"size":2},"position":1}]`,
		`["ns.create","n",{"description":"d","metadata":{}}]`,
		`["ns.info","default"]`,
		`["ns.list"]`,
		`["ns.delete","n"]`,
		`["sys.health",{}]`,
		`[["sys.version"]]`,
		"[\"stream.version\",\"\xff\"]",
		"[\"stream.write\",\"\u2028\u2029\x7f-1\",{\"type\":\"\u2029\",\"data\":{\"\u2028\":\"<&>\"}}]",
		`["stream.write","a\u2028\u0008\u000c<&-1",{"type":"\u2029\u007f","data":{"a":"\u2028\u0041","b":-0,"b":{"c":1}}}]`,
		`["category.get","a",{"batchSize":1e400,"consumerGroup":{"member":0,"member":{},"size":2}}]`,
		`["stream.write","\ud800",{"type":"\ud83d\ude00","data":{"\u0000":{}}}]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		write := []byte(`["stream.write","a-1",{"type":"T","data":{"n":1}}]`)
		read := []byte(`["category.get",""]`)
		var raw string
		for _, codec := range server.Codecs() {
			core := newCore(t, codec)
			core.Call(t.Context(), cred, write, nil)
			status, answer := callWhole(t, core, body)
			if status >= 500 || !json.Valid(answer) {
				t.Errorf("%s answers %q with %d %s", codec, body, status, answer)
			}
			_, rows := callWhole(t, core, read)
			all := drawn.ReplaceAllString(fmt.Sprintf("%d %s, and then %s", status, answer, rows), "…")
			if codec == server.CodecRaw {
				raw = all
			}
			if all != raw {
				t.Errorf("%q is answered\n  by raw %s\n  by %s %s", body, raw, codec, all)
			}
		}
	})
}

// TestCallKeepsNothing holds that an answer is appended, and that neither the
// request's nor the answer's memory is used after the call.
func TestCallKeepsNothing(t *testing.T) {
	core := newCore(t, server.CodecRaw)
	body := []byte(`["stream.write","a-1",{"type":"T","data":{"n":1}}]`)
	first := core.Call(t.Context(), cred, body, []byte("before:")).Body
	if string(first) != `before:{"position":0,"globalPosition":1}` {
		t.Errorf("answer %s", first)
	}
	copy(body, bytes.Repeat([]byte("x"), len(body)))
	if second := core.Call(t.Context(), cred, []byte(`["stream.write","a-1",{"type":"T","data":{"n":2}}]`), nil).Body; string(second) != `{"position":1,"globalPosition":2}` {
		t.Errorf("answer %s", second)
	}
	rows := core.Call(t.Context(), cred, []byte(`["stream.get","a-1"]`), nil).Body
	if !strings.Contains(string(rows), `"T",0,1,{"n":1},null`) {
		t.Errorf("rows %s", rows)
	}
}

const message = `{"type":"OrderPlaced","data":{"orderId":"0123456789abcdef","amount":12345,"currency":"EUR","paid":false,"customer":{"id":"0123456789abcdef","city":"Lisbon","vip":true},"items":[{"sku":"A-100","quantity":2,"price":19.95}]},"metadata":{"correlationStreamName":"checkout-1","userId":"u-1001","trace":{"span":7,"sampled":true}}}`

// BenchmarkCall is the core on a store in memory: a write of about 290 bytes to
// one of 100 streams, and reads of ten messages.
func BenchmarkCall(b *testing.B) {
	for _, codec := range server.Codecs() {
		var writes [100][]byte
		for i := range writes {
			writes[i] = fmt.Appendf(nil, `["stream.write","order-%d",%s]`, i, message)
		}
		filled := func() *server.Core {
			core := newCore(b, codec)
			for range 10 {
				for _, body := range writes {
					core.Call(b.Context(), cred, body, nil)
				}
			}
			return core
		}
		b.Run("write/"+string(codec), func(b *testing.B) {
			benchmarkCalls(b, newCore(b, codec), writes[:])
		})
		b.Run("get10/"+string(codec), func(b *testing.B) {
			benchmarkCalls(b, filled(), [][]byte{[]byte(`["stream.get","order-7",{"batchSize":10}]`)})
		})
		b.Run("category10/"+string(codec), func(b *testing.B) {
			benchmarkCalls(b, filled(), [][]byte{[]byte(`["category.get","order",{"position":500,"batchSize":10}]`)})
		})
	}
}

func benchmarkCalls(b *testing.B, core *server.Core, bodies [][]byte) {
	b.ReportAllocs()
	var answer []byte
	for i := 0; b.Loop(); i++ {
		a := core.Call(b.Context(), cred, bodies[i%len(bodies)], answer[:0])
		if a.Status != 200 {
			b.Fatalf("%d %s", a.Status, a.Body)
		}
		answer = a.Body
	}
}
