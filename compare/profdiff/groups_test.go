package profdiff

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPackagePath(t *testing.T) {
	for name, want := range map[string]string{
		"main.main":                         "main",
		"encoding/json.(*decodeState).obj":  "encoding/json",
		"encoding/json.Marshal":             "encoding/json",
		"github.com/a/b.F[...]":             "github.com/a/b",
		"github.com/a/b.(*T[...]).M.func1":  "github.com/a/b",
		"slices.SortFunc[go.shape.[]x/y.Z]": "slices",
		"gopkg.in/yaml%2ev3.Unmarshal":      "gopkg.in/yaml.v3",
		"type:.eq.net/http.http2frame":      "net/http",
		"vendor/golang.org/x/net/http/a.B":  "vendor/golang.org/x/net/http/a",
		"aeshashbody":                       "",
		"(unknown)":                         "",
		"":                                  "",
	} {
		if got := packagePath(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Stacks are byGroup to the first frame from the leaf that does not work for
// its caller.
func TestDefaultGroups(t *testing.T) {
	tests := []struct{ stack, want string }{
		{"net/textproto.readMIMEHeader net/http.(*conn).serve", "HTTP"},
		{"bufio.NewReaderSize net/http.newBufioReader", "HTTP"},
		{"net/url.parse net/http.readRequest", "HTTP"},
		{"github.com/valyala/fasthttp/fasthttputil.x", "HTTP"},
		{"github.com/cloudwego/hertz/pkg/protocol/http1.Server.Serve", "HTTP"},
		{"github.com/cloudwego/netpoll.(*defaultPoll).Wait", "HTTP"},
		{"github.com/panjf2000/gnet/v2.(*eventloop).run", "HTTP"},
		{"vendor/golang.org/x/net/http2/hpack.(*Decoder).Write net/http.(*http2Framer).ReadFrame", "HTTP"},
		{"runtime.mallocgc reflect.mapassign encoding/json.(*decodeState).object main.handle", "JSON"},
		{"encoding/json/jsontext.(*Decoder).ReadToken", "JSON"},
		{"github.com/modern-go/reflect2.(*UnsafeMapType).UnsafeIterate", "JSON"},
		{"github.com/go-json-experiment/json/jsontext.x", "JSON"},
		{"github.com/bytedance/sonic/internal/decoder.x", "JSON"},
		{"google.golang.org/protobuf/internal/impl.(*MessageInfo).unmarshal main.handle", "protobuf"},
		{"modernc.org/libc.Xmemcpy modernc.org/sqlite/lib._sqlite3VdbeExec", "storage"},
		{"runtime.cgocall github.com/mattn/go-sqlite3._Cfunc_sqlite3_step", "storage"},
		{"sqlite3VdbeExec runtime.asmcgocall runtime.cgocall github.com/mattn/go-sqlite3._Cfunc_sqlite3_step", "storage"},
		{"github.com/jackc/pgx/v5/pgconn.(*PgConn).receiveMessage", "storage"},
		{"github.com/lib/pq.(*conn).recv", "storage"},
		{"database/sql.(*Rows).Next", "storage"},
		{"internal/runtime/syscall/linux.Syscall6 syscall.RawSyscall6 syscall.write internal/poll.(*FD).Write net.(*netFD).Write net/http.checkConnErrorWriter.Write", "syscalls, network"},
		{"golang.org/x/sys/unix.Syscall modernc.org/libc.Xfsync", "syscalls, network"},
		{"internal/runtime/syscall/linux.EpollWait runtime.netpoll runtime.findRunnable", "syscalls, network"},
		{"crypto/internal/fips140/aes.encryptBlock crypto/tls.(*Conn).Write net/http.x", "TLS, crypto"},
		{"runtime.scanobject runtime.gcDrain runtime.gcBgMarkWorker.func2 runtime.systemstack runtime.gcBgMarkWorker", "runtime: GC"},
		{"runtime.gcDrainN runtime.gcAssistAlloc1 runtime.mallocgc encoding/json.x", "runtime: GC"},
		{"internal/runtime/gc/scan.scanSpanPackedAVX512 runtime.scanSpan", "runtime: GC"},
		{"runtime.futex runtime.notesleep runtime.stopm runtime.findRunnable runtime.schedule runtime.mcall", GroupRuntime},
		{"aeshashbody runtime.mapaccess1 example.com/app/store.(*S).get", GroupOwn},
		{"runtime.memmove bytes.Clone main.handle net/http.(*conn).serve", GroupOwn},
		{"regexp.(*Regexp).doExecute example.com/app.match", GroupOwn},
		{"example.com/application.f", GroupOther}, // not below the module
		{"github.com/google/uuid.New example.com/app.f", GroupOther},
		{"os/signal.loop", "syscalls, network"},
		{"time.goFunc", GroupOther},
	}
	for _, tt := range tests {
		c := mustAttribute(t, []float64{1}, stack{1, tt.stack})
		for label := range c.groups {
			if c.groups[label].value > 0 && label != tt.want {
				t.Errorf("%s is byGroup to %s, want %s", tt.stack, label, tt.want)
			}
		}
	}
}

func readGroupsText(t *testing.T, text string) (*Groups, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "groups.txt")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return ReadGroups(path)
}

func TestReadGroups(t *testing.T) {
	g, err := readGroupsText(t, `
		# the parts of our server
		events  = example.com/app/events example.com/app.(*Bus)* # a comment
		HTTP    = example.com/router
		storage = net/http/cgi
	`)
	if err != nil {
		t.Fatal(err)
	}
	g = g.of("example.com/app")
	for name, want := range map[string]string{
		"example.com/app/events.Publish": "events",
		"example.com/app.(*Bus).Send":    "events",
		"example.com/app.(*Other).Send":  GroupOwn,
		"example.com/router.Serve":       "HTTP",
		"net/http/cgi.Serve":             "storage",
		"net/http.Serve":                 "HTTP",
		"runtime.gcDrain":                "runtime: GC",
		"runtime.mallocgc":               "",
	} {
		if got := g.group(name, packagePath(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestReadGroupsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"\nHTTP net/http":                   `groups.txt:2: "HTTP net/http" is not of the form "label = prefix prefix …"`,
		"= net/http":                        `:1: "= net/http" is not of the form`,
		"HTTP =":                            ":1: group HTTP has no prefixes",
		"a = x\nb = y x":                    ":2: x stands on line 1 already",
		"a = x x":                           ":1: x stands on line 1 already",
		"a = *":                             ":1: *: a * may only stand at the end",
		"a = net/*/http":                    ":1: net/*/http: a * may only",
		"a = runtime.(*mheap)":              ":1: runtime.(*mheap): the beginning of a function's name must end in *",
		"a = net/":                          "neither begins nor ends with a slash",
		"a = /net":                          "neither begins nor ends with a slash",
		"a = \xff":                          ":1: not UTF-8 text",
		"a = " + strings.Repeat("x", 1<<17): ":1: ",
	} {
		if _, err := readGroupsText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", text, err, want)
		}
	}
	if _, err := ReadGroups("nowhere.txt"); err == nil || !strings.Contains(err.Error(), "nowhere.txt") {
		t.Errorf("error %v", err)
	}
}

func FuzzGroups(f *testing.F) {
	f.Add(string(defaultGroups), "net/http.(*conn).serve")
	f.Add("a = b c* # d\n", "b.f")
	f.Fuzz(func(t *testing.T, text, function string) {
		g := &Groups{packages: map[string]string{}}
		if err := g.read(strings.NewReader(text)); err != nil {
			return
		}
		path := packagePath(function)
		if len(path) > len(function) {
			t.Errorf("package %q of %q", path, function)
		}
		g.of("m").group(function, path)
		again := &Groups{packages: map[string]string{}}
		if err := again.read(strings.NewReader(text)); err != nil || again.group(function, path) != g.group(function, path) {
			t.Errorf("read twice, it differs: %v", err)
		}
	})
}
