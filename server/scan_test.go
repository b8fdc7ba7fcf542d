package server

import (
	"bytes"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// FuzzScanner goes through objects beside jsontext, and through what is no JSON
// without an end.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a" : [ 1 , "]}" ] , "b\\"":"\\\\"}`, `{"a":{"b":[]},"c":null,"":-1e5}`,
		`{"a":"x y","b":{"c": 1}}`, `{"a":`, `{"`, `{"a":"\`, `{]`, `[}`, `{"a":[}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = bytes.TrimSpace(text)
		if len(text) == 0 || text[0] != '{' {
			return
		}
		var got [][]byte
		for s := (scanner{text: text[1:]}); s.more(); {
			before := s.at
			v := s.value()
			if s.at == before {
				t.Fatalf("%q: it stands still at %d", text, s.at)
			}
			got = append(got, v.text)
			compact := jsontext.Value(bytes.Clone(v.text))
			if v.compact && compact.IsValid() {
				if err := compact.Compact(); err == nil && !bytes.Equal(compact, v.text) {
					t.Errorf("%q is not compact", v.text)
				}
			}
		}
		if want, valid := parts(text); valid && !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%s has the parts %q, not %q", text, got, want)
		}
	})
}

// parts are the names and values of an object, if it is valid.
func parts(text []byte) (parts [][]byte, valid bool) {
	d := getDecoder(text)
	defer putDecoder(d)
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for d.PeekKind() != '}' {
		part, err := d.readText()
		if err != nil {
			return nil, false
		}
		parts = append(parts, part)
	}
	return parts, d.end() == nil
}
