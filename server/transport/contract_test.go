package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

var (
	defaultToken = "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)
	otherToken   = "ns_b3RoZXI_" + strings.Repeat("1", 64) // of namespace other
)

// store is one served store.
type store struct {
	url    string
	db     server.Store
	closed <-chan string // addresses of clients whose connections the server has closed
}

// watchedListener tells of connections that are closed.
type watchedListener struct {
	net.Listener
	closed chan<- string
}

type watchedConn struct {
	net.Conn
	closed chan<- string
}

func (l watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{conn, l.closed}, nil
}

func (c watchedConn) NetConn() net.Conn { return c.Conn }

func (c watchedConn) Close() error {
	defer func() {
		select {
		case c.closed <- c.RemoteAddr().String():
		default: // nobody watches
		}
	}()
	return c.Conn.Close()
}

// startStore serves a new store until the test ends.
func startStore(t *testing.T, kind Kind, codec server.Codec, path string, testMode bool) store {
	t.Helper()
	return startLimited(t, kind, path, storeOptions(codec, testMode), Limits{})
}

func storeOptions(codec server.Codec, testMode bool) server.Options {
	return server.Options{Codec: codec, Token: defaultToken, TestMode: testMode, Version: "1.2.3"}
}

// testBody is the default limit of a body.
const testBody = 1 << 20

func startLimited(t *testing.T, kind Kind, path string, o server.Options, limits Limits) store {
	t.Helper()
	return serveOn(t, t.Context(), kind, openStore(t, path), o, limits, listen(t))
}

// startWith serves a store in memory through something that wraps it, in test
// mode, until ctx or the test ends.
func startWith(t *testing.T, ctx context.Context, kind Kind, wrap func(server.Store) server.Store) store {
	t.Helper()
	o := server.Options{Codec: server.CodecRaw, Token: defaultToken, TestMode: true}
	return serveOn(t, ctx, kind, wrap(openStore(t, sqlite.Memory)), o, Limits{}, listen(t))
}

