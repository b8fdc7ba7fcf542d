package server

import "strings"

// Protocol is the encoding of a call and its answer.
type Protocol int

// The protocols. Both carry the same calls to the same path.
const (
	JSON     Protocol = iota // of a request whatever its header calls it, unless that is protobuf
	Protobuf                 // messages of server/wire
)

const (
	jsonType     = "application/json"
	protobufType = "application/protobuf"
)

// ProtocolOf returns the protocol that the Content-Type of a request names:
// Protobuf for application/protobuf and application/x-protobuf, else JSON.
func ProtocolOf(contentType string) Protocol {
	if contentType == jsonType {
		return JSON
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.TrimSpace(mediaType)
	if strings.EqualFold(mediaType, protobufType) || strings.EqualFold(mediaType, "application/x-protobuf") {
		return Protobuf
	}
	return JSON
}

// ContentType is the header of an answer.
func (p Protocol) ContentType() string {
	if p == Protobuf {
		return protobufType
	}
	return jsonType
}

// encoder appends answers in one protocol. An answer of rows is begun, has its
// rows, and is ended.
type encoder interface {
	position(dst []byte, p Position) ([]byte, error)
	beginRows(dst []byte) []byte
	row(dst []byte, m *Message, shape rowShape) ([]byte, error)
	endRows(dst []byte) []byte
	lastRow(dst []byte, m *Message) ([]byte, error)   // the answer to stream.last
	noRow(dst []byte) []byte                          // likewise, if there is none
	version(dst []byte, version int64) []byte         // the answer to stream.version
	result(dst []byte, result result) ([]byte, error) // the answer to any other call
	failure(dst []byte, e *Error) ([]byte, error)
}

// rowShape says what a row has besides the message.
type rowShape struct {
	stream bool // the name of its stream
	first  bool // no row before it
}

// encoder returns what encodes the answers of a protocol.
func (c *Core) encoder(p Protocol) encoder {
	if p == Protobuf {
		return protobufEncoder{}
	}
	return jsonEncoder{c.library}
}
