package agent

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/loadgen"
)

// proxy carries bytes between an agent and NATS until it is cut: then neither hears
// anything any more, and no connection is closed.
type proxy struct {
	listener net.Listener
	cut      chan struct{}
	conns    sync.WaitGroup
}

func newProxy(t *testing.T, s *Server) (p *proxy, through *Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = &proxy{listener: l, cut: make(chan struct{})}
	to := strings.TrimPrefix(s.URL, "nats://")
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", to)
			if err != nil {
				_ = a.Close()
				continue
			}
			t.Cleanup(func() { _, _ = a.Close(), b.Close() })
			p.conns.Go(func() { p.copy(a, b) })
			p.conns.Go(func() { p.copy(b, a) })
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		p.conns.Wait()
	})
	login := s.Login
	login.URL = "nats://" + l.Addr().String()
	return p, &Server{Login: login}
}

func (p *proxy) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-p.cut:
			return
		default:
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestCutOff: of a slice in which an agent was cut off nothing counts, and the next
// generator has those that are left. The agent that was cut off stops.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := bus(t)
	p, through := newProxy(t, s)
	server, _ := counted(t)
	startAgent(t, s, options("a"), time.Now())
	far := options("b")
	ended := make(chan string, 10)
	far.Log = func(text string) { ended <- text }
	startAgent(t, through, far, time.Now())
	f := gather(t, s, 2)
	w := home(t)
	g := f.NewGenerator(server, w, loadOf(w, 4, 0), Trust{}, 1)
	defer g.Close()
	if r := g.Warmup(t.Context(), 10); r.Lost != nil {
		t.Fatal(r.Lost)
	}
	time.AfterFunc(100*time.Millisecond, func() { close(p.cut) })
	r := g.Slice(t.Context(), 30*time.Second)
	lost, _ := r.Lost.(*loadgen.LostError)
	if lost == nil || !lost.Again || lost.Reason != "agent b does not answer" {
		t.Fatalf("lost: %v", r.Lost)
	}
	if l := g.TakeLatency(); l.Lost == nil {
		t.Error("latencies count although an agent was lost")
	}
	if text := <-ended + <-ended; !strings.Contains(text, "ends: the recorder is silent") {
		t.Errorf("the agent says %q", text)
	}
	next := f.NewGenerator(server, w, loadOf(w, 4, 0), Trust{}, 1)
	defer next.Close()
	if r := next.Slice(t.Context(), 10*time.Millisecond); r.Lost != nil || r.Ops() == 0 {
		t.Fatalf("%d requests, lost: %v", r.Ops(), r.Lost)
	}
	if l := next.TakeLatency(); len(l.Agents) != 1 || l.Agents[0].Name != "a" || l.Agents[0].Workers != 4 {
		t.Errorf("%+v", l.Agents)
	}
}

// TestNobodyLeft: without agents there is no load, and no attempt at another.
func TestNobodyLeft(t *testing.T) {
	t.Parallel()
	s := bus(t)
	stop := startAgent(t, s, options("a"), time.Now())
	f := gather(t, s, 1)
	server, _ := counted(t)
	w := home(t)
	stop()
	for _, again := range []bool{true, false, false} {
		g := f.NewGenerator(server, w, loadOf(w, 1, 0), Trust{}, 1)
		r := g.Slice(t.Context(), time.Millisecond)
		lost, _ := r.Lost.(*loadgen.LostError)
		if lost == nil || lost.Again != again {
			t.Errorf("lost: %+v, want again %v", lost, again)
		}
		const want = "no agent is left: agent a "
		if text := r.Lost.Error(); !again && (!strings.HasPrefix(text, want) || strings.Contains(text, "<nil>")) {
			t.Errorf("lost: %s", text)
		}
		g.Close()
	}
}

// TestNATSRestarted: an agent comes back to another server at the same address.
func TestNATSRestarted(t *testing.T) {
	t.Parallel()
	address := testaid.FreeAddress(t)
	s, err := StartServer(address, "token", "", "")
	if err != nil {
		t.Fatal(err)
	}
	startAgent(t, s, options("a"), time.Now())
	gather(t, s, 1).Close()
	s.Stop()
	again, err := StartServer(address, "token", "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	f := gather(t, again, 1)
	if got := f.Infos(); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("%+v", got)
	}
}

// TestOneRecorder: an agent serves one recorder at a time, and the next one after it.
func TestOneRecorder(t *testing.T) {
	t.Parallel()
	s := bus(t)
	startAgent(t, s, options("a"), time.Now())
	first := gather(t, s, 1)
	const refusal = "serves another recorder"
	var err error
	for wait := time.Second; wait < 20*time.Second; wait *= 2 { // for the agent to say so, on a busy machine
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err = Gather(ctx, connect(t, s), 1, nil)
		cancel()
		if err == nil || strings.Contains(err.Error(), refusal) {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("a second recorder: %v", err)
	}
	first.Close()
	gather(t, s, 1)
}

// TestWrongToken: whoever does not know the token has no agents.
func TestWrongToken(t *testing.T) {
	s := bus(t)
	l := s.Login
	l.Token = "wrong"
	if nc, err := l.Connect("stranger", false, func(string) {}); err == nil {
		nc.Close()
		t.Error("connected")
	}
}

// TestMaxTime: a recorder is served for no longer than that, whatever it does.
func TestMaxTime(t *testing.T) {
	t.Parallel()
	s := bus(t)
	o := options("a")
	o.MaxTime = 200 * time.Millisecond
	startAgent(t, s, o, time.Now())
	f := gather(t, s, 1)
	server, _ := counted(t)
	w := home(t)
	for range 2 {
		g := f.NewGenerator(server, w, loadOf(w, 1, 0), Trust{}, 1)
		r := g.Slice(t.Context(), 30*time.Second)
		if r.Lost == nil || !strings.Contains(r.Lost.Error(), "(--max-time)") {
			t.Errorf("lost: %v", r.Lost)
		}
		g.Close()
	}
}

// TestEndingSession: a session that still waits for its jobs says already why it ends.
func TestEndingSession(t *testing.T) {
	a := newAgent(options("a"), time.Now())
	if err := a.open("recorder.1"); err != nil {
		t.Fatal(err)
	}
	s := a.current()
	s.mu.Lock() // a job is being done
	ended := make(chan struct{})
	go func() { s.end("that is why"); close(ended) }()
	<-s.ctx.Done()
	if _, err := a.find("recorder.1"); err == nil || !strings.Contains(err.Error(), "that is why") {
		t.Errorf("while it waits: %v", err)
	}
	s.mu.Unlock()
	<-ended
	if _, err := a.find("recorder.1"); err == nil || !strings.Contains(err.Error(), "that is why") {
		t.Errorf("after it: %v", err)
	}
}
