package curves

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"
)

// fan is what it costs to tell subscribers of a message.
type fan struct {
	p50, p99, max time.Duration // from before the write to an event
	cpu           time.Duration // of the server, by the events that it sent
	memory        int64         // of the server, by subscriber
}

// fanOut subscribes n clients to one category of a server in another process, and
// writes messages to it. Each is written when all clients have the one before, so that
// delays are those of one message and no queue's.
func fanOut(n, events int) (f fan, err error) {
	c, err := startChild(roleServer, strconv.Itoa(n+10))
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, c.in.Close(), c.Wait()) }()
	addr, err := c.line()
	if err != nil {
		return f, err
	}
	a := &audience{addr: addr}
	defer a.leave()
	if err := a.write(); err != nil { // the server has done all it does only once
		return f, err
	}
	before, err := usage(c.Process.Pid)
	if err != nil {
		return f, err
	}
	if err := a.join(n); err != nil {
		return f, fmt.Errorf("subscribing (ulimit -n must be above their number): %w", err)
	}
	joined, err := usage(c.Process.Pid)
	if err != nil {
		return f, err
	}
	delays, err := a.tell(events)
	if err != nil {
		return f, err
	}
	told, err := usage(c.Process.Pid)
	f.p50, f.p99, f.max = delays[len(delays)/2], delays[len(delays)*99/100], delays[len(delays)-1]
	f.cpu = (told.cpu - joined.cpu) / time.Duration(n*events)
	f.memory = (joined.memory - before.memory) / int64(n)
	return f, err
}

type used struct {
	cpu    time.Duration
	memory int64
}

func usage(pid int) (u used, err error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return u, err
	}
	stat, err := p.Stat()
	seconds := stat.CPUTime()
	return used{time.Duration(seconds * float64(time.Second)), int64(stat.ResidentMemory())}, err
}

// audience are the subscribers, and who writes.
type audience struct {
	addr   string
	from   string // the address to connect from; any if empty
	writer net.Conn
	all    []*subscriber
}

type subscriber struct {
	conn   net.Conn
	events *bufio.Reader
}

func (a *audience) leave() {
	for _, s := range a.all {
		if s != nil {
			_ = s.conn.Close()
		}
	}
	if a.writer != nil {
		_ = a.writer.Close()
		a.writer = nil
	}
}

// join subscribes n clients from the second message on, after the one that was
// written before.
func (a *audience) join(n int) error {
	a.all = make([]*subscriber, n)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() (err error) {
			a.all[i], err = a.subscribe()
			return err
		})
	}
	return group.Wait()
}

func (a *audience) subscribe() (*subscriber, error) {
	conn, err := a.dial()
	if err != nil {
		return nil, err
	}
	s := &subscriber{conn, bufio.NewReaderSize(conn, 1024)}
	const request = "GET /subscribe?category=order0&position=2&token=%s HTTP/1.1\r\nHost: x\r\n\r\n"
	if _, err := fmt.Fprintf(conn, request, token); err != nil {
		return s, err
	}
	return s, s.await(": ready")
}

// await reads up to a line that begins so.
func (s *subscriber) await(begin string) error {
	for {
		line, err := s.events.ReadSlice('\n')
		if err != nil {
			return err
		}
		if bytes.HasPrefix(line, []byte(begin)) {
			return nil
		}
	}
}

// tell writes messages one after the other and returns the delays of all events,
// sorted. One that is lost is an error.
func (a *audience) tell(events int) (delays []time.Duration, err error) {
	arrived := make([]time.Time, len(a.all))
	failed := make([]error, len(a.all))
	for range events {
		var group sync.WaitGroup
		for i, s := range a.all {
			group.Go(func() {
				failed[i] = s.conn.SetReadDeadline(time.Now().Add(lost))
				if failed[i] == nil {
					failed[i] = s.await("event: poke")
				}
				arrived[i] = time.Now()
			})
		}
		begin := time.Now()
		err := a.write()
		if err != nil {
			a.leave() // nobody waits for what does not come
		}
		group.Wait()
		if err != nil {
			return nil, err
		}
		if err := errors.Join(failed...); err != nil {
			return nil, fmt.Errorf("events were lost: %w", err)
		}
		for _, at := range arrived {
			delays = append(delays, at.Sub(begin))
		}
	}
	slices.Sort(delays)
	return delays, nil
}

// write writes one message and waits for the answer.
func (a *audience) write() error { return a.writeTo("order0-1") }

func (a *audience) writeTo(stream string) (err error) {
	if a.writer == nil {
		if a.writer, err = a.dial(); err != nil {
			return err
		}
	}
	body := `["stream.write","` + stream + `",{"type":"OrderPlaced","data":{"orderId":"0123456789abcdef"}}]`
	if _, err := fmt.Fprintf(a.writer, "POST /rpc?token=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		token, len(body), body); err != nil {
		return err
	}
	const ok = "HTTP/1.1 200"
	answer := make([]byte, 4096)
	n, err := io.ReadAtLeast(a.writer, answer, len(ok)) // it is short, and sent at once
	if err == nil && !bytes.HasPrefix(answer, []byte(ok)) {
		err = fmt.Errorf("a write is answered with %s", answer[:n])
	}
	return err
}
