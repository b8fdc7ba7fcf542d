package transport

import (
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/server"
)

// TestVanishedSubscribers has subscribers leave in each way there is, with no
// event and no heartbeat to show it, and wants them forgotten, goroutines and all.
func TestVanishedSubscribers(t *testing.T) {
	t.Parallel()
	const subscribers = 50
	ways := map[string]func(*net.TCPConn) error{
		"close":       (*net.TCPConn).Close,
		"reset":       reset,
		"half-closed": (*net.TCPConn).CloseWrite,
	}
	for way, leave := range ways {
		for _, more := range []string{"", "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"} {
			t.Run(way, func(t *testing.T) {
				limited(t, server.Options{Heartbeat: time.Hour}, Limits{}, func(t *testing.T, s store) {
					var gone []*net.TCPConn
					for range subscribers {
						gone = append(gone, s.dial(t, "GET /subscribe?all=true HTTP/1.1\r\nHost: x\r\n\r\n"+more).(*net.TCPConn))
					}
					s.awaitSubscriptions(t, strconv.Itoa(subscribers))
					for _, conn := range gone {
						if err := leave(conn); err != nil {
							t.Fatal(err)
						}
					}
					s.awaitSubscriptions(t, "0")
					awaitNoStreams(t)
				})
			})
		}
	}
}

func reset(conn *net.TCPConn) error {
	if err := conn.SetLinger(0); err != nil {
		return err
	}
	return conn.Close()
}

// awaitNoStreams waits until no goroutine is left of a stream of events. Idle
// workers of fasthttp, which it keeps for a while, are none.
func awaitNoStreams(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	testaid.Until(t, "goroutines of streams are left", func() bool {
		text := string(stacks[:runtime.Stack(stacks, true)])
		return !strings.Contains(text, "transport.drop(") && !strings.Contains(text, "transport.site.stream(")
	})
}
