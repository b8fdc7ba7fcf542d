package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/server"
)

// served is a server on a store, as a transport would use it.
type served struct {
	*Store
	core *server.Core
}

func serve(t *testing.T, url string, o server.Options) served {
	t.Helper()
	s := open(t, url)
	o.Codec = server.CodecRaw
	core, _, err := server.NewCore(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return served{s, core}
}

var (
	adminToken  = "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)
	tenantToken = "ns_b3RoZXI_" + strings.Repeat("1", 64) // of namespace other
	latestToken = "ns_b3RoZXI_" + strings.Repeat("2", 64)
)

// serveAll starts servers on one new database, all at the same time.
func serveAll(t *testing.T) (all []served, url string) {
	t.Helper()
	url = database(t)
	all = make([]served, servers)
	var starting sync.WaitGroup
	for i := range all {
		starting.Go(func() { all[i] = serve(t, url, server.Options{Token: adminToken}) })
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return all, url
}

func (s served) call(t *testing.T, token, body string) (status int, answer string) {
	t.Helper()
	got := s.core.Call(t.Context(), server.Credentials{Token: token}, []byte(body), nil)
	return got.Status, string(got.Body)
}

func (s served) wantCall(t *testing.T, token, body string, want int) {
	t.Helper()
	if status, answer := s.call(t, token, body); status != want {
		t.Errorf("%s: %d %s, want %d", body, status, answer, want)
	}
}

// TestTokensHoldOnAllServers creates a namespace through one server, and uses and
// deletes it through others: its token is good and dead on all of them at once.
func TestTokensHoldOnAllServers(t *testing.T) {
	all, _ := serveAll(t)
	const write = `["stream.write","a-1",{"type":"T","data":{}}]`
	create := func(token string) string { return fmt.Sprintf(`["ns.create","other",{"token":%q}]`, token) }
	for round := range 5 {
		for _, s := range all {
			s.wantCall(t, tenantToken, write, 403)
		}
		all[round%servers].wantCall(t, adminToken, create(tenantToken), 200)
		for _, s := range all {
			s.wantCall(t, tenantToken, write, 200)
			s.wantCall(t, latestToken, write, 403)
		}
		all[(round+1)%servers].wantCall(t, adminToken, `["ns.delete","other"]`, 200)
		for _, s := range all {
			s.wantCall(t, tenantToken, write, 403)
		}
		all[(round+2)%servers].wantCall(t, adminToken, create(latestToken), 200)
		for _, s := range all {
			s.wantCall(t, tenantToken, write, 403)
			s.wantCall(t, latestToken, write, 200)
			s.wantCall(t, tenantToken, `["stream.get","a-1"]`, 403)
			s.wantCall(t, tenantToken, `["ns.info","other"]`, 403)
		}
		all[round%servers].wantCall(t, latestToken, `["ns.delete","other"]`, 200)
	}
}

// TestDefaultToken holds that servers that start at the same time agree on one
// default namespace, and that none starts with another token.
func TestDefaultToken(t *testing.T) {
	all, url := serveAll(t)
	for _, s := range all {
		s.wantCall(t, adminToken, `["ns.list"]`, 200)
	}
	other := "ns_ZGVmYXVsdA_" + strings.Repeat("9", 64)
	_, _, err := server.NewCore(t.Context(), open(t, url), server.Options{Codec: server.CodecRaw, Token: other})
	if err == nil || !strings.Contains(err.Error(), "another token") {
		t.Errorf("a server with another token: %v", err)
	}
}

// TestTestMode has test mode's namespaces appear on all servers.
func TestTestMode(t *testing.T) {
	url := database(t)
	var all []served
	for range servers {
		all = append(all, serve(t, url, server.Options{TestMode: true}))
	}
	for i, s := range all {
		if status, answer := s.call(t, tenantToken, `["stream.write","a-1",{"type":"T","data":{}}]`); status != 200 ||
			!strings.HasPrefix(answer, fmt.Sprintf(`{"position":%d,`, i)) {
			t.Errorf("server %d: %d %s", i, status, answer)
		}
	}
}

// TestOtherNamespacesNotFound asks for a namespace that does not exist while others
// call: the caller's own namespace is not forgotten meanwhile. Their calls have much
// to be decoded, which comes between the check of the token and the store.
func TestOtherNamespacesNotFound(t *testing.T) {
	s := serve(t, database(t), server.Options{Token: adminToken})
	version := fmt.Sprintf(`["stream.version","a-1",%q]`, strings.Repeat("x", 500_000))
	done := make(chan struct{})
	var calling sync.WaitGroup
	for range 4 {
		calling.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if status, answer := s.call(t, adminToken, version); status != 200 {
						t.Errorf("%d %s", status, answer)
					}
				}
			}
		})
	}
	for range 200 {
		s.wantCall(t, adminToken, `["ns.info","nope"]`, 404)
	}
	close(done)
	calling.Wait()
}

