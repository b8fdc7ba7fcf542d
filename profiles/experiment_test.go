package profiles

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eventobench/eventobench/internal/testaid"
	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
	"github.com/eventobench/eventobench/profiles/subject"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
	var reports []Progress
	e.Progress = func(p Progress) { reports = append(reports, p) }
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) != 2 || !strings.HasSuffix(dirs[0], "-one") || !strings.HasSuffix(dirs[1], "-two") {
		t.Fatalf("folders %v", dirs)
	}
	for _, dir := range dirs {
		checkRun(t, e, dir)
	}
	if last := reports[len(reports)-1]; last.Done != 2 || last.Round != 0 || last.Left != 0 {
		t.Errorf("last progress %+v", last)
	}
	if left := leftovers(t, e.Out); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func checkRun(t *testing.T, e Experiment, dir string) {
	t.Helper()
	run, err := runfolder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := run.Manifest
	if m.State != runfolder.StateComplete || m.Reason != "" || m.Plan != e.Plan || m.Label != "a test" {
		t.Errorf("manifest %+v", m)
	}
	if len(m.Folders) != 2 || !slices.Contains(m.Folders, filepath.Base(dir)) {
		t.Errorf("folders of the experiment: %v", m.Folders)
	}
	for b, block := range m.Blocks {
		w := block.Window()
		if block.WarmupOps != 10 || w.TotalAlloc <= 0 || w.Mallocs <= 0 || block.Goroutines == 0 {
			t.Errorf("block %d: %+v", b, block)
		}
		if p := block.Process(); p.VoluntarySwitches == 0 || p.ReadBytes == 0 || p.WrittenBytes == 0 {
			t.Errorf("block %d: the process %+v", b, p)
		}
		if block.GoroutinesBefore == 0 {
			t.Errorf("block %d began without goroutines", b)
		}
		if m := block.Machine; m == nil || m.Window < 3*e.Plan.Slice {
			t.Errorf("block %d: the machine %+v", b, m)
		}
	}
	totals := run.Totals()
	if totals.TotalOps == 0 || totals.OpsByKind["work"] != totals.TotalOps || totals.Errors != 0 {
		t.Errorf("totals %+v", totals)
	}
	if *totals.AllocBytesPerOp < workBytes/2 {
		t.Errorf("%v B/op of a handler that allocates %d bytes", *totals.AllocBytesPerOp, workBytes)
	}
	checkProfiles(t, run)
}

func checkProfiles(t *testing.T, run *runfolder.Run) {
	t.Helper()
	for _, k := range defaultKinds() {
		if !run.Recorded(k) {
			t.Errorf("%s was not recorded: %v", k.Name, run.Manifest.Unavailable)
			continue
		}
		for _, file := range k.Files() {
			if _, err := run.ProfileFile(file); err != nil {
				t.Error(err)
			}
		}
		if k.PerOperation() {
			checkBlocks(t, run, k)
		}
	}
	for _, file := range []string{runfolder.FileReadme, runfolder.FileServerLog, runfolder.FileTotals} {
		if text, err := os.ReadFile(filepath.Join(run.Dir, file)); err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", file, len(text), err)
		}
	}
}

func TestRecordOpenLoop(t *testing.T) {
	t.Parallel()
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
	load := e.Load
	load.Rate, load.Arrivals = 2000, loadgen.Poisson
	e.setLoad(load)
	e.Plan.Slice = 20 * time.Millisecond
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var due []int64
	for _, dir := range dirs {
		checkRun(t, e, dir)
		run, err := runfolder.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		totals := run.Totals()
		if totals.OpenLoop == nil || totals.OpenLoop.RatePerSec != 2000 || totals.OpenLoop.AvgLatencyMs > totals.AvgLatencyMs {
			t.Fatalf("totals %+v, open loop %+v", totals, totals.OpenLoop)
		}
		due = append(due, totals.TotalOps+totals.OpenLoop.Missed)
	}
	if due[0] != due[1] || due[0] < 120 || due[0] > 360 {
		t.Errorf("requests due at 2000/s in 120ms, of each subject: %v", due)
	}
}

func TestRateNeedsLongEnoughSlices(t *testing.T) {
	e := testExperiment(t, testSubject(t, "one", "fine"))
	e.Load.Rate, e.Load.Arrivals = 100, loadgen.Poisson
	if _, err := e.Record(t.Context()); err == nil || !strings.Contains(err.Error(), "100/s leaves most slices of 5ms without a request") {
		t.Errorf("error %v", err)
	}
}

