package workload

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	texttemplate "text/template"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/loadgen"
)

// mix reads a workload from a text. There is one file with a body.
func mix(text string) (*Mix, error) {
	return parseMix("w.yaml", text, func(name string) ([]byte, error) {
		if name != "body" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte("{{not}} expanded"), nil
	})
}

func mustMix(t testing.TB, text string) *Mix {
	t.Helper()
	m, err := mix(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// drive sends requests of a workload to a handler with a number of workers.
func drive(t *testing.T, w loadgen.Workload, workers, requests int, handler http.HandlerFunc) loadgen.Result {
	t.Helper()
	return driveAs(t, w, loadgen.Load{Workers: workers}, requests, handler)
}

func driveAs(t *testing.T, w loadgen.Workload, load loadgen.Load, requests int, handler http.HandlerFunc) loadgen.Result {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	load.Workload, load.Kinds, load.Timeout = w.Name(), w.Kinds(), 10*time.Second
	driver := loadgen.NewDriver(serverURL(t, server.Listener.Addr().String()), w, load, loadgen.Connect{}, 1)
	defer driver.Close()
	return driver.Warmup(context.Background(), requests)
}

func serverURL(t testing.TB, addr string) *url.URL {
	t.Helper()
	u, err := url.Parse("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Every part of a request is where it belongs, byte for byte.
func TestMixOnTheWire(t *testing.T) {
	m := mustMix(t, `
requests:
- path: /a b/ü?q={{pick "x y"}}
  headers: {X-b: [2, "1"], a: "{{worker}}-{{seq}}", Host: "shop{{worker}}.example"}
  body: |
    {"n": {{rand 7 7}}, "raw": "{{"{{"}}"}
- {name: file, path: /f, method: PUT, body_file: body, headers: {User-Agent: own}}
- {name: empty, path: /e, method: POST}
`)
	want := map[string]string{
		"POST /a b/ü": "POST /a%20b/%C3%BC?q=x%20y HTTP/1.1\r\nHost: shop3.example\r\nUser-Agent: eventobench\r\n" +
			"X-b: 2\r\nX-b: 1\r\na: 3-1\r\nContent-Length: 22\r\n\r\n" + `{"n": 7, "raw": "{{"}` + "\n",
		"file":  "PUT /f HTTP/1.1\r\nHost: h:1\r\nUser-Agent: own\r\nContent-Length: 16\r\n\r\n{{not}} expanded",
		"empty": "POST /e HTTP/1.1\r\nHost: h:1\r\nUser-Agent: eventobench\r\nContent-Length: 0\r\n\r\n",
	}
	got := map[string]string{}
	for seed := range uint64(100) { // one request of each, so that seq is 1
		var req loadgen.Request
		kind := m.Source(seed, 3).Next(&req)
		got[m.Kinds()[kind]] = string(req.Wire("h:1"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const drawnMix = `
requests:
- name: many
  weight: 9
  method: POST
  path: /{{rand -5 5}}/{{pick "a" "b" 7}}/{{seq}}
  body: '{{uuid}} {{worker}}'
- {name: few, path: /few}
`

func sequence(m *Mix, seed uint64, worker, n int) []string {
	source := m.Source(seed, worker)
	var req loadgen.Request
	var all []string
	for range n {
		source.Next(&req)
		all = append(all, string(req.Wire("h")))
	}
	return all
}

// Equal seeds and workers give equal requests, and others do not.
func TestMixFollowsTheSeed(t *testing.T) {
	m := mustMix(t, drawnMix)
	first := sequence(m, 1, 0, 50)
	if diff := cmp.Diff(first, sequence(mustMix(t, drawnMix), 1, 0, 50)); diff != "" {
		t.Error(diff)
	}
	if slices.Equal(first, sequence(m, 2, 0, 50)) || slices.Equal(first, sequence(m, 1, 1, 50)) {
		t.Error("another seed or worker sends the same")
	}
}

// What is drawn is in its range, all of it occurs, and weights are kept.
func TestMixDraws(t *testing.T) {
	const n = 5000
	request := regexp.MustCompile(`(?s)^POST /(-?\d)/([ab7])/(\d+) .*\r\n` +
		`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12} 5$`)
	seen := map[string]int{}
	for i, text := range sequence(mustMix(t, drawnMix), 1, 5, n) {
		if strings.HasPrefix(text, "GET /few ") {
			seen["few"]++
			continue
		}
		m := request.FindStringSubmatch(text)
		if m == nil || m[3] != fmt.Sprint(i+1) {
			t.Fatalf("request %d: %q", i+1, text)
		}
		seen["rand "+m[1]]++
		seen["pick "+m[2]]++
	}
	if few := seen["few"]; few < n/10*8/10 || few > n/10*12/10 {
		t.Errorf("a request of weight 1 of 10 was drawn %d times of %d", few, n)
	}
	if len(seen) != 1+11+3 {
		t.Errorf("not all was drawn: %v", seen)
	}
}

// shopServer wants a login before an order, and a token of each worker's own.
type shopServer struct {
	mu     sync.Mutex
	paths  map[string]int
	orders map[string]string // by number, who made it
	errors []string
}

func (s *shopServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	s.paths[r.URL.Path]++
	token := r.Header.Get("Authorization")
	switch {
	case r.URL.Path == "/login":
		fmt.Fprintf(w, `{"data":{"token":"t-%s"}}`, body)
	case r.URL.Path == "/order":
		number := fmt.Sprint(len(s.orders))
		s.orders[number] = token
		w.Header().Set("Location", "/order/"+number)
		w.WriteHeader(http.StatusCreated)
	case s.orders[strings.TrimPrefix(r.URL.Path, "/order/")] != token || token == "":
		s.errors = append(s.errors, fmt.Sprintf("%s asks for %s", token, r.URL.Path))
	}
}

const shopMix = `
setup:
- {path: /login, method: POST, body: "w{{worker}}", capture: {token: json data.token}}
requests:
- {name: show, weight: 3, path: "{{.order}}", headers: {Authorization: "{{.token}}"}, check: {status: 200}}
- name: order
  path: /order
  method: POST
  headers: {Authorization: "{{.token}}"}
  check: {status: 201}
  capture: {order: header Location}
`

// Workers log in once, before the first request that counts, and take values from
// answers into later requests, each its own.
func TestMixTakesValuesAlong(t *testing.T) {
	m := mustMix(t, shopMix)
	shop := &shopServer{paths: map[string]int{}, orders: map[string]string{}}
	result := drive(t, m, 3, 60, shop.ServeHTTP)
	if result.Ops() != 60 || len(shop.errors) > 0 {
		t.Errorf("%d of 60 answered, %+v, %q", result.Ops(), result.Errors, shop.errors)
	}
	if shop.paths["/login"] != 3 || int64(shop.paths["/order"]) != result.Kinds[1].Ops || result.Kinds[0].Ops == 0 {
		t.Errorf("the server saw %v, the workload %+v", shop.paths, result.Kinds)
	}
	for number, token := range shop.orders {
		if !regexp.MustCompile(`^t-w[012]$`).MatchString(token) {
			t.Errorf("order %s with token %q", number, token)
		}
	}
}

// A server that does nothing gets the requests that are drawn, although none of its answers
// has the values that they take.
func TestMixUnchecked(t *testing.T) {
	m := mustMix(t, shopMix)
	const n = 60
	drawn := make([]int64, len(m.Kinds()))
	var req loadgen.Request
	for source := m.Preview(); req.Number < n; req.Number++ {
		drawn[source.Next(&req)]++
	}
	nothing := func(http.ResponseWriter, *http.Request) {}
	result := driveAs(t, m, loadgen.Load{Workers: 1, Unchecked: true}, n, nothing)
	for kind, want := range drawn {
		if got := result.Kinds[kind].Ops; got != want {
			t.Errorf("%d requests of kind %s, want %d; %+v", got, m.Kinds()[kind], want, result.Errors)
		}
	}
}

// A setup that fails is told, and the worker sends nothing else.
func TestMixSetupFails(t *testing.T) {
	m := mustMix(t, "setup: [{path: /login, capture: {t: json token}}]\nrequests: [{path: /, headers: {t: '{{.t}}'}}]")
	var asked []string
	var mu sync.Mutex
	result := drive(t, m, 1, 5, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
		fmt.Fprint(w, "{}")
	})
	const want = `setup: GET /login: no value at token, wanted for t, in the answer: "{}"`
	if result.Setup.First != want || result.Setup.Total() != 1 || result.Errors.Total() != 0 || !slices.Equal(asked, []string{"/login"}) {
		t.Errorf("%+v after %v, want %s", result.Setup, asked, want)
	}
}

// An answer that is not what a check wants is a failure that says what is wrong.
func TestChecks(t *testing.T) {
	const body = `{"a":{"n":3,"s":"x","t":true,"z":null},"list":[{"id":7}],"big":9007199254740992,"float":3.0e0}`
	for _, c := range []struct{ check, want string }{
		{"check: {status: 201}", ""},
		{"check: {status: [200, 201]}", ""},
		{"check: {body contains: '\"n\":3'}", ""},
		{"check: {json: {a.n: 3, a.s: x, a.t: true, a.z: null, list.0.id: 7.0, list.#: 1}}", ""},
		{"check: {json: {big: 9007199254740992, a.n: 0x3, float: 3}}", ""},
		{"check: {json: {big: 9007199254740993}}", `GET /: big is 9007199254740992, not 9007199254740993, in the answer: `},
		{"check: {json: {a.n: {above: 2, below: 3.5}}}", ""},
		{"capture: {v: json a.n, w: header X-Out}", ""},
		{"check: {status: 200}", "GET / was answered with status 201: "},
		{"check: {body contains: [a, nope]}", `GET /: no "nope" in the answer: `},
		{"check: {json: {a.n: 4}}", `GET /: a.n is 3, not 4, in the answer: `},
		{"check: {json: {a.n: '3'}}", `GET /: a.n is 3, not "3", in the answer: `},
		{"check: {json: {a.s: 3}}", `GET /: a.s is "x", not 3, in the answer: `},
		{"check: {json: {a.t: false}}", `GET /: a.t is true, not false, in the answer: `},
		{"check: {json: {b: null}}", `GET /: b is missing, not null, in the answer: `},
		{"check: {json: {a.n: {above: 3}}}", `GET /: a.n is 3, not above 3, in the answer: `},
		{"check: {json: {a.n: {above: 1, below: 3}}}", `GET /: a.n is 3, not above 1 and below 3, in the answer: `},
		{"capture: {v: json a.z}", `GET /: no value at a.z, wanted for v, in the answer: `},
		{"capture: {v: header None}", `GET /: no header field None, wanted for v, in the answer: `},
		{"path: /cut\n  check: {json: {a: 1}}", `GET /cut: no JSON in the answer: "{\"a\":1"`},
		{"path: /gzip\n  check: {body contains: a}",
			`GET /gzip: a Content-Encoding, so that the body cannot be checked`},
		{"path: /bad", `GET /bad was answered with status 500: `},
		{"path: /bad\n  check: {status: 500}", ""},
	} {
		t.Run(c.check, func(t *testing.T) {
			text := "requests:\n- name: r\n  " + c.check
			if !strings.Contains(text, "path: /") {
				text += "\n  path: /"
			}
			result := drive(t, mustMix(t, text), 1, 1, func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/cut":
					fmt.Fprint(w, `{"a":1`)
					return
				case "/gzip":
					w.Header().Set("Content-Encoding", "gzip")
				case "/bad":
					w.WriteHeader(http.StatusInternalServerError)
				default:
					w.Header().Set("X-Out", "1")
					w.WriteHeader(http.StatusCreated)
				}
				fmt.Fprint(w, body)
			})
			if c.want == "" && result.Ops() != 1 || !strings.HasPrefix(result.Errors.First, c.want) {
				t.Errorf("got %q, want %q", result.Errors.First, c.want)
			}
		})
	}
}

// What is no workload is refused with its place and what to do.
func TestRefusesMixes(t *testing.T) {
	one := func(keys string) string { return "requests:\n- path: /\n  " + keys }
	for _, c := range []struct{ text, want string }{
		{"", "w.yaml: no requests in it"},
		{"# nothing", "w.yaml: no requests in it"},
		{"requests: []", "w.yaml: no requests in it"},
		{"setup: [{path: /}]", "w.yaml: no requests in it"},
		{"- path: /", "w.yaml:1:1: a workload must be names with values (name: value)"},
		{"request: []", `w.yaml:1:1: unknown key "request" in a workload; it may have requests, setup`},
		{"requests: {}", "w.yaml:1:11: the requests must be a list"},
		{"requests: [7]", "w.yaml:1:12: a request must be names with values (name: value)"},
		{"requests: [\n", "w.yaml:1: did not find expected node content"},
		{"a: 1\n\tb: 2", "w.yaml:2: found a tab character that violates indentation"},
		{"requests: []\n---\na: 1", "w.yaml:2:1: a second document; a workload is one"},
		{"requests:\n- name: x", "w.yaml:2:3: a request needs a path"},
		{one("wieght: 1"),
			`w.yaml:3:3: unknown key "wieght" in a request; it may have body, body_file, capture, check, ` +
				`headers, method, name, path, weight`},
		{one("path: /b"), `w.yaml:3:3: "path" a second time in a request`},
		{one("weight: 0"), "w.yaml:3:11: a weight must be a whole number from 1 to 1000000"},
		{one("weight: 1.5"), "w.yaml:3:11: a weight must be a whole number from 1 to 1000000"},
		{one("method: G T"), `w.yaml:2:3: bad method "G T"`},
		{one("name:"), "w.yaml:3:8: a name must be a text"},
		{one("body: [1]"), "w.yaml:3:9: a body must be a text"},
		{one("body_file: none"), "w.yaml:3:14: reading the body: open none: file does not exist"},
		{one("body: a\n  body_file: body"), "w.yaml:4:14: a request has either a body or a body_file"},
		{"requests:\n- path: http://h/",
			`w.yaml:2:9: the path "http://h/" must begin with /; the host is the server's`},
		{one("headers: {a b: c}"), `w.yaml:3:13: bad name of a header field: "a b"`},
		{one("headers: {A: \"b\\nc\"}"), `w.yaml:3:16: bad value of header field A: "b\nc"`},
		{one("headers: {content-length: 1}"), "w.yaml:3:13: content-length follows from the body; leave it out"},
		{one("headers: [a]"), "w.yaml:3:12: headers must be names with values (name: value)"},
		{one("body: '{{'"), "w.yaml:3:9: a body: 1: unclosed action"},
		{one("body: '{{sequence}}'"), `w.yaml:3:9: a body: 1: function "sequence" not defined`},
		{one("body: '{{len 7}}'"), `w.yaml:3:9: a body: 1: function "len" not defined`},
		{one("body: '{{seq 7}}'"), "w.yaml:3:9: a body: {{seq 7}}: seq takes no argument"},
		{one("body: '{{rand 1}}'"), "w.yaml:3:9: a body: {{rand 1}}: rand takes two integers, the lower one first"},
		{one("body: '{{rand 2 1}}'"),
			"w.yaml:3:9: a body: {{rand 2 1}}: rand takes two integers, the lower one first"},
		{one("body: '{{rand 1 1.5}}'"),
			"w.yaml:3:9: a body: {{rand 1 1.5}}: rand takes two integers, the lower one first"},
		{one("body: '{{pick}}'"), "w.yaml:3:9: a body: {{pick}}: pick needs something to draw from"},
		{one("body: '{{pick .a}}'"),
			"w.yaml:3:9: a body: {{pick .a}}: pick takes texts in quotes and numbers, not .a"},
		{one("body: '{{.}}'"),
			"w.yaml:3:9: a body: {{.}}: use a name such as {{.token}}, or a function with its arguments"},
		{one("body: '{{.a.b}}'"),
			"w.yaml:3:9: a body: {{.a.b}}: use a name such as {{.token}}, or a function with its arguments"},
		{one("body: '{{if .a}}x{{end}}'"),
			`w.yaml:3:9: a body: {{if .a}} is not known here; use {{seq}}, {{worker}}, {{uuid}}, {{rand 1 9}}, ` +
				`{{pick "a" "b"}} or {{.name}}`},
		{one("body: '{{.token}}'"), "w.yaml:3:9: nothing captures token before it is needed here"},
		{one("body: '{{.t}}'\n  capture: {t: json t}"), "w.yaml:3:9: nothing captures t before it is needed here"},
		{"setup: [{path: /}]\n" + one("name: r\n- {path: '/{{.a}}', name: s, capture: {b: json b}}\n"+
			"- {path: '/{{.b}}', name: t, capture: {a: json a}}"),
			"w.yaml:6:10: b cannot be had: a request that captures it needs it"},
		{"setup: [{path: '/{{.t}}'}, {path: /, capture: {t: json t}}]\nrequests: [{path: /}]",
			"w.yaml:1:16: nothing captures t before it is needed here"},
		{"setup: [{path: /, weight: 2}]",
			`w.yaml:1:19: unknown key "weight" in a request; it may have body, body_file, capture, check, ` +
				`headers, method, name, path`},
		{one("name: r\n- {name: r, path: /b}"),
			`w.yaml:4:3: a second request named "r"; every request needs a name of its own`},
		{one("capture: {a-b: json x}"), `w.yaml:3:13: bad name "a-b": use letters, digits and _`},
		{one("capture: {a: x}"), `w.yaml:3:16: "x": write "json PATH" or "header NAME"`},
		{one("check: {status: ok}"), "w.yaml:3:19: a status must be a whole number from 200 to 599"},
		{one("check: {state: 200}"),
			`w.yaml:3:11: unknown key "state" in a check; it may have body contains, json, status`},
		{one("check: {json: {a: [1]}}"), "w.yaml:3:21: want a single value, or {above: N} or {below: N}"},
		{one("check: {json: {a: {}}}"), "w.yaml:3:21: want {above: N} or {below: N}"},
		{one("check: {json: {a: {above: x}}}"), "w.yaml:3:29: want a number"},
		{one("check: {json: {a: {above: }}}"), "w.yaml:3:29: want a number"},
		{one("check: {json: {a: {above: null}}}"), "w.yaml:3:29: want a number"},
		{one("check: {json: {a: {below: ~}}}"), "w.yaml:3:29: want a number"},
	} {
		m, err := mix(c.text)
		if fmt.Sprint(err) != c.want {
			t.Errorf("%q:\n got %v, %v\nwant %s", c.text, m, err, c.want)
		}
	}
}

// Aliases stand for what they name, and every way to write a file is read alike.
func TestReadsMixes(t *testing.T) {
	const text = "requests:\n- path: /a\n  headers: &h {A: 'ü'}\n- path: /b\n  headers: *h\n"
	want := sequence(mustMix(t, text), 1, 0, 10)
	for _, data := range []string{"\ufeff" + text, utf16le(text), strings.ReplaceAll(text, "\n", "\r\n")} {
		decoded, err := decodeText("w.yaml", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, sequence(mustMix(t, decoded), 1, 0, 10)); diff != "" {
			t.Errorf("%q: %s", data, diff)
		}
	}
}

// What aliases make of a few lines is bounded, as is what files of bodies make.
func TestMixTooLarge(t *testing.T) {
	const room = 1 << 16
	many := func(what string) string { return strings.TrimSuffix(strings.Repeat(what+", ", 100), ", ") }
	for name, tt := range map[string]struct{ setup, want string }{
		"few":   {"&a {path: /, body_file: b}, *a, *a", ""},
		"lists": {"&a {path: /, headers: {A: [" + many("x") + "]}}, " + many("*a"), "all requests together take more than"},
		"texts": {"{path: /, headers: {A: &a " + strings.Repeat("x", 1000) + ", B: [" + many("*a") + "]}}", "all requests together"},
		"files": {"&a {path: /, body_file: b}, " + many("*a"), "all requests together"},
	} {
		text := "setup: [" + tt.setup + "]\nrequests: [{path: /}]"
		r := newMixReader("w.yaml", text, func(string) ([]byte, error) { return make([]byte, 1000), nil })
		*r.room = room
		if _, err := r.read(); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

// A request costs no allocation but for texts that are drawn in path and header.
func TestMixAllocates(t *testing.T) {
	for text, most := range map[string]float64{
		"requests: [{path: /, headers: {A: b}, method: POST, body: '{{uuid}} {{rand 1 9}} {{seq}}'}]": 0,
		"requests: [{path: '/{{rand 1 100000}}', headers: {A: '{{uuid}}'}}]":                          2,
	} {
		source := mustMix(t, text).Source(1, 0)
		var req loadgen.Request
		source.Next(&req)
		if got := testing.AllocsPerRun(100, func() { source.Next(&req) }); got > most {
			t.Errorf("%s: %v allocations, want %v at most", text, got, most)
		}
	}
}

// Whatever is read as a workload can be sent.
func FuzzMix(f *testing.F) {
	f.Add(drawnMix)
	f.Add("setup: [{path: /login, capture: {t: json a.b}, check: {status: [200], json: {a: {above: 1}}}}]\n" +
		"requests: [{path: '/{{.t}}', headers: &h {A: ['{{.t}}', b]}, body: \"x\\n\"}, " +
		"{path: /f, body_file: body, headers: *h}]")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := mix(text)
		if err != nil {
			if text := err.Error(); !strings.HasPrefix(text, "w.yaml:") || strings.Contains(text, "\n") {
				t.Errorf("an error without place, or of several lines: %v", err)
			}
			return
		}
		source := m.Preview()
		var req loadgen.Request
		for range 10 {
			kind := source.Next(&req)
			if kind < 0 || kind >= len(m.Kinds()) {
				t.Fatalf("kind %d of %d", kind, len(m.Kinds()))
			}
			if req.Method == http.MethodConnect || !strings.HasPrefix(req.Target, "/") ||
				strings.HasPrefix(req.Target, "//") {
				continue // forms of a request line that http.ReadRequest reads in another way
			}
			wire := string(req.Wire("h"))
			if _, err := url.ParseRequestURI(req.Target); err == nil {
				checkWire(t, wire, string(req.Body))
			}
		}
	})
}

func BenchmarkMix(b *testing.B) {
	source := mustMix(b, drawnMix).Source(1, 0)
	var req loadgen.Request
	b.ReportAllocs()
	for b.Loop() {
		source.Next(&req)
	}
}

// BenchmarkTextTemplate is what BenchmarkMix would cost with text/template.
func BenchmarkTextTemplate(b *testing.B) {
	source := mustMix(b, drawnMix).source(1, 0)
	call := func(p part) func(...any) string { return func(...any) string { return string(p(nil, source)) } }
	id := call(appendUUID)
	funcs := texttemplate.FuncMap{"uuid": id, "worker": call(literal("1"))}
	body := texttemplate.Must(texttemplate.New("").Funcs(funcs).
		Parse("{{uuid}} {{worker}}"))
	b.ReportAllocs()
	for b.Loop() {
		if err := body.Execute(io.Discard, nil); err != nil {
			b.Fatal(err)
		}
	}
}
