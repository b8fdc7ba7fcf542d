package loadgen

import (
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Protocol is the encoding of an EventMix's calls.
type Protocol string

// The protocols. JSON is that of the zero value.
const (
	JSON     Protocol = "json"
	Protobuf Protocol = "protobuf" // messages of the package eventobench.v1
)

// The fields of eventobench.v1 that an EventMix uses. They are written and read
// here without generated code: the measuring process shall spend little.
const (
	requestWrite, requestGet                   = 1, 2
	writeStream, writeMessage                  = 1, 2
	messageType, messageData, messageMetadata  = 1, 2, 3
	getStream, getBatchSize                    = 1, 4
	answerRows, answerComplete, answerPosition = 1, 2, 3
)

// appendBytesField appends a field that holds text, bytes or a message.
func appendBytesField[T []byte | string](b []byte, field protowire.Number, content T) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(content)))
	return append(b, content...)
}

func (s *eventSource) appendProtobufRead(b []byte, stream int) []byte {
	call := appendBytesField(s.call[:0], getStream, s.streamName(stream))
	call = protowire.AppendTag(call, getBatchSize, protowire.VarintType)
	s.call = protowire.AppendVarint(call, readBatch)
	return appendBytesField(b, requestGet, s.call)
}

func (s *eventSource) appendProtobufWrite(b []byte, stream int) []byte {
	s.payload = s.appendData(s.payload[:0])
	s.message = appendBytesField(s.message[:0], messageType, eventType)
	s.message = appendBytesField(s.message, messageData, s.payload)
	s.payload = s.appendMetadata(s.payload[:0])
	s.message = appendBytesField(s.message, messageMetadata, s.payload)
	s.call = appendBytesField(s.call[:0], writeStream, s.streamName(stream))
	s.call = appendBytesField(s.call, writeMessage, s.message)
	return appendBytesField(b, requestWrite, s.call)
}

// streamName is valid until it is called again.
func (s *eventSource) streamName(stream int) []byte {
	s.name = append(s.name[:0], streamPrefix...)
	s.name = strconv.AppendInt(s.name, int64(stream), 10)
	return s.name
}

// checkProtobuf is Check of an answer in protobuf: a write has a position, and
// rows end with the field that says that they are complete.
func checkProtobuf(kind int, body []byte) error {
	if kind == kindWrite {
		if field, _, n := protowire.ConsumeField(body); field != answerPosition || n != len(body) {
			return errWriteBody
		}
		return nil
	}
	for len(body) > 0 {
		field, _, n := protowire.ConsumeField(body)
		if field == answerComplete && n == len(body) {
			return nil
		}
		if field != answerRows || n < 0 {
			return errReadBody
		}
		body = body[n:]
	}
	return errReadBody
}
