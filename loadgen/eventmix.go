package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// EventMix is a workload for an EventoDB server. Each worker writes messages of
// about 290 bytes, with nested data and metadata, to streams drawn at random. After
// every ten writes it reads the first ten messages of one stream.
type EventMix struct {
	Token    string   // sent as the bearer token
	Streams  int      // how many streams there are, at least 1
	Protocol Protocol // JSON if empty; the same calls in either
}

// DefaultStreams is the usual number of streams of an EventMix.
const DefaultStreams = 100

// The kinds of request of an EventMix, by index.
const (
	kindWrite = iota
	kindRead
)

const (
	writesPerRead = 10
	readBatch     = 10
)

// Name returns the ratio of writes to reads, the number of streams, and the
// protocol if that is not JSON.
func (m EventMix) Name() string {
	name := fmt.Sprintf("event mix %d:1 over %d streams", writesPerRead, m.Streams)
	if m.Protocol == Protobuf {
		name += " in protobuf"
	}
	return name
}

// Kinds returns write and read.
func (m EventMix) Kinds() []string { return []string{kindWrite: "write", kindRead: "read"} }

// Source starts the sequence of requests of one worker.
func (m EventMix) Source(seed uint64, worker int) Source {
	return &eventSource{mix: m, rng: rand.New(rand.NewPCG(seed, uint64(worker)))}
}

type eventSource struct {
	mix  EventMix
	rng  *rand.Rand
	sent int
	body []byte

	name, payload, message, call []byte // parts of a body in protobuf
}

const (
	streamPrefix = "order-"
	eventType    = "OrderPlaced"
)

// Next fills in one call to /rpc, with the headers a Go client sends.
func (s *eventSource) Next(req *Request) int {
	if s.sent == 0 {
		s.prepare(req)
	}
	kind := kindWrite
	if s.sent%(writesPerRead+1) == writesPerRead {
		kind = kindRead
	}
	s.sent++
	stream := s.rng.IntN(s.mix.Streams)
	switch protobuf := s.mix.Protocol == Protobuf; {
	case kind == kindRead && protobuf:
		s.body = s.appendProtobufRead(s.body[:0], stream)
	case kind == kindRead:
		s.body = appendRead(s.body[:0], stream)
	case protobuf:
		s.body = s.appendProtobufWrite(s.body[:0], stream)
	default:
		s.body = s.appendWrite(s.body[:0], stream)
	}
	req.Body = s.body
	return kind
}

func (s *eventSource) prepare(req *Request) {
	contentType := "application/json"
	if s.mix.Protocol == Protobuf {
		contentType = "application/protobuf"
	}
	req.Method, req.Target = "POST", "/rpc"
	req.Header = Header{
		{"User-Agent", "eventobench"},
		{"Content-Type", contentType},
		{"Authorization", "Bearer " + s.mix.Token},
		{"Accept-Encoding", "identity"},
	}
}

func appendRead(b []byte, stream int) []byte {
	b = append(b, `["stream.get","`+streamPrefix...)
	b = strconv.AppendInt(b, int64(stream), 10)
	b = append(b, `",{"batchSize":`...)
	b = strconv.AppendInt(b, readBatch, 10)
	return append(b, `}]`...)
}

func (s *eventSource) appendWrite(b []byte, stream int) []byte {
	b = append(b, `["stream.write","`+streamPrefix...)
	b = strconv.AppendInt(b, int64(stream), 10)
	b = append(b, `",{"type":"`+eventType+`","data":`...)
	b = s.appendData(b)
	b = append(b, `,"metadata":`...)
	b = s.appendMetadata(b)
	return append(b, `}]`...)
}

func (s *eventSource) appendData(b []byte) []byte {
	b = append(b, `{"orderId":"`...)
	b = appendHex(b, s.rng.Uint64())
	b = append(b, `","amount":`...)
	b = strconv.AppendInt(b, int64(s.rng.IntN(90000)+10000), 10)
	b = append(b, `,"currency":"EUR","paid":false,"customer":{"id":"`...)
	b = appendHex(b, s.rng.Uint64())
	return append(b, `","city":"Lisbon","vip":true},"items":[{"sku":"A-100","quantity":2,"price":19.95}]}`...)
}

func (s *eventSource) appendMetadata(b []byte) []byte {
	b = append(b, `{"correlationStreamName":"checkout-`...)
	b = strconv.AppendInt(b, int64(s.sent%10), 10)
	return append(b, `","userId":"u-1001","trace":{"span":7,"sampled":true}}`...)
}

// appendHex appends the 16 hexadecimal digits of n.
func appendHex(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return b
}

var (
	positionKey  = []byte(`"position"`)
	errWriteBody = errors.New("no position")
	errReadBody  = errors.New("no rows, or not an array of rows")
)

// Check returns an error about a status of 400 or above, or if the answer to a
// write is not an object with a position, or the answer to a read not an array of
// rows. JSON's white space is allowed everywhere. It is no full parse because it runs once per request in the
// measuring process (BenchmarkEventMixCheck).
func (s *eventSource) Check(kind int, a *Answer) error {
	if err := a.CheckStatus(); err != nil {
		return err
	}
	body := a.Body
	if s.mix.Protocol == Protobuf {
		return checkProtobuf(kind, body)
	}
	if kind == kindWrite && !(startsWith(body, '{') && bytes.Contains(body, positionKey)) {
		return errWriteBody
	}
	if kind == kindRead && !isRows(body) {
		return errReadBody
	}
	return nil
}

// isRows reports whether a body looks like a JSON array that is empty or begins
// with an array.
func isRows(body []byte) bool {
	if !startsWith(body, '[') {
		return false
	}
	inside := skipSpace(skipSpace(body)[1:])
	return startsWith(inside, '[') || startsWith(inside, ']') && len(skipSpace(inside[1:])) == 0
}

// startsWith reports whether the first byte after white space is the given one.
func startsWith(body []byte, first byte) bool {
	rest := skipSpace(body)
	return len(rest) > 0 && rest[0] == first
}

// skipSpace returns body without leading white space (RFC 8259, section 2).
func skipSpace(body []byte) []byte {
	for len(body) > 0 && isSpace(body[0]) {
		body = body[1:]
	}
	return body
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
