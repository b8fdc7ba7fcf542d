package server

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// jsonEncoder appends JSON values, through the library of a codec if that has one.
type jsonEncoder struct{ library *library }

func (e jsonEncoder) position(dst []byte, p Position) ([]byte, error) {
	if e.library != nil {
		return e.library.append(dst, p)
	}
	dst = append(dst, `{"position":`...)
	dst = strconv.AppendInt(dst, p.Position, 10)
	dst = append(dst, `,"globalPosition":`...)
	dst = strconv.AppendInt(dst, p.GlobalPosition, 10)
	return append(dst, '}'), nil
}

func (jsonEncoder) beginRows(dst []byte) []byte { return append(dst, '[') }

func (jsonEncoder) endRows(dst []byte) []byte { return append(dst, ']') }

// row appends a message as an array; rows of several streams carry the stream's
// name.
func (e jsonEncoder) row(dst []byte, m *Message, shape rowShape) ([]byte, error) {
	if !shape.first {
		dst = append(dst, ',')
	}
	if e.library != nil {
		return e.library.append(dst, rowTree(m, shape.stream))
	}
	dst = append(dst, '[', '"')
	dst = appendUUID(dst, m.ID)
	dst = append(dst, '"', ',')
	if shape.stream {
		dst = append(appendString(dst, m.Stream), ',')
	}
	dst = append(appendString(dst, m.Type), ',')
	dst = append(strconv.AppendInt(dst, m.Position.Position, 10), ',')
	dst = append(strconv.AppendInt(dst, m.GlobalPosition, 10), ',')
	dst = append(append(dst, m.Data...), ',')
	if m.Metadata == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, m.Metadata...)
	}
	dst = append(dst, ',', '"')
	dst = m.Time.UTC().AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"', ']'), nil
}

func (e jsonEncoder) lastRow(dst []byte, m *Message) ([]byte, error) {
	return e.row(dst, m, rowShape{first: true})
}

func (jsonEncoder) noRow(dst []byte) []byte { return append(dst, "null"...) }

func (jsonEncoder) version(dst []byte, version int64) []byte {
	if version == NoStream {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, version, 10)
}

func (jsonEncoder) result(dst []byte, r result) ([]byte, error) { return appendJSON(dst, r) }

func (jsonEncoder) failure(dst []byte, e *Error) ([]byte, error) {
	return appendJSON(dst, struct {
		Error *Error `json:"error"`
	}{e})
}

// rowTree is a row for a library.
func rowTree(m *Message, withStream bool) []any {
	row := []any{m.ID.String()}
	if withStream {
		row = append(row, nameTree(m.Stream))
	}
	var metadata any
	if m.Metadata != nil {
		metadata = json.RawMessage(m.Metadata)
	}
	return append(row, nameTree(m.Type), m.Position.Position, m.GlobalPosition,
		json.RawMessage(m.Data), metadata, m.Time.UTC().Format(time.RFC3339Nano))
}

func appendUUID(dst []byte, id uuid.UUID) []byte {
	var text [36]byte
	hex.Encode(text[:8], id[:4])
	text[8] = '-'
	hex.Encode(text[9:13], id[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], id[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], id[8:10])
	text[23] = '-'
	hex.Encode(text[24:], id[10:])
	return append(dst, text[:]...)
}

// appendString appends a JSON string. Text that needs no escaping is copied;
// the rest is left to encoding/json, so that all answers escape alike.
func appendString(dst, s []byte) []byte {
	for _, c := range s {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			dst, _ = appendJSON(dst, string(s)) // a string can always be encoded
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
