package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
	"github.com/eventobench/eventobench/server/wire"
)

// doProtobuf sends a body as protobuf and returns the status and the answer.
func (s store) doProtobuf(t *testing.T, method, token, contentType string, body []byte) (int, *wire.Answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/rpc", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/protobuf" {
		t.Fatalf("content type %q of %q", got, text)
	}
	answer := &wire.Answer{}
	if err := proto.Unmarshal(text, answer); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return resp.StatusCode, answer
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// jsonCall is a call in JSON on its way to protobuf.
type jsonCall struct {
	args []json.RawMessage
	bad  bool // there is an argument that protobuf has no place for
}

// read reads an argument; null and one that is not there leave it as it is.
func (c *jsonCall) read(n int, into any) {
	if n+1 >= len(c.args) {
		c.bad = c.bad || n == 0 && fmt.Sprintf("%T", into) == "*string"
		return
	}
	if string(c.args[n+1]) == "null" {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(c.args[n+1]))
	dec.DisallowUnknownFields()
	c.bad = c.bad || dec.Decode(into) != nil
}

// toProtobuf translates a call, if protobuf can say it.
func toProtobuf(body string) (request *wire.Request, method string, ok bool) {
	c := &jsonCall{}
	if json.Unmarshal([]byte(body), &c.args) != nil || len(c.args) == 0 || json.Unmarshal(c.args[0], &method) != nil {
		return nil, "", false
	}
	r := &wire.Request{}
	switch method {
	case "stream.write":
		r.Call = &wire.Request_StreamWrite{StreamWrite: c.write()}
	case "stream.get":
		m := &wire.StreamGet{}
		c.read(0, &m.Stream)
		var o struct{ Position, GlobalPosition, BatchSize *int64 }
		c.read(1, &o)
		m.Position, m.GlobalPosition, m.BatchSize = o.Position, o.GlobalPosition, o.BatchSize
		r.Call = &wire.Request_StreamGet{StreamGet: m}
	case "stream.last":
		m := &wire.StreamLast{}
		c.read(0, &m.Stream)
		var o struct{ Type string }
		c.read(1, &o)
		m.Type = o.Type
		r.Call = &wire.Request_StreamLast{StreamLast: m}
	case "stream.version":
		m := &wire.StreamVersion{}
		c.read(0, &m.Stream)
		r.Call = &wire.Request_StreamVersion{StreamVersion: m}
	case "category.get":
		r.Call = &wire.Request_CategoryGet{CategoryGet: c.category()}
	default:
		return r, method, c.namespaceCall(r, method) && !c.bad
	}
	return r, method, !c.bad
}

func (c *jsonCall) write() *wire.StreamWrite {
	m := &wire.StreamWrite{}
	c.read(0, &m.Stream)
	if len(c.args) > 2 {
		m.Message = &wire.NewMessage{}
		var message struct {
			Type           string
			Data, Metadata json.RawMessage
		}
		c.read(1, &message)
		m.Message.Type, m.Message.Data = message.Type, message.Data
		if string(message.Metadata) != "null" {
			m.Message.Metadata = message.Metadata
		}
	}
	var o struct {
		ID              string
		ExpectedVersion *int64
	}
	c.read(2, &o)
	m.ExpectedVersion = o.ExpectedVersion
	if o.ID != "" {
		id, err := uuid.Parse(o.ID)
		if err == nil {
			err = uuid.Validate(o.ID)
		}
		c.bad = c.bad || err != nil
		m.Id = id[:]
	}
	return m
}

func (c *jsonCall) category() *wire.CategoryGet {
	m := &wire.CategoryGet{}
	c.read(0, &m.Category)
	var o struct {
		Position, GlobalPosition, BatchSize *int64
		Correlation                         string
		ConsumerGroup                       *struct{ Member, Size json.RawMessage }
	}
	c.read(1, &o)
	m.Position, m.BatchSize, m.Correlation = o.Position, o.BatchSize, o.Correlation
	if o.GlobalPosition != nil {
		m.Position = o.GlobalPosition
	}
	if o.ConsumerGroup != nil {
		m.ConsumerGroup = &wire.ConsumerGroup{
			Member: c.number(o.ConsumerGroup.Member), Size: c.number(o.ConsumerGroup.Size),
		}
	}
	return m
}

// number reads a number that may be absent, but not null.
func (c *jsonCall) number(text json.RawMessage) *int64 {
	if text == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	c.bad = c.bad || err != nil
	return &n
}

func (c *jsonCall) namespaceCall(r *wire.Request, method string) (known bool) {
	var name string
	switch method {
	case "ns.create":
		var o struct {
			Description string
			Token       *string
		}
		c.read(0, &name)
		c.read(1, &o)
		m := &wire.NamespaceCreate{Namespace: name, Description: o.Description, Token: o.Token}
		r.Call = &wire.Request_NsCreate{NsCreate: m}
	case "ns.delete":
		c.read(0, &name)
		r.Call = &wire.Request_NsDelete{NsDelete: &wire.NamespaceDelete{Namespace: name}}
	case "ns.list":
		r.Call = &wire.Request_NsList{NsList: &wire.NamespaceList{}}
	case "ns.info":
		c.read(0, &name)
		r.Call = &wire.Request_NsInfo{NsInfo: &wire.NamespaceInfo{Namespace: name}}
	case "ns.streams":
		var o struct {
			Prefix, Cursor string
			Limit          *int64
		}
		c.read(0, &o)
		m := &wire.NamespaceStreams{Prefix: o.Prefix, Cursor: o.Cursor, Limit: o.Limit}
		r.Call = &wire.Request_NsStreams{NsStreams: m}
	case "ns.categories":
		r.Call = &wire.Request_NsCategories{NsCategories: &wire.NamespaceCategories{}}
	case "sys.version":
		r.Call = &wire.Request_SysVersion{SysVersion: &wire.SystemVersion{}}
	case "sys.health":
		r.Call = &wire.Request_SysHealth{SysHealth: &wire.SystemHealth{}}
	default:
		return false
	}
	return true
}

func stamp(nanos int64) string { return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano) }