// checkBlocks expects every sample to tell a block of the run; a CPU profile of
// a few milliseconds may have none.
func checkBlocks(t *testing.T, run *runfolder.Run, k runfolder.ProfileKind) {
	t.Helper()
	p, err := run.Profile(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Sample {
		if b, ok := runfolder.SampleBlock(s); !ok || b < 0 || b >= len(run.Manifest.Blocks) {
			t.Errorf("%s has a sample of block %d (%v)", k.File, b, ok)
		}
	}
}

// leftovers are the files in a folder of run folders that are not run folders.
func leftovers(t *testing.T, out string) []string {
	t.Helper()
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !runfolder.FolderName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// testRecorder is that of an experiment, whose folders are gone when the test ends.
func testRecorder(t *testing.T, e Experiment) *recorder {
	t.Helper()
	infos, err := e.validate()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRecorder(t.Context(), e, infos)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, run := range r.runs {
			run.Discard()
		}
	})
	return r
}

// TestOrderIsRandom keeps roles from being tied to places: over many rounds of
// a seed every subject comes first about equally often.
func TestOrderIsRandom(t *testing.T) {
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"), testSubject(t, "three", "fine"))
	r := testRecorder(t, e)
	in := []*instance{{}, {}, {}}
	const rounds = 3000
	first := map[*instance]int{}
	for range rounds {
		first[r.shuffled(in)[0]]++
	}
	for _, i := range in {
		if n := first[i]; n < rounds/3-200 || n > rounds/3+200 {
			t.Errorf("an instance came first in %d of %d rounds", n, rounds)
		}
	}
}

// TestFitSlices: ten requests of the slowest subject fit into a slice, as long as that is
// no longer than a coarse one, and a block is as long as before.
func TestFitSlices(t *testing.T) {
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
	for _, tt := range []struct {
		request time.Duration // of the slower
		fixed   bool
		slice   time.Duration
		rounds  int
	}{
		{300 * time.Microsecond, false, 10 * time.Millisecond, 80},
		{time.Millisecond, false, 10 * time.Millisecond, 80},
		{1100 * time.Microsecond, false, 25 * time.Millisecond, 32},
		{2600 * time.Microsecond, false, 50 * time.Millisecond, 16},
		{time.Second, false, 50 * time.Millisecond, 16},
		{time.Second, true, 10 * time.Millisecond, 80},
	} {
		e.Plan, e.Lengthen = runfolder.DefaultPlan(), !tt.fixed
		r := testRecorder(t, e)
		r.fitSlices([]*instance{{requestTime: time.Microsecond}, {requestTime: tt.request}})
		for _, run := range r.runs {
			if p := run.Manifest.Plan; p != r.Plan || p.Slice != tt.slice || p.Rounds != tt.rounds {
				t.Errorf("requests of %v: %d slices of %v", tt.request, p.Rounds, p.Slice)
			}
		}
	}
}

func TestRecordFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode string
		want []string // in the error, which is one sentence and the subject's last output
	}{
		{"killed", []string{"block 1 of 2", "subject bad died while it was measured (signal: killed)", "about to be killed"}},
		{"error", []string{"subject bad failed 1 of", "/work was answered with status 500", "out of cheese"}},
		{"broken", []string{"subject bad died before it was ready (exit status 3)", "no such option: --fast"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			e := testExperiment(t, testSubject(t, "good", "fine"), testSubject(t, "bad", tt.mode))
			e.Plan.Warmup = 200
			dirs, err := e.Record(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			checkKept(t, dirs, runfolder.StateFailed)
		})
	}
}

// flakyExperiment is of a server that fails the fourth request of each block's window
// and then one of a hundred, under an allowance. However slow the machine is, two
// workers send six in three slices.
func flakyExperiment(t *testing.T, allowed float64) Experiment {
	t.Helper()
	e := testExperiment(t, testSubject(t, "good", "fine"), testSubject(t, "bad", "flaky"))
	load := e.Load
	load.AllowErrors = allowed
	e.setLoad(load)
	e.Plan.Warmup, e.Plan.Slice = 196, 50*time.Millisecond
	return e
}

