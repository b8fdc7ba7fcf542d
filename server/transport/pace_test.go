package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/server"
)

const versionCall = `["stream.version","a-1"]`

// versionRequest is a call as text, with more header fields.
func versionRequest(more string) string {
	return fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", more, len(versionCall), versionCall)
}

// held is a store whose Version tells that it has begun and waits.
type held struct{ entered, leave chan struct{} }

func holdVersion(t *testing.T, kind Kind) (store, held) {
	h := held{make(chan struct{}, 1), make(chan struct{})}
	return startWith(t, t.Context(), kind, func(db server.Store) server.Store {
		return hookedStore{db, func(context.Context) error {
			h.entered <- struct{}{}
			<-h.leave
			return nil
		}}
	}), h
}

// TestSendersAreHeldBack sends without end while the server is busy with a
// request: what it cannot work on yet must wait at the client, not in its memory.
func TestSendersAreHeldBack(t *testing.T) {
	t.Parallel()
	const most = 32 << 20 // more than the sockets hold
	for _, kind := range kinds {
		for _, header := range []string{"", "Connection: close\r\n"} {
			t.Run(fmt.Sprintf("%s/%q", kind, header), func(t *testing.T) {
				s, h := holdVersion(t, kind)
				defer close(h.leave)
				conn := s.dial(t, versionRequest(header))
				<-h.entered
				if err := conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(conn, strings.NewReader(strings.Repeat("x", most)))
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the server took %d bytes (%v)", n, err)
				}
			})
		}
	}
}

// TestHalfClosedClientsAreAnswered says that no more will come while the server
// works on the request, as "printf … | nc -N" does.
func TestHalfClosedClientsAreAnswered(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			s, h := holdVersion(t, kind)
			conn := s.dial(t, versionRequest(""))
			<-h.entered
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			for range 10 { // new connections, whose requests come after it
				http.DefaultClient.CloseIdleConnections()
				s.get(t, "/health")
			}
			close(h.leave)
			answer, err := io.ReadAll(conn)
			if !strings.HasSuffix(string(answer), "\r\n\r\nnull") {
				t.Errorf("%q (%v)", answer, err)
			}
		})
	}
}

// TestPipelinedLargeBodies sends bodies larger than what servers read ahead: none
// may be read beyond its end.
func TestPipelinedLargeBodies(t *testing.T) {
	const requests = 10
	limited(t, server.Options{Version: "1.2.3"}, Limits{}, func(t *testing.T, s store) {
		call := `["sys.version"` + strings.Repeat(" ", 20_000) + `]`
		var text strings.Builder
		for range requests {
			fmt.Fprintf(&text, "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(call), call)
		}
		text.WriteString("GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(s.dial(t, text.String()))
		if got := strings.Count(string(answer), `"1.2.3"`); got != requests || err != nil {
			t.Errorf("%d of %d answers (%v): %.300q", got, requests, err, answer)
		}
	})
}
