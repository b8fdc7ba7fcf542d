package cachegrind

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestParse reads what valgrind 3.19 wrote of /bin/true.
func TestParse(t *testing.T) {
	text, err := os.ReadFile("testdata/true.out")
	if err != nil {
		t.Fatal(err)
	}
	counts, err := Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(counts, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/true.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestParseSmall(t *testing.T) {
	const head = "desc: I1 cache: 1 B\ncmd: a b\nevents: Ir Dr\nfl=a.go\nfn=main.f(int, fn=x)\n"
	for text, want := range map[string]any{
		head + "1 10 3\n2 5\nfn=g\n0 7 1\nsummary: 22 4\n":                          Counts{"main.f(int, fn=x)": 15, "g": 7},
		strings.Replace(head, "Ir Dr", "Dr Ir", 1) + "1 10 3\n2 5\nsummary: 15 3\n": Counts{"main.f(int, fn=x)": 3},
		head + "1 10\n":                 "ends without a summary",
		head + "1 10\nsummary: 11\n":    "add up to 10 instructions, the summary says 11",
		head + "1 x\n":                  `line 6: "x" is no count`,
		head + "1 -3\n":                 `"-3" is no count`,
		"events: Dr\nfn=a\n1 2\n":       "no instructions (Ir) among them",
		"events: Ir\n1 2\nsummary: 2\n": "line 2: a count of no function",
		"":                              "ends without a summary",
		"events: Ir\nsummary: 1000000000000000000000\n": "is no count",
	} {
		counts, err := Parse(strings.NewReader(text))
		switch want := want.(type) {
		case Counts:
			if diff := cmp.Diff(want, counts); diff != "" || err != nil {
				t.Errorf("%q: %v\n%s", text, err, diff)
			}
		case string:
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %v, want %q", text, err, want)
			}
		}
	}
}

func TestLessAndSplit(t *testing.T) {
	long := Counts{"main.f": 30, "runtime.findRunnable": 9, "runtime.futex.abi0": 2, "init": 4, "runtime.mallocgc": 3}
	short := Counts{"main.f": 10, "runtime.findRunnable": 12, "runtime.futex.abi0": 1, "init": 4, "gone": 1}
	work, waited := long.Less(short).Split()
	if diff := cmp.Diff(Counts{"main.f": 20, "gone": -1, "runtime.mallocgc": 3}, work); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Counts{"runtime.findRunnable": -3, "runtime.futex.abi0": 1}, waited); diff != "" {
		t.Error(diff)
	}
	if n := work.Total(); n != 22 {
		t.Errorf("%d instructions in all", n)
	}
}

// TestWaits holds that what allocates, copies and starts goroutines counts, and that other
// packages may name functions as they like.
func TestWaits(t *testing.T) {
	for name, want := range map[string]bool{
		"runtime.sysmon": true, "runtime.(*timers).check": true, "runtime.pMask.read": true,
		"runtime.nanotime1.abi0": true, "internal/runtime/syscall/linux.EpollWait": true,
		"internal/runtime/syscall.EpollWait": true, "runtime.notetsleepg": true,
		"os/signal.signalWaitUntilIdle": true, "internal/poll.(*pollDesc).wait": true, "gogo": true, "runtime.gogo.abi0": true,
		"runtime.(*pageAlloc).scavengeOne": true, "runtime.typeAssert": true, "runtime.(*timers).adjust": true,
		"runtime.(*pageAlloc).alloc": false, "runtime.(*timer).modify": false, "internal/poll.(*FD).Read": false,
		"runtime.newproc": false, "runtime.mallocgc": false, "runtime.scheduler": false, "main.schedule": false,
		"runtime.gopark": false, "runtime.gcDrain": false, "internal/runtime/syscall/linux.Syscall6": false,
		"example.com/runtime.sysmon": false, "pthread_mutex_lock": false,
	} {
		if waits(name) != want {
			t.Errorf("%s waits: %v", name, !want)
		}
	}
}

func TestProfile(t *testing.T) {
	var file bytes.Buffer
	p := Counts{"a": 5, "b": -1}.Profile()
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 2 || p.Sample[0].Value[0] != 5 || p.Sample[1].Location[0].Line[0].Function.Name != "b" {
		t.Errorf("%v", p)
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/true.out")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("events: Ir\nfn=a\n1 2\nsummary: 2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		counts, err := Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		for function, n := range counts {
			if n < 0 || function == "" {
				t.Errorf("%d instructions of %q", n, function)
			}
		}
		if counts.Total() < 0 {
			t.Errorf("%d instructions in all", counts.Total())
		}
	})
}