// TestGoodTokenBesideWrongOnes holds that a token that is good stays so where others
// of its address have used up the limit of wrong ones, whatever the call asks for.
func TestGoodTokenBesideWrongOnes(t *testing.T) {
	s := serve(t, database(t), server.Options{Token: adminToken, Failures: 1})
	for range 100 {
		s.call(t, tenantToken, `["sys.version"]`)
	}
	s.wantCall(t, adminToken, `["ns.info","nope"]`, 404)
	s.wantCall(t, adminToken, `["stream.version","a-1"]`, 200)
}

// late is a store on which another server creates each namespace a moment before.
type late struct{ *Store }

func (s late) CreateNamespace(ctx context.Context, n server.Namespace) error {
	first := n
	first.TokenHash = server.HashToken(server.NewToken(n.Name))
	if err := s.Store.CreateNamespace(ctx, first); err != nil {
		return err
	}
	return s.Store.CreateNamespace(ctx, n)
}

// TestTestModeCreatesTogether has two servers in test mode create a namespace at the
// same time: the call of the second one is let in too.
func TestTestModeCreatesTogether(t *testing.T) {
	s := open(t, database(t))
	o := server.Options{Codec: server.CodecRaw, TestMode: true}
	core, _, err := server.NewCore(t.Context(), late{s}, o)
	if err != nil {
		t.Fatal(err)
	}
	served{s, core}.wantCall(t, tenantToken, `["stream.write","a-1",{"type":"T","data":{}}]`, 200)
}

// pokes collects what a subscription sends.
type pokes chan string

func (p pokes) Send(frames []byte) error {
	p <- string(frames)
	return nil
}

// subscription is one on a server, while it runs.
type subscription struct {
	t     *testing.T
	pokes pokes
	ended chan error
}

func (s served) subscribe(t *testing.T, token, query string) subscription {
	t.Helper()
	param := func(name string) string {
		for field := range strings.SplitSeq(query, "&") {
			if key, value, _ := strings.Cut(field, "="); key == name {
				return value
			}
		}
		return ""
	}
	sub, err := s.core.Subscribe(t.Context(), server.Credentials{Token: token}, param)
	if err != nil {
		t.Fatal(err)
	}
	running := subscription{t, make(pokes, 100), make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		running.ended <- sub.Run(ctx, running.pokes)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return running
}

// next returns the next frames with pokes.
func (s subscription) next() string {
	s.t.Helper()
	enough := time.After(testaid.Patience) // heartbeats come in between
	for {
		select {
		case frames := <-s.pokes:
			if strings.HasPrefix(frames, "event: poke") {
				return frames
			}
		case err := <-s.ended:
			s.t.Fatalf("the subscription ended (%v)", err)
		case <-enough:
			s.t.Fatal("no poke came")
		}
	}
}

// wantPokes wants pokes of global positions from first to last, each once.
func (s subscription) wantPokes(first, last int) {
	s.t.Helper()
	for next := first; next <= last; {
		frames := s.next()
		for _, frame := range strings.Split(strings.TrimSpace(frames), "\n\n") {
			if !strings.HasSuffix(frame, fmt.Sprintf(`"globalPosition":%d}`, next)) {
				s.t.Fatalf("poke %q, want global position %d", frame, next)
			}
			next++
		}
	}
}

func (s subscription) wantEnd() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Error(err)
		}
	case <-time.After(testaid.Patience):
		s.t.Error("the subscription did not end")
	}
}

// TestSubscriptionsOnAllServers writes through every server: subscriptions on all
// of them get every message once and in order, without waiting for a heartbeat.
func TestSubscriptionsOnAllServers(t *testing.T) {
	const each = 40
	all, _ := serveAll(t)
	var subs []subscription
	for _, s := range all {
		for _, query := range []string{"all=true&position=0", "category=a", "category=a&consumer=0&size=1", "all=true"} {
			subs = append(subs, s.subscribe(t, adminToken, query))
		}
	}
	var writing sync.WaitGroup
	for i, s := range all {
		writing.Go(func() {
			for range each {
				s.wantCall(t, adminToken, fmt.Sprintf(`["stream.write","a-%d",{"type":"T","data":{}}]`, i), 200)
			}
		})
	}
	for _, sub := range subs {
		sub.wantPokes(1, servers*each)
	}
	writing.Wait()
}

