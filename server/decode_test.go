package server

import (
	"encoding/json"
	"testing"
)

// FuzzDecode holds that both codecs take the same texts for requests, that
// these are JSON, and that they find the same elements and fields in them.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`["stream.write","a-1",{"type":"T\u2028","data":{"n":1.50,"n":[{}]}},null,-0.5e3]`))
	f.Add([]byte(` [ "sys.version" ] `))
	f.Add([]byte("[\"\xff\",\"\\ud800\"]"))
	f.Add([]byte(`[[],{"a":{"b":[null,true,1e999]}}] x`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var raw, std request
		method, err := (&Core{codec: CodecRaw}).decode(body, &raw)
		stdMethod, stdErr := (&Core{codec: CodecStd}).decode(body, &std)
		if (err == nil) != (stdErr == nil) || string(method) != string(stdMethod) {
			t.Fatalf("%q is %q (%v) for raw, and %q (%v) for std", body, method, err, stdMethod, stdErr)
		}
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Errorf("%q was taken for JSON", body)
		}
		for i := range len(raw.elements) + 1 {
			checkValue(t, raw.arg(i), std.arg(i))
		}
	})
}

// checkValue reads a value in every way, as both codecs have it.
func checkValue(t *testing.T, raw, std value) {
	t.Helper()
	if raw.kind() != std.kind() || raw.null() && raw.text != nil && string(raw.text) != "null" {
		t.Errorf("%q is of kind %c and %c", raw.text, raw.kind(), std.kind())
	}
	s, err := raw.string()
	stdS, stdErr := std.string()
	wantSame(t, "string", s, err, stdS, stdErr)
	n, err := raw.integer()
	stdN, stdErr := std.integer()
	wantSame(t, "integer", n, err, stdN, stdErr)
	data, err := raw.compact()
	stdData, stdErr := std.compact()
	wantSame(t, "object", string(data), err, string(stdData), stdErr)
	wantSame(t, "fields", fieldTexts(raw), nil, fieldTexts(std), nil)
}

func wantSame[T comparable](t *testing.T, what string, raw T, err error, std T, stdErr error) {
	t.Helper()
	if raw != std || (err == nil) != (stdErr == nil) {
		t.Errorf("%s: raw has %v (%v), std %v (%v)", what, raw, err, std, stdErr)
	}
}

// fieldTexts lists the fields that are found, with their texts.
func fieldTexts(v value) (found string) {
	var known []field
	for _, name := range []string{"data", "type", "a", "", "\u2028"} {
		known = append(known, field{name, func(v value) error {
			found += name + "=" + string(v.text) + ";"
			return nil
		}})
	}
	_ = v.fields(lookup{}, known...)
	return found
}
