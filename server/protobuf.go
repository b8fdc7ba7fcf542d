package server

import (
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/eventobench/eventobench/server/wire"
)

// A field of a protobuf message is a value too, so that methods read the
// arguments of both protocols alike. Its text is empty, and its tree is a pointer
// to the field: *string, *int64 or *[]byte, or to a message whose fields go by
// their names in JSON. A field that is absent is the zero value.

// messageField returns a field of a message. It calls no interface, so that what
// methods ask for stays on the stack.
func messageField(message any, name string) value {
	switch m := message.(type) {
	case *newMessage:
		return m.field(name)
	case *writeOptions:
		return m.field(name)
	case *getOptions:
		return m.field(name)
	case *lastOptions:
		return m.field(name)
	case *categoryOptions:
		return m.field(name)
	case *groupFields:
		return m.field(name)
	case *createOptions:
		return m.field(name)
	case *streamsOptions:
		return m.field(name)
	}
	return value{}
}

func textField(s *string) value { return value{tree: s} }

func optionalText(s *string) value {
	if s == nil || *s == "" {
		return value{}
	}
	return value{tree: s}
}

func numberField(n *int64) value {
	if n == nil {
		return value{}
	}
	return value{tree: n}
}

func bytesField(b *[]byte) value {
	if len(*b) == 0 {
		return value{}
	}
	return value{tree: b}
}

// fieldKind is the kind of JSON value that a field stands for.
func fieldKind(field any) byte {
	switch field.(type) {
	case nil:
		return 'n'
	case *string:
		return '"'
	case *int64:
		return '0'
	default:
		return '{'
	}
}

// payload is a JSON object in a field, compact. The request is not read again, so
// that its memory is used.
func payload(field []byte) ([]byte, error) {
	text, err := compactText(field)
	if err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if len(text) == 0 || text[0] != '{' {
		return nil, errNotObject
	}
	return text, checkDepth(text)
}

type (
	newMessage      wire.NewMessage
	writeOptions    wire.StreamWrite
	getOptions      wire.StreamGet
	lastOptions     wire.StreamLast
	categoryOptions wire.CategoryGet
	groupFields     wire.ConsumerGroup
	createOptions   wire.NamespaceCreate
	streamsOptions  wire.NamespaceStreams
)

func (m *newMessage) field(name string) value {
	switch name {
	case "type":
		return textField(&m.Type)
	case "data":
		return bytesField(&m.Data)
	case "metadata":
		return bytesField(&m.Metadata)
	}
	return value{}
}

func (m *writeOptions) field(name string) value {
	switch name {
	case "id":
		return bytesField(&m.Id)
	case "expectedVersion":
		return numberField(m.ExpectedVersion)
	}
	return value{}
}

func (m *getOptions) field(name string) value {
	switch name {
	case "position":
		return numberField(m.Position)
	case "globalPosition":
		return numberField(m.GlobalPosition)
	case "batchSize":
		return numberField(m.BatchSize)
	}
	return value{}
}

func (m *lastOptions) field(name string) value {
	if name == "type" {
		return optionalText(&m.Type)
	}
	return value{}
}

func (m *categoryOptions) field(name string) value {
	switch name {
	case "position":
		return numberField(m.Position)
	case "batchSize":
		return numberField(m.BatchSize)
	case "correlation":
		return optionalText(&m.Correlation)
	case "consumerGroup":
		if m.ConsumerGroup != nil {
			return value{tree: (*groupFields)(m.ConsumerGroup)}
		}
	}
	return value{}
}

func (m *groupFields) field(name string) value {
	switch name {
	case "member":
		return numberField(m.Member)
	case "size":
		return numberField(m.Size)
	}
	return value{}
}

func (m *createOptions) field(name string) value {
	switch name {
	case "description":
		return optionalText(&m.Description)
	case "token":
		if m.Token != nil {
			return textField(m.Token)
		}
	}
	return value{}
}

func (m *streamsOptions) field(name string) value {
	switch name {
	case "prefix":
		return optionalText(&m.Prefix)
	case "cursor":
		return optionalText(&m.Cursor)
	case "limit":
		return numberField(m.Limit)
	}
	return value{}
}

// decodeProtobuf reads a call and returns its method.
func (r *request) decodeProtobuf(body []byte) (method, error) {
	m := &r.message
	if err := proto.Unmarshal(body, m); err != nil {
		return nil, invalidText("The request is not an eventobench.v1.Request", err)
	}
	switch c := m.Call.(type) {
	case *wire.Request_StreamWrite:
		w := c.StreamWrite
		message := value{}
		if w.Message != nil {
			message.tree = (*newMessage)(w.Message)
		}
		return r.with(streamWrite, textField(&w.Stream), message, value{tree: (*writeOptions)(w)})
	case *wire.Request_StreamGet:
		return r.with(streamGet, textField(&c.StreamGet.Stream), value{tree: (*getOptions)(c.StreamGet)})
	case *wire.Request_StreamLast:
		return r.with(streamLast, textField(&c.StreamLast.Stream), value{tree: (*lastOptions)(c.StreamLast)})
	case *wire.Request_StreamVersion:
		return r.with(streamVersion, textField(&c.StreamVersion.Stream))
	case *wire.Request_CategoryGet:
		return r.with(categoryGet, textField(&c.CategoryGet.Category), value{tree: (*categoryOptions)(c.CategoryGet)})
	}
	return r.decodeNamespaceCall(m)
}

