package profiles

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/cachegrind"
	"github.com/eventobench/eventobench/profiles/perf"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

// countingExperiment is one block of subjects, whose instructions are counted then.
func countingExperiment(t *testing.T, subjects ...subject.Target) Experiment {
	t.Helper()
	e := testExperiment(t, subjects...)
	load := e.Load
	load.Workers = 1
	e.Plan.Blocks = 1
	e.Counting = &Counting{NewGenerator: Drive(work{}, load, loadgen.Connect{}), Blocks: 2}
	return e
}

// countable are subjects of that server, behind a program that starts it.
func countable(t *testing.T, names ...string) (subjects []subject.Target) {
	t.Helper()
	program := testaid.BuildServer(t, `//go:noinline
func answer(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, fib(18)) }
`)
	for _, name := range names {
		subjects = append(subjects, subject.Exec{Name: name, Kind: "test", Command: []string{"/usr/bin/env", program}})
	}
	return subjects
}

func needValgrind(t *testing.T) cachegrind.Tool {
	t.Helper()
	tool, err := cachegrind.Find(t.Context())
	if err != nil {
		t.Skip(err)
	}
	return tool
}

// TestCountsTheServer starts a server behind another program, as scripts do, and counts the
// server.
func TestCountsTheServer(t *testing.T) {
	c := newCounter(t, needValgrind(t), countingExperiment(t, countable(t, "one")...))
	counts, err := c.run(t.Context(), 0, c.sender(t.Context(), 0, 20))
	if err != nil {
		t.Fatal(err)
	}
	work, waited := counts.Split()
	const least = 20 * 8000 // calls of fib, of several instructions each
	if work["main.fib"] < least || waited["runtime.schedule"] == 0 {
		t.Errorf("%d instructions of main.fib, %d of waiting", work["main.fib"], waited.Total())
	}
	if left := leftovers(t, c.runs[0].View().Dir); slices.ContainsFunc(left, isScratch) {
		t.Errorf("left behind: %v", left)
	}
}

func isScratch(name string) bool { return strings.HasPrefix(name, "scratch-") }

func newCounter(t *testing.T, tool cachegrind.Tool, e Experiment) *counter {
	t.Helper()
	return &counter{recorder: testRecorder(t, e), tool: tool, processors: make(chan struct{}, 2)}
}

// TestWhyNotCounted: whatever keeps instructions from being counted is in the folder, and
// fails nothing.
func TestWhyNotCounted(t *testing.T) {
	if err := perf.Probe("/proc/sys/kernel/perf_event_paranoid"); err == nil {
		t.Skip("this machine has hardware counters")
	}
	for want, change := range map[string]func(*Experiment){
		"--instructions counts them": func(e *Experiment) { e.Counting = nil },
		"nothing moved":              func(e *Experiment) { e.Counting.Unwanted = func([]*runfolder.Run) string { return "nothing moved" } },
		"valgrind is not installed":  func(*Experiment) { t.Setenv("PATH", "/nowhere") },
	} {
		t.Run(want, func(t *testing.T) {
			e := countingExperiment(t, testSubject(t, "one", "bare"))
			change(&e)
			dirs, err := e.Record(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			why := open(t, dirs[0]).Manifest.Unavailable[runfolder.SourceInstructions]
			if !strings.Contains(why, want) || !strings.Contains(why, "perf_event_open") {
				t.Errorf("unavailable: %q, want %q", why, want)
			}
		})
	}
}

// TestRunningServersAreNotCounted: valgrind cannot get hold of them.
func TestRunningServersAreNotCounted(t *testing.T) {
	e := countingExperiment(t, testSubject(t, "one", "bare"))
	c := newCounter(t, cachegrind.Tool{}, e)
	c.Subjects = []subject.Target{subject.Running{Name: "one"}}
	if err := c.checkSubjects(); err == nil || !strings.Contains(err.Error(), "one was running already") {
		t.Errorf("error %v", err)
	}
}

// TestFurtherRequests: as many as fit into the time, and a hundred at least.
func TestFurtherRequests(t *testing.T) {
	for one, want := range map[time.Duration]int{
		0: 3000, 500 * time.Microsecond: 3000, time.Millisecond: 1000, 2 * time.Millisecond: 1000,
		2001 * time.Microsecond: 300, 20 * time.Millisecond: 100, time.Minute: 100,
	} {
		if got := furtherWithin(2*time.Second, one); got != want {
			t.Errorf("%v each: %d, want %d", one, got, want)
		}
	}
}

// TestCountedEnvironment: what would leave much to the clock is set, unless the subject's own
// environment says otherwise.
func TestCountedEnvironment(t *testing.T) {
	for _, tt := range []struct {
		outside string
		own     []string
		want    map[string]string
	}{
		{"", nil, map[string]string{"GODEBUG": steady, "GOMAXPROCS": "1"}},
		{"x=1", []string{"A=b"}, map[string]string{"GODEBUG": steady + ",x=1", "A": "b"}},
		{"x=1", []string{"GODEBUG=y=1", "GOMAXPROCS=2"}, map[string]string{"GODEBUG": steady + ",y=1", "GOMAXPROCS": "2"}},
	} {
		t.Setenv("GODEBUG", tt.outside)
		c := &counter{recorder: &recorder{Experiment: Experiment{Subjects: []subject.Target{subject.Exec{Env: tt.own}}}}}
		env := c.counted(0, "folder").Env
		for name, want := range tt.want {
			if got := valueOf(name, env); got != want {
				t.Errorf("%+v: %s is %q, want %q", tt, name, got, want)
			}
		}
	}
}
