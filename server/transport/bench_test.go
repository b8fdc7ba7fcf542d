package transport

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"testing"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
)

// BenchmarkServe is one connection that writes to a store in memory, through each
// transport. The client allocates nothing: bytes and allocations are the server's.
func BenchmarkServe(b *testing.B) {
	for _, kind := range Kinds() {
		b.Run(string(kind), func(b *testing.B) { benchmarkWrites(b, dialServer(b, kind)) })
	}
}

// BenchmarkNetHTTPAlone is what BenchmarkServe would be without a store: a handler that
// reads the request into memory there is, and has one answer.
func BenchmarkNetHTTPAlone(b *testing.B) {
	answer, types := []byte(`{"position":0,"globalPosition":1}`), netTypes[server.JSON]
	benchmarkWrites(b, dialHandler(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := buffers.Get().(*buffer)
		defer buffers.Put(buf)
		buf.body, _ = readAll(buf.body[:0], r.Body)
		w.Header()["Content-Type"] = types
		_, _ = w.Write(answer)
	})))
}

// dialHandler connects to a server of net/http alone, as newNetHTTP sets it up.
func dialHandler(b *testing.B, handler http.Handler) net.Conn {
	b.Helper()
	s := site{limits: DefaultLimits()}.newNetHTTP().(*netServer)
	s.Handler = handler
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Serve(listener) }()
	b.Cleanup(func() { _ = s.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

// benchmarkWrites sends one write after the other.
func benchmarkWrites(b *testing.B, conn net.Conn) {
	body := `["stream.write","order-7",{"type":"OrderPlaced","data":{"orderId":"0123456789abcdef"},"metadata":{"userId":"u-1001"}}]`
	request := fmt.Appendf(nil, "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\n"+
		"Content-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", defaultToken, len(body), body)
	answer := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		// The answer is one segment: it is written at once.
		if n, err := conn.Read(answer); err != nil || string(answer[9:12]) != strconv.Itoa(200) {
			b.Fatal(err, string(answer[:n]))
		}
	}
}

// dialServer connects to a server that ends with the benchmark.
func dialServer(b *testing.B, kind Kind) net.Conn {
	b.Helper()
	store, err := sqlite.Open(sqlite.Memory, sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	core, _, err := server.NewCore(b.Context(), store, server.Options{Codec: server.CodecRaw, Token: defaultToken})
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, kind, core, listener, Limits{}) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		for _, err := range []error{conn.Close(), <-ended, store.Close()} {
			if err != nil {
				b.Error(err)
			}
		}
	})
	return conn
}
