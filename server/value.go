package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// value is one JSON value of a request: its text as it came and, if a library
// decoded it, its tree of encoding/json types. Of a field of a protobuf message
// see messageField.
type value struct {
	text    []byte
	tree    any
	library *library // that made the tree
	compact bool     // the text is known to have no insignificant white space
	members []member // of an object, if they are known already
}

// kind is the first byte of the text: { [ " t f n, and 0 for a number.
func (v value) kind() byte {
	if len(v.text) == 0 {
		return fieldKind(v.tree) // an argument that is not there is like null
	}
	if c := v.text[0]; c != '-' && (c < '0' || c > '9') {
		return c
	}
	return '0'
}

func (v value) null() bool { return v.kind() == 'n' }

// absent reports whether a field was not there at all.
func (v value) absent() bool { return v.text == nil && v.tree == nil }

var (
	errNotString = errors.New("must be a string")
	errNotNumber = errors.New("must be a number")
	errNotObject = errors.New("must be an object")
)

func (v value) string() (string, error) {
	if v.kind() != '"' {
		return "", errNotString
	}
	switch s := v.tree.(type) {
	case string:
		return s, nil
	case *string:
		return *s, nil
	}
	s, err := unquote(v.text)
	return string(s), err
}

// view is string for what is not kept beyond the call: it shares the memory of
// the request where it can.
func (v value) view() (string, error) {
	if v.tree != nil || v.kind() != '"' {
		return v.string()
	}
	s, err := unquote(v.text)
	return view(s), err
}

// integer reads a number and cuts off what is behind the point.
func (v value) integer() (int64, error) {
	if v.kind() != '0' {
		return 0, errNotNumber
	}
	text := view(v.text)
	switch n := v.tree.(type) {
	case json.Number:
		text = n.String()
	case *int64:
		return *n, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f >= math.MaxInt64 || f <= math.MinInt64 {
		return 0, errors.New("is out of range")
	}
	return int64(f), nil
}

// field is a field that is known of an object, and what reads its value.
type field struct {
	name string
	read func(value) error
}

// into returns what reads a value with one of value's methods and keeps it.
func into[T any](dst *T, read func(value) (T, error)) func(value) error {
	return func(v value) (err error) {
		*dst, err = read(v)
		return err
	}
}

// intoNew is into for what must be known to have been there.
func intoNew[T any](dst **T, read func(value) (T, error)) func(value) error {
	return func(v value) error {
		x, err := read(v)
		*dst = &x
		return err
	}
}

// maxFields is how many fields of an object are known at most.
const maxFields = 8

// lookup says how the fields of an object are looked up.
type lookup struct {
	anyCase  bool // of their names
	nullable bool // a field that is null counts as absent
}

// fields reads the known fields of an object in their order: of several mistakes
// the first in that order is told, behind the name of its field. The last of
// repeated fields counts, and unknown ones are ignored.
func (v value) fields(how lookup, known ...field) error {
	if v.kind() != '{' {
		return errNotObject
	}
	var found [maxFields]value
	if err := v.find(how, known, found[:len(known)]); err != nil {
		return err
	}
	for i, f := range known {
		if found[i].absent() || how.nullable && found[i].null() {
			continue
		}
		if err := f.read(found[i]); err != nil {
			return fmt.Errorf("%s %w", strings.Clone(f.name), err) // a copy: f stays on the stack
		}
	}
	return nil
}

// find finds the known fields.
func (v value) find(how lookup, known []field, found []value) error {
	if tree, ok := v.tree.(map[string]any); ok {
		return v.findInTree(tree, known, found)
	}
	if len(v.text) == 0 {
		v.findInMessage(known, found)
		return nil
	}
	for _, m := range v.members {
		if err := m.find(how, known, found); err != nil {
			return err
		}
	}
	if len(v.members) > 0 {
		return nil
	}
	for s := (scanner{text: v.text[1:]}); s.more(); {
		name := s.value().text
		m := member{name, s.value()}
		if err := m.find(how, known, found); err != nil {
			return err
		}
	}
	return nil
}

// find is that of the object, for one of its members.
func (m *member) find(how lookup, known []field, found []value) error {
	name, err := unquote(m.name)
	if err != nil {
		return err
	}
	for i, f := range known {
		if string(name) == f.name || how.anyCase && strings.EqualFold(string(name), f.name) {
			found[i] = m.value
		}
	}
	return nil
}

func (v value) findInMessage(known []field, found []value) {
	for i, f := range known {
		found[i] = messageField(v.tree, f.name)
	}
}

// findInTree finds the fields of a decoded object. Their text is found again by
// the library, since a map keeps neither key order nor digits.
func (v value) findInTree(tree map[string]any, known []field, found []value) error {
	var texts map[string]json.RawMessage
	if err := v.library.unmarshal(v.text, &texts); err != nil {
		return err
	}
	for i, f := range known {
		if branch, ok := tree[f.name]; ok {
			found[i] = value{text: texts[f.name], tree: branch, library: v.library}
		}
	}
	return nil
}

// checkObject returns an error unless the value is an object.
func (v value) checkObject() error {
	if v.kind() != '{' {
		return errNotObject
	}
	return nil
}

// object returns the object's text without insignificant white space, all
// digits and key order kept. It is a part of the request if that has none, which
// must outlive it.
func (v value) object() ([]byte, error) {
	if field, ok := v.tree.(*[]byte); ok {
		return payload(*field)
	}
	if v.kind() != '{' {
		return nil, errNotObject
	}
	if v.compact {
		return v.text, checkDepth(v.text)
	}
	text, err := compactText(bytes.Clone(v.text))
	if err != nil {
		return nil, err
	}
	return text, checkDepth(text)
}

// compactText takes insignificant white space out of a text, in place. A text
// that is not strict JSON is an error.
func compactText(text jsontext.Value) ([]byte, error) {
	err := text.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(false))
	return text, err
}

// checkDepth returns an error if valid JSON is nested deeper than MaxDepth.
func checkDepth(text []byte) error {
	if tooDeep(text) {
		return fmt.Errorf("is nested deeper than %d levels", MaxDepth)
	}
	return nil
}

// optionalObject is object, or nil for null.
func (v value) optionalObject() ([]byte, error) {
	if v.null() {
		return nil, nil
	}
	return v.object()
}
