package history

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// small is the history of testdata, which the command's script shows too.
func small(t *testing.T) []byte {
	t.Helper()
	s := synthetic{seed: 1, commits: 60, machine: twoMachines, planted: []planted{
		{"cpu_per_op", 31, 1.05}, {"alloc_bytes_per_op", 44, 0.98}, {"allocs_per_op", 44, 37.0 / 38},
	}}
	var lines bytes.Buffer
	for _, r := range s.records() {
		for _, latency := range []string{"latency_mean", "latency_p50", "latency_p90", "latency_p999"} {
			drop(&r, latency)
		}
		line, err := encode(r)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(line)
	}
	return lines.Bytes()
}

func drop(r *Record, id string) {
	for i, m := range r.Metrics {
		if string(m.ID) == id {
			r.Metrics = append(r.Metrics[:i], r.Metrics[i+1:]...)
			return
		}
	}
}

const smallFile = "testdata/history.jsonl"

func TestGolden(t *testing.T) {
	got := small(t)
	if *update {
		err := os.WriteFile(smallFile, got, 0o644)
		if err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(smallFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("differs from %s; go test ./compare/history -update rewrites it\n%s", smallFile, diff)
	}
}

func TestAppend(t *testing.T) {
	records := synthetic{seed: 1, commits: 3}.records()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	for _, want := range []struct {
		records []Record
		added   int
	}{{records[:1], 1}, {records, 2}, {records, 0}, {nil, 0}} {
		added, err := Append(path, want.records)
		if err != nil || added != want.added {
			t.Fatalf("added %d, want %d: %v", added, want.added, err)
		}
	}
	read, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(records, read); diff != "" {
		t.Error(diff)
	}
}

// TestAppendRefuses holds that nothing is added to a history that is damaged or
// has no place, and that no record is written that could not be read.
func TestAppendRefuses(t *testing.T) {
	dir := t.TempDir()
	records := synthetic{seed: 1, commits: 2}.records()
	damaged := filepath.Join(dir, "damaged.jsonl")
	line, err := encode(records[0])
	if err != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(damaged, line[:len(line)-1], 0o600)
	if err != nil {
		t.Fatal(err)
	}
	odd := records[1]
	odd.Blocks = 0
	tests := []struct {
		path   string
		record Record
		want   string
	}{
		{damaged, records[1], "line 1 is cut off"},
		{filepath.Join(damaged, "history.jsonl"), records[1], "not a directory"},
		{dir, records[1], "is a directory"},
		{filepath.Join(dir, "fresh.jsonl"), odd, "0 blocks"},
	}
	for _, tt := range tests {
		_, err := Append(tt.path, []Record{tt.record})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.path, err, tt.want)
		}
	}
	after, err := os.ReadFile(damaged)
	if err != nil || !bytes.Equal(after, line[:len(line)-1]) {
		t.Errorf("the damaged file changed: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "fresh.jsonl")); err == nil {
		t.Error("a record that cannot be read was written")
	}
}

func TestDecodeRefuses(t *testing.T) {
	records := synthetic{seed: 1, commits: 1}.records()
	line, err := encode(records[0])
	if err != nil {
		t.Fatal(err)
	}
	text := string(line)
	replace := func(old, new string) string { return strings.Replace(text, old, new, 1) }
	tests := []struct{ name, data, want string }{
		{"cut off", text + text[:100], "line 2 is cut off"},
		{"not JSON", "hello\n", "line 1: not a record"},
		{"an empty line", text + "\n", "line 2: not a record"},
		{"another format", `{"format":"x","schema":1}` + "\n", `not in format "eventobench history"`},
		{"no schema", `{"format":"eventobench history"}` + "\n", "not in format"},
		{"newer", replace(`"schema":1`, `"schema":2`), "format 2 by a newer eventobench"},
		{"twice", text + text, "lines 1 and 2 both are of shop against shop of experiment e001"},
		{"unknown field", replace(`"load"`, `"laod"`), `unknown field "laod"`},
		{"two records in a line", strings.TrimSuffix(text, "\n") + text, "not a record"},
		{"no curve", replace(`"curve":"shop"`, `"curve":""`), "no experiment, curve or load"},
		{"no time", replace("2026-01-02T12:00:00Z", "0001-01-01T00:00:00Z"), "no time"},
		{"verdict", replace(`"verdict":"equivalent"`, `"verdict":"fine"`), `verdict "fine" is none`},
		{"metric's verdict", replace(`"verdict":"equivalent"},`, `"verdict":"fine"},`),
			`verdict "fine" on ops_per_sec`},
		{"metric", replace(`"name":"ops_per_sec"`, `"name":"speed"`), `metric "speed" is none`},
		{"neutral metric", replace(`"name":"ops_per_sec"`, `"name":"heap_peak"`), `metric "heap_peak" is none`},
		{"metric twice", replace(`"name":"ops_per_sec"`, `"name":"cpu_per_op"`), `"cpu_per_op" is there twice`},
		{"value", replace(`"value":`, `"value":-`), `metric "ops_per_sec" is -`},
		{"level", replace(`"level":0.99`, `"level":2`), "at level 2"},
		{"not paired", replace(`"paired":true,`, ""), "without a base that was recorded with it"},
		{"no subject", replace(`"head":{"subject":"shop"`, `"head":{"subject":""`), "a build without a subject"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode([]byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzDecode holds that what is read can be written, and that no history makes
// the search for changes fail.
func FuzzDecode(f *testing.F) {
	for _, s := range []synthetic{
		{seed: 1, commits: 1}, {seed: 2, commits: 4, base: func(c int) int { return c - 1 }},
	} {
		var lines bytes.Buffer
		for _, r := range s.records() {
			line, err := encode(r)
			if err != nil {
				f.Fatal(err)
			}
			lines.Write(line)
		}
		f.Add(lines.Bytes())
	}
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := Decode(data)
		if err != nil {
			return
		}
		var lines bytes.Buffer
		for _, r := range records {
			line, err := encode(r)
			if err != nil {
				t.Fatal(err)
			}
			lines.Write(line)
		}
		again, err := Decode(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(records, again); diff != "" {
			t.Error(diff)
		}
		for _, c := range Curves(records) {
			for _, s := range c.Series {
				for _, change := range s.Changes {
					if change.After < 0 || change.After >= change.Upto || change.Upto >= len(c.Records) {
						t.Errorf("%s: a change %+v among %d records", s.Metric.ID, change, len(c.Records))
					}
				}
			}
		}
	})
}