// TestAllowedErrors: failures within the allowance leave a run complete, which says
// how many there were; in no rate are they counted.
func TestAllowedErrors(t *testing.T) {
	t.Parallel()
	dirs, err := flakyExperiment(t, 0.5).Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good, bad := open(t, dirs[0]), open(t, dirs[1])
	if n := good.Manifest.Errors["status 500"] + good.Manifest.Blocks[0].Answers[0].Failed; n != 0 {
		t.Errorf("%d failures of a server that has none", n)
	}
	if bad.Manifest.State != runfolder.StateComplete || bad.Manifest.Load.AllowErrors != 0.5 {
		t.Errorf("%s (%s), allowed %v", bad.Manifest.State, bad.Manifest.Reason, bad.Manifest.Load.AllowErrors)
	}
	var all int64
	for b, block := range bad.Manifest.Blocks {
		var ops, failed int64
		for _, s := range bad.BlockSlices(b) {
			ops, failed = ops+s.Ops(), failed+s.Errors
		}
		a := block.Answers[0]
		if failed < 1 || failed > 1+ops/99 || a.Failed != failed || a.Statuses[500] != failed ||
			a.Statuses[200] != ops {
			t.Errorf("block %d: %d answered and %d failed; in the manifest %+v", b, ops, failed, a)
		}
		if want := ops * int64(len("done")); a.Bytes != want {
			t.Errorf("block %d: %d bytes, want %d", b, a.Bytes, want)
		}
		all += failed + 1 // of the warm-up
	}
	if n := bad.Manifest.Errors["status 500"]; n != all || bad.Totals().Errors != all {
		t.Errorf("%d failures in all, want %d", n, all)
	}
	if latencies, ops := bad.Latency.All().TotalCount(), bad.Totals().TotalOps; latencies != ops {
		t.Errorf("%d latencies of %d requests that were answered", latencies, ops)
	}
}

// TestTooManyErrors: failures beyond the allowance fail the run at the end of a block,
// with figures and the first of them.
func TestTooManyErrors(t *testing.T) {
	t.Parallel()
	dirs, err := flakyExperiment(t, 0.001).Record(t.Context())
	want := regexp.MustCompile(`^block 1 of 2: subject bad failed \d+ of \d+ requests of a block, ` +
		`more than the allowed 0\.1%: GET /work was answered with status 500: "out of luck\\n"$`)
	if err == nil || !want.MatchString(err.Error()) {
		t.Errorf("error %v", err)
	}
	checkKept(t, dirs, runfolder.StateFailed)
}

func open(t *testing.T, dir string) *runfolder.Run {
	t.Helper()
	run, err := runfolder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestSubjectThatIsNeverReady(t *testing.T) {
	bad := subject.Exec{Name: "bad", Command: []string{"sleep", "600"}, Timeout: 20 * time.Millisecond}
	dirs, err := testExperiment(t, bad, testSubject(t, "good", "fine")).Record(t.Context())
	want := "subject bad was not ready within 20ms: no process of it was seen to open a TCP port; " +
		"tell it where to listen with {addr} or {port} in its command (of exec:, or --start); it printed nothing"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v", err)
	}
	checkKept(t, dirs, runfolder.StateFailed)
}

// checkKept holds that the folders of an experiment that ended early can be
// read and say so.
func checkKept(t *testing.T, dirs []string, state runfolder.State) {
	t.Helper()
	if len(dirs) != 2 {
		t.Fatalf("kept %v", dirs)
	}
	for _, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if run.Manifest.State != state || run.Manifest.Reason == "" {
			t.Errorf("%s is %s because %q", dir, run.Manifest.State, run.Manifest.Reason)
		}
	}
}

func TestCancel(t *testing.T) {
	e := testExperiment(t, testSubject(t, "good", "fine"), testSubject(t, "bad", "fine"))
	ctx, cancel := context.WithCancel(t.Context())
	e.Progress = func(Progress) { cancel() }
	dirs, err := e.Record(ctx)
	checkInterrupted(t, dirs, err)
}

