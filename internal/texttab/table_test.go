package texttab

import "testing"

// TestLines holds that a row is a line, whatever its cells say, in text and in Markdown.
func TestLines(t *testing.T) {
	table := New("metric", "value")
	table.Add("a|b", "died; its last output:\n  panic: boom")
	table.Add("c")
	if got, want := table.String(), "metric                               value\n"+
		"a|b     died; its last output: panic: boom\nc\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := table.Markdown(), "| metric | value |\n|---|---:|\n"+
		"| a\\|b | died; its last output: panic: boom |\n| c |  |\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
