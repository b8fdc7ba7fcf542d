package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/eventobench/eventobench/loadgen"
)

// liar is an agent that answers control requests as it should, unless it is told
// otherwise, and jobs as a test says.
type liar struct {
	control func(*controlReply) // changes the answer to a lease; may be nil
	job     func(j job, now int64) jobReply
}

func (l liar) serve(t *testing.T, s *Server) {
	t.Helper()
	nc, a := connect(t, s), newAgent(options("liar"), time.Now())
	service, err := micro.AddService(nc, micro.Config{
		Name: serviceName, Version: protocolVersion, Metadata: a.metadata(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Stop() })
	for name, answer := range map[string]func([]byte) []byte{
		controlEndpoint: func(data []byte) []byte {
			reply := controlReply{Now: a.now()}
			if c, err := decode[control](data); err == nil && c.Do == doLease && l.control != nil {
				l.control(&reply)
			}
			return encode(reply)
		},
		jobEndpoint: func(data []byte) []byte {
			j, err := decode[job](data)
			if err != nil {
				return encode(jobReply{Error: err.Error()})
			}
			return encode(l.job(j, a.now()))
		},
	} {
		handler := micro.HandlerFunc(func(r micro.Request) { _ = r.Respond(answer(r.Data())) })
		err := service.AddEndpoint(name, handler, micro.WithEndpointSubject(subjectOf(service.Info().ID, name)))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// oneRequest is a true result of a load of two kinds: an answer of the first.
func oneRequest(now int64) *result {
	return &result{
		Start: now, Duration: 1, CPU: 1,
		Kinds: []loadgen.KindResult{{Ops: 1, Latency: 1, Statuses: map[int]int64{200: 1}}, {}},
	}
}

// TestDistrust: nothing is believed of an agent that no load can have come to, and the
// reason says which agent and what.
func TestDistrust(t *testing.T) {
	var change func(*result)
	var latencies []buckets
	s := bus(t)
	liar{job: func(j job, now int64) (reply jobReply) {
		switch {
		case j.Warmup != nil:
			reply.Result = oneRequest(now)
			change(reply.Result)
		case j.Latency != nil && j.Latency.Kind == 0:
			reply.Buckets = latencies
		}
		return reply
	}}.serve(t, s)
	f := gather(t, s, 1)
	server, _ := counted(t)
	w := home(t)
	truth := []buckets{{1, 1}}
	for _, tt := range []struct {
		want      string // empty if it is the truth
		change    func(*result)
		latencies []buckets
	}{
		{"", func(*result) {}, truth},
		{"a count is negative", func(r *result) { r.CPU = -1 }, truth},
		{"a count is negative", func(r *result) { r.Setup.Kinds = map[string]int64{"timeout": -1} }, truth},
		{"a count is 9223372036854775807", func(r *result) { r.Kinds[0].Bytes = 1<<63 - 1 }, truth},
		{"nothing, or of other kinds", func(r *result) { r.Kinds = r.Kinds[:1] }, truth},
		{"it made 2 requests of 1", func(r *result) { r.Missed = 1 }, truth},
		{"and took 0s", func(r *result) { r.Duration = 0 }, truth},
		{"it began at", func(r *result) { r.Start = -1 << 63 }, truth},
		{"it made load from", func(r *result) { r.Start -= int64(time.Hour) }, truth},
		{"it made load from", func(r *result) { r.Duration = time.Hour }, truth},
		{"answers have status -7", func(r *result) { r.Kinds[0].Statuses = map[int]int64{-7: 1} }, truth},
		{"0 answers to 1 requests of kind 0", func(r *result) { r.Kinds[0].Statuses = nil }, truth},
		{"0 requests failed and 1 errors", func(r *result) { r.Errors.Kinds = map[string]int64{"timeout": 1} }, truth},
		{"of 1 requests 2 were late", func(r *result) { r.Late = 2 }, truth},
		{"2 latencies of 1 answers of kind 0", func(*result) {}, []buckets{{1, 2}}},
		{"a histogram counts -1 at 1", func(*result) {}, []buckets{{1, 2}, {1, -1}}},
		{"counts 1 at -1", func(*result) {}, []buckets{{-1, 1}}},
	} {
		t.Run(tt.want, func(t *testing.T) {
			change, latencies = tt.change, tt.latencies
			g := f.NewGenerator(server, w, loadOf(w, 1, 0), Trust{}, 1)
			defer g.Close()
			r := g.Warmup(t.Context(), 1)
			lost := r.Lost
			if lost == nil {
				lost = g.TakeLatency().Lost
			}
			if tt.want == "" {
				if lost != nil || r.Ops() != 1 {
					t.Errorf("the truth is not believed: %v, %d requests", lost, r.Ops())
				}
				return
			}
			if why, ok := lost.(*loadgen.LostError); !ok || why.Again || !strings.Contains(why.Reason, tt.want) ||
				!strings.Contains(why.Reason, "agent liar") {
				t.Errorf("lost: %v, want %q", lost, tt.want)
			}
		})
	}
}

// TestAliveAndIdle: an agent that says that it is there and does not do what it was asked
// for is lost.
func TestAliveAndIdle(t *testing.T) {
	s := bus(t)
	idle := make(chan struct{})
	defer close(idle)
	liar{job: func(job, int64) jobReply { <-idle; return jobReply{} }}.serve(t, s)
	j := gather(t, s, 1).session
	_, err := j.members[0].do(t.Context(), job{Close: &closeJob{}}, 50*time.Millisecond)
	lost, _ := err.(*loadgen.LostError)
	if lost == nil || !lost.Again || lost.Reason != "agent liar does not do what it was asked for within 50ms" {
		t.Errorf("lost: %v", err)
	}
	if j.ctx.Err() == nil {
		t.Error("the session goes on")
	}
}

// TestOddControl: what an agent says of subjects that there are not takes no memory, and a
// clock that nothing can be counted with ends the session.
func TestOddControl(t *testing.T) {
	for _, tt := range []struct {
		name    string
		control func(*controlReply)
		want    string
	}{
		{"subjects", func(r *controlReply) { r.Ended = []int{-1, 0, 1, 7, 1 << 40} }, ""},
		{"clock", func(r *controlReply) { r.Now = 1<<63 - 1 }, "a clock at"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := bus(t)
			liar{control: tt.control}.serve(t, s)
			f := gather(t, s, 1)
			j := f.session
			f.nextDriver()
			_, err := j.members[0].control(t.Context(), doLease, silence)
			if tt.want == "" {
				<-j.endOf(1)
				j.mu.Lock()
				defer j.mu.Unlock()
				if err != nil || len(j.ended) != 1 {
					t.Errorf("%v, %d subjects have ended", err, len(j.ended))
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestOddInfo: what an agent says of itself goes into files, terminals and addresses.
func TestOddInfo(t *testing.T) {
	info := func(id, name, cores string) []byte {
		data, err := json.Marshal(micro.Info{ServiceIdentity: micro.ServiceIdentity{
			ID: id, Version: protocolVersion, Metadata: map[string]string{"name": name, "cores": cores},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if i, err := infoOf(info("ID", "a b", "2")); err != nil || i.Name != "a b" || i.Cores != 2 {
		t.Errorf("%+v, %v", i, err)
	}
	for _, bad := range [][]byte{
		info("ID", "", "2"), info("", "a", "2"), info("ID", "a", "0"), info("ID", "a", "1000000000"), info("ID", "a", "x"),
		info("*", "a", "2"), info("a.b", "a", "2"), info(">", "a", "2"), info("a b", "a", "2"), info("ID\r\n", "a", "2"),
		info("ID", "a\x1b[2J", "2"), info("ID", "a\nb", "2"), info("ID", strings.Repeat("a", 101), "2"),
	} {
		if i, err := infoOf(bad); err == nil {
			t.Errorf("%+v is accepted", i)
		}
	}
}

// TestDiscoverWaits: a recorder whose connection is closed does not ask all the time.
func TestDiscoverWaits(t *testing.T) {
	nc := connect(t, bus(t))
	nc.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan error)
	go func() {
		_, err := discover(ctx, nc)
		asked <- err
	}()
	select {
	case err := <-asked:
		t.Errorf("it has given up at once: %v", err)
	case <-time.After(50 * time.Millisecond): // it is at it for six times as long
		cancel()
		if err := <-asked; err == nil {
			t.Error("there was a connection")
		}
	}
}

// openSession is a session of an agent.
func openSession(t *testing.T, o Options) *session {
	t.Helper()
	a := newAgent(o, time.Now())
	if err := a.open("recorder.1"); err != nil {
		t.Fatal(err)
	}
	s := a.current()
	t.Cleanup(func() { s.end("the test is over") })
	return s
}

// give sends a session a workload in plain JSON.
func give(s *session, text string) (hash string, err error) {
	hash = HashOf([]byte(text))
	for p := range Pieces(hash, []byte(text)) {
		if _, err := s.do(job{Session: s.id, Workload: &p}); err != nil {
			return hash, err
		}
	}
	return hash, nil
}

// plainWorkload is one of so many kinds of requests, with times if there are some.
func plainWorkload(kinds int, due string) string {
	names := make([]string, kinds)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprint("kind", i))
	}
	requests := `{"name":"w","kinds":[` + strings.Join(names, ",") + `],"requests":[{"kind":0,"method":"GET","target":"/"}]}`
	if due != "" {
		return `{"replay":{"name":"r",` + due + `,"requests":` + requests + `}}`
	}
	return `{"requests":` + requests + `}`
}

// TestRefusedWorkload: nothing is kept of a workload that is refused, and of all of a
// session no more than some bytes.
func TestRefusedWorkload(t *testing.T) {
	s := openSession(t, options("a"))
	for text, want := range map[string]string{
		plainWorkload(maxKinds+1, ""): "a workload of 2001 kinds of requests, more than 2000",
		`{"requests":{}}`:             "no requests in it",
		`{}`:                          "of 0 kinds",
	} {
		hash, err := give(s, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, kept := s.workloads[hash]; kept || s.held != 0 {
			t.Errorf("a workload is kept that was refused: %v; %d bytes", err, s.held)
		}
	}
	text := plainWorkload(1, "")
	for range 3 { // of the same one
		if _, err := give(s, text); err != nil || len(s.workloads) != 1 || s.held != len(text) {
			t.Fatalf("%v, %d workloads of %d bytes", err, len(s.workloads), s.held)
		}
	}
	s.held = maxWorkloads - len(text)
	if _, err := give(s, plainWorkload(2, "")); err == nil || !strings.Contains(err.Error(), "256 MiB in one session") {
		t.Errorf("more than can be held: %v", err)
	}
	if _, err := give(s, text); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

// TestMisbehavingRecorder: memory and rates are bounded whatever a recorder asks for.
func TestMisbehavingRecorder(t *testing.T) {
	server, _ := counted(t)
	o := options("a")
	o.MaxConnections = 100_000
	for _, tt := range []struct {
		name   string
		kinds  int
		due    string
		rate   float64
		length time.Duration // of a slice
		want   string
	}{
		{"true", 2, "", 1e6, time.Millisecond, ""},
		{"true recording", 1, `"due_ns":[0],"length_ns":10000000`, 100, time.Millisecond, ""},
		{"a long slice", 1, "", 1e6, time.Minute, "slices of up to 20000000 requests, not 60000000"},
		{"a recording that is faster", 1, `"due_ns":[0],"length_ns":1`, 1, 0, "is not that of the recording"},
		{"no recording", 1, "", 1, 0, "is not that of the recording"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openSession(t, o)
			hash, err := give(s, plainWorkload(tt.kinds, tt.due))
			if err != nil {
				t.Fatal(err)
			}
			load := loadgen.Load{Workers: 1, Timeout: time.Second, Rate: tt.rate, Arrivals: loadgen.Constant}
			if tt.due != "" || tt.name == "no recording" {
				load.Arrivals = loadgen.Replay
			}
			p := prepare{Driver: 1, URL: server.String(), Workload: hash, Load: load, Of: 1}
			_, err = s.do(job{Session: s.id, Prepare: &p})
			if err == nil {
				_, err = s.do(job{Session: s.id, Slice: &slice{Driver: 1, Length: tt.length}})
			}
			if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err != nil {
				return
			}
			s.drivers[1].counted = maxHistograms() // as if it were of more kinds of requests
			p.Driver = 2
			if _, err := s.do(job{Session: s.id, Prepare: &p}); err == nil || !strings.Contains(err.Error(), "histograms") {
				t.Errorf("a second driver: %v", err)
			}
		})
	}
}
