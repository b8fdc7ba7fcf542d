// Package testaid has what tests of several packages need: to wait for what comes in its
// own time, addresses that are free, and a small server that is built.
package testaid

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come: no figure, but what no machine
// needs, however busy it is.
const Patience = time.Minute

// Until waits until something is so, and ends the test with what is wrong otherwise.
func Until(t testing.TB, otherwise string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	next := time.NewTicker(5 * time.Millisecond)
	defer next.Stop()
	for !so() {
		select {
		case <-next.C:
		case <-ctx.Done():
			t.Fatal(otherwise)
		}
	}
}

// Alive reports whether a process is there and has not ended: one that nobody has waited for
// yet, a zombie, has.
func Alive(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // of none on other systems than Linux
	return err != nil || !bytes.Contains(status, []byte("\nState:\tZ"))
}

// FreeAddress is an address on loopback that nothing listens on, and that no system
// gives to anybody by itself.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l := Listen(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	Until(t, address+" stays in use", func() bool { // a process that is being started has it, too
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	return address
}

// Listen listens on such an address.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	for {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000)))
		if err == nil {
			return l
		}
	}
}
