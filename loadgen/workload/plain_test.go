package workload

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/eventobench/eventobench/loadgen"
)

// plainWorkloads are one of each type.
func plainWorkloads(t testing.TB) []loadgen.Workload {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must := func(w loadgen.Workload, err error) loadgen.Workload {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	write("body.json", `{"n": 1}`)
	targets := must(ReadTargets(write("targets.jsonl",
		`{"method":"GET","url":"http://shop.example/a","at_ns":0}`+"\n"+
			`{"method":"POST","url":"/b?c=d","body":"aGk=","header":{"X-A":["b"]},"at_ns":5000}`+"\n")))
	return []loadgen.Workload{
		loadgen.EventMix{Token: "t", Streams: 5, Protocol: loadgen.Protobuf},
		must(Get([]string{"/", "/search?q=go"})),
		targets,
		must(targets.(*Requests).Replay(2)),
		must(ReadMix(write("mix.yaml", `requests:
  - {name: a, path: "/a/{{rand 1 9}}", weight: 3}
  - {name: b, path: /b, method: POST, body_file: body.json}
`))),
	}
}

// TestEncode: what is read elsewhere has the same name and sends the same.
func TestEncode(t *testing.T) {
	for _, w := range plainWorkloads(t) {
		data, err := Encode(w)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", w.Name(), err)
		}
		if got.Name() != w.Name() || !reflect.DeepEqual(got.Kinds(), w.Kinds()) {
			t.Errorf("%s of %q became %s of %q", w.Name(), w.Kinds(), got.Name(), got.Kinds())
		}
		a, b := w.Source(7, 3), got.Source(7, 3)
		for n := range int64(50) {
			p, q := loadgen.Request{Number: n}, loadgen.Request{Number: n}
			if ka, kb := a.Next(&p), b.Next(&q); ka != kb || !bytes.Equal(p.Wire("x"), q.Wire("x")) {
				t.Fatalf("%s: request %d differs: kind %d, %d\n%s\n%s", w.Name(), n, ka, kb, p.Wire("x"), q.Wire("x"))
			}
		}
		p, wantTimes := w.(loadgen.Recording)
		q, gotTimes := got.(loadgen.Recording)
		if wantTimes != gotTimes {
			t.Fatalf("%s: times %v, want %v", w.Name(), gotTimes, wantTimes)
		}
		if wantTimes {
			due, length := p.Times()
			gotDue, gotLength := q.Times()
			if !reflect.DeepEqual(due, gotDue) || length != gotLength {
				t.Errorf("%s: the times differ", w.Name())
			}
		}
	}
}

// FuzzDecode: no data makes a workload that cannot be sent.
func FuzzDecode(f *testing.F) {
	for _, w := range plainWorkloads(f) {
		data, err := Encode(w)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w, err := Decode(data)
		if err != nil {
			return
		}
		var req loadgen.Request
		source := w.Source(1, 0)
		for range 10 {
			if kind := source.Next(&req); kind < 0 || kind >= len(w.Kinds()) {
				t.Fatalf("a request is of kind %d of %d", kind, len(w.Kinds()))
			}
		}
		if r, ok := w.(loadgen.Recording); ok {
			if _, length := r.Times(); length <= 0 {
				t.Fatalf("a recording of %v", length)
			}
		}
		if again, err := Encode(w); err != nil {
			t.Fatal(err)
		} else if _, err := Decode(again); err != nil {
			t.Fatalf("cannot be read again: %v\n%s", err, again)
		}
	})
}
