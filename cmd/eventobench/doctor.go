package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/compare/render"
	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles"
	"github.com/eventobench/eventobench/profiles/cachegrind"
	"github.com/eventobench/eventobench/profiles/host"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

type doctorOptions struct {
	noise time.Duration
	json  bool
}

func newDoctorCmd() *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "What this machine can measure, what disturbs it, and what to do about it",
		Long: `Doctor looks at what a measurement depends on: CPU clocks and files of processes,
hardware counters, CPUs and quotas, frequency, virtual machine, clocksource, what else
is running. Then it measures the built-in store against itself for a few seconds, where
whatever differs is noise, and says which differences would not show in a minute.

Every line is ok, a note (read it before you trust a narrow difference) or unavailable
(reports will do without it), with what to do about it.

Exit codes: 0 looked, whatever was found; 2 it could not look; 130 interrupted.`,
		Example: `  eventobench doctor
  eventobench doctor --noise=0
  eventobench doctor --noise=1m --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.DurationVar(&o.noise, "noise", 10*time.Second, "how long to measure the store against itself; 0 leaves it out")
	f.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

// Conditions of what doctor looks at.
const (
	conditionOK          = "ok"
	conditionNote        = "note"
	conditionUnavailable = "unavailable"
)

// finding is what doctor says of one thing.
type finding struct {
	Name      string `json:"name"`
	Condition string `json:"condition"` // ok, note or unavailable
	Found     string `json:"found"`
	Do        string `json:"do,omitempty"` // about it
}

// diagnosis is all that doctor found.
type diagnosis struct {
	Findings []finding   `json:"findings"`
	Survey   host.Survey `json:"survey"`
	Noise    *noise      `json:"noise"` // nil if it was not measured
}

func (o *doctorOptions) run(cmd *cobra.Command) error {
	const watch = time.Second
	if o.noise < 0 {
		return fmt.Errorf("--noise=%v: give the time to measure for, or 0", o.noise)
	}
	survey, err := host.Look(cmd.Context(), host.Root, watch)
	if err != nil {
		return err
	}
	d := diagnosis{Findings: diagnose(cmd.Context(), survey), Survey: survey}
	if o.noise > 0 {
		d.Noise, err = measureNoise(cmd.Context(), o.noise)
		if err != nil {
			return fmt.Errorf("measuring the store against itself: %w", err)
		}
		d.Findings = append(d.Findings, d.Noise.finding())
	}
	if o.json {
		return render.JSON(cmd.OutOrStdout(), d)
	}
	return d.print(cmd.OutOrStdout())
}

// print writes a block of lines for each finding: what to do is often longer than a
// column.
func (d diagnosis) print(w io.Writer) error {
	width := 0
	for _, f := range d.Findings {
		width = max(width, len(f.Name))
	}
	var b strings.Builder
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "%-*s  %-*s  %s\n", len(conditionUnavailable), f.Condition, width, f.Name, f.Found)
		if f.Do != "" {
			fmt.Fprintf(&b, "%*s%s\n", len(conditionUnavailable)+width+4, "", f.Do)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// diagnose says what a survey means.
func diagnose(ctx context.Context, s host.Survey) []finding {
	found := []finding{
		readable("CPU clock of processes", s.ProcessClock, "read in nanoseconds",
			"CPU per operation is unavailable; measure on Linux"),
		readable("files of processes", s.ProcessFiles, "memory, context switches and bytes are read from /proc",
			"these metrics are unavailable; measure on Linux, as the user that starts the servers"),
		readable("hardware counters", s.PerfEvents, "perf_event_open works",
			"instructions are counted by valgrind instead (--instructions); on bare metal, sysctl "+
				"kernel.perf_event_paranoid=2 allows them"),
		valgrind(ctx),
		cpus(s.Host), quota(s), frequency(s), virtual(s), clocksource(s), otherLoad(s),
	}
	return append(found, missing(s.Missing)...)
}

// readable is about what can be read or not.
func readable(name, why, ok, do string) finding {
	if why != "" {
		return finding{name, conditionUnavailable, why, do}
	}
	return finding{name, conditionOK, ok, ""}
}

// valgrind is about the program that counts instructions where the hardware does not.
func valgrind(ctx context.Context) finding {
	tool, err := cachegrind.Find(ctx)
	found := finding{Name: "valgrind", Condition: conditionOK, Found: tool.Version}
	if err != nil {
		found = finding{found.Name, conditionUnavailable, err.Error(), "--instructions needs it"}
	}
	return found
}

func cpus(h runfolder.Host) finding {
	f := finding{Name: "CPUs", Condition: conditionOK, Found: fmt.Sprintf("%d of %d may be used", h.Affinity, h.Cores)}
	const few = 4
	if h.Affinity < few {
		f.Condition = conditionNote
		f.Do = "servers and load generator share them: read CPU per operation before throughput; more CPUs " +
			"give narrower intervals"
	}
	return f
}

func quota(s host.Survey) finding {
	f := finding{Name: "CPU quota", Condition: conditionOK, Found: "none"}
	switch {
	case s.QuotaError != "":
		return finding{f.Name, conditionUnavailable, s.QuotaError,
			"if you run in a container, see that it has no CPU limit"}
	case s.Quota != nil:
		f.Condition, f.Found = conditionNote, fmt.Sprintf("%s CPUs, by a control group", texttab.Decimals(*s.Quota))
		f.Do = "a quota stops processes in the middle of a slice: remove it (in containers, the CPU limit), or " +
			"keep --workers low"
	}
	return f
}

func frequency(s host.Survey) finding {
	f := finding{Name: "CPU frequency", Condition: conditionOK}
	governor := s.Host.Governor
	switch {
	case governor == host.Unknown:
		return finding{f.Name, conditionUnavailable, "the kernel tells no governor, as in most virtual machines",
			"nothing to do: slices alternate so quickly that a change of frequency meets both sides"}
	case governor != "performance":
		f.Condition, f.Do = conditionNote, "cpupower frequency-set -g performance, as root, keeps the frequency steady"
	}
	f.Found = "governor " + governor
	if s.Frequency > 0 {
		f.Found += fmt.Sprintf(", %s MHz now", texttab.Number(s.Frequency, 0))
	}
	return f
}

func virtual(s host.Survey) finding {
	const tolerated = 0.01
	f := finding{Name: "virtual machine", Condition: conditionOK, Found: "no"}
	if !s.Virtual {
		return f
	}
	f.Condition, f.Found = conditionNote, "yes"
	if s.Hypervisor != "" {
		f.Found += ", " + s.Hypervisor
	}
	f.Do = "other guests of its host take time now and then: compare runs that were recorded together only"
	if share := shareOf(s.Now.Steal, s.Now); share != nil {
		f.Found += fmt.Sprintf("; the hypervisor withheld %.1f%% of the CPUs just now", *share*100)
		if *share > tolerated {
			f.Do = "the host is busy: measure later, or on a machine of your own"
		}
	}
	return f
}

// shareOf is a time of all CPUs as a share of what they had; nil if it is unknown.
func shareOf(t *time.Duration, m *runfolder.Machine) *float64 {
	whole := m.Window.Seconds() * float64(m.CPUs)
	if t == nil || whole <= 0 {
		return nil
	}
	return new(max(0, t.Seconds()/whole))
}

func clocksource(s host.Survey) finding {
	f := finding{Name: "clocksource", Condition: conditionOK, Found: s.Clocksource}
	switch {
	case s.Clocksource == "":
		f = finding{f.Name, conditionUnavailable, s.Missing[runfolder.SourceClocksource], ""}
	case compare.SlowClock(s.Clocksource):
		f.Condition, f.Do = conditionNote, "each reading costs a microsecond or more, in the server too: see "+
			"in the kernel's log why it does not trust tsc"
	}
	return f
}

func otherLoad(s host.Survey) finding {
	const tolerated = 0.05
	f := finding{Name: "other load", Condition: conditionOK}
	var others *float64
	if s.Now.Busy != nil && s.Now.Ours != nil {
		others = shareOf(new(*s.Now.Busy-*s.Now.Ours), s.Now)
	}
	if others == nil {
		return finding{f.Name, conditionUnavailable, s.Missing[runfolder.SourceMachineCPU],
			"see that nothing else runs"}
	}
	f.Found = fmt.Sprintf("other processes use %.1f%% of the CPUs just now", *others*100)
	if *others > tolerated {
		f.Condition, f.Do = conditionNote, "stop them (top shows which): verdicts stand, but intervals are "+
			"wider and latencies longer"
	}
	return f
}

// missing are the machine's sources that have no finding of their own.
func missing(reasons map[runfolder.Source]string) []finding {
	what := map[runfolder.Source]string{
		runfolder.SourcePressure:   "pressure of the CPU",
		runfolder.SourceThrottling: "throttling by quotas",
		runfolder.SourceThermal:    "throttling by heat",
		runfolder.SourceRunQueue:   "run queue",
	}
	var found []finding
	for _, source := range runfolder.Sources() {
		if name, named := what[source]; named {
			found = append(found, readable(name, reasons[source], "followed during a run",
				"it is left out of reports; nothing depends on it"))
		}
	}
	return found
}

// noise is how far the store differs from itself. Resolution is the smallest
// regression, in percent, that is found in 4 of 5 experiments of a minute; a metric
// that none is found of is not there.
type noise struct {
	Blocks     int                          `json:"blocks"`
	Seconds    float64                      `json:"seconds"`
	Resolution map[compare.MetricID]float64 `json:"percent_in_a_minute"`
}

// noiseMetrics are those whose noise doctor tells.
var noiseMetrics = []compare.MetricID{compare.OpsPerSec, compare.CPUPerOp}

// measureNoise records the built-in store against itself for some time.
func measureNoise(ctx context.Context, length time.Duration) (*noise, error) {
	out, err := os.MkdirTemp("", "eventobench-doctor-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(out) }()
	e, err := selfExperiment(out, length)
	if err != nil {
		return nil, err
	}
	dirs, err := e.Record(ctx)
	if err != nil {
		return nil, err
	}
	runs, err := openPair(dirs)
	if err != nil {
		return nil, err
	}
	return newNoise(runs), nil
}

// selfExperiment has blocks as short as they can be, since only many of them tell.
func selfExperiment(out string, length time.Duration) (profiles.Experiment, error) {
	var subjects []subject.Exec
	for range 2 {
		s, err := storeSpec{transport: "fasthttp"}.subject()
		if err != nil {
			return profiles.Experiment{}, err
		}
		subjects = append(subjects, s)
	}
	sides, err := new(subjectOptions).stores(subjects)
	workload := storeWorkload()
	load := loadgen.Load{Workload: workload.Name(), Kinds: workload.Kinds(), Workers: 10, Timeout: 10 * time.Second}
	return profiles.Experiment{
		Subjects: sides, Load: load, NewGenerator: profiles.Drive(workload, load, loadgen.Connect{}),
		Plan: runfolder.Plan{Blocks: 1000, Rounds: 10, Slice: runfolder.FineSlice, Warmup: 200,
			Seed: rand.Uint64()},
		MaxTime: length, Out: out, Tool: version(),
		Decide: func(runs []*runfolder.Run) runfolder.Look {
			return runfolder.Look{Blocks: len(runs[0].Manifest.Blocks), Done: true}
		},
	}, err
}

func newNoise(runs []*runfolder.Run) *noise {
	const most = 100 // blocks; experiments of more would take long to draw
	m := runs[0].Manifest
	n := &noise{
		Blocks: len(m.Blocks), Seconds: m.End.Sub(m.Start).Seconds(), Resolution: map[compare.MetricID]float64{},
	}
	pool := compare.NewResampler(compare.DefaultCriteria())
	pool.Add(runs[0], runs[1])
	inMinute := min(most, int(60/n.Seconds*float64(n.Blocks)))
	rng := rand.New(rand.NewPCG(3, uint64(n.Blocks)))
	for _, id := range noiseMetrics {
		if r := pool.Resolution(rng, id, inMinute); r > 0 && n.enough() {
			n.Resolution[id] = r
		}
	}
	return n
}

// enough reports whether the blocks tell how others would differ.
func (n *noise) enough() bool {
	const fewest = 6
	return n.Blocks >= fewest
}

func (n *noise) finding() finding {
	const large = 5 // percent
	f := finding{Name: "noise", Condition: conditionOK}
	var parts []string
	for _, id := range noiseMetrics {
		m, _ := compare.FindMetric(id)
		if r, known := n.Resolution[id]; known {
			parts = append(parts, fmt.Sprintf("%s below about %s%%", m.Label, texttab.Roughly(r)))
			if r > large {
				f.Condition = conditionNote
			}
		}
	}
	if len(parts) < len(noiseMetrics) {
		return finding{f.Name, conditionNote,
			fmt.Sprintf("%d short blocks of the store against itself do not tell", n.Blocks),
			"measure for longer (--noise=1m), or use selftest"}
	}
	f.Found = fmt.Sprintf("differences in %s will not show in a minute (the store against itself, %d short "+
		"blocks in %.0f s)",
		strings.Join(parts, " and in "), n.Blocks, n.Seconds)
	if f.Condition == conditionNote {
		f.Do = "stop what else runs, or give experiments more time (--max-blocks); selftest measures this thoroughly"
	}
	return f
}
