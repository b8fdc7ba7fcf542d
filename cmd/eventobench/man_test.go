package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestManPages holds that each command has a page with all its flags, that layouts
// are kept, and that pages of one date are the same.
func TestManPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795867200") // 2026-11-28
	dir, again := manPages(t), manPages(t)
	for _, cmd := range visible(newRootCmd()) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
		page := readFile(t, filepath.Join(dir, name))
		if page != readFile(t, filepath.Join(again, name)) || !strings.Contains(page, `"Nov 2026"`) {
			t.Errorf("%s is not that of the date", name)
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(page, `\fB--`+f.Name+`\fP`) {
				t.Errorf("%s does not tell of --%s", name, f.Name)
			}
		})
	}
	if !strings.Contains(readFile(t, filepath.Join(dir, "eventobench-gate.1")),
		"\n   git:REF or git:REF:PACKAGE    a commit, built for the occasion\n   go:PACKAGE") {
		t.Error("the layout of gate's subjects is lost")
	}
}

// TestManPagesRender holds that nothing in them puzzles man.
func TestManPagesRender(t *testing.T) {
	program, err := exec.LookPath("groff")
	if err != nil {
		t.Skipf("man pages are not rendered: %v (apt-get install groff)", err)
	}
	pages, err := filepath.Glob(filepath.Join(manPages(t), "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		cmd := exec.CommandContext(t.Context(), program, "-k", "-ww", "-z", "-man", "-Tutf8", page)
		if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("%v: %s", err, said)
		}
	}
}

// manPages is a folder of them.
func manPages(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "man1")
	if err := writeMan(newRootCmd(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// visible are a command and all below it that are not hidden.
func visible(cmd *cobra.Command) []*cobra.Command {
	if cmd.Hidden {
		return nil
	}
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		all = append(all, visible(c)...)
	}
	return all
}

func TestFenceLayout(t *testing.T) {
	tests := []struct{ text, want string }{
		{"One.\n\nTwo.", "One.\n\nTwo."},
		{"These:\n  a  1\n  b  2\nand more.", "These:\n```\n  a  1\n  b  2\n```\nand more."},
		{"These:\n\n  a:\n\n    b\n\nMore.", "These:\n\n```\n  a:\n\n    b\n\n```\nMore."},
		{"These:\n  a", "These:\n```\n  a\n```"},
	}
	for _, tt := range tests {
		if got := fenceLayout(tt.text); got != tt.want {
			t.Errorf("%q is %q, want %q", tt.text, got, tt.want)
		}
	}
}
