package powercut

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// playVar is the environment variable that makes this test's binary write to the
// directory that it names.
const playVar = "EVENTOBENCH_POWERCUT_PLAY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(playVar); dir != "" {
		if err := play(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// play writes two parts of a file, syncs the first, and tells so.
func play(dir string) error {
	marks, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "a"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err1 := f.WriteAt([]byte("first"), 0)
	err2 := f.Sync()
	_, err3 := marks.WriteString("synced")
	_, err4 := f.WriteAt([]byte("second"), 5)
	return errors.Join(err1, err2, err3, err4, os.WriteFile(filepath.Join(dir, "a-volatile"), []byte("x"), 0o600),
		f.Truncate(8), os.Remove(filepath.Join(dir, "a")))
}

func TestRecord(t *testing.T) {
	dir := t.TempDir()
	r := Recorder{Dir: dir, Marks: os.DevNull, Volatile: func(name string) bool { return strings.HasSuffix(name, "volatile") }}
	trace, err := r.Record(t.Context(), os.Args[0], nil, []string{playVar + "=" + dir})
	if errors.Is(err, ErrNoStrace) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, op := range trace.Ops {
		got = append(got, fmt.Sprintf("%s %d %s %d %q", op.Kind, op.File, op.Name, op.Offset, op.Data))
	}
	want := []string{
		`create 1 a 0 ""`, `write 1 a 0 "first"`, `sync 1 a 0 ""`, `mark 0  0 "synced"`, `write 1 a 5 "second"`,
		`truncate 1 a 8 ""`, `remove 0 a 0 ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDisk holds what is certain, what is kept and what is lost.
func TestDisk(t *testing.T) {
	create := Op{Kind: Create, File: 1, Name: "a"}
	write := func(offset int64, data string) Op {
		return Op{Kind: Write, File: 1, Offset: offset, Data: []byte(data)}
	}
	sync, failed, syncDir := Op{Kind: Sync, File: 1}, Op{Kind: Sync, File: 1, Failed: true}, Op{Kind: SyncDir}
	all := func(Op, int64) bool { return true }
	none := func(Op, int64) bool { return false }
	later := func(op Op, _ int64) bool { return op.Kind == Create || op.Offset > 0 }
	for _, test := range []struct {
		name string
		ops  []Op
		fate Fate
		want State
	}{
		{"all is kept", []Op{create, write(0, "ab")}, Fate{Kept: all}, State{"a": []byte("ab")}},
		{"a name is lost, though its file is synced", []Op{create, write(0, "ab"), sync}, Fate{Kept: none}, State{}},
		{
			"what was synced is there", []Op{create, syncDir, write(0, "ab"), sync, write(1, "c")},
			Fate{Kept: none}, State{"a": []byte("ab")},
		},
		{"a failed sync is none", []Op{create, syncDir, write(0, "ab"), failed}, Fate{Kept: none}, State{"a": nil}},
		{"nor is the next", []Op{create, syncDir, write(0, "ab"), failed, sync}, Fate{Kept: none}, State{"a": nil}},
		{
			"but what is written anew is synced", []Op{create, syncDir, write(0, "ab"), failed, write(0, "ab"), sync},
			Fate{Kept: none}, State{"a": []byte("ab")},
		},
		{
			"an earlier write is lost", []Op{create, write(0, "ab"), write(2, "c")},
			Fate{Kept: later}, State{"a": []byte("\x00\x00c")},
		},
		{
			"a write is torn", []Op{create, syncDir, write(2, "cdefgh")},
			Fate{Sector: 4, Kept: func(_ Op, sector int64) bool { return sector == 1 }}, State{"a": []byte("\x00\x00\x00\x00efgh")},
		},
		{
			"a truncation is lost", []Op{create, syncDir, write(0, "ab"), sync, {Kind: Truncate, File: 1, Offset: 1}},
			Fate{Kept: none}, State{"a": []byte("ab")},
		},
		{
			"a removal is lost", []Op{create, syncDir, write(0, "ab"), sync, {Kind: Remove, Name: "a"}},
			Fate{Kept: none}, State{"a": []byte("ab")},
		},
		{"or kept", []Op{create, syncDir, {Kind: Remove, Name: "a"}}, Fate{Kept: all}, State{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var d Disk
			for _, op := range test.ops {
				d.Do(op)
			}
			if diff := cmp.Diff(test.want, d.Cut(test.fate)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSearch finds all states of a small trace: a name, and two sectors.
func TestSearch(t *testing.T) {
	trace := Trace{Ops: []Op{{Kind: Create, File: 1, Name: "a"}, {Kind: Write, File: 1, Data: make([]byte, 1024)}}}
	states := map[string]bool{}
	s := Search{Trace: trace, Seed: 1, States: 100, Visit: func(_ int, c Cut) bool {
		if c.New {
			states[fmt.Sprint(len(c.State), len(c.State["a"]))] = true
		}
		return true
	}}
	workers := Workers
	Workers = 1
	defer func() { Workers = workers }()
	n := s.Run()
	for _, want := range []string{"0 0", "1 0", "1 1024"} { // a lost first sector and a whole write are alike: zeros
		if !states[want] {
			t.Errorf("there is no state %s among %d: %v", want, n, states)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"7 1.5 open(\"\\x2f\\x64\\x2f\\x61\", O_RDWR|O_CREAT, 0644) = 3\n7 1.6 pwrite64(3, \"\\x61\", 1, 0) = 1\n7 1.7 fsync(3)   = 0\n",
		"7 1.5 pwrite64(3, \"\\x61\", 1, 0 <unfinished ...>\n8 1.6 close(3) = 0\n7 1.7 <... pwrite64 resumed>) = 1\n",
		"7 1.5 fsync(3)   = -1 EIO (Input/output error) (INJECTED)\n7 1.6 --- SIGURG ---\n7 1.7 +++ exited with 0 +++\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := Recorder{Dir: "/d", Marks: os.DevNull}
		trace, err := r.read(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, op := range trace.Ops {
			if op.Kind == Write && int64(len(op.Data)) > int64(len(text)) || op.Kind == Write && op.File == 0 {
				t.Errorf("%+v", op)
			}
		}
	})
}
