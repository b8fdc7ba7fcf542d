package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/host"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// quietMachine is one of which doctor has nothing to say.
func quietMachine() host.Survey {
	return host.Survey{
		Host:    runfolder.Host{Cores: 8, Affinity: 8, Governor: "performance"},
		Missing: map[runfolder.Source]string{}, Clocksource: "tsc", Frequency: 3000,
		Now: &runfolder.Machine{Window: time.Second, CPUs: 8, Busy: new(50 * time.Millisecond),
			Ours: new(time.Duration(0)), Steal: new(time.Duration(0))},
	}
}

func TestDiagnose(t *testing.T) {
	tests := []struct {
		name      string
		machine   func(*host.Survey)
		finding   string // that is not ok
		condition string
		says      string
	}{
		{"no counters", func(s *host.Survey) { s.PerfEvents = "no such thing" }, "hardware counters",
			"unavailable", "no such thing"},
		{"no clock", func(s *host.Survey) { s.ProcessClock = "not here" }, "CPU clock of processes",
			"unavailable", "not here"},
		{"no files", func(s *host.Survey) { s.ProcessFiles = "hidden" }, "files of processes", "unavailable", "hidden"},
		{"few CPUs", func(s *host.Survey) { s.Host.Affinity = 2 }, "CPUs", "note", "2 of 8 may be used"},
		{"a quota", func(s *host.Survey) { s.Quota = new(1.5) }, "CPU quota", "note", "1.50 CPUs"},
		{"an unreadable quota", func(s *host.Survey) { s.QuotaError = "no group" }, "CPU quota", "unavailable",
			"no group"},
		{"a governor", func(s *host.Survey) { s.Host.Governor = "powersave" }, "CPU frequency", "note",
			"governor powersave, 3,000 MHz now"},
		{"no governor", func(s *host.Survey) { s.Host.Governor = host.Unknown }, "CPU frequency",
			"unavailable", "no governor"},
		{"a guest", func(s *host.Survey) { s.Virtual, s.Hypervisor = true, "QEMU" }, "virtual machine", "note",
			"yes, QEMU; the hypervisor withheld 0.0%"},
		{"a slow clock", func(s *host.Survey) { s.Clocksource = "hpet" }, "clocksource", "note", "hpet"},
		{"no clocksource", func(s *host.Survey) {
			s.Clocksource, s.Missing[runfolder.SourceClocksource] = "",
				"nowhere"
		}, "clocksource", "unavailable", "nowhere"},
		{"load", func(s *host.Survey) { s.Now.Busy = new(4 * time.Second) }, "other load", "note", "50.0% of the CPUs"},
		{"unknown load", func(s *host.Survey) {
			s.Now.Busy, s.Missing[runfolder.SourceMachineCPU] = nil,
				"no stat"
		}, "other load", "unavailable", "no stat"},
		{"no heat", func(s *host.Survey) { s.Missing[runfolder.SourceThermal] = "cold" }, "throttling by heat",
			"unavailable", "cold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := quietMachine()
			tt.machine(&s)
			for _, f := range diagnose(t.Context(), s) {
				want := conditionOK
				if f.Name == tt.finding {
					want = tt.condition
					if !strings.Contains(f.Found, tt.says) {
						t.Errorf("found %q, want %q", f.Found, tt.says)
					}
				}
				if f.Condition != want || want == conditionNote && f.Do == "" || want == conditionOK && f.Do != "" {
					t.Errorf("%+v, want %s", f, want)
				}
			}
		})
	}
}

func TestNoiseFinding(t *testing.T) {
	quiet := noise{Blocks: 12, Seconds: 10, Resolution: map[compare.MetricID]float64{
		compare.OpsPerSec: 2.04, compare.CPUPerOp: 1,
	}}
	f := quiet.finding()
	if want := "differences in throughput below about 2.0% and in CPU below about 1.0% will not show in a " +
		"minute"; f.Condition != conditionOK || !strings.HasPrefix(f.Found, want) {
		t.Errorf("%+v, want %q", f, want)
	}
	loud := noise{Blocks: 12, Seconds: 10, Resolution: map[compare.MetricID]float64{compare.OpsPerSec: 12,
		compare.CPUPerOp: 1}}
	if f := loud.finding(); f.Condition != conditionNote || f.Do == "" {
		t.Errorf("%+v", f)
	}
	short := noise{Blocks: 2, Seconds: 1}
	if f := short.finding(); f.Condition != conditionNote || !strings.Contains(f.Found, "do not tell") {
		t.Errorf("%+v", f)
	}
}

func TestDoctorText(t *testing.T) {
	var b bytes.Buffer
	d := diagnosis{Findings: []finding{{"CPUs", conditionOK, "8 of 8", ""}, {"clocksource", conditionNote,
		"hpet", "look"}}}
	if err := d.print(&b); err != nil {
		t.Fatal(err)
	}
	want := "ok           CPUs         8 of 8\nnote         clocksource  hpet\n                          look\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
