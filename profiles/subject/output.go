package subject

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// announcement begins the line with which a subject says where it listens:
// "listening on http://127.0.0.1:40123".
const announcement = "listening on "

// lastLines of a subject's output are kept for error messages.
const lastLines = 10

// output passes on what a subject prints, and keeps the address it announces
// and the last lines.
type output struct {
	log       io.Writer
	announced chan string

	mu      sync.Mutex
	partial []byte // a line that has no end yet
	last    []string
}

func newOutput(log io.Writer) *output {
	return &output{log: log, announced: make(chan string, 1)}
}

// Write fails only if the log does.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, b...)
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			return o.log.Write(b)
		}
		o.line(strings.TrimSuffix(string(line), "\r"))
		o.partial = rest
	}
}

func (o *output) line(text string) {
	o.last = append(o.last, text)
	if len(o.last) > lastLines {
		o.last = o.last[1:]
	}
	address, ok := strings.CutPrefix(text, announcement)
	if !ok {
		return
	}
	select {
	case o.announced <- address:
	default: // only the first announcement counts
	}
}

// tail is the last output, for the end of an error message.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := o.last
	if len(o.partial) > 0 {
		last = append(last, string(o.partial))
	}
	if len(last) == 0 {
		return "; it printed nothing"
	}
	return "; its last output:\n  " + strings.Join(last, "\n  ")
}