// decodeNamespaceCall reads the calls that are rarer.
func (r *request) decodeNamespaceCall(m *wire.Request) (method, error) {
	switch c := m.Call.(type) {
	case *wire.Request_NsCreate:
		return r.with(nsCreate, textField(&c.NsCreate.Namespace), value{tree: (*createOptions)(c.NsCreate)})
	case *wire.Request_NsDelete:
		return r.with(nsDelete, textField(&c.NsDelete.Namespace))
	case *wire.Request_NsList:
		return r.with(nsList)
	case *wire.Request_NsInfo:
		return r.with(nsInfo, textField(&c.NsInfo.Namespace))
	case *wire.Request_NsStreams:
		return r.with(nsStreams, value{tree: (*streamsOptions)(c.NsStreams)})
	case *wire.Request_NsCategories:
		return r.with(nsCategories)
	case *wire.Request_SysVersion:
		return r.with(sysVersion)
	case *wire.Request_SysHealth:
		return r.with(sysHealth)
	}
	if field, _, n := protowire.ConsumeTag(m.ProtoReflect().GetUnknown()); n > 0 {
		return nil, &Error{Code: CodeMethodNotFound, Message: fmt.Sprintf("Unknown method in field %d", field)}
	}
	return nil, errNoMethod
}

// with keeps the arguments of a call.
func (r *request) with(m method, args ...value) (method, error) {
	r.elements = append(r.elements[:0], value{}) // for the name
	r.elements = append(r.elements, args...)
	return m, nil
}

// protobufEncoder appends wire.Answers. Rows are appended field by field: a
// repeated field is as long as it gets.
type protobufEncoder struct{}

const (
	rowsField     protowire.Number = 1 // of wire.Answer
	completeField protowire.Number = 2
)

// Messages that are made for every answer are made in memory there is already.
var (
	wireRows      = sync.Pool{New: func() any { return new(wire.Row) }}
	wirePositions = sync.Pool{New: func() any { return &wire.Answer{Position: new(wire.Position)} }}
)

func (protobufEncoder) row(dst []byte, m *Message, shape rowShape) ([]byte, error) {
	row := wireRows.Get().(*wire.Row)
	defer wireRows.Put(row)
	row.Id, row.Type = m.ID[:], view(m.Type)
	row.Position, row.GlobalPosition = m.Position.Position, m.GlobalPosition
	row.Data, row.Metadata, row.TimeUnixNano = m.Data, m.Metadata, m.Time.UnixNano()
	row.Stream = ""
	if shape.stream {
		row.Stream = view(m.Stream)
	}
	size := proto.Size(row)
	dst = protowire.AppendTag(dst, rowsField, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(dst, row)
	row.Id, row.Type, row.Stream, row.Data, row.Metadata = nil, "", "", nil, nil // they are the store's
	return dst, err
}

// view is a string that shares the memory of b, for as long as that is there.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (protobufEncoder) beginRows(dst []byte) []byte { return dst }

func (protobufEncoder) endRows(dst []byte) []byte {
	dst = protowire.AppendTag(dst, completeField, protowire.VarintType)
	return protowire.AppendVarint(dst, 1)
}

func (e protobufEncoder) lastRow(dst []byte, m *Message) ([]byte, error) {
	dst, err := e.row(dst, m, rowShape{first: true})
	return e.endRows(dst), err
}

func (e protobufEncoder) noRow(dst []byte) []byte { return e.endRows(dst) }

func (protobufEncoder) position(dst []byte, p Position) ([]byte, error) {
	a := wirePositions.Get().(*wire.Answer)
	defer wirePositions.Put(a)
	a.Position.Position, a.Position.GlobalPosition = p.Position, p.GlobalPosition
	return appendAnswer(dst, a)
}

func (protobufEncoder) version(dst []byte, version int64) []byte {
	if version == NoStream {
		return dst
	}
	dst, _ = appendAnswer(dst, &wire.Answer{Version: &version}) // a number can always be encoded
	return dst
}

func (protobufEncoder) result(dst []byte, r result) ([]byte, error) {
	return appendAnswer(dst, r.answer())
}

func (protobufEncoder) failure(dst []byte, e *Error) ([]byte, error) {
	failure := &wire.Error{Code: string(e.Code), Message: strings.ToValidUTF8(e.Message, "\ufffd")}
	if e.Details != nil {
		details, err := appendJSON(nil, e.Details)
		if err != nil {
			return dst, err
		}
		failure.Details = details
	}
	return appendAnswer(dst, &wire.Answer{Error: failure})
}

func appendAnswer(dst []byte, a *wire.Answer) ([]byte, error) {
	return proto.MarshalOptions{}.MarshalAppend(dst, a)
}
