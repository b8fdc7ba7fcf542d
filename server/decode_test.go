package server

import (
	"encoding/json"
	"testing"
)

// FuzzDecode holds that all codecs take the same texts for requests, that
// these are JSON, and that they find the same elements and fields in them.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`["stream.write","a-1",{"type":"T\u2028","data":{"n":1.50,"n":[{}]}},null,-0.5e3]`))
	f.Add([]byte(` [ "sys.version" ] `))
	f.Add([]byte("[\"\xff\",\"\\ud800\"]"))
	f.Add([]byte(`[[],{"a":{"b":[null,true,1e999]}}] x`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var raw request
		method, err := new(Core).decode(body, &raw)
		if err == nil && !json.Valid(body) {
			t.Errorf("%q was taken for JSON", body)
		}
		for codec, lib := range libraries {
			var decoded request
			m, libErr := (&Core{library: lib}).decode(body, &decoded)
			if (err == nil) != (libErr == nil) || string(method) != string(m) {
				t.Fatalf("%q is %q (%v) for raw, and %q (%v) for %s", body, method, err, m, libErr, codec)
			}
			for i := range len(raw.elements) + 1 {
				checkValue(t, codec, raw.arg(i), decoded.arg(i))
			}
		}
	})
}

// checkValue reads a value in every way, as raw and another codec have it.
func checkValue(t *testing.T, codec Codec, raw, decoded value) {
	t.Helper()
	if raw.kind() != decoded.kind() || raw.null() && raw.text != nil && string(raw.text) != "null" {
		t.Errorf("%s: %q is of kind %c and %c", codec, raw.text, raw.kind(), decoded.kind())
	}
	s, err := raw.string()
	decodedS, decodedErr := decoded.string()
	wantSame(t, string(codec)+" string", s, err, decodedS, decodedErr)
	n, err := raw.integer()
	decodedN, decodedErr := decoded.integer()
	wantSame(t, string(codec)+" integer", n, err, decodedN, decodedErr)
	data, err := raw.object()
	decodedData, decodedErr := decoded.object()
	wantSame(t, string(codec)+" object", string(data), err, string(decodedData), decodedErr)
	wantSame(t, string(codec)+" fields", fieldTexts(raw), nil, fieldTexts(decoded), nil)
}

func wantSame[T comparable](t *testing.T, what string, raw T, err error, decoded T, decodedErr error) {
	t.Helper()
	if raw != decoded || (err == nil) != (decodedErr == nil) {
		t.Errorf("%s: raw has %v (%v), not %v (%v)", what, raw, err, decoded, decodedErr)
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
