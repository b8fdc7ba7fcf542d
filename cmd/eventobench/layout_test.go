package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestFamiliesDoNotMeet holds that the harness and the store know nothing of
// each other: they are tied together in this package only.
func TestFamiliesDoNotMeet(t *testing.T) {
	const module = "github.com/eventobench/eventobench/"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		family := strings.Split(strings.TrimPrefix(path, module), "/")[0]
		for _, imported := range strings.Fields(imports) {
			other, ours := strings.CutPrefix(imported, module)
			other = strings.Split(other, "/")[0]
			if ours && !allowed(family, other) {
				t.Errorf("%s imports %s", path, imported)
			}
		}
	}
}

func allowed(family, imported string) bool {
	switch family {
	case "cmd":
		return true
	case "compare":
		return imported == "compare" || imported == "profiles" || imported == "loadgen"
	case "profiles":
		return imported == "profiles" || imported == "loadgen"
	case "server":
		return imported == "server"
	}
	return false
}
