package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/eventobench/eventobench/"

// layout says which packages of the module each package of the harness may
// import: from left to right only, as docs/design.md draws it. The store, in
// server, imports packages of its own family only, and this package any.
var layout = map[string][]string{
	"internal/texttab":    {},
	"internal/strictjson": {},
	"internal/ratefit":    {},
	"loadgen":             {},
	"loadgen/workload":    {"internal/strictjson", "loadgen"},
	"loadgen/agent":       {"internal/strictjson", "loadgen", "loadgen/workload"},
	"profiles/runfolder":  {"internal/strictjson", "internal/ratefit", "loadgen"},
	"profiles/perf":       {}, "profiles/cachegrind": {},
	"profiles/host":    {"profiles/runfolder", "profiles/perf", "loadgen"},
	"profiles/subject": {"profiles/runfolder", "profiles/perf"},
	"profiles": {
		"loadgen", "internal/ratefit", "profiles/runfolder", "profiles/host", "profiles/subject", "profiles/cachegrind",
	},
	"profiles/remote": {
		"internal/strictjson", "loadgen/agent", "profiles", "profiles/runfolder", "profiles/host", "profiles/subject",
	},
	"compare/stat":     {},
	"compare/profdiff": {"internal/texttab", "profiles/runfolder", "compare/stat"},
	"docs":             {},
	"compare": {
		"docs", "internal/strictjson", "internal/texttab", "internal/ratefit", "loadgen", "profiles/runfolder", "compare/stat", "compare/profdiff",
	},
	"compare/history": {"internal/strictjson", "profiles/runfolder", "compare", "compare/stat"},
	"compare/render/view": {
		"internal/texttab", "profiles/runfolder", "compare", "compare/stat", "compare/profdiff", "compare/history",
	},
	"compare/render/html": {
		"internal/texttab", "compare", "compare/profdiff", "compare/history", "compare/render/view",
	},
	"compare/render": {
		"internal/texttab", "compare", "compare/stat", "compare/profdiff", "compare/history",
		"compare/render/view", "compare/render/html",
	},
}

// TestLayout holds the direction of imports: the harness and the store know
// nothing of each other, and nobody looks back.
func TestLayout(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(strings.ReplaceAll(line, module, "./"))
		for _, imported := range fields[1:] {
			if ours, found := strings.CutPrefix(imported, "./"); found && !allowed(strings.TrimPrefix(fields[0], "./"), ours) {
				t.Errorf("%s imports %s", fields[0], ours)
			}
		}
	}
}

func allowed(importer, imported string) bool {
	family, _, _ := strings.Cut(importer, "/")
	switch family {
	case "cmd":
		return true
	case "server":
		return imported == "server" || strings.HasPrefix(imported, "server/")
	}
	return slices.Contains(layout[importer], imported)
}
