package render

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eventobench/eventobench/compare"
	"github.com/eventobench/eventobench/profiles/runfolder"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// read reads one of the reports that compare's golden test writes.
func read(t *testing.T, name string) *compare.Report {
	t.Helper()
	r, err := compare.ReadReport(filepath.Join("..", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(t *testing.T, r *compare.Report, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Report(&b, r, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func renderGate(t *testing.T, g compare.Gate, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Gate(&b, g, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("differs from %s; go test ./compare/... -update rewrites it\n%s", path, diff)
	}
}

// assets matches what the page has from files of ours: the golden page does
// without it.
var assets = regexp.MustCompile(`(?s)(<style>|<script>|sha256-).*?(</style>|</script>|&#39;)`)

func TestGolden(t *testing.T) {
	r := read(t, "report")
	for _, format := range Formats {
		if format == "json" {
			continue // compare's golden test has it
		}
		t.Run(format, func(t *testing.T) {
			golden(t, "report."+format, assets.ReplaceAllString(render(t, r, format), "$1…$2"))
		})
	}
	if err := Report(&bytes.Buffer{}, r, "pdf"); err == nil {
		t.Error("rendered a format that does not exist")
	}
}

// counted matches what a comment says of the experiments that were counted, which are more
// every time that some are recorded.
var counted = regexp.MustCompile(` Counted: .*`)

func TestGateGolden(t *testing.T) {
	for _, name := range []string{"gate", "unexplained", "layout", "control"} {
		g := compare.NewGate(read(t, name))
		g.Repository, g.Again = "https://github.example/shop/shop", "eventobench gate --base=a --head=b"
		for _, format := range GateFormats {
			t.Run(name+" "+format, func(t *testing.T) {
				golden(t, name+"."+format, counted.ReplaceAllString(renderGate(t, g, format), ""))
			})
		}
		if err := Gate(&bytes.Buffer{}, g, "pdf"); err == nil {
			t.Error("rendered a format that does not exist")
		}
	}
}

// TestJSONReadsBack holds that a report's JSON renders as the report itself.
func TestJSONReadsBack(t *testing.T) {
	for _, name := range []string{"report", "odd-open", "odd-bound", "layout", "control"} {
		r := read(t, name)
		again, err := compare.DecodeReport(strings.NewReader(render(t, r, "json")))
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range Formats {
			if render(t, r, format) != render(t, again, format) {
				t.Errorf("%s as %s differs once it was written and read", name, format)
			}
		}
	}
}

// TestFormatsAgree renders odd reports in every format that people read and
// holds that all say the same.
func TestFormatsAgree(t *testing.T) {
	tests := []struct {
		report  string
		order   []string // gated metrics, as the summary has them
		bars    []string // metrics that are drawn
		not     []string // metrics that are not drawn
		phrases []string // that every format has
	}{
		{
			report: "odd-open",
			order:  []string{"CPU", "allocated", "allocations"},
			bars:   []string{"CPU, us/op", "latency, mean, ms", "latency, p99, ms"},
			not:    []string{"throughput, ops/s"},
			phrases: []string{
				"from 0 to 3.2",     // GC cycles
				"no memory of that", // the peak of memory
				"latency, p99, from sending", "never sent", "missed_requests",
				"By kind of request: nothing changed beyond tolerance in write; undecided: read.",
				"no request of this kind", "answers, size", "They do not count for the overall verdict",
			},
		},
		{
			report: "odd-bound",
			order:  []string{"CPU", "throughput"},
			bars:   []string{"CPU, us/op", "throughput, ops/s"},
			not:    []string{"allocated, B/op", "allocations, allocs/op"},
			phrases: []string{
				"By kind of request: p50 and p99 of write, read regressed.",
				"regressed, waived", "the server has no /debug/pprof", "generator_bound", "unavailable",
			},
		},
		{
			report: "layout",
			order:  []string{"throughput", "CPU"},
			bars:   []string{"CPU, us/op", "throughput, ops/s"},
			phrases: []string{
				"throughput, as built", "CPU, as built", "(over 16 blocks with the functions of both sides in other orders)",
				"its place in memory for", "Where a row says as built",
			},
		},
	}
	for _, tt := range tests {
		r := read(t, tt.report)
		for _, format := range []string{"text", "md", "html"} {
			t.Run(tt.report+" "+format, func(t *testing.T) {
				text := plain(render(t, r, format))
				for _, phrase := range tt.phrases {
					if !strings.Contains(text, phrase) {
						t.Errorf("does not say %q", phrase)
					}
				}
				first := strings.Index(text, "head")
				for _, label := range tt.order {
					i := strings.Index(text[first:], label+" ")
					if i < 0 {
						t.Fatalf("%s is missing, or comes too early in %.400q", label, text)
					}
					first += i
				}
				for _, label := range tt.bars {
					if !regexp.MustCompile(regexp.QuoteMeta(label) + ` \((longer|shorter) is better\)`).MatchString(text) {
						t.Errorf("%s is not drawn", label)
					}
				}
				for _, label := range tt.not {
					if strings.Contains(text, label+" (") {
						t.Errorf("%s is drawn", label)
					}
				}
			})
		}
	}
}

var (
	elements = regexp.MustCompile(`(?s)<script.*?</script>|<style.*?</style>|<[^>]*>`)
	spaces   = regexp.MustCompile(`[\s|]+`)
)

// plain is the text of a page without its elements.
func plain(page string) string {
	text := elements.ReplaceAllString(page, " ")
	return spaces.ReplaceAllString(strings.NewReplacer("&#39;", "'", "&amp;", "&", "&#43;", "+").Replace(text), " ")
}

// TestGateFormatsAgree holds that Markdown, which lands in step summaries, says
// what the terminal says: one table for what explains several metrics, in the
// unit of the table.
func TestGateFormatsAgree(t *testing.T) {
	g := compare.NewGate(read(t, "gate"))
	for _, format := range []string{"text", "md"} {
		text := renderGate(t, g, format)
		titles := regexp.MustCompile(`; what grew, in (\S+?):?\n`).FindAllStringSubmatch(text, -1)
		headings := regexp.MustCompile(`more, (\S+)`).FindAllStringSubmatch(text, -1)
		if len(titles) != len(g.Grown) || len(headings) != len(g.Grown) {
			t.Fatalf("%s: %d titles, %d tables, want %d:\n%s", format, len(titles), len(headings), len(g.Grown), text)
		}
		for i, grown := range g.Grown {
			if titles[i][1] != grown.Unit || headings[i][1] != grown.Unit {
				t.Errorf("%s: a title in %s over a table in %s, want %s", format, titles[i][1], headings[i][1], grown.Unit)
			}
		}
	}
	unexplained := compare.NewGate(read(t, "unexplained"))
	for _, format := range []string{"text", "md"} {
		text := renderGate(t, unexplained, format)
		for _, want := range []string{"no function by itself stands out of its noise", "would name a function", "kind of work"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q:\n%s", format, want, text)
			}
		}
	}
}

// TestGateEscapes holds what a name or a reason could do to the formats that
// have a syntax of their own.
func TestGateEscapes(t *testing.T) {
	g := compare.NewGate(read(t, "gate"))
	g.Head = `a<b>&"c"`
	g.Waivers[0].Reason = "100% sure\n::error::not a command"
	for line := range strings.Lines(renderGate(t, g, "github")) {
		if !strings.HasPrefix(line, "::") || strings.HasPrefix(line, "::error::not") {
			t.Errorf("the line %q begins otherwise than a command", line)
		}
	}
	var suite junitSuite
	if err := xml.Unmarshal([]byte(renderGate(t, g, "junit")), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 4 || suite.Failures != 2 || suite.Skipped != 1 || len(suite.Cases) != 4 || !strings.Contains(suite.Cases[0].Class, g.Head) {
		t.Errorf("%+v", suite)
	}
	var decoded compare.Gate
	if err := json.Unmarshal([]byte(renderGate(t, g, "json")), &decoded); err != nil || decoded.Head != g.Head {
		t.Errorf("%v: %q", err, decoded.Head)
	}
}

// TestCapacityGateGolden: a gate on capacity has all formats of a gate.
func TestCapacityGateGolden(t *testing.T) {
	c, err := runfolder.ReadCapacity(filepath.Join("..", "testdata", "recorded", "20260102_030405-capacity.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := compare.NewCapacityReport(c, compare.DefaultCriteria())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range GateFormats {
		t.Run(format, func(t *testing.T) {
			golden(t, "capacity."+format, counted.ReplaceAllString(renderGate(t, compare.NewCapacityGate(r, compare.Options{}), format), "$1…"))
		})
	}
	for _, format := range PageFormats {
		var b bytes.Buffer
		if err := Capacity(&b, r, format); err != nil || !strings.Contains(b.String(), "p99 5ms") {
			t.Errorf("%s: %v\n%s", format, err, b.String())
		}
	}
}
