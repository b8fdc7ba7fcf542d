package workload

import (
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// parseJSON reads vegeta's JSON format: objects, one behind the other. The body is
// part of each, so no file is read.
func parseJSON(file, text string, _ func(string) ([]byte, error)) ([]Target, error) {
	d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowInvalidUTF8(true))
	var all []Target
	for {
		start := skipSpace(text, int(d.InputOffset()))
		if kind := d.PeekKind(); kind != 0 && kind != '{' {
			return nil, errorAt(file, text, start, "want an object per line, {\"method\": …, \"url\": …}, not %s", kind)
		}
		var t Target
		err := json.UnmarshalDecode(d, &t, json.RejectUnknownMembers(true))
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return all, nil
		}
		if err != nil {
			return nil, jsonError(file, text, err)
		}
		if err := t.check(); err != nil {
			return nil, errorAt(file, text, start, "%v", err)
		}
		all = append(all, t)
	}
}

// check returns an error if the target cannot be sent.
func (t Target) check() error {
	if t.Method == "" {
		return errors.New(`a target needs a "method"`)
	}
	if t.URL == "" {
		return errors.New(`a target needs a "url"`)
	}
	_, err := t.request()
	return err
}

// skipSpace returns the offset of the first character that is no space, from the
// given offset on.
func skipSpace(text string, offset int) int {
	rest := text[offset:]
	return offset + len(rest) - len(strings.TrimLeft(rest, " \t\r\n"))
}

// jsonError says where a text is no target.
func jsonError(file, text string, err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return errorAt(file, text, int(syntax.ByteOffset), "no JSON: %v", syntax.Err)
	}
	var meaning *json.SemanticError
	if !errors.As(err, &meaning) {
		return err
	}
	at := skipSpace(text, int(meaning.ByteOffset))
	name := meaning.JSONPointer.LastToken()
	if errors.Is(err, json.ErrUnknownName) {
		return errorAt(file, text, at, "unknown name %q; a target has method, url, header, body and at_ns", name)
	}
	if meaning.Err != nil {
		return errorAt(file, text, at, "%s: %v", name, meaning.Err)
	}
	return errorAt(file, text, at, "%s must not be a %s", name, meaning.JSONKind)
}
