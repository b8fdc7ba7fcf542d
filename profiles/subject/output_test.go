package subject

import (
	"io"
	"strings"
	"testing"
)

// TestEndlessLine: what a subject prints without ever ending a line is not all kept.
func TestEndlessLine(t *testing.T) {
	o := newOutput(io.Discard)
	for range 1000 {
		if _, err := o.Write([]byte(strings.Repeat("x", 32<<10))); err != nil {
			t.Fatal(err)
		}
	}
	if kept := cap(o.partial); kept > 4*longestLine {
		t.Errorf("%d bytes are kept of a line", kept)
	}
	if text := o.tail(); len(text) > (lastLines+2)*(keptOfLine+10) {
		t.Errorf("an error has %d bytes of it", len(text))
	}
	if _, err := o.Write([]byte("\nthat was it\nlistening on http://127.0.0.1:1\n")); err != nil {
		t.Fatal(err)
	}
	if text := o.tail(); !strings.Contains(text, "\n  that was it\n") || <-o.announced != "http://127.0.0.1:1" {
		t.Errorf("what comes after it is %.100s", text)
	}
}