// toJSON translates an answer to what JSON would have said.
func toJSON(t *testing.T, method string, a *wire.Answer) string {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(jsonValue(method, a)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(buf.String(), "\n")
}

func jsonValue(method string, a *wire.Answer) any {
	switch {
	case a.Error != nil:
		e := struct {
			Code    string          `json:"code"`
			Message string          `json:"message"`
			Details json.RawMessage `json:"details,omitempty"`
		}{a.Error.Code, a.Error.Message, a.Error.Details}
		return map[string]any{"error": e}
	case method == "stream.write":
		p := a.GetPosition()
		return server.Position{Position: p.GetPosition(), GlobalPosition: p.GetGlobalPosition()}
	case method == "stream.version":
		return a.Version
	case !a.Complete:
		return namespaceValue(method, a)
	case method == "stream.last" && len(a.Rows) == 0:
		return nil
	case method == "stream.last":
		return jsonRow(a.Rows[0])
	}
	rows := []any{}
	for _, r := range a.Rows {
		rows = append(rows, jsonRow(r))
	}
	return rows
}

func jsonRow(r *wire.Row) []any {
	row := []any{uuid.UUID(r.Id).String()}
	if r.Stream != "" {
		row = append(row, r.Stream)
	}
	var metadata any
	if r.Metadata != nil {
		metadata = json.RawMessage(r.Metadata)
	}
	return append(row, r.Type, r.Position, r.GlobalPosition, json.RawMessage(r.Data), metadata, stamp(r.TimeUnixNano))
}

func namespaceValue(method string, a *wire.Answer) any {
	type namespace struct {
		Namespace    string `json:"namespace"`
		Description  string `json:"description"`
		CreatedAt    string `json:"createdAt"`
		MessageCount int64  `json:"messageCount"`
	}
	rows := []any{}
	for _, n := range a.Namespaces {
		row := namespace{n.Namespace, n.Description, stamp(n.CreatedUnixNano), n.MessageCount}
		if method == "ns.list" {
			rows = append(rows, row)
			continue
		}
		var last *string
		if n.LastActivityUnixNano != nil {
			last = new(stamp(*n.LastActivityUnixNano))
		}
		return struct {
			namespace
			StreamCount  int64   `json:"streamCount"`
			LastActivity *string `json:"lastActivity"`
		}{row, n.GetStreamCount(), last}
	}
	for _, s := range a.Streams {
		rows = append(rows, struct {
			Stream       string `json:"stream"`
			Version      int64  `json:"version"`
			LastActivity string `json:"lastActivity"`
		}{s.Stream, s.Version, stamp(s.LastActivityUnixNano)})
	}
	for _, c := range a.Categories {
		info := server.CategoryInfo{Category: c.Category, StreamCount: c.StreamCount, MessageCount: c.MessageCount}
		rows = append(rows, info)
	}
	switch method {
	case "ns.create":
		return struct {
			Namespace string `json:"namespace"`
			Token     string `json:"token"`
			CreatedAt string `json:"createdAt"`
		}{a.Created.GetNamespace(), a.Created.GetToken(), stamp(a.Created.GetCreatedUnixNano())}
	case "ns.delete":
		return struct {
			Namespace       string `json:"namespace"`
			DeletedAt       string `json:"deletedAt"`
			MessagesDeleted int64  `json:"messagesDeleted"`
		}{a.Deleted.GetNamespace(), stamp(a.Deleted.GetDeletedUnixNano()), a.Deleted.GetMessagesDeleted()}
	case "sys.version":
		return a.ServerVersion
	case "sys.health":
		return struct {
			Status      string `json:"status"`
			Backend     string `json:"backend"`
			Connections int64  `json:"connections"`
		}{a.Health.GetStatus(), a.Health.GetBackend(), a.Health.GetConnections()}
	}
	return rows
}

var drawnIDs = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)

// normal is an answer without what two stores draw by themselves.
func normal(answer string) string {
	answer = times.ReplaceAllString(answer, "TIME")
	return drawnIDs.ReplaceAllString(hexes.ReplaceAllString(answer, "SECRET"), "ID")
}

// TestProtocolsAnswerAlike makes the calls of the contract on two stores, on one
// in JSON and on the other in protobuf: every answer says the same. What
// protobuf cannot say, such as a number for a name or what is no JSON at all, goes
// to both in JSON.
func TestProtocolsAnswerAlike(t *testing.T) {
	token := "Bearer " + defaultToken
	for k, kind := range kinds {
		where := inMemory
		if onPostgres(t, k) {
			where = inPostgres
		}
		t.Run(string(kind), func(t *testing.T) {
			o := storeOptions(server.CodecRaw, false)
			asJSON := serveOn(t, t.Context(), kind, openAt(t, where), o, Limits{}, listen(t))
			asProtobuf := serveOn(t, t.Context(), kind, openAt(t, where), o, Limits{}, listen(t))
			translated := map[string]int{}
			for _, c := range calls {
				wantStatus, want := asJSON.do(t, http.MethodPost, "/rpc", token, []byte(c.body))
				request, method, ok := toProtobuf(c.body)
				if !ok || strings.Contains(want, "The request is not a JSON array") {
					asProtobuf.do(t, http.MethodPost, "/rpc", token, []byte(c.body))
					continue
				}
				translated[method]++
				status, a := asProtobuf.doProtobuf(t, http.MethodPost, token, "application/protobuf",
					marshal(t, request))
				if got := toJSON(t, method, a); status != wantStatus || normal(got) != normal(want) {
					t.Errorf("%.200s\n  protobuf %d %s\n  JSON     %d %s", c.body, status, got, wantStatus, want)
				}
			}
			if len(translated) != 13 || translated["stream.write"] < 12 || translated["category.get"] < 10 {
				t.Errorf("too few calls were made in protobuf: %v", translated)
			}
		})
	}
}

// TestProtobufErrors holds that what never gets to a method is answered in
// protobuf, too.
func TestProtobufErrors(t *testing.T) {
	version := marshal(t, &wire.Request{Call: &wire.Request_SysVersion{SysVersion: &wire.SystemVersion{}}})
	tests := []struct {
		name, method, token, contentType string
		body                             []byte
		code                             string
		status                           int
	}{
		{"good", "POST", defaultToken, "application/protobuf", version, "", 200},
		{"the other name", "POST", defaultToken, "Application/X-Protobuf; charset=x", version, "", 200},
		{"no token", "POST", "", "application/protobuf", version, "AUTH_REQUIRED", 401},
		{"another method", "PUT", defaultToken, "application/protobuf", version, "INVALID_REQUEST", 405},
		{"JSON", "POST", defaultToken, "application/protobuf", []byte(`["sys.version"]`), "INVALID_REQUEST", 400},
		{"nothing", "POST", defaultToken, "application/protobuf", nil, "INVALID_REQUEST", 400},
		{"a later method", "POST", defaultToken, "application/protobuf", []byte("\xa2\x06\x00"), "METHOD_NOT_FOUND",
			404},
		{"too large", "POST", defaultToken, "application/protobuf", make([]byte, testBody+1), "INVALID_REQUEST", 413},
		{"far too large", "POST", defaultToken, "application/protobuf", make([]byte, 2*testBody), "INVALID_REQUEST",
			413},
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := startStore(t, kind, server.CodecRaw, sqlite.Memory, false)
			for _, tt := range tests {
				status, a := s.doProtobuf(t, tt.method, "Bearer "+tt.token, tt.contentType, tt.body)
				if status != tt.status || a.GetError().GetCode() != tt.code ||
					(tt.code == "") != (a.ServerVersion == "1.2.3") {
					t.Errorf("%s: %d %v", tt.name, status, a)
				}
			}
		})
	}
}

// TestLongAnswersInProtobuf holds that an answer of many parts is one message,
// with every row once and in order.
func TestLongAnswersInProtobuf(t *testing.T) {
	const messages = 1200
	all := &wire.Request{Call: &wire.Request_CategoryGet{CategoryGet: &wire.CategoryGet{
		Category: "a", BatchSize: new(int64(-1)),
	}}}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := startStore(t, kind, server.CodecRaw, sqlite.Memory, false)
			s.fill(t, messages, 1000)
			status, a := s.doProtobuf(t, "POST", "Bearer "+defaultToken, "application/protobuf", marshal(t, all))
			if status != 200 || len(a.Rows) != messages || !a.Complete {
				t.Fatalf("%d with %d rows, complete: %v", status, len(a.Rows), a.Complete)
			}
			for n, r := range a.Rows {
				want := fmt.Sprintf(`{"n":%d,`, n)
				inPlace := r.GlobalPosition == int64(n+1) && r.Stream == fmt.Sprintf("a-%d", n%4)
				if !inPlace || !strings.HasPrefix(string(r.Data), want) {
					t.Fatalf("row %d is %d of %s: %.30s", n, r.GlobalPosition, r.Stream, r.Data)
				}
			}
		})
	}
}
