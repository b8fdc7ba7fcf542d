package server

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	segmentio "github.com/segmentio/encoding/json"
)

// Codec is the way JSON requests and answers pass through memory. Every codec
// gives the same answers, byte for byte.
type Codec string

// The codecs. All but raw decode requests into []any and map[string]any, and
// encode answers from these, each with a library of its own.
const (
	CodecRaw       Codec = "raw"       // keeps payloads as bytes from the request to the row and back
	CodecStd       Codec = "std"       // encoding/json
	CodecV2        Codec = "jsonv2"    // the API that encoding/json/v2 will have, which Go 1.26 holds back
	CodecSegmentio Codec = "segmentio" // github.com/segmentio/encoding
)

// Codecs returns all codecs.
func Codecs() []Codec { return []Codec{CodecRaw, CodecStd, CodecV2, CodecSegmentio} }

// check returns an error if there is no such codec.
func (c Codec) check() error {
	if slices.Contains(Codecs(), c) {
		return nil
	}
	return fmt.Errorf("unknown codec %q; use %s, %s, %s or %s", c, CodecRaw, CodecStd, CodecV2, CodecSegmentio)
}

// library is what a codec passes requests and answers through.
type library struct {
	// decode decodes valid JSON. A number that becomes an any is a json.Number.
	decode func(text []byte, into any) error
	// unmarshal decodes valid JSON that has no number to decode.
	unmarshal func(text []byte, into any) error
	// append appends v as encoding/json writes it without escaping HTML. Of a name
	// see nameTree.
	append func(dst []byte, v any) ([]byte, error)
}

// libraries are those of the codecs. Raw has none.
var libraries = map[Codec]*library{
	CodecStd:       {decodeStd, stdjson.Unmarshal, appendJSON},
	CodecV2:        {decodeV2, unmarshalV2, appendV2},
	CodecSegmentio: {decodeSegmentio, segmentio.Unmarshal, appendSegmentio},
}

func decodeStd(text []byte, into any) error {
	dec := stdjson.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec.Decode(into)
}

// appendJSON appends v as encoding/json writes it, without escaping HTML and
// without a line feed: a client reads "null\n" as 0.
func appendJSON(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := stdjson.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

var (
	decodeOptionsV2 = json.JoinOptions(
		jsontext.AllowDuplicateNames(true),
		json.WithUnmarshalers(json.UnmarshalFromFunc(decodeNumber)),
	)
	appendOptionsV2 = json.JoinOptions(
		jsontext.AllowDuplicateNames(true),
		jsontext.PreserveRawStrings(true),
	)
)

func decodeV2(text []byte, into any) error { return json.Unmarshal(text, into, decodeOptionsV2) }

func unmarshalV2(text []byte, into any) error {
	return json.Unmarshal(text, into, jsontext.AllowDuplicateNames(true))
}

// decodeNumber keeps the digits of a number. An any would have a float64, and
// there is no option for this. Of repeated names the last counts, whatever the
// one before was.
func decodeNumber(dec *jsontext.Decoder, into *any) error {
	*into = nil
	if dec.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	digits, err := dec.ReadValue()
	*into = stdjson.Number(digits)
	return err
}

func appendV2(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	err := json.MarshalWrite(buf, v, appendOptionsV2)
	return buf.Bytes(), err
}

func decodeSegmentio(text []byte, into any) error {
	_, err := segmentio.Parse(text, into, segmentio.UseNumber)
	return err
}

func appendSegmentio(dst []byte, v any) ([]byte, error) { return segmentio.Append(dst, v, 0) }

// nameTree is a name for a library to encode. U+2028 and U+2029 are escaped
// here: libraries differ in these, and some cannot tell a name from a payload,
// which must stay as it is.
func nameTree(name []byte) any {
	if bytes.Contains(name, []byte("\u2028")) || bytes.Contains(name, []byte("\u2029")) {
		return stdjson.RawMessage(appendString(nil, name))
	}
	return string(name)
}
