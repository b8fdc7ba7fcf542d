package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/eventobench/eventobench/server/wire"
)

var (
	errNotArray = errors.New("the top level must be an array")
	errTrailing = errors.New("there is text after the array")
)

// decoder reads JSON text strictly: invalid UTF-8 and lone surrogates are
// errors. Repeated names are not.
type decoder struct {
	jsontext.Decoder
	in   bytes.Buffer
	text []byte
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

func getDecoder(text []byte) *decoder {
	d := decoders.Get().(*decoder)
	d.text = text
	d.in = *bytes.NewBuffer(text)
	d.Reset(&d.in, jsontext.AllowDuplicateNames(true))
	return d
}

func putDecoder(d *decoder) {
	d.text, d.in = nil, bytes.Buffer{}
	decoders.Put(d)
}

// readText reads the next value and returns its part of the input.
func (d *decoder) readText() ([]byte, error) {
	v, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	end := d.InputOffset()
	return d.text[end-int64(len(v)) : end], nil
}

// unquote returns the text of a JSON string: a part of it where nothing is
// escaped.
func unquote(quoted []byte) ([]byte, error) {
	if len(quoted) < 2 {
		return nil, errNotString
	}
	if plain := quoted[1 : len(quoted)-1]; bytes.IndexByte(plain, '\\') < 0 {
		return plain, nil
	}
	return jsontext.AppendUnquote(nil, quoted)
}

// request is a call as it came: the method name and its arguments.
type request struct {
	elements []value
	members  []member     // of JSON, which elements point into
	message  wire.Request // of protobuf, which elements point into
}

// arg returns an argument, from 0; one that is not there is null.
func (r *request) arg(n int) value {
	if n+1 < len(r.elements) {
		return r.elements[n+1]
	}
	return value{}
}

var errNoMethod = invalid("The request names no method")

// decodeCall reads a call in either protocol and returns its method.
func (c *Core) decodeCall(p Protocol, body []byte, r *request) (method, error) {
	if p == Protobuf {
		return r.decodeProtobuf(body)
	}
	name, err := c.decode(body, r)
	if err != nil {
		return nil, err
	}
	m, ok := methods[string(name)]
	if !ok {
		return nil, &Error{Code: CodeMethodNotFound, Message: fmt.Sprintf("Unknown method %q", name)}
	}
	return m, nil
}

// decode reads a call and returns the name of its method, a part of the body.
func (c *Core) decode(body []byte, r *request) (method []byte, err error) {
	if err := r.split(body); err != nil {
		return nil, invalidText("The request is not a JSON array of a method and its arguments", err)
	}
	if len(r.elements) == 0 {
		return nil, errNoMethod
	}
	if c.library != nil {
		if err := r.decodeTrees(c.library, body); err != nil {
			return nil, invalidText("The request is not JSON", err)
		}
	}
	if r.elements[0].kind() != '"' {
		return nil, invalid("The method name %v", errNotString)
	}
	return unquote(r.elements[0].text)
}

// split finds the elements of the array that the body must be.
func (r *request) split(body []byte) error {
	r.elements, r.members = r.elements[:0], r.members[:0]
	if (&plain{text: body}).split(r) {
		return nil
	}
	return r.splitStrictly(body)
}

// splitStrictly is split by jsontext.
func (r *request) splitStrictly(body []byte) error {
	dec := getDecoder(body)
	defer putDecoder(dec)
	r.elements = r.elements[:0]
	switch dec.PeekKind() {
	case '[':
	case 'n': // null has no elements either
		return dec.end()
	default:
		if _, err := dec.ReadValue(); err != nil {
			return err
		}
		return errNotArray
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != ']' {
		text, err := dec.readText()
		if err != nil {
			return err
		}
		r.elements = append(r.elements, value{text: text})
	}
	return dec.end()
}

// end reads the last token and returns an error if anything follows.
func (d *decoder) end() error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if _, err := d.ReadToken(); err == nil {
		return errTrailing
	} else if err != io.EOF {
		return err
	}
	return nil
}

// decodeTrees decodes the request a second time into []any and map[string]any,
// as the store of the story did: this is what a library costs.
func (r *request) decodeTrees(lib *library, body []byte) error {
	var trees []any
	if err := lib.decode(body, &trees); err != nil {
		return err
	}
	for i := range r.elements {
		r.elements[i].tree, r.elements[i].library = trees[i], lib
	}
	return nil
}
