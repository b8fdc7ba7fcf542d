package server

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
)

// FuzzParseRecord holds that a line is either refused or a record that could
// have been written.
func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"id":"00000000-0000-4000-8000-000000000001","stream":"a-1","type":"T","pos":0,"gpos":1,"data":{"n":1.0},"meta":{},"time":"2025-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"ID":"x","pos":1e3,"gpos":-1,"data":null,"time":"0001-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, failure := parseRecord(line)
		if failure != nil {
			return
		}
		if r.ID == uuid.Nil || r.Stream == "" || r.Type == "" || r.Position.Position < 0 || r.GlobalPosition < 1 || !json.Valid(r.Data) || r.Data[0] != '{' {
			t.Errorf("%q is read as %+v", line, r)
		}
	})
}
