package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// AgentSum is what one agent did in all blocks of a run.
type AgentSum struct {
	loadgen.Agent
	Blocks int // in which it took part
}

// Agents sums up what each agent of a run did, by name.
func Agents(m runfolder.Manifest) []AgentSum {
	sums := map[string]*AgentSum{}
	for _, b := range m.Blocks {
		for _, a := range b.Agents {
			if sums[a.Name] == nil {
				sums[a.Name] = &AgentSum{Agent: loadgen.Agent{
					Name: a.Name, Version: a.Version, Cores: a.Cores, Elsewhere: a.Elsewhere, RoundTrip: a.RoundTrip,
				}}
			}
			sums[a.Name].Blocks++
			sums[a.Name].Add(a)
		}
	}
	var all []AgentSum
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, *sums[name])
	}
	return all
}

// UsualSkew is what 95 of 100 slices of the agent were within; of hundreds, one or two
// always are later.
func (s AgentSum) UsualSkew() time.Duration {
	if len(s.Skews) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s.Skews))
	return sorted[(len(sorted)*95+99)/100-1]
}

// MaxSkew is that of its latest slice.
func (s AgentSum) MaxSkew() time.Duration {
	return slices.Max(append([]time.Duration{0}, s.Skews...))
}

// MeanLatency is that of the agent's answers, 0 if it had none.
func (s AgentSum) MeanLatency() time.Duration {
	return s.Latency / time.Duration(max(s.Ops, 1))
}

// CPUUse is the share of the CPUs it may use that the agent used while it made load.
func (s AgentSum) CPUUse() float64 {
	return s.CPU.Seconds() / max(s.Busy.Seconds()*float64(s.Cores), 1e-9)
}

// agents is about agents that did not make one even load together.
func (w *warner) agents(name string, m runfolder.Manifest) {
	const (
		muchSkew   = time.Millisecond
		muchSlower = 1.5 // than the fastest, where chance makes some percent
		muchCPU    = 0.9
	)
	all := Agents(m)
	if len(all) == 0 {
		return
	}
	fastest := slices.MinFunc(all, func(a, b AgentSum) int { return cmp.Compare(a.MeanLatency(), b.MeanLatency()) })
	for _, a := range all {
		if a.UsualSkew() > muchSkew || a.ClockError > muchSkew {
			w.add(WarnAgentSkew, "agents did not load at the same time, so throughput is that of a longer slice",
				fmt.Sprintf("%s began 95 of 100 slices within %.1f ms of the first for %s, the latest after %.1f ms, "+
					"by clocks that may be wrong by %.1f ms",
					a.Name, millis(a.UsualSkew()), name, millis(a.MaxSkew()), millis(a.ClockError)),
				"Record with a longer --slice, or on machines with less to do")
		}
		if a.MeanLatency().Seconds() > muchSlower*fastest.MeanLatency().Seconds() {
			w.add(WarnAgentSlow,
				"one agent waited longer for answers than another, so latencies mix different paths to the server",
				fmt.Sprintf("%s %.2f ms on average and %s %.2f ms, of %s", a.Name, millis(a.MeanLatency()),
					fastest.Name, millis(fastest.MeanLatency()), name),
				"Check whether its machine or its network is slower")
		}
		if a.CPUUse() > muchCPU {
			w.add(WarnAgentBusy,
				"an agent had no CPU to spare, so latencies include its own delays, and it limits the throughput",
				fmt.Sprintf("%s used %.0f%% of its %d CPUs for %s", a.Name, a.CPUUse()*100, a.Cores, name),
				"Record with more --agents")
		}
	}
	for _, r := range m.Repeated {
		w.add(WarnAgentLost, "blocks were discarded and recorded again, because an agent was lost or held up",
			fmt.Sprintf("block %d: %s", r.Block+1, r.Reason), "")
	}
}

// otherAgents is about runs of which other agents, or none, made the load.
func (w *warner) otherAgents(base, head Variant) {
	b, h := agentNames(base.Manifest), agentNames(head.Manifest)
	if b != h {
		w.add(WarnAgents, "the load came from different places, which is part of every difference in time",
			fmt.Sprintf("of %s by %s, of %s by %s", base.Name, b, head.Name, h), "Record both with the same agents")
	}
}

// agentNames tells who made the load of a run.
func agentNames(m runfolder.Manifest) string {
	var names []string
	for _, a := range Agents(m) {
		names = append(names, a.Name)
	}
	if len(names) == 0 {
		return "the recorder"
	}
	return strings.Join(names, " and ")
}

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }
