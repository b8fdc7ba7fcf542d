package main

import (
	"os"
	"regexp"
	"testing"
)

// TestRelease holds that the program goes by the latest version of the changelog.
func TestRelease(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	latest := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$`).FindSubmatch(text)
	if latest == nil || "v"+string(latest[1]) != release {
		t.Errorf("the latest version in CHANGELOG.md is %q, of the program %s", latest, release)
	}
}

func TestVersion(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	tests := []struct {
		name  string
		build build
		want  string
	}{
		{"a tag", build{module: "v0.2.0", commit: commit}, "v0.2.0"},
		{"after a tag", build{module: "v0.2.1-0.20261128120000-0123456789ab+dirty", commit: commit, modified: true},
			"v0.2.1-0.20261128120000-0123456789ab+dirty"},
		{"no tag", build{module: "v0.0.0-20261128120000-0123456789ab", commit: commit}, release + "+0123456789ab"},
		{"no tag, with changes", build{module: "(devel)", commit: commit, modified: true},
			release + "+0123456789ab.dirty"},
		{"no repository", build{module: "(devel)"}, release + "+devel"},
	}
	for _, tt := range tests {
		if got := tt.build.version(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
