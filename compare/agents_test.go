package compare

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// TestAgentWarnings: what is wrong with one of two agents is said, and nothing of two
// that are alike.
func TestAgentWarnings(t *testing.T) {
	even := loadgen.Agent{
		Name: "a", Cores: 2, Workers: 5, Ops: 1000, Busy: time.Second, Latency: time.Second, CPU: time.Second,
		Skews: skews(20, 100*time.Microsecond), ClockError: 50 * time.Microsecond,
	}
	tests := []struct {
		name   string
		change func(b *loadgen.Agent, m *runfolder.Manifest)
		want   []WarningCode
		figure string
	}{
		{"alike", func(*loadgen.Agent, *runfolder.Manifest) {}, nil, ""},
		{"skew", func(b *loadgen.Agent, _ *runfolder.Manifest) {
			b.Skews = append(skews(18, 0), 2*time.Millisecond, 5*time.Millisecond)
		}, []WarningCode{WarnAgentSkew}, "b began 95 of 100 slices within 2.0 ms of the first for base, the latest after 5.0 ms"},
		{"one late slice of twenty", func(b *loadgen.Agent, _ *runfolder.Manifest) {
			b.Skews = append(skews(19, 0), 9*time.Millisecond)
		}, nil, ""},
		{"clock", func(b *loadgen.Agent, _ *runfolder.Manifest) { b.ClockError = 3 * time.Millisecond },
			[]WarningCode{WarnAgentSkew}, "clocks that may be wrong by 3.0 ms"},
		{"slower", func(b *loadgen.Agent, _ *runfolder.Manifest) { b.Latency *= 2 },
			[]WarningCode{WarnAgentSlow}, "b 2.00 ms on average and a 1.00 ms, of base"},
		{"busy", func(b *loadgen.Agent, _ *runfolder.Manifest) { b.CPU = 1900 * time.Millisecond },
			[]WarningCode{WarnAgentBusy}, "b used 95% of its 2 CPUs for base"},
		{"lost", func(_ *loadgen.Agent, m *runfolder.Manifest) {
			m.Repeated = []runfolder.Repeated{{Block: 3, Reason: "agent c is gone"}}
		}, []WarningCode{WarnAgentLost}, "block 4: agent c is gone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, head := synthesize(t, "base", "1", 12, slow, 1), synthesize(t, "head", "1", 12, slow, 1)
			for _, r := range []*runfolder.Run{base, head} {
				other := even
				other.Name = "b"
				tt.change(&other, &r.Manifest)
				for i := range r.Manifest.Blocks {
					r.Manifest.Blocks[i].Agents = []loadgen.Agent{even, other}
				}
			}
			costs := map[string]cost{"f": {value: slow.bytes}}
			r := mustReport(t, []Variant{variant(base, costs), variant(head, costs)}, defaults())
			if diff := cmp.Diff(tt.want, warningCodes(r)); diff != "" {
				t.Fatalf("%s: %v", diff, r.Warnings)
			}
			if tt.figure != "" && !strings.Contains(r.Warnings[0].Message, tt.figure) {
				t.Errorf("%q does not say %q", r.Warnings[0].Message, tt.figure)
			}
		})
	}
}

func skews(n int, skew time.Duration) []time.Duration {
	return slices.Repeat([]time.Duration{skew}, n)
}

// TestAgentsElsewhere: CPU time of other machines is not this one's, and a load that
// others made is another load.
func TestAgentsElsewhere(t *testing.T) {
	base, head := synthesize(t, "base", "1", 12, slow, 1), synthesize(t, "head", "2", 12, slow, 1)
	var all time.Duration
	for _, s := range head.Slices {
		all += s.GeneratorCPU
	}
	before := cpuShare(head, MachineUse{}).Generator
	head.Manifest.Blocks[0].Agents = []loadgen.Agent{{Name: "a", Cores: 1, Elsewhere: true, CPU: all}}
	if got := cpuShare(head, MachineUse{}).Generator; before <= 0 || got > 1e-6 {
		t.Errorf("the generator's share is %v, and was %v", got, before)
	}
	away := synthesize(t, "away", "3", 12, slow, 1)
	away.Manifest.SubjectAgent = &runfolder.SubjectAgent{Name: "box", Elsewhere: true}
	if got := cpuShare(away, MachineUse{}).Generator; got > 1e-6 {
		t.Errorf("the recorder's share of another machine is %v", got)
	}
	costs := map[string]cost{"f": {value: slow.bytes}}
	r := mustReport(t, []Variant{variant(base, costs), variant(head, costs)}, defaults())
	found := false
	for _, w := range r.Warnings {
		found = found || w.Code == WarnAgents && strings.Contains(w.Message, "of base by the recorder, of head by a.")
	}
	if !found {
		t.Errorf("%v", r.Warnings)
	}
}
