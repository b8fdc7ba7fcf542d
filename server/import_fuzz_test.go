package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/server"
)

// frames keeps what it is sent.
type frames []string

func (f *frames) Send(text []byte) error {
	*f = append(*f, string(text))
	return nil
}

// FuzzImport holds that an import of any lines ends with one frame, which says
// how many are in or which line is bad, and that as many are there.
func FuzzImport(f *testing.F) {
	good := func(n int) string {
		return fmt.Sprintf(`{"id":"00000000-0000-4000-8000-%012x","stream":"a-%d","type":"T","pos":%d,"gpos":%d,"data":{"n":1.0},"meta":{},"time":"2025-01-02T03:04:05Z"}`, n, n%2, n/2, n+1)
	}
	f.Add([]byte(good(1)+"\n\n"+good(2)+"\r\n"+good(3)), false)
	f.Add([]byte(good(1)+"\n"+good(1)), true)
	f.Add([]byte(good(1)+"\n{broken"), false)
	core := newCore(f, server.CodecRaw)
	f.Fuzz(func(t *testing.T, lines []byte, force bool) {
		core.Call(t.Context(), cred, []byte(`["ns.delete","other"]`), nil)
		other := server.NewToken("other")
		core.Call(t.Context(), cred, fmt.Appendf(nil, `["ns.create","other",{"token":%q}]`, other), nil)
		im, err := core.Import(t.Context(), server.Credentials{Token: other}, fmt.Sprint(force), bytes.NewReader(lines))
		if err != nil {
			t.Fatal(err)
		}
		var sent frames
		if err := im.Run(t.Context(), &sent); err != nil || len(sent) != 1 {
			t.Fatalf("%q: frames %q (%v)", lines, sent, err)
		}
		checkLastFrame(t, core, lines, sent[0])
	})
}

func checkLastFrame(t *testing.T, core *server.Core, lines []byte, text string) {
	t.Helper()
	var frame struct {
		Done     bool
		Imported int
		Error    string
		Line     int
	}
	data, ok := strings.CutPrefix(text, "data: ")
	if err := json.Unmarshal([]byte(data), &frame); err != nil || !ok || frame.Done == (frame.Error != "") {
		t.Fatalf("%q: frame %q (%v)", lines, text, err)
	}
	if frame.Error == "IMPORT_FAILED" || frame.Line > bytes.Count(lines, []byte("\n"))+1 || frame.Error != "" && frame.Line < 1 {
		t.Errorf("%q: frame %q", lines, text)
	}
	info := core.Call(t.Context(), cred, []byte(`["ns.info","other"]`), nil).Body
	if want := fmt.Sprintf(`"messageCount":%d,`, frame.Imported); !strings.Contains(string(info), want) {
		t.Errorf("%q: frame %q, and then %s", lines, text, info)
	}
}
