package remote

import (
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestServer holds that an agent leads a recorder to loopback only, unless it may go
// elsewhere.
func TestServer(t *testing.T) {
	for _, tt := range []struct {
		url, pages string
		loopback   bool
	}{
		{"http://127.0.0.1:8080", "", true},
		{"http://127.0.0.1:8080", "http://127.0.0.1:6060/debug/pprof", true},
		{"http://10.0.0.2:8080", "", false},
		{"http://127.0.0.1:8080", "http://10.0.0.2:6060/debug/pprof", false},
	} {
		r := running{URL: tt.url, Pages: tt.pages}
		if _, _, err := r.server(false); (err == nil) != tt.loopback {
			t.Errorf("%+v: %v", tt, err)
		}
		if _, _, err := r.server(true); err != nil {
			t.Errorf("%+v, elsewhere: %v", tt, err)
		}
	}
	for _, bad := range []running{{URL: ""}, {URL: "unix://127.0.0.1:8080"}, {URL: "http://127.0.0.1:8080", Pages: "http://"}} {
		if _, _, err := bad.server(true); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestDistrust: what no host answers is refused, and what is true is not.
func TestDistrust(t *testing.T) {
	hour, less, many := time.Hour, -time.Hour, -1.0
	machine := func(change func(*runfolder.Machine)) reply {
		m := &runfolder.Machine{Window: time.Second, CPUs: 2, Busy: new(time.Second), Idle: new(-time.Millisecond)}
		change(m)
		return reply{Machine: m}
	}
	for _, tt := range []struct {
		do   string
		r    reply
		want string // empty if it is accepted
	}{
		{doCPU, reply{CPU: 1}, ""},
		{doCPU, reply{CPU: -1}, "negative"},
		{doRSS, reply{RSS: -1}, "negative"},
		{doCounters, reply{Counters: runfolder.ProcessCounters{ReadBytes: -1}}, "negative"},
		{doInfo, reply{}, "does not say what it would start"},
		{doStart, reply{}, "does not say what it started"},
		{doStart, reply{Unsent: true}, ""},
		{doStart, reply{Started: &running{Missing: map[runfolder.Source]string{"luck": "none"}}}, "lacks figures"},
		{doStart, reply{Started: &running{Missing: map[runfolder.Source]string{runfolder.SourceRSS: ""}}}, "lacks figures"},
		{doDeath, reply{}, "does not say why"},
		{doMachine, reply{}, "what its machine is"},
		{doMachine, reply{Host: &runfolder.Host{}}, "what its machine is"},
		{doMachine, reply{Host: &runfolder.Host{Affinity: 1}}, ""},
		{doMachine, reply{Host: &runfolder.Host{Affinity: 1}, Missing: map[runfolder.Source]string{"x": "y"}}, "lacks figures"},
		{doClose, reply{}, "what its machine did"},
		{doClose, machine(func(*runfolder.Machine) {}), ""},
		{doClose, machine(func(m *runfolder.Machine) { m.Window = 0 }), "what its machine did"},
		{doClose, machine(func(m *runfolder.Machine) { m.Busy = &hour }), "did something for 1h0m0s in 1s"},
		{doClose, machine(func(m *runfolder.Machine) { m.Ours = &less }), "did something for -1h0m0s"},
		{doClose, machine(func(m *runfolder.Machine) { m.Runnable = &many }), "had -1 tasks"},
	} {
		err := tt.r.check(request{Do: tt.do})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %+v: %v, want %q", tt.do, tt.r, err, tt.want)
		}
	}
}
