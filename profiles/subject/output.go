package subject

import (
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// announcement begins the line with which a subject says where it listens:
// "listening on http://127.0.0.1:40123".
const announcement = "listening on "

// lastLines of a subject's output are kept for error messages, so many bytes of each. A
// line that is longer than longestLine counts as several.
const (
	lastLines   = 10
	keptOfLine  = 2 << 10
	longestLine = 64 << 10
)

// output passes on what a subject prints, and keeps the address it announces
// and the last lines.
type output struct {
	log       io.Writer
	announced chan string

	mu      sync.Mutex
	partial []byte // a line that has no end yet
	last    []string
	urls    []string // that were printed, the first ones
}

// printedURL finds where a server listens in what it says about that.
var printedURL = regexp.MustCompile(`https?://[^\s"'<>()\[\]]*(?:\[[0-9a-fA-F:]+\])?:\d+`)

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
		if !found && len(o.partial) <= longestLine {
			return o.log.Write(b)
		}
		o.line(strings.TrimSuffix(string(line), "\r"))
		o.partial = rest
	}
}

func (o *output) line(text string) {
	o.last = append(o.last, shortened(text))
	if len(o.last) > lastLines {
		o.last = o.last[1:]
	}
	if len(o.urls) < lastLines {
		o.urls = append(o.urls, printedURL.FindAllString(text, 1)...)
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

// shortened is the beginning of a line that is too long to be kept.
func shortened(text string) string {
	if len(text) <= keptOfLine {
		return text
	}
	return text[:keptOfLine] + "…"
}

// copy passes on what comes from a pipe until nobody holds its other end. A log
// that takes no more, as on a full disk, does not make the subject wait.
func (o *output) copy(pipe io.Reader) {
	if _, err := io.Copy(o, pipe); err != nil {
		_, _ = io.Copy(io.Discard, pipe)
	}
}

// printedURLs are URLs with a port that were printed.
func (o *output) printedURLs() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.urls)
}

// tail is the last output, for the end of an error message.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := o.last
	if len(o.partial) > 0 {
		last = append(slices.Clone(last), shortened(string(o.partial)))
	}
	if len(last) == 0 {
		return "; it printed nothing"
	}
	return "; its last output:\n  " + strings.Join(last, "\n  ")
}