func TestCancelWhileASubjectHangs(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"silent", "frozen"} {
		t.Run(mode, func(t *testing.T) {
			fifo := filepath.Join(t.TempDir(), "pid")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			e := testExperiment(t, testSubject(t, "bad", mode+"="+fifo), testSubject(t, "worse", mode+"="+fifo))
			load := e.Load
			load.Timeout = time.Hour
			e.setLoad(load)
			e.Plan.Warmup = 200
			ctx, cancel := context.WithCancel(t.Context())
			pid := make(chan int)
			go func() {
				text, _ := os.ReadFile(fifo) // returns once the subject has written all of it
				cancel()
				n, _ := strconv.Atoi(string(text))
				pid <- n
			}()
			dirs, err := e.Record(ctx)
			checkInterrupted(t, dirs, err)
			if n := <-pid; n == 0 || testaid.Alive(n) {
				t.Errorf("process %d was left running", n)
			}
		})
	}
}

func checkInterrupted(t *testing.T, dirs []string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "interrupted after 0 of") {
		t.Errorf("error %v", err)
	}
	checkKept(t, dirs, runfolder.StateInterrupted)
}

// TestSequential holds that an experiment ends at the look that decides it, and
// that every run keeps what was decided.
func TestSequential(t *testing.T) {
	t.Parallel()
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
	e.Plan = runfolder.Plan{Blocks: 20, Sequential: true, FirstLook: 3, Rounds: 1, Slice: time.Millisecond, Warmup: 1, Seed: 1}
	e.Profiles = nil // which take a second in every block
	load := e.Load
	load.Rate, load.Arrivals = 1000, loadgen.Constant // one request is due in every slice, however late it is sent
	e.setLoad(load)
	var looked []int
	e.Decide = func(runs []*runfolder.Run) runfolder.Look {
		looked = append(looked, len(runs[0].Manifest.Blocks))
		return runfolder.Look{Blocks: len(runs[1].Manifest.Blocks), Done: true, Decisions: []runfolder.Decision{{Head: "two", Metric: "speed", Verdict: "equivalent"}}}
	}
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := e.Plan.Looks()[:1]; !slices.Equal(looked, want) {
		t.Errorf("looks at %v, want %v", looked, want)
	}
	for _, dir := range dirs {
		run, err := runfolder.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		m := run.Manifest
		if m.State != runfolder.StateComplete || len(m.Blocks) != 3 || m.Reason != "every gated metric was decided after 3 of at most 20 blocks" {
			t.Errorf("%s after %d blocks: %s", m.State, len(m.Blocks), m.Reason)
		}
		if len(m.Looks) != 1 || !m.Looks[0].Done || m.Looks[0].Blocks != 3 || m.Looks[0].Decisions[0].Verdict != "equivalent" {
			t.Errorf("looks %+v", m.Looks)
		}
	}
}

// TestTimeLimit holds that no block begins when time is up, and that the blocks
// there are get judged.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	e := testExperiment(t, testSubject(t, "one", "fine"), testSubject(t, "two", "fine"))
	e.MaxTime = time.Nanosecond
	e.Decide = func(runs []*runfolder.Run) runfolder.Look {
		return runfolder.Look{Blocks: len(runs[0].Manifest.Blocks)}
	}
	dirs, err := e.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run, err := runfolder.Open(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	if m := run.Manifest; m.State != runfolder.StateComplete || len(m.Blocks) != 1 || len(m.Looks) != 1 || m.Reason != "the time limit of 1ns ended it after 1 of 2 blocks" {
		t.Errorf("%s after %d blocks, looks %+v: %s", m.State, len(m.Blocks), m.Looks, m.Reason)
	}
}

func TestLooks(t *testing.T) {
	for _, tt := range []struct {
		plan runfolder.Plan
		want []int
	}{
		{runfolder.Plan{Blocks: 6, Sequential: true, FirstLook: 3}, []int{3, 4, 5, 6}},
		{runfolder.Plan{Blocks: 2, Sequential: true, FirstLook: 3}, []int{2}},
		{runfolder.Plan{Blocks: 6, FirstLook: 3}, []int{6}},
		{runfolder.Plan{Blocks: 20, Sequential: true}, []int{12, 16, 20}}, // of version 0.1
		{runfolder.Plan{Blocks: 40, Sequential: true}, []int{24, 32, 40}},
		{runfolder.Plan{Blocks: 19, Sequential: true}, []int{19}}, // 60% of 19 are too few for a verdict
		{runfolder.Plan{Blocks: 12, Sequential: true}, []int{12}},
		{runfolder.Plan{Blocks: 20}, []int{20}},
		{runfolder.QuickPlan(), []int{3}},
	} {
		if got := tt.plan.Looks(); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: looks at %v, want %v", tt.plan, got, tt.want)
		}
	}
}