func openStore(t *testing.T, path string) server.Store {
	t.Helper()
	db, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func serveOn(t *testing.T, ctx context.Context, kind Kind, db server.Store, o server.Options, limits Limits, listener net.Listener) store {
	t.Helper()
	core, _, err := server.NewCore(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	closed := make(chan string, 1000)
	go func() { ended <- Serve(ctx, kind, core, watchedListener{listener, closed}, limits) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return store{url: "http://" + listener.Addr().String(), db: db, closed: closed}
}

// matrix runs a test on every transport and kind of store, with the codec that
// has no library and with one that has. The other codecs differ from that in
// nothing but the library: TestCallsOfCodecs has them. Unless long tests run, each
// pair of a transport and a codec is on one kind of store: every two of the three
// choices meet all the same.
func matrix(t *testing.T, testMode bool, test func(t *testing.T, s store)) {
	for k, kind := range kinds {
		for c, codec := range []server.Codec{server.CodecRaw, server.CodecStd} {
			places := []string{inMemory, inFile}
			if !testlong.On() {
				places = places[(k+c)%2:][:1]
			}
			if onPostgres(t, k*2+c) {
				places = append(places, inPostgres)
			}
			for _, where := range places {
				t.Run(fmt.Sprintf("%s/%s/%s", kind, codec, where), func(t *testing.T) {
					o := storeOptions(codec, testMode)
					test(t, serveOn(t, t.Context(), kind, openAt(t, where), o, Limits{}, listen(t)))
				})
			}
		}
	}
}

func (s store) do(t *testing.T, method, path, token string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: content type %q", method, path, got)
	}
	checkStyle(t, string(answer))
	return resp.StatusCode, string(answer)
}

// checkStyle holds that the message of an error begins with a capital letter and
// has no period at the end.
func checkStyle(t *testing.T, answer string) {
	t.Helper()
	var failure struct{ Error struct{ Message string } }
	if !strings.HasPrefix(answer, `{"error":`) || json.Unmarshal([]byte(answer), &failure) != nil {
		return
	}
	message := failure.Error.Message
	if message == "" || message[0] < 'A' || message[0] > 'Z' || strings.HasSuffix(message, ".") {
		t.Errorf("the message of %s is not of the style of others", answer)
	}
}

var (
	times = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"`)
	hexes = regexp.MustCompile(`[0-9a-f]{64}`)
)

// calls are made one after the other. In an answer, times read TIME and drawn
// secrets SECRET; an answer that ends with an ellipsis is compared up to there.
var calls = []struct {
	body, answer string
	status       int
}{
	// versions of streams that are not there
	{`["stream.version","a-1"]`, `null`, 200},
	{`["stream.last","a-1"]`, `null`, 200},
	{`["stream.get","a-1"]`, `[]`, 200},
	{`["category.get","a"]`, `[]`, 200},

	// writing, and reading back what came
	{`["stream.write","a-1",{"type":"T","data":{"b":1,"a":12345678901234567890,"x":1.50,"y":-0,"z":1e400}},{"id":"00000000-0000-4000-8000-000000000001"}]`, `{"position":0,"globalPosition":1}`, 200},
	{` [ "stream.write" , "a-1" , { "type" : "T\u2028<\"é" , "data" : { "s" : "<&>\u2028 \u0000é" , "l" : [ 1 , { } ] } , "metadata" : { "correlationStreamName" : "wf-1" , "k" : null } } , { "id" : "00000000000040008000000000000002" } ] `, `{"position":1,"globalPosition":2}`, 200},
	{`["stream.write","b-2+x",{"type":"U","data":{},"metadata":null},{"id":"{00000000-0000-4000-8000-00000000000A}"}]`, `{"position":0,"globalPosition":3}`, 200},
	{`["stream.write","a",{"type":"U","data":{"d":1,"d":2},"metadata":{}},{"id":"00000000-0000-4000-8000-000000000004"},"surplus"]`, `{"position":0,"globalPosition":4}`, 200},
	{`["stream.get","a-1"]`, `[["00000000-0000-4000-8000-000000000001","T",0,1,{"b":1,"a":12345678901234567890,"x":1.50,"y":-0,"z":1e400},null,TIME],` +
		`["00000000-0000-4000-8000-000000000002","T\u2028<\"é",1,2,{"s":"<&>\u2028 \u0000é","l":[1,{}]},{"correlationStreamName":"wf-1","k":null},TIME]]`, 200},
	{`["stream.get","a-1",{"position":1,"batchSize":1}]`, `[["00000000-0000-4000-8000-000000000002","T\u2028…`, 200},
	{`["stream.get","a-1",{"globalPosition":2}]`, `[["00000000-0000-4000-8000-000000000002","T\u2028…`, 200},
	{`["stream.get","a-1",{"position":-5,"batchSize":1}]`, `[["00000000-0000-4000-8000-000000000001",…`, 200},
	{`["stream.get","a-1",{"position":2}]`, `[]`, 200},
	{`["stream.get","a-1",{"position":0.9,"batchSize":1.9}]`, `[["00000000-0000-4000-8000-000000000001",…`, 200},
	{`["stream.get","a",{"batchSize":0}]`, `[["00000000-0000-4000-8000-000000000004","U",0,4,{"d":1,"d":2},{},TIME]]`, 200},
	{`["stream.get","a",null]`, `[["00000000-0000-4000-8000-000000000004",…`, 200},
	{`["stream.last","a-1",{"type":"T"}]`, `["00000000-0000-4000-8000-000000000001","T",0,1,…`, 200},
	{`["stream.last","a-1",{}]`, `["00000000-0000-4000-8000-000000000002",…`, 200},
	{`["stream.last","a-1",{"type":"none"}]`, `null`, 200},
	{`["stream.version","a-1"]`, `1`, 200},

	// categories
	{`["category.get","b"]`, `[["00000000-0000-4000-8000-00000000000a","b-2+x","U",0,3,{},null,TIME]]`, 200},
	{`["category.get","a",{"position":3}]`, `[["00000000-0000-4000-8000-000000000004","a","U",0,4,…`, 200},
	{`["category.get","",{"batchSize":1,"globalPosition":4,"position":1}]`, `[["00000000-0000-4000-8000-000000000004","a",…`, 200},
	{`["category.get","",{"consumerGroup":{"member":1,"size":2},"batchSize":1}]`, `[["00000000-0000-4000-8000-00000000000a","b-2+x",…`, 200},
	{`["category.get","a",{"consumerGroup":{"member":1,"size":2}}]`, `[]`, 200},
	{`["category.get","a",{"consumerGroup":{},"batchSize":1}]`, `[["00000000-0000-4000-8000-000000000001","a-1",…`, 200},
	{`["category.get","a",{"correlation":"wf"}]`, `[["00000000-0000-4000-8000-000000000002","a-1",…`, 200},
	{`["category.get","a",{"correlation":"w%"}]`, `[]`, 200},
	{`["category.get","a-1"]`, `[]`, 200},

	// optimistic locking
	{`["stream.write","a-1",{"type":"T","data":{}},{"expectedVersion":0}]`, `{"error":{"code":"STREAM_VERSION_CONFLICT","message":"Expected version 0, stream is at version 1","details":{"expected":0,"actual":1}}}`, 409},
	{`["stream.write","new-1",{"type":"T","data":{}},{"expectedVersion":0}]`, `{"error":{"code":"STREAM_VERSION_CONFLICT","message":"Expected version 0, stream is at version -1","details":{"expected":0,"actual":-1}}}`, 409},
	{`["stream.write","new-1",{"type":"T","data":{}},{"id":"00000000-0000-4000-8000-000000000001"}]`, `{"error":{"code":"MESSAGE_EXISTS",…`, 409},
	{`["stream.write","a-1",{"type":"T","data":{}},{"id":"00000000-0000-4000-8000-000000000001","expectedVersion":7}]`, `{"error":{"code":"STREAM_VERSION_CONFLICT",…`, 409},
	{`["stream.write","new-1",{"type":"T","data":{}},{"expectedVersion":-1}]`, `{"position":0,"globalPosition":5}`, 200},
	{`["stream.write","a-1",{"type":"T","data":{}},{"expectedVersion":1}]`, `{"position":2,"globalPosition":6}`, 200},
	{`["stream.write","a-1",{"type":"T","data":{}},null]`, `{"position":3,"globalPosition":7}`, 200},

	// arguments that are wrong
	{`["stream.write"]`, `{"error":{"code":"INVALID_REQUEST","message":"Argument stream must be a string"}}`, 400},
	{`["stream.write","",{"type":"T","data":{}}]`, `{"error":{"code":"INVALID_REQUEST","message":"Argument stream must not be empty"}}`, 400},
	{`["stream.write",5,{"type":"T","data":{}}]`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["stream.write","s"]`, `{"error":{"code":"INVALID_REQUEST","message":"Message: must be an object"}}`, 400},
	{`["stream.write","s",{"data":{}}]`, `{"error":{"code":"INVALID_REQUEST","message":"Message: type must not be empty"}}`, 400},
	{`["stream.write","s",{"type":7,"data":{}}]`, `{"error":{"code":"INVALID_REQUEST","message":"Message: type must be a string"}}`, 400},
	{`["stream.write","s",{"type":"T"}]`, `{"error":{"code":"INVALID_REQUEST","message":"Message: data must be an object"}}`, 400},
	{`["stream.write","s",{"type":"T","data":null}]`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["stream.write","s",{"type":"T","data":[]}]`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["stream.write","s",{"type":"T","data":{},"metadata":"m"}]`, `{"error":{"code":"INVALID_REQUEST","message":"Message: metadata must be an object"}}`, 400},
	{`["stream.write","s",{"type":"T","data":{}},{"id":"00000000-0000-0000-0000-000000000000"}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: id must be a UUID…`, 400},
	{`["stream.write","s",{"type":"T","data":{}},{"id":"Xf47ac10b-58cc-4372-a567-0e02b2c3d479Y"}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: id must be a UUID…`, 400},
	{`["stream.write","s",{"type":"T","data":{}},{"id":"x"}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: id must be a UUID…`, 400},
	{`["stream.write","s",{"type":"T","data":{}},{"expectedVersion":"1"}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: expectedVersion must be a number"}}`, 400},
	{`["stream.write","s",{"type":"T","data":{}},{"expectedVersion":1e30}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: expectedVersion is out of range"}}`, 400},
	{`["stream.write","s",{"type":"T","data":{}},"options"]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: must be an object"}}`, 400},
	{`["stream.get","a-1",{"batchSize":10001}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: batchSize must be at most 10000, or -1 for no limit"}}`, 400},
	{`["category.get",7]`, `{"error":{"code":"INVALID_REQUEST","message":"Argument category must be a string"}}`, 400},
	{`["category.get","a",{"consumerGroup":{"member":2,"size":2}}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: consumerGroup…`, 400},
	{`["category.get","a",{"consumerGroup":{"member":0}}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: consumerGroup…`, 400},
	{`["category.get","a",{"correlation":1}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: correlation must be a string"}}`, 400},

	// repeated names, of which the last counts, and several mistakes, of which the first is told
	{`["stream.get","a-1",{"batchSize":1,"batchSize":null,"position":"x","position":3}]`, `[["…`, 200},
	{`["stream.write","a-1",{"type":7,"type":"T","data":null,"data":{}},{"id":"x","id":null,"expectedVersion":9,"expectedVersion":3}]`, `{"position":4,"globalPosition":8}`, 200},
	{`["stream.write","s",{"metadata":1,"data":1,"type":1}]`, `{"error":{"code":"INVALID_REQUEST","message":"Message: type must be a string"}}`, 400},
	{`["stream.write","s",{"type":"T","data":{}},{"expectedVersion":"x","id":"y"}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: id must be a UUID…`, 400},
	{`["category.get","a",{"consumerGroup":{"size":2,"member":0,"member":null}}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: consumerGroup…`, 400},

	// requests that are wrong
	{``, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`null`, `{"error":{"code":"INVALID_REQUEST","message":"The request names no method"}}`, 400},
	{`[]`, `{"error":{"code":"INVALID_REQUEST","message":"The request names no method"}}`, 400},
	{`[7]`, `{"error":{"code":"INVALID_REQUEST","message":"The method name must be a string"}}`, 400},
	{`{"a":1}`, `{"error":{"code":"INVALID_REQUEST","message":"The request is not a JSON array…`, 400},
	{`["sys.version"`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["sys.version"] x`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["sys.version"][]`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{"[\"stream.write\",\"s\",{\"type\":\"T\",\"data\":{\"a\":\"\xff\"}}]", `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["stream.write","s",{"type":"T","data":{"a":"\ud800"}}]`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{strings.Repeat("[", 20000), `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["sys.nothing"]`, `{"error":{"code":"METHOD_NOT_FOUND","message":"Unknown method \"sys.nothing\""}}`, 404},
	{`["Sys.Version"]`, `{"error":{"code":"METHOD_NOT_FOUND",…`, 404},

	// system and namespaces
	{`["sys.version"]`, `"1.2.3"`, 200},
	{`["sys.health"]`, `{"status":"ok","backend":"BACKEND","connections":0}`, 200},
	{`["ns.create","other",{"token":"` + otherToken + `","description":"Another"}]`, `{"namespace":"other","token":"ns_b3RoZXI_SECRET","createdAt":TIME}`, 200},
	{`["ns.create","other"]`, `{"error":{"code":"NAMESPACE_EXISTS","message":"Namespace \"other\" exists already"}}`, 409},
	{`["ns.create","../x"]`, `{"namespace":"../x","token":"ns_Li4veA_SECRET","createdAt":TIME}`, 200},
	{`["ns.create","n",{"token":"` + otherToken + `"}]`, `{"error":{"code":"INVALID_REQUEST","message":"The token is for namespace \"other\", not \"n\""}}`, 400},
	{`["ns.create","n",{"token":""}]`, `{"error":{"code":"INVALID_REQUEST","message":"The token is not well formed",…`, 400},
	{`["ns.create","n",{"metadata":1}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: metadata must be an object"}}`, 400},
	{`["ns.list"]`, `[{"namespace":"../x","description":"","createdAt":TIME,"messageCount":0},{"namespace":"default","description":"Default namespace","createdAt":TIME,"messageCount":8},{"namespace":"other","description":"Another","createdAt":TIME,"messageCount":0}]`, 200},
	{`["ns.info","default"]`, `{"namespace":"default","description":"Default namespace","createdAt":TIME,"messageCount":8,"streamCount":4,"lastActivity":TIME}`, 200},
	{`["ns.info","other"]`, `{"namespace":"other","description":"Another","createdAt":TIME,"messageCount":0,"streamCount":0,"lastActivity":null}`, 200},
	{`["ns.streams"]`, `[{"stream":"a","version":0,"lastActivity":TIME},{"stream":"a-1","version":4,"lastActivity":TIME},{"stream":"b-2+x","version":0,"lastActivity":TIME},{"stream":"new-1","version":0,"lastActivity":TIME}]`, 200},
	{`["ns.streams",{"prefix":"a","limit":1,"cursor":"a"}]`, `[{"stream":"a-1","version":4,"lastActivity":TIME}]`, 200},
	{`["ns.streams",{"prefix":"A"}]`, `[]`, 200},
	{`["ns.streams",{"prefix":"%"}]`, `[]`, 200},
	{`["ns.streams",{"limit":0}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: limit must be from 1 to 1000"}}`, 400},
	{`["ns.streams",{"limit":1001}]`, `{"error":{"code":"INVALID_REQUEST",…`, 400},
	{`["ns.streams",{"cursor":1}]`, `{"error":{"code":"INVALID_REQUEST","message":"Options: cursor must be a string"}}`, 400},
	{`["ns.categories","ignored"]`, `[{"category":"a","streamCount":2,"messageCount":6},{"category":"b","streamCount":1,"messageCount":1},{"category":"new","streamCount":1,"messageCount":1}]`, 200},
	{`["ns.info","nowhere"]`, `{"error":{"code":"NAMESPACE_NOT_FOUND","message":"Namespace \"nowhere\" does not exist"}}`, 404},
	{`["ns.delete","../x"]`, `{"namespace":"../x","deletedAt":TIME,"messagesDeleted":0}`, 200},
	{`["ns.delete","../x"]`, `{"error":{"code":"NAMESPACE_NOT_FOUND",…`, 404},
}

func TestCalls(t *testing.T) {
	matrix(t, false, checkCalls)
}

// TestCallsOfCodecs makes the calls with the codecs that the matrix has not.
func TestCallsOfCodecs(t *testing.T) {
	for _, codec := range []server.Codec{server.CodecV2, server.CodecSegmentio} {
		t.Run(string(codec), func(t *testing.T) {
			checkCalls(t, startStore(t, FastHTTP, codec, sqlite.Memory, false))
		})
	}
}

func checkCalls(t *testing.T, s store) {
	for _, c := range calls {
		status, answer := s.do(t, http.MethodPost, "/rpc", "Bearer "+defaultToken, []byte(c.body))
		answer = hexes.ReplaceAllString(times.ReplaceAllString(answer, "TIME"), "SECRET")
		want := strings.Replace(c.answer, "BACKEND", s.db.Backend(), 1)
		beginning, cut := strings.CutSuffix(want, "…")
		if status != c.status || answer != want && !(cut && strings.HasPrefix(answer, beginning)) {
			t.Errorf("%.200s\n  answered %d %s\n  want     %d %s", c.body, status, answer, c.status, c.answer)
		}
	}
}

// TestTimes holds that a message's time is that of its write, to the
// nanosecond, in UTC.
func TestTimes(t *testing.T) {
	matrix(t, true, func(t *testing.T, s store) {
		before := time.Now()
		s.write(t, "a-1", 1)
		after := time.Now()
		_, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["stream.last","a-1"]`))
		_, text, _ := strings.Cut(answer, `null,"`)
		text = strings.TrimSuffix(text, `"]`)
		if at, err := time.Parse(time.RFC3339Nano, text); err != nil || at.Before(before.Round(0)) || at.After(after.Round(0)) || !strings.HasSuffix(text, "Z") {
			t.Errorf("%s is not between %v and %v (%v)", answer, before, after, err)
		}
	})
}

func TestAuthentication(t *testing.T) {
	tests := []struct {
		name, path, header, code string
		status                   int
	}{
		{"no token", "/rpc", "", "AUTH_REQUIRED", 401},
		{"another scheme", "/rpc", "Basic x", "AUTH_REQUIRED", 401},
		{"lower case", "/rpc", "bearer " + defaultToken, "AUTH_REQUIRED", 401},
		{"malformed", "/rpc", "Bearer x", "AUTH_INVALID_TOKEN", 401},
		{"wrong secret", "/rpc", "Bearer ns_ZGVmYXVsdA_" + strings.Repeat("2", 64), "AUTH_UNAUTHORIZED", 403},
		{"unknown namespace", "/rpc", "Bearer " + otherToken, "AUTH_UNAUTHORIZED", 403},
		{"in the query", "/rpc?token=" + defaultToken, "", "", 200},
		{"the query wins", "/rpc?token=x", "Bearer " + defaultToken, "AUTH_INVALID_TOKEN", 401},
		{"good", "/rpc", "Bearer " + defaultToken, "", 200},
	}
	matrix(t, false, func(t *testing.T, s store) {
		for _, tt := range tests {
			status, answer := s.do(t, http.MethodPost, tt.path, tt.header, []byte(`["sys.version"]`))
			if status != tt.status || !strings.Contains(answer, tt.code) {
				t.Errorf("%s: %d %s", tt.name, status, answer)
			}
		}
	})
}

// TestNamespacesAreApart holds that a token opens its own namespace only, and
// is dead when that is deleted.
func TestNamespacesAreApart(t *testing.T) {
	matrix(t, false, func(t *testing.T, s store) {
		want := func(token, body string, status int, answer string) {
			t.Helper()
			gotStatus, got := s.do(t, http.MethodPost, "/rpc", "Bearer "+token, []byte(body))
			if gotStatus != status || !strings.Contains(got, answer) {
				t.Errorf("%s: %d %s, want %d %s", body, gotStatus, got, status, answer)
			}
		}
		want(defaultToken, `["ns.create","other",{"token":"`+otherToken+`"}]`, 200, "other")
		want(defaultToken, `["stream.write","a-1",{"type":"T","data":{}}]`, 200, `"globalPosition":1`)
		want(otherToken, `["category.get",""]`, 200, "[]")
		want(otherToken, `["stream.write","a-1",{"type":"T","data":{}}]`, 200, `{"position":0,"globalPosition":1}`)
		want(otherToken, `["ns.info","other"]`, 200, `"messageCount":1`)
		for _, body := range []string{`["ns.list"]`, `["ns.create","x"]`, `["ns.info","default"]`, `["ns.delete","default"]`} {
			want(otherToken, body, 403, "AUTH_UNAUTHORIZED")
		}
		want(otherToken, `["ns.delete","other"]`, 200, `"messagesDeleted":1`)
		want(otherToken, `["sys.version"]`, 403, "AUTH_UNAUTHORIZED")
		want(defaultToken, `["ns.create","other",{"token":"`+otherToken+`"}]`, 200, "other")
		want(otherToken, `["stream.version","a-1"]`, 200, "null")
	})
}

func TestTestMode(t *testing.T) {
	matrix(t, true, func(t *testing.T, s store) {
		write := []byte(`["stream.write","a-1",{"type":"T","data":{}}]`)
		for i, header := range []string{"", "Bearer x", "Bearer ns_ZGVmYXVsdA_" + strings.Repeat("9", 64)} {
			want := fmt.Sprintf(`{"position":%d,"globalPosition":%d}`, i, i+1)
			if status, answer := s.do(t, http.MethodPost, "/rpc", header, write); status != 200 || answer != want {
				t.Errorf("%q: %d %s, want %s", header, status, answer, want)
			}
		}
		if status, answer := s.do(t, http.MethodPost, "/rpc", "", []byte(`["ns.delete","default"]`)); status != 200 {
			t.Errorf("deleting the default namespace: %d %s", status, answer)
		}
		if _, answer := s.do(t, http.MethodPost, "/rpc", "", write); answer != `{"position":0,"globalPosition":1}` {
			t.Errorf("first use of the default namespace after it was deleted: %s", answer)
		}
		if _, answer := s.do(t, http.MethodPost, "/rpc", "Bearer "+otherToken, write); answer != `{"position":0,"globalPosition":1}` {
			t.Errorf("first use of a namespace: %s", answer)
		}
	})
}

func TestEndpoints(t *testing.T) {
	tests := []struct {
		method, path, answer string
		status               int
	}{
		{"GET", "/health", `{"status":"ok"}`, 200},
		{"GET", "/version", `{"version":"1.2.3"}`, 200},
		{"GET", "/rpc", `{"error":{"code":"INVALID_REQUEST","message":"Only POST is allowed on /rpc"}}`, 405},
		{"PUT", "/rpc", `{"error":{"code":"INVALID_REQUEST","message":"Only POST is allowed on /rpc"}}`, 405},
		{"GET", "/", `{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}`, 404},
		{"POST", "/rpc/", `{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}`, 404},
		{"GET", "/debug/pprof", `{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}`, 404},
		{"OPTIONS", "/rpc", `{"error":{"code":"INVALID_REQUEST","message":"Only POST is allowed on /rpc"}}`, 405},
		{"DELETE", "/subscribe?all=true", `{"error":{"code":"INVALID_REQUEST","message":"Only GET is allowed on /subscribe"}}`, 405},
		{"GET", "/import", `{"error":{"code":"INVALID_REQUEST","message":"Only POST is allowed on /import"}}`, 405},
		{"GET", "/subscribe?all=true", `{"error":{"code":"AUTH_REQUIRED","message":"A token is required: Authorization: Bearer TOKEN"}}`, 401},
		{"GET", "//health", `{"status":"ok"}`, 200},
		{"GET", "/x//../health", `{"status":"ok"}`, 200},
		{"GET", "//health//", `{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}`, 404},
		{"POST", "//rpc", `{"error":{"code":"AUTH_REQUIRED","message":"A token is required: Authorization: Bearer TOKEN"}}`, 401},
		{"POST", "/RPC", `{"error":{"code":"NOT_FOUND","message":"Endpoint not found"}}`, 404},
	}
	matrix(t, false, func(t *testing.T, s store) {
		for _, tt := range tests {
			if status, answer := s.do(t, tt.method, tt.path, "", nil); status != tt.status || answer != tt.answer {
				t.Errorf("%s %s: %d %s", tt.method, tt.path, status, answer)
			}
		}
		big := fmt.Appendf(nil, `["stream.write","s",{"type":"T","data":{"x":"%s"}}]`, strings.Repeat("x", testBody))
		if status, answer := s.do(t, "POST", "/rpc", "Bearer "+defaultToken, big); status != 413 || !strings.Contains(answer, "INVALID_REQUEST") {
			t.Errorf("a large body: %d %s", status, answer)
		}
	})
}

// debugPages are Go's own pages, with a text that each has.
var debugPages = []struct{ path, text string }{
	{"/debug/pprof/", "full goroutine stack dump"},
	{"/debug/pprof/heap?debug=1", "# TotalAlloc = "},
	{"/debug/pprof/allocs", "\x1f\x8b"},
	{"/debug/pprof/goroutine", "\x1f\x8b"},
	{"/debug/pprof/cmdline", "transport.test"},
	{"/debug/vars", `"memstats": {"Alloc":`},
}

// get reads a page of any type.
func (s store) get(t *testing.T, path string) (status int, text string) {
	t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestDebugPages(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := startStore(t, kind, server.CodecRaw, sqlite.Memory, false)
			for _, page := range debugPages {
				status, text := s.get(t, page.path)
				if status != 200 || !strings.Contains(text, page.text) {
					t.Errorf("%s: %d %.200q", page.path, status, text)
				}
			}
		})
	}
}

// TestVariables reads runtime.MemStats from /debug/vars: they rise by what was
// allocated between two readings.
func TestVariables(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := startStore(t, kind, server.CodecRaw, sqlite.Memory, false)
			read := func() (m runtime.MemStats) {
				status, text := s.get(t, "/debug/vars")
				vars := struct{ MemStats *runtime.MemStats }{&m}
				if err := json.Unmarshal([]byte(text), &vars); err != nil || status != 200 {
					t.Fatalf("%d (%v): %.200s", status, err, text)
				}
				return m
			}
			const size, count = 1 << 20, 10
			before := read()
			for range count {
				sink = make([]byte, size)
			}
			after := read()
			if grown := after.TotalAlloc - before.TotalAlloc; grown < size*count || after.Mallocs < before.Mallocs+count {
				t.Errorf("%d bytes and %d objects more", grown, after.Mallocs-before.Mallocs)
			}
		})
	}
}

var sink []byte // keeps what is allocated on the heap
