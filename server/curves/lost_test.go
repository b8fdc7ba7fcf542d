package curves

import (
	"bufio"
	"fmt"
	"net"
	"testing"
)

// TestLostEvents: events that do not come, or come twice, are counted, and not waited for
// without end.
func TestLostEvents(t *testing.T) {
	r, delays := heard{}, newDelays()
	for _, events := range []int{1, 2, 4} { // of two messages
		server, client := net.Pipe()
		h := newHearer(&subscriber{client, bufio.NewReader(client)})
		go func() {
			for range events {
				_, _ = fmt.Fprintf(server, "data: {\"stream\":\"%s%d\"}\n", soakStream, clock())
			}
			_ = server.Close() // as a server that has died
		}()
		h.hear()
		r.add(h.await(t.Context(), 2), 2, delays)
	}
	if r.Lost != 1 || r.Twice != 2 || delays.TotalCount() != 7 {
		t.Errorf("%d lost, %d twice, %d delays", r.Lost, r.Twice, delays.TotalCount())
	}
}
