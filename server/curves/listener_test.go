package curves

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// A message of a soak is written to a stream that tells when: its events tell it too, and
// whoever gets one knows how late it is, in whichever process.
const soakStream = "order0-"

// clock is the time of a clock that all processes of a machine share.
func clock() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // it can always be read
	return ts.Nano()
}

// newDelays holds delays of up to ten minutes.
func newDelays() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(10*time.Minute), 3) }

// listen plays many subscribers. Its argument is the server's address, an address of its
// own, and their number. It says when all have subscribed, is told how many messages
// there were, and says how late they came once every subscriber has all of them.
func listen(argument string) error {
	var server, own string
	var n int
	if _, err := fmt.Sscan(argument, &server, &own, &n); err != nil {
		return err
	}
	a := &audience{addr: server, from: own}
	defer a.leave()
	if err := a.join(n); err != nil {
		return err
	}
	all := make([]*hearer, n)
	for i, s := range a.all {
		all[i] = newHearer(s)
		go all[i].hear()
	}
	fmt.Println("joined")
	messages, err := readNumber()
	if err != nil {
		return err
	}
	delays := newDelays()
	for _, h := range all {
		if err := h.await(messages); err != nil {
			return err
		}
		for _, d := range h.delays {
			_ = delays.RecordValue(d) // longer ones than it holds fail the soak
		}
	}
	return json.NewEncoder(os.Stdout).Encode(delays.Export())
}

func readNumber() (int, error) {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(line[:len(line)-1])
}

// hearer takes down how late the events of a subscriber are.
type hearer struct {
	*subscriber
	mu     sync.Mutex
	more   sync.Cond
	delays []int64
	err    error
}

func newHearer(s *subscriber) *hearer {
	h := &hearer{subscriber: s}
	h.more.L = &h.mu
	return h
}

func (h *hearer) hear() {
	for {
		written, err := h.next()
		h.mu.Lock()
		if err == nil {
			h.delays = append(h.delays, clock()-written)
		}
		h.err = err
		h.more.Broadcast()
		h.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// next is when the message of the next event was written.
func (h *hearer) next() (int64, error) {
	for {
		line, err := h.events.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if _, rest, found := bytes.Cut(line, []byte(soakStream)); found {
			digits, _, _ := bytes.Cut(rest, []byte(`"`))
			return strconv.ParseInt(string(digits), 10, 64)
		}
	}
}

// await waits for a number of events.
func (h *hearer) await(n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.delays) < n && h.err == nil {
		h.more.Wait()
	}
	if len(h.delays) < n {
		return fmt.Errorf("a subscriber has %d of %d events: %w", len(h.delays), n, h.err)
	}
	if len(h.delays) > n {
		return fmt.Errorf("a subscriber has %d events of %d messages", len(h.delays), n)
	}
	return nil
}

// dial connects from an address of its own, of which each has 28,000 ports.
func (a *audience) dial() (net.Conn, error) {
	d := net.Dialer{}
	if a.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(a.from)}
	}
	return d.Dial("tcp", a.addr)
}
