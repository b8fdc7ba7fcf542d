package curves

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/eventobench/eventobench/server"
	"github.com/eventobench/eventobench/server/sqlite"
	"github.com/eventobench/eventobench/server/transport"
)

// The program runs itself for what must be another process: a store that is killed,
// and a server whose CPU time and memory are not those of its clients.
const (
	roleVariable     = "EVENTOBENCH_CURVES_ROLE"
	argumentVariable = "EVENTOBENCH_CURVES_ARGUMENT"

	roleVictim  = "victim"  // fills a file and writes to it until it is killed
	roleServer  = "server"  // serves a store in memory until its input ends
	roleListens = "listens" // subscribes many clients to a server
)

const (
	importBatch = 1000
	writers     = 8
)

var token = "ns_ZGVmYXVsdA_" + strings.Repeat("0", 64)

func credentials() server.Credentials { return server.Credentials{Token: token} }

func play(role string) error {
	argument := os.Getenv(argumentVariable)
	switch role {
	case roleVictim:
		path, size, _ := strings.Cut(argument, " ")
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		return suffer(context.Background(), path, n)
	case roleServer:
		connections, err := strconv.Atoi(argument)
		if err != nil {
			return err
		}
		return serve(connections)
	case roleListens:
		return listen(argument)
	}
	return fmt.Errorf("unknown role %q", role)
}

// child is a process of this program.
type child struct {
	*exec.Cmd
	in    io.WriteCloser
	lines *bufio.Reader
}

func startChild(role, argument string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{Cmd: exec.Command(self)}
	c.Env = append(os.Environ(), roleVariable+"="+role, argumentVariable+"="+argument)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.in, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	c.lines = bufio.NewReader(out)
	return c, c.Start()
}

// line is the next line that a child prints.
func (c *child) line() (string, error) {
	line, err := c.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}

// recoverAfterKill has a process fill a file and write to it, kills it, and returns
// how long it takes until the store answers again.
func recoverAfterKill(ctx context.Context, dir string, size int) (time.Duration, error) {
	dir, err := os.MkdirTemp(dir, "curves")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "events.db")
	if err := killWhileWriting(path, size); err != nil {
		return 0, err
	}
	begin := time.Now()
	core, closeStore, err := openCore(ctx, path, 1)
	if err != nil {
		return 0, err
	}
	a := core.Call(ctx, credentials(), fmt.Appendf(nil, `["category.get","order1",{"position":%d,"batchSize":1}]`, size/2), nil)
	took := time.Since(begin)
	if a.Status != 200 {
		err = fmt.Errorf("it is answered with %d %s", a.Status, a.Body)
	}
	return took, errors.Join(err, closeStore())
}

func killWhileWriting(path string, size int) error {
	c, err := startChild(roleVictim, fmt.Sprintf("%s %d", path, size))
	if err != nil {
		return err
	}
	_, err = c.line() // it has written
	err = errors.Join(err, c.Process.Kill())
	_ = c.Wait() // it was killed
	return err
}

// suffer fills a file with messages, says when writes have been acknowledged since,
// and goes on until it is killed.
func suffer(ctx context.Context, path string, size int) error {
	store, err := sqlite.Open(path, sqlite.Options{Pool: 1})
	if err != nil {
		return err
	}
	if _, _, err := server.NewCore(ctx, store, server.Options{Codec: server.CodecRaw, Token: token}); err != nil {
		return err
	}
	for n := 0; n < size; n += importBatch {
		if err := store.Import(ctx, server.DefaultNamespace, records(n, min(n+importBatch, size))); err != nil {
			return err
		}
	}
	var group sync.WaitGroup
	var failed [writers]error
	for w := range writers {
		group.Go(func() { failed[w] = writeOn(ctx, store, w) })
	}
	group.Wait()
	return errors.Join(failed[:]...)
}

func writeOn(ctx context.Context, store *sqlite.Store, writer int) error {
	for n := 1; ; n++ {
		m := newMessage(writer)
		m.ID, m.Time = uuid.New(), time.Now()
		if _, err := store.Write(ctx, server.DefaultNamespace, m, nil); err != nil {
			return err
		}
		if n == 100 && writer == 0 {
			fmt.Println("written")
		}
	}
}

// records are the messages from one number to another, at their places.
func records(from, to int) (all []server.Record) {
	for n := from; n < to; n++ {
		r := server.Record{NewMessage: newMessage(n)}
		r.ID, _ = uuid.NewV7() // it cannot fail
		r.Time = time.Unix(1.8e9, int64(n))
		r.Position = server.Position{Position: int64(n / streams), GlobalPosition: int64(n + 1)}
		all = append(all, r)
	}
	return all
}

// serve serves a store in memory on a free port, which it prints, until its input
// ends.
func serve(connections int) error {
	ctx, cancel := context.WithCancel(context.Background())
	core, closeStore, err := openCore(ctx, sqlite.Memory, 0)
	if err != nil {
		cancel()
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return errors.Join(err, closeStore())
	}
	fmt.Println(listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err = transport.Serve(ctx, transport.FastHTTP, core, listener, transport.Limits{Connections: connections})
	return errors.Join(err, closeStore())
}

// ownCPU is the CPU time of this process so far.
func ownCPU() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) // a process can always read its own clock
	return time.Duration(ts.Nano())
}
