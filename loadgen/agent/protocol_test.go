package agent

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/eventobench/eventobench/loadgen"
)

func TestBuckets(t *testing.T) {
	h := loadgen.NewHistogram()
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10000 {
		if err := h.RecordValue(int64(rng.ExpFloat64() * 1e6)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.RecordValues(0, 3); err != nil {
		t.Fatal(err)
	}
	if err := h.RecordValues(h.HighestTrackableValue(), 2); err != nil {
		t.Fatal(err)
	}
	reply, err := decode[jobReply](encode(jobReply{Buckets: bucketsOf(h)}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := histogram(reply.Buckets)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Export(), h.Export()) {
		t.Error("the buckets differ")
	}
}

func TestBadMessages(t *testing.T) {
	load := loadgen.Load{Workers: 2, Timeout: time.Second}
	for want, m := range map[string]message{
		"no session":     control{Do: doOpen},
		`called "dance"`: control{Do: "dance", Session: "a.1"},
		"0 jobs":         job{Session: "a.1"},
		"2 jobs":         job{Session: "a.1", Warmup: &warmup{}, Close: &closeJob{}},
		"part 1 of 1":    job{Session: "a.1", Prepare: &prepare{Load: load, Index: 1, Of: 1}},
		"of 9223372036854775807 workers": job{Session: "a.1", Prepare: &prepare{
			Load: loadgen.Load{Workers: 1<<63 - 1, Timeout: time.Second}, Index: 1, Of: 3,
		}},
		"part 0 of 3":      job{Session: "a.1", Prepare: &prepare{Load: load, Of: 3}},
		"a slice of":       job{Session: "a.1", Slice: &slice{Length: 2 * loadgen.MaxSlice}},
		"a slice of -1 r":  job{Session: "a.1", Slice: &slice{Rate: -1}},
		"a piece of":       job{Session: "a.1", Workload: &Piece{Data: make([]byte, MaxPiece+1)}},
		"is negative":      jobReply{Result: &result{Missed: -1}},
		"kinds of request": jobReply{Result: &result{Kinds: make([]loadgen.KindResult, maxKinds+1)}},
	} {
		var err error
		switch data := encode(m); m.(type) {
		case control:
			_, err = decode[control](data)
		case job:
			_, err = decode[job](data)
		case jobReply:
			_, err = decode[jobReply](data)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", m, err, want)
		}
	}
}

// FuzzMessages: whatever arrives is refused, or is a message that can be sent again.
func FuzzMessages(f *testing.F) {
	for _, m := range []message{
		control{Do: doLease, Session: "a.1"}, controlReply{Now: -5, Error: "no"},
		job{Session: "a.1", Workload: &Piece{Hash: "ab", Data: []byte("{}"), Last: true}},
		job{Session: "a.1", Prepare: &prepare{URL: "http://127.0.0.1", Load: loadgen.Load{Workers: 2, Timeout: 1}, Of: 2}},
		job{Session: "a.1", Slice: &slice{Driver: 1, Start: 5, Length: 7, Rate: 9}},
		jobReply{Result: &result{Kinds: []loadgen.KindResult{{Ops: 1, Statuses: map[int]int64{200: 1}}}}},
		jobReply{Buckets: []buckets{{5, 1}}},
	} {
		f.Add(encode(m))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		again[control](t, data)
		again[controlReply](t, data)
		again[job](t, data)
		if reply, ok := again[jobReply](t, data); ok {
			if h, err := histogram(reply.Buckets); err == nil && len(bucketsOf(h)) > len(reply.Buckets) {
				t.Error("a histogram has more buckets than it was made of")
			}
		}
		if i, err := infoOf(data); err == nil && (i.Cores < 1 || i.Name == "") {
			t.Errorf("an agent of no name or core: %+v", i)
		}
	})
}

func again[M message](t *testing.T, data []byte) (m M, ok bool) {
	t.Helper()
	m, err := decode[M](data)
	if err != nil {
		return m, false
	}
	if _, err := decode[M](encode(m)); err != nil {
		t.Errorf("%+v cannot be read again: %v", m, err)
	}
	return m, true
}

func TestInfo(t *testing.T) {
	good := micro.Info{
		ServiceIdentity: micro.ServiceIdentity{ID: "x", Version: protocolVersion, Metadata: map[string]string{
			"name": "a", "version": "v1", "cores": "4", "machine": "m",
		}},
	}
	other, nameless := good, good
	other.Version = "2.0.0"
	nameless.Metadata = map[string]string{"cores": "1"}
	for want, info := range map[string]micro.Info{"": good, "speaks version 2.0.0": other, "what it is": nameless} {
		data, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		i, err := infoOf(data)
		if want == "" && (err != nil || i != Info{Name: "a", Version: "v1", Cores: 4, Machine: "m", id: "x"}) {
			t.Errorf("%+v, %v", i, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestParseAllow(t *testing.T) {
	a, err := ParseAllow([]string{"127.0.0.0/8", "::1", "10.1.2.3:80", "shop.example:443"})
	if err != nil {
		t.Fatal(err)
	}
	for address, allowed := range map[string]bool{
		"127.1.2.3:99": true, "[::ffff:127.0.0.1]:99": true, "[::1]:1": true, "10.1.2.3:80": true,
		"10.1.2.3:81": false, "10.1.2.4:80": false, "[::2]:1": false, "shop.example:443": false, "nonsense": false,
	} {
		if err := a.address(address); (err == nil) != allowed {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, bad := range []string{"", "shop.example", ":80", "10.0.0.0/99", "shop.example:"} {
		if _, err := ParseAllow([]string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// TestOffset: the reading with the shortest way tells the clock, and is wrong by no
// more than it says.
func TestOffset(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	const ahead = -5 * time.Second
	var readings []reading
	now := time.Hour
	for range 20 {
		there, back := time.Duration(rng.Int64N(1e6)), time.Duration(rng.Int64N(1e6))
		readings = append(readings, reading{asked: now, shown: now + there + ahead, answered: now + there + back})
		now += time.Second
	}
	o := offsetOf(readings)
	if wrong := (o.ahead - ahead).Abs(); wrong > o.wrong || o.wrong > time.Millisecond || o.trip > 2*o.wrong+1 {
		t.Errorf("wrong by %v: %+v", wrong, o)
	}
	drifted := o.until(offset{ahead: o.ahead + time.Millisecond, wrong: o.wrong / 2, trip: o.trip / 2})
	if drifted.wrong != o.wrong+time.Millisecond || drifted.trip != o.trip/2 || drifted.ahead != o.ahead {
		t.Errorf("%+v", drifted)
	}
}
