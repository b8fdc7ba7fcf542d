package subject

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseSpec(t *testing.T) {
	none := map[string]string{}
	for text, want := range map[string]Spec{
		"exec:./bin/my-server -listen {addr}": {Name: "my-server", Kind: "exec",
			Target: "./bin/my-server -listen {addr}", Options: none},
		"new=exec:FOO=bar ./x": {Name: "new", Kind: "exec", Target: "FOO=bar ./x", Options: none},
		"url:http://127.0.0.1:8080": {Name: "127.0.0.1-8080", Kind: "url",
			Target: "http://127.0.0.1:8080", Options: none},
		"go:": {Name: "go", Kind: "go", Options: none},
		"go:./cmd/server": {Name: "go-server", Kind: "go", Target: "./cmd/server",
			Package: "./cmd/server", Options: none},
		"git:HEAD~1": {Name: "HEAD-1", Kind: "git", Target: "HEAD~1", Ref: "HEAD~1",
			Options: none},
		"git:v1.2,go=1.26.7,codec=std": {Name: "v1.2", Kind: "git", Target: "v1.2", Ref: "v1.2",
			Options: map[string]string{"go": "1.26.7", "codec": "std"}},
		"git:origin/main:./cmd/server": {Name: "origin-main", Kind: "git", Target: "origin/main:./cmd/server",
			Ref: "origin/main", Package: "./cmd/server", Options: none},
		"builtin:transport=fasthttp,store=sqlite:x.db": {Kind: "builtin",
			Target: "transport=fasthttp,store=sqlite:x.db", Options: none},
		"fasthttp,codec=std": {Kind: "builtin", Target: "fasthttp,codec=std", Options: none},
		"fasthttp,store=sqlite::memory:": {Kind: "builtin", Target: "fasthttp,store=sqlite::memory:",
			Options: none},
	} {
		got, err := ParseSpec(text)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Spec{})); diff != "" || err != nil ||
			got.String() != text {
			t.Errorf("%s: %v\n%s", text, err, diff)
		}
	}
}

func TestParseSpecRejects(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:8080":          "write url:http://127.0.0.1:8080",
		"a=https://127.0.0.1":            "write url:https://127.0.0.1",
		"ecex:./server":                  `"ecex:" is no kind of subject; the kinds are exec:, url:`,
		"exec:":                          `the command "" is empty`,
		"exec:./a | ./b":                 "what needs a shell is written sh -c '…'",
		"exec:./a 'b":                    "closing quote",
		"git:":                           `"" names no commit`,
		"git::./cmd":                     `":./cmd" names no commit`,
		"git:--help":                     "names no commit",
		"url:127.0.0.1:8080":             "is not the URL of a server, such as http://127.0.0.1:8080",
		"url:http://127.0.0.1:8080/shop": `leave out "/shop"`,
	} {
		if s, err := ParseSpec(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, error %v, want %q", text, s, err, want)
		}
	}
}

func TestSplitCommand(t *testing.T) {
	t.Setenv("SPLIT", "a b")
	got, err := SplitCommand(`{out} -listen {addr} 'two words' "it's $SPLIT" back\ slash *.go`)
	want := []string{"{out}", "-listen", "{addr}", "two words", "it's a b", "back slash", "*.go"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func FuzzParseSpec(f *testing.F) {
	for _, text := range []string{"exec:a 'b' {addr}", "git:HEAD:./x,go=1.26.7", "a=url:http://[::1]:80", "fasthttp"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpec(text)
		if err == nil && s.Name != "" && unfit.MatchString(strings.ReplaceAll(s.Name, "-", "")) {
			t.Errorf("%q is named %q", text, s.Name)
		}
	})
}

func TestDebugPages(t *testing.T) {
	server, err := url.Parse("http://127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][2]string{
		"": {"/debug/pprof/heap?debug=1", "/debug/vars"},
		"127.0.0.1:6060": {"http://127.0.0.1:6060/debug/pprof/heap?debug=1",
			"http://127.0.0.1:6060/debug/vars"},
		":6060": {"http://127.0.0.1:6060/debug/pprof/heap?debug=1",
			"http://127.0.0.1:6060/debug/vars"},
		"http://127.0.0.1:6060/": {"http://127.0.0.1:6060/debug/pprof/heap?debug=1",
			"http://127.0.0.1:6060/debug/vars"},
		"https://[::1]:6060/internal/debug/pprof": {"https://[::1]:6060/internal/debug/pprof/heap?debug=1",
			"https://[::1]:6060/internal/debug/vars"},
		"localhost:1/pprof/": {"http://localhost:1/pprof/heap?debug=1", "http://localhost:1/vars"},
	} {
		pages, err := ParseDebugPages(text)
		if err != nil {
			t.Fatal(err)
		}
		pages = pages.orOf(server)
		got := [2]string{pages.show(pages.url(HeapPage)), pages.show(pages.url(VarsPage))}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{":x", "ftp://127.0.0.1", "http://", "127.0.0.1:6060/?a=b", "a b"} {
		if pages, err := ParseDebugPages(text); err == nil {
			t.Errorf("%q: took %v", text, pages.Pprof)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:1": "", "http://localhost:1": "", "http://[::1]:1": "",
		"http://0.0.0.0:1": "", "http://[::]:1": "",
		"http://192.0.2.1:1": "is not on this machine's loopback", "https://198.51.100.7": "--allow-remote permits it",
	} {
		_, err := parseServer(text, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
		if _, err := parseServer(text, true); err != nil {
			t.Errorf("%s is allowed: %v", text, err)
		}
		_, err = parseDebugPages(text, false)
		if (err == nil) != (want == "") {
			t.Errorf("debug pages at %s: %v", text, err)
		}
	}
}
