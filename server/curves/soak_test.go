package curves

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// soak has many subscribers on one category for a while.
type soak struct {
	subscribers   int
	length, every time.Duration
}

// What a process may have open: spare files are for other purposes than subscribers, and
// an address has 28,232 ports to connect from.
const (
	spareFiles     = 100
	mostPerAddress = 20_000
)

// The bounds of memory: of a server by subscriber, and of what it may grow by from the
// first half of a soak to the second, besides what the messages take.
const (
	mostPerSubscriber = 64_000
	mostGrowth        = 1.1
	mostOfMessages    = 64 << 20
)

// stand is a server with its subscribers, which are in processes of their own.
type stand struct {
	server      *child
	subscribers int
	listeners   []*child
	audience    audience // only writes
	empty       used     // what the server used before they came
}

func (s soak) run(ctx context.Context, out io.Writer) (err error) {
	var stands []*stand
	defer func() {
		for _, st := range stands {
			err = errors.Join(err, st.close())
		}
	}()
	most, err := mostPerProcess()
	if err != nil {
		return err
	}
	addresses := 0 // in use, by one listener each
	for left := s.subscribers; left > 0; left -= most {
		st, err := open(min(left, most), addresses)
		if st != nil {
			stands = append(stands, st)
			addresses += len(st.listeners)
		}
		if err != nil {
			return err
		}
	}
	joined, err := add(stands)
	if err != nil {
		return err
	}
	messages, halves, err := s.write(ctx, stands)
	if err != nil {
		return err
	}
	delays, all := newDelays(), heard{}
	for _, st := range stands {
		if err := st.collect(messages, delays, &all); err != nil {
			return err
		}
	}
	end, err := add(stands)
	if err != nil {
		return err
	}
	return s.print(out, stands, joined, end, halves, messages, delays, all)
}

func mostPerProcess() (int, error) {
	var files unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	return int(min(files.Max, 1<<20)) - spareFiles, err
}

// open starts a server and subscribes n clients to it, from addresses beyond those in use.
func open(n, addresses int) (*stand, error) {
	server, err := startChild(roleServer, fmt.Sprint(n+spareFiles/2))
	if err != nil {
		return nil, err
	}
	st := &stand{server: server, subscribers: n}
	if st.audience.addr, err = server.line(); err != nil {
		return st, err
	}
	if err := st.audience.write(); err != nil { // the server has done all it does only once
		return st, err
	}
	st.audience.leave() // the server would, before all subscribers are there
	if st.empty, err = usage(server.Process.Pid); err != nil {
		return st, err
	}
	for left := n; left > 0; left -= mostPerAddress {
		own := fmt.Sprintf("127.0.0.%d", 1+addresses+len(st.listeners))
		l, err := startChild(roleListens, fmt.Sprintf("%s %s %d", st.audience.addr, own, min(left, mostPerAddress)))
		if err != nil {
			return st, err
		}
		st.listeners = append(st.listeners, l)
	}
	for _, l := range st.listeners {
		if _, err := l.line(); err != nil {
			return st, fmt.Errorf("subscribing: %w", err)
		}
	}
	return st, nil
}

// write writes messages to all servers until the time is over, and returns how many each
// got, and the most memory that the servers had in either half of the time.
func (s soak) write(ctx context.Context, stands []*stand) (messages int, halves [2]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for begin := time.Now(); ; messages++ {
		for _, st := range stands {
			if err := st.audience.writeTo(fmt.Sprint(soakStream, clock())); err != nil {
				return messages, halves, fmt.Errorf("writing message %d to %s: %w", messages+1, st.audience.addr, err)
			}
		}
		u, err := add(stands)
		if err != nil {
			return messages, halves, err
		}
		half := min(int(2*time.Since(begin)/s.length), 1)
		halves[half] = max(halves[half], u.memory)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return messages + 1, halves, nil
		}
	}
}

// collect adds how late the events of all messages were to delays, and which did not come
// once to all.
func (st *stand) collect(messages int, delays *hdrhistogram.Histogram, all *heard) error {
	for _, l := range st.listeners {
		if _, err := fmt.Fprintln(l.in, messages); err != nil {
			return err
		}
	}
	for _, l := range st.listeners {
		var h heard
		if err := json.NewDecoder(l.lines).Decode(&h); err != nil {
			return fmt.Errorf("a listener has failed: %w", err)
		}
		delays.Merge(hdrhistogram.Import(h.Delays))
		all.Lost += h.Lost
		all.Twice += h.Twice
	}
	return nil
}

func (st *stand) close() (err error) {
	st.audience.leave()
	for _, c := range append(st.listeners, st.server) {
		err = errors.Join(err, c.in.Close(), c.Wait())
	}
	return err
}

// add is what all servers use, less what they used without subscribers.
func add(stands []*stand) (all used, err error) {
	for _, st := range stands {
		u, err := usage(st.server.Process.Pid)
		if err != nil {
			return all, err
		}
		all.cpu += u.cpu - st.empty.cpu
		all.memory += u.memory - st.empty.memory
	}
	return all, nil
}

func (s soak) print(
	out io.Writer, stands []*stand, joined, end used, halves [2]int64, messages int,
	delays *hdrhistogram.Histogram, all heard,
) error {
	events := int64(messages) * int64(s.subscribers)
	each := func(memory int64) string { return fmt.Sprintf("%.1f", float64(memory)/1e3/float64(s.subscribers)) }
	delay := func(percent float64) string { return millis(time.Duration(delays.ValueAtQuantile(percent))) }
	heading(out, "subscribers", "servers", "messages", "events", "lost", "twice",
		"write to event, p50 ms", "p99 ms", "max ms", "us of CPU per event", "KB per subscriber when all have joined", "in the first half, at most", "in the second")
	row(out, fmt.Sprint(s.subscribers), fmt.Sprint(len(stands)), fmt.Sprint(messages), fmt.Sprint(delays.TotalCount()),
		fmt.Sprint(all.Lost), fmt.Sprint(all.Twice), delay(50), delay(99), delay(100), micros((end.cpu-joined.cpu)/time.Duration(events)),
		each(joined.memory), each(halves[0]), each(halves[1]))
	switch limit := int64(float64(halves[0])*mostGrowth) + mostOfMessages; {
	case all.Lost > 0 || all.Twice > 0 || delays.TotalCount() != events:
		return fmt.Errorf("%d events came of %d: %d did not within %v, and %d came twice",
			delays.TotalCount(), events, all.Lost, lost, all.Twice)
	case halves[1] > limit:
		return fmt.Errorf("memory grew from %d bytes in the first half to %d in the second", halves[0], halves[1])
	case halves[1] > int64(s.subscribers)*mostPerSubscriber+mostOfMessages:
		return fmt.Errorf("a subscriber takes more than %d bytes", mostPerSubscriber)
	}
	return nil
}
