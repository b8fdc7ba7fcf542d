package curves

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
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
// there were, and says what was heard once every subscriber has all of them, or none
// more has come for a while.
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
	ctx, cancel := context.WithTimeout(context.Background(), lost)
	defer cancel()
	r := heard{}
	delays := newDelays()
	for _, h := range all {
		r.add(h.await(ctx, messages), messages, delays)
	}
	r.Delays = delays.Export()
	return json.NewEncoder(os.Stdout).Encode(r)
}

// lost is after how much time, from the last message, an event counts as lost.
const lost = time.Minute

// heard is what the subscribers of a listener, or all of them, were told.
type heard struct {
	Delays *hdrhistogram.Snapshot // ns from before a write to its event
	Lost   int64                  // events that did not come
	Twice  int64                  // events that came once more
}

// add takes in the delays of a subscriber.
func (r *heard) add(came []int64, messages int, delays *hdrhistogram.Histogram) {
	r.Lost += int64(max(0, messages-len(came)))
	r.Twice += int64(max(0, len(came)-messages))
	for _, d := range came {
		_ = delays.RecordValue(min(d, delays.HighestTrackableValue()))
	}
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
	more chan struct{} // has room for one: something new was heard; closed when nothing more will be

	mu     sync.Mutex
	delays []int64
}

func newHearer(s *subscriber) *hearer {
	return &hearer{subscriber: s, more: make(chan struct{}, 1)}
}

func (h *hearer) hear() {
	defer close(h.more)
	for {
		written, err := h.next()
		if err != nil {
			return
		}
		h.mu.Lock()
		h.delays = append(h.delays, clock()-written)
		h.mu.Unlock()
		select {
		case h.more <- struct{}{}:
		default: // it is known
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

// await waits for a number of events until ctx ends or no more can come, and returns the
// delays of those that came.
func (h *hearer) await(ctx context.Context, n int) []int64 {
	for open := true; open; {
		if came := h.came(); len(came) >= n {
			return came
		}
		select {
		case _, open = <-h.more:
		case <-ctx.Done():
			open = false
		}
	}
	return h.came()
}

func (h *hearer) came() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.delays)
}

// dial connects from an address of its own, of which each has 28,000 ports.
func (a *audience) dial() (net.Conn, error) {
	d := net.Dialer{}
	if a.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(a.from)}
	}
	return d.Dial("tcp", a.addr)
}
