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

// value is one JSON value of a request: its text as it came and, if the std
// codec decoded it, its tree of encoding/json types.
type value struct {
	text []byte
	tree any
}

// kind is the first byte of the text: { [ " t f n, and 0 for a number.
func (v value) kind() byte {
	if len(v.text) == 0 {
		return 'n' // an argument that is not there is like null
	}
	if c := v.text[0]; c != '-' && (c < '0' || c > '9') {
		return c
	}
	return '0'
}

func (v value) null() bool { return v.kind() == 'n' }

var (
	errNotString = errors.New("must be a string")
	errNotNumber = errors.New("must be a number")
	errNotObject = errors.New("must be an object")
)

func (v value) string() (string, error) {
	if v.kind() != '"' {
		return "", errNotString
	}
	if s, ok := v.tree.(string); ok {
		return s, nil
	}
	s, err := unquote(v.text)
	return string(s), err
}

// integer reads a number and cuts off what is behind the point.
func (v value) integer() (int64, error) {
	if v.kind() != '0' {
		return 0, errNotNumber
	}
	text := string(v.text)
	if n, ok := v.tree.(json.Number); ok {
		text = n.String()
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

// maxFields is how many fields of an object are asked for at most.
const maxFields = 8

// fields calls f for those of the named fields that an object has, in the order
// of the names. Of a repeated field the last one counts, and others are as good
// as absent. An error is put behind the name of the field.
func (v value) fields(names []string, f func(name string, field value) error) error {
	return v.pick(names, false, f)
}

// pick is fields, which may or may not look at the case of names.
func (v value) pick(names []string, anyCase bool, f func(name string, field value) error) error {
	if v.kind() != '{' {
		return errNotObject
	}
	var found [maxFields]value
	if err := v.find(names, anyCase, found[:len(names)]); err != nil {
		return err
	}
	for i, name := range names {
		if found[i].text == nil {
			continue
		}
		if err := f(name, found[i]); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	return nil
}

func (v value) find(names []string, anyCase bool, found []value) error {
	if tree, ok := v.tree.(map[string]any); ok {
		return findInTree(v.text, tree, names, found)
	}
	dec := getDecoder(v.text)
	defer putDecoder(dec)
	_, _ = dec.ReadToken() // the text is known to be a valid object
	for dec.PeekKind() != '}' {
		name, err := dec.readName()
		if err != nil {
			return err
		}
		field, err := dec.readText()
		if err != nil {
			return err
		}
		for i, wanted := range names {
			if string(name) == wanted || anyCase && strings.EqualFold(string(name), wanted) {
				found[i] = value{text: field}
			}
		}
	}
	return nil
}

// findInTree finds the fields of a decoded object. Their text is found again
// with encoding/json, since a map keeps neither key order nor digits.
func findInTree(text []byte, tree map[string]any, names []string, found []value) error {
	var texts map[string]json.RawMessage
	if err := json.Unmarshal(text, &texts); err != nil {
		return err
	}
	for i, name := range names {
		if field, ok := tree[name]; ok {
			found[i] = value{text: texts[name], tree: field}
		}
	}
	return nil
}

// compact returns the object's text without insignificant white space, all
// digits and key order kept, as its own copy.
func (v value) compact() ([]byte, error) {
	if v.kind() != '{' {
		return nil, errNotObject
	}
	text := jsontext.Value(bytes.Clone(v.text))
	if err := text.Compact(jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, err
	}
	if tooDeep(text) {
		return nil, fmt.Errorf("is nested deeper than %d levels", MaxDepth)
	}
	return text, nil
}

// optionalObject is compact, or nil for null.
func (v value) optionalObject() ([]byte, error) {
	if v.null() {
		return nil, nil
	}
	return v.compact()
}