// importFrames takes the frames of an import.
type importFrames struct{ strings.Builder }

func (f *importFrames) Send(frames []byte) error {
	f.Write(frames)
	return nil
}

func (s served) wantImport(t *testing.T, force string, lines ...string) {
	t.Helper()
	body := strings.NewReader(strings.Join(lines, "\n"))
	im, err := s.core.Import(t.Context(), server.Credentials{Token: adminToken}, force, body)
	if err != nil {
		t.Fatal(err)
	}
	var frames importFrames
	done := fmt.Sprintf(`"done":true,"imported":%d`, len(lines))
	if err := im.Run(t.Context(), &frames); err != nil || !strings.Contains(frames.String(), done) {
		t.Fatalf("%s (%v)", frames.String(), err)
	}
}

func line(stream string, pos, gpos int) string {
	const format = `{"id":%q,"stream":%q,"type":"T","pos":%d,"gpos":%d,"data":{},"time":"2026-01-02T03:04:05Z"}`
	return fmt.Sprintf(format, message("").ID, stream, pos, gpos)
}

// TestImportsWakeOtherServers holds that subscriptions learn of imports through
// another server, and go on behind the messages that have replaced what they read.
func TestImportsWakeOtherServers(t *testing.T) {
	all, _ := serveAll(t)
	sub := all[0].subscribe(t, adminToken, "all=true&position=0")
	all[1].wantImport(t, "", line("a-1", 0, 1), line("a-1", 1, 2), line("b-1", 0, 3))
	sub.wantPokes(1, 3)
	end := all[2].subscribe(t, adminToken, "stream=a-1&position=2")
	all[1].wantImport(t, "true", line("a-1", 0, 1))
	all[2].wantCall(t, adminToken, `["stream.write","a-1",{"type":"T","data":{}}]`, 200)
	sub.wantPokes(2, 2)
	end.wantPokes(2, 2)
}

// TestDeletionEndsSubscriptions deletes a namespace through another server.
func TestDeletionEndsSubscriptions(t *testing.T) {
	all, _ := serveAll(t)
	all[0].wantCall(t, adminToken, fmt.Sprintf(`["ns.create","other",{"token":%q}]`, tenantToken), 200)
	sub := all[0].subscribe(t, tenantToken, "all=true")
	kept := all[0].subscribe(t, adminToken, "all=true&position=0")
	all[1].wantCall(t, adminToken, `["ns.delete","other"]`, 200)
	sub.wantEnd()
	all[2].wantCall(t, adminToken, `["stream.write","a-1",{"type":"T","data":{}}]`, 200)
	kept.wantPokes(1, 1)
}

// TestLongNames writes to names that no notification could hold.
func TestLongNames(t *testing.T) {
	all, _ := serveAll(t)
	stream := "a-" + strings.Repeat("x", 5000)
	sub := all[0].subscribe(t, adminToken, "stream="+stream)
	for i := range 5 {
		all[1].wantCall(t, adminToken, fmt.Sprintf(`["stream.write",%q,{"type":"T","data":{}}]`, stream), 200)
		sub.wantPokes(i+1, i+1)
	}
	for _, after := range []string{"", stream[:4999], stream + "y"} {
		listed, err := all[2].Streams(t.Context(), "default", server.StreamQuery{Prefix: "a-xx", After: after, Limit: 9})
		if want := strings.Compare(stream, after); err != nil || len(listed) != max(want, 0) {
			t.Errorf("%d streams after a name of %d bytes (%v)", len(listed), len(after), err)
		}
	}
}

// TestBrokenConnections ends all of a server's connections. Its subscriptions end,
// so that their clients subscribe again, and calls go on.
func TestBrokenConnections(t *testing.T) {
	all, url := serveAll(t)
	sub := all[0].subscribe(t, adminToken, "all=true")
	const terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity " +
		"WHERE query = 'LISTEN eventobench' AND datname = current_database()"
	var ended int
	if err := open(t, url).pool.QueryRow(t.Context(), terminate).Scan(&ended); err != nil || ended != servers {
		t.Fatalf("ended %d connections (%v)", ended, err)
	}
	sub.wantEnd()
	again := all[0].subscribe(t, adminToken, "all=true&position=0")
	all[1].wantCall(t, adminToken, `["stream.write","a-1",{"type":"T","data":{}}]`, 200)
	again.wantPokes(1, 1)
}
