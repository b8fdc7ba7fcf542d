package profdiff

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/eventobench/eventobench/loadgen"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

// largeProfile is an allocation profile of a server with thousands of
// functions: stacks of 20 to 60 frames, in 10 blocks.
func largeProfile(samples int) *profile.Profile {
	const functions, places, blocks = 5000, 20000, 10
	rng := rand.New(rand.NewPCG(1, 2))
	packages := []string{"main", "net/http", "encoding/json", "runtime", "example.com/app/store", "bytes", "reflect", "modernc.org/sqlite/lib"}
	p := testProfile()
	for i := range functions {
		name := fmt.Sprintf("%s.(*T%d).Method%d", packages[i%len(packages)], i%97, i)
		p.Function = append(p.Function, &profile.Function{ID: uint64(i + 1), Name: name, SystemName: name, Filename: "file.go"})
	}
	for i := range places {
		l := &profile.Location{ID: uint64(i + 1), Address: uint64(0x400000 + 16*i)}
		for range 1 + i%2 {
			l.Line = append(l.Line, profile.Line{Function: p.Function[rng.IntN(functions)], Line: int64(i % 1000)})
		}
		p.Location = append(p.Location, l)
	}
	for i := range samples {
		s := &profile.Sample{Value: []int64{1 + rng.Int64N(1000), 1 + rng.Int64N(1e6)}, NumLabel: map[string][]int64{"bytes": {64}, "block": {1 + int64(i%blocks)}}}
		for range 20 + rng.IntN(41) {
			s.Location = append(s.Location, p.Location[rng.IntN(places)])
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}

// largeRun is a run folder with nothing but the profile.
func largeRun(b *testing.B, samples int) (run *runfolder.Run, megabytes float64) {
	b.Helper()
	run = &runfolder.Run{Dir: b.TempDir(), Manifest: runfolder.Manifest{Blocks: make([]runfolder.Block, 10)}}
	for block := range run.Manifest.Blocks {
		run.Slices = append(run.Slices, runfolder.Slice{Block: block, Kinds: []loadgen.KindResult{{Ops: 1000}}})
	}
	path := filepath.Join(run.Dir, runfolder.FileAllocs)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if err := largeProfile(samples).Write(f); err != nil {
		b.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, z)
	if err != nil {
		b.Fatal(err)
	}
	return run, float64(n) / 1e6
}

// BenchmarkLarge compares runs whose profiles are large: two of 50 MB, and
// twenty that have as much together. MB/profile is the size before compression,
// MB-heap the largest heap that was seen.
func BenchmarkLarge(b *testing.B) {
	const samples = 450_000 // in 50 MB
	for _, folders := range []int{2, 20} {
		b.Run(fmt.Sprintf("folders=%d", folders), func(b *testing.B) {
			run, megabytes := largeRun(b, samples*2/folders)
			runtime.GC()
			peak := watchHeap()
			for b.Loop() {
				compareLarge(b, run, folders)
			}
			b.ReportMetric(megabytes, "MB/profile")
			b.ReportMetric(peak(), "MB-heap")
		})
	}
}

func compareLarge(b *testing.B, run *runfolder.Run, folders int) {
	var base *Attribution
	for i := range folders {
		a, err := Read(run, kindNamed(b, "allocs"), Options{})
		if err != nil {
			b.Fatal(err)
		}
		if i == 0 {
			base = a
		}
		if table := (Diff{Base: base, Head: a, Paired: true}).Table(); len(table.Functions) != tableRows {
			b.Fatalf("%d functions", len(table.Functions))
		}
	}
}

// watchHeap looks at the heap until it is asked for the largest size, in MB.
func watchHeap() (peak func() float64) {
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		var largest uint64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			largest = max(largest, m.HeapAlloc)
			select {
			case <-tick.C:
			case <-stop:
				done <- float64(largest) / 1e6
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		return <-done
	}
}
