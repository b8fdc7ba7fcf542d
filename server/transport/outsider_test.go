package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/eventobench/eventobench/internal/testlong"
	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// outside runs a test on every transport, on a store that asks for tokens.
func outside(t *testing.T, o server.Options, limits Limits, test func(t *testing.T, s store)) {
	o.Codec, o.Token = server.CodecRaw, defaultToken
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) { test(t, startLimited(t, kind, sqlite.Memory, o, limits)) })
	}
}

// attempts is n, and ten times as many in CI.
func attempts(n int) int {
	if testlong.On() {
		return 10 * n
	}
	return n
}

// mutate makes a wrong token of a good one.
func mutate(r *rand.Rand, token string) string {
	b := []byte(token)
	switch r.IntN(6) {
	case 0: // another byte, which a header may hold
		for i := r.IntN(len(b)); string(b) == token; {
			b[i] = byte('!' + r.IntN('~'-'!'))
		}
		return string(b)
	case 1:
		return token[:r.IntN(len(token))]
	case 2:
		return token + strings.Repeat(string(b[r.IntN(len(b))]), 1+r.IntN(300))
	case 3: // the same secret for another namespace
		_, secret, _ := strings.Cut(token[len("ns_"):], "_")
		return "ns_" + strings.Repeat("YWJj", r.IntN(20)) + "_" + secret
	case 4:
		return server.NewToken(server.DefaultNamespace)
	default:
		name := make([]byte, r.IntN(40)) // not UTF-8, for the most part
		for i := range name {
			name[i] = byte(r.Uint32())
		}
		return server.NewToken(string(name))
	}
}

// TestWrongTokens tries random and mutated tokens, in headers and in queries.
func TestWrongTokens(t *testing.T) {
	const unlimited = 1e9
	outside(t, server.Options{Failures: unlimited}, Limits{}, func(t *testing.T, s store) {
		r := rand.New(rand.NewPCG(1, 2))
		statuses := map[int]int{}
		for i := range attempts(10_000) / len(kinds) {
			token := mutate(r, defaultToken)
			path, header := "/rpc", "Bearer "+token
			if i%2 == 1 {
				path, header = "/rpc?token="+url.QueryEscape(token), ""
			}
			status, answer := s.do(t, http.MethodPost, path, header, []byte(`["ns.list"]`))
			var parsed struct{ Error server.Error }
			if err := json.Unmarshal([]byte(answer), &parsed); err != nil || status != 401 && status != 403 ||
				!strings.HasPrefix(string(parsed.Error.Code), "AUTH_") || strings.Contains(answer, token) && len(token) > 20 {
				t.Fatalf("token %q: %d %s", token, status, answer)
			}
			statuses[status]++
		}
		t.Logf("wrong tokens by status: %v", statuses)
	})
}

// TestNoOracle holds that an unknown namespace and a wrong secret are answered
// alike, to the byte.
func TestNoOracle(t *testing.T) {
	outside(t, server.Options{}, Limits{}, func(t *testing.T, s store) {
		shape := func(namespace string) string {
			text := "GET /subscribe?all=true&token=" + server.NewToken(namespace) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
			answer, err := io.ReadAll(s.dial(t, text))
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
			lines := strings.Split(string(head), "\r\n")
			for i := range lines {
				if strings.HasPrefix(lines[i], "Date: ") {
					lines[i] = "Date"
				}
			}
			return strings.ReplaceAll(strings.Join(lines, "\n")+string(body), namespace, "NAME")
		}
		if known, unknown := shape("default"), shape("unknown"); known != unknown || !strings.Contains(known, " 403 ") {
			t.Errorf("a wrong secret:\n%s\nan unknown namespace:\n%s", known, unknown)
		}
	})
}

// TestWrongTokensAreLimited shows more wrong tokens than are allowed, while a
// client with a good one goes on from the same address.
func TestWrongTokensAreLimited(t *testing.T) {
	outside(t, server.Options{Failures: 1}, Limits{}, func(t *testing.T, s store) {
		limited := 0
		for i := range 50 {
			wrong := "Bearer " + server.NewToken(fmt.Sprint("n", i%2))
			status, answer := s.do(t, http.MethodPost, "/rpc", wrong, []byte(`["sys.version"]`))
			if status == 429 && strings.Contains(answer, `"code":"AUTH_RATE_LIMITED"`) {
				limited++
			} else if status != 403 {
				t.Errorf("wrong token %d: %d %s", i, status, answer)
			}
			if status, answer := s.do(t, http.MethodPost, "/rpc", "Bearer "+defaultToken, []byte(`["sys.version"]`)); status != 200 {
				t.Errorf("good token %d: %d %s", i, status, answer)
			}
		}
		if limited == 0 {
			t.Error("none was limited")
		}
		wantRetryAfter(t, s)
		t.Logf("%d of 50 wrong tokens were limited, no good one", limited)
	})
}

func wantRetryAfter(t *testing.T, s store) {
	t.Helper()
	for _, path := range []string{"/rpc", "/import"} {
		resp, err := http.Post(s.url+path+"?token=wrong", "application/json", strings.NewReader(`["sys.version"]`))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode == 429 && (err != nil || wait < 1) {
			t.Errorf("%s: Retry-After %q", path, resp.Header.Get("Retry-After"))
		}
	}
}
