package runfolder_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// Open reads a folder that "eventobench run" recorded; Totals sums it up.
func ExampleOpen() {
	out, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(out)
	dir := recordRun(out)

	run, err := runfolder.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	totals := run.Totals()
	fmt.Println(filepath.Base(run.Dir), "is", run.Manifest.State)
	fmt.Printf("%d requests, %.0f per second\n", totals.TotalOps, totals.OpsPerSec)
	if totals.CPUPerOp == nil {
		fmt.Println("no CPU time:", run.Manifest.Unavailable[runfolder.SourceCPUClock])
	}
	// Output:
	// 20261124_120000-mine is complete
	// 50 requests, 500 per second
	// no CPU time: read on Linux only
}

// List gives all folders below one, those that cannot be read with the reason.
func ExampleList() {
	out, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(out)
	recordRun(out)

	entries, err := runfolder.List(out)
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		fmt.Println(e.Manifest.Subject.Name, e.Totals.TotalOps, e.Err)
	}
	// Output:
	// mine 50 <nil>
}

// recordRun writes a run folder of one block with one slice of 50 requests.
func recordRun(out string) string {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	runs, err := runfolder.Create(out, start, []runfolder.Manifest{{
		Subject:     runfolder.SubjectInfo{Name: "mine", Command: []string{"./mine"}},
		Load:        loadgen.Load{Workload: "one page", Kinds: []string{"GET /"}, Workers: 1, Timeout: time.Second},
		Plan:        runfolder.Plan{Blocks: 1, Rounds: 1, Slice: 100 * time.Millisecond},
		Start:       start,
		State:       runfolder.StateRecording,
		Unavailable: map[runfolder.Source]string{runfolder.SourceCPUClock: "read on Linux only"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	latency := loadgen.NewHistogram()
	if err := latency.RecordValues(int64(2*time.Millisecond), 50); err != nil {
		log.Fatal(err)
	}
	slice := runfolder.Slice{
		Duration: 100 * time.Millisecond,
		Kinds:    []loadgen.KindResult{{Ops: 50, Latency: 100 * time.Millisecond}},
	}
	block := runfolder.Block{Machine: &runfolder.Machine{Window: time.Second}}
	due := loadgen.Latency{Due: []*hdrhistogram.Histogram{latency}}
	if err := runs[0].Add(block, []runfolder.Slice{slice}, due, nil); err != nil {
		log.Fatal(err)
	}
	if err := runs[0].Complete(runfolder.StateComplete, ""); err != nil {
		log.Fatal(err)
	}
	dir, err := runs[0].Publish()
	if err != nil {
		log.Fatal(err)
	}
	return dir
}
