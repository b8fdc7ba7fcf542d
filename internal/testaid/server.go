package testaid

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// serverSource is a server without its answer. Its functions are not inlined, so that
// profiles and counts have them by name.
const serverSource = `package main

import (
	"fmt"
	"net"
	"net/http"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	panic(http.Serve(l, http.HandlerFunc(answer)))
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

`

// BuildServer builds a server as anyone does, since test binaries have no names of
// functions. Its source is given from its handler on, which is named answer; it may use
// fib, fmt and net/http. The program prints its URL. Env is for the build, besides that of
// this process.
func BuildServer(t testing.TB, source string, env ...string) (program string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"main.go": serverSource + source, "go.mod": "module stranger\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "server", ".")
	build.Dir, build.Env = dir, append(os.Environ(), env...)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "server")
}
