package workload

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/loadgen"
)

var update = flag.Bool("update", false, "write golden files; those of vegeta by running it")

// vegetaProgram is run by go run to record what it sends: go test -run AsVegeta -update
const vegetaProgram = "github.com/tsenart/vegeta/v12@v12.13.0"

// wireRecorder is a server that keeps requests as they arrive, byte for byte.
type wireRecorder struct {
	net.Listener
	mu       sync.Mutex
	requests []string
}

func newWireRecorder(t *testing.T) *wireRecorder {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &wireRecorder{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

func (r *wireRecorder) serve(conn net.Conn) {
	defer conn.Close()
	var raw bytes.Buffer
	// One byte at a time, so that nothing of the next request is in raw.
	in := bufio.NewReaderSize(io.TeeReader(oneByteReader{conn}, &raw), 16)
	for {
		raw.Reset()
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		r.mu.Lock()
		r.requests = append(r.requests, strings.ReplaceAll(raw.String(), r.Addr().String(), "SUBJECT"))
		r.mu.Unlock()
		_, err = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		if err != nil {
			return
		}
	}
}

type oneByteReader struct{ io.Reader }

func (r oneByteReader) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

// recordOurs returns the requests of a workload as one worker sends them.
func recordOurs(t *testing.T, w loadgen.Workload, n int) []string {
	server := newWireRecorder(t)
	load := loadgen.Load{Workload: w.Name(), Kinds: w.Kinds(), Workers: 1, Timeout: 10 * time.Second}
	driver := loadgen.NewDriver(serverURL(t, server.Addr().String()), w, load, loadgen.Connect{}, 1)
	defer driver.Close()
	result := driver.Warmup(context.Background(), n)
	if result.Ops() != int64(n) {
		t.Fatalf("%d of %d requests were answered: %+v", result.Ops(), n, result.Errors)
	}
	return server.requests
}

// recordVegeta returns the requests that the vegeta program sends.
func recordVegeta(t *testing.T, file, format string, n int) []string {
	server := newWireRecorder(t)
	text, err := os.ReadFile(filepath.Join("testdata/vegeta", file))
	if err != nil {
		t.Fatal(err)
	}
	vegeta := exec.Command("go", "run", vegetaProgram, "attack", "-format="+format, "-workers=1", "-max-workers=1",
		"-rate="+strconv.Itoa(n)+"/1s", "-duration=1s")
	vegeta.Dir = "testdata/vegeta"
	vegeta.Stdin = strings.NewReader(strings.ReplaceAll(string(text), "localhost:8080", server.Addr().String()))
	vegeta.Stderr = os.Stderr
	if _, err = vegeta.Output(); err != nil {
		t.Fatal(err)
	}
	return server.requests
}

// ownVegetaField is what vegeta counts its requests with.
var ownVegetaField = regexp.MustCompile(`X-Vegeta-Seq: \d+\r\n`)

const separator = "\n=====\n"

// Requests on the wire are byte for byte vegeta's, but for its counter.
func TestSendsAsVegeta(t *testing.T) {
	for file, format := range map[string]string{"targets.txt": "http", "targets.jsonl": "json"} {
		t.Run(file, func(t *testing.T) {
			w, err := ReadTargets("testdata/vegeta/" + file)
			if err != nil {
				t.Fatal(err)
			}
			golden := "testdata/vegeta/" + file + ".sent"
			if *update {
				sent := strings.Join(recordVegeta(t, file, format, len(w.all)), separator)
				if err := os.WriteFile(golden, []byte(sent), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(ownVegetaField.ReplaceAllString(string(text), ""), separator)
			got := recordOurs(t, w, len(w.all))
			first := slices.Index(got, want[0]) // ours begin at one drawn from the seed
			if first < 0 {
				t.Fatalf("the first of vegeta's is not among ours:\n%q\n%q", want[0], got)
			}
			if diff := cmp.Diff(want, slices.Concat(got[first:], got[:first])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// checkWire fails a test if the text is not exactly one request with that body.
func checkWire(t *testing.T, wire, body string) {
	t.Helper()
	in := bufio.NewReader(strings.NewReader(wire))
	req, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("%v: %q", err, wire)
	}
	got, err := io.ReadAll(req.Body)
	if err != nil || string(got) != body {
		t.Fatalf("the body of %q is %q (%v), want %q", wire, got, err, body)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Fatalf("more than a request: %q", wire)
	}
}
