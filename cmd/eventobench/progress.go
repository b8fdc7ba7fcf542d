package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/eventobench/eventobench/internal/texttab"
	"github.com/eventobench/eventobench/profiles"
)

// progress shows how far an experiment is: on a terminal one line that is
// written over, elsewhere one line per block.
type progress struct {
	w        io.Writer
	terminal int // file descriptor, -1 if w is none
	shown    time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, terminal: -1}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.terminal = int(f.Fd())
	}
	return p
}

func (p *progress) show(s profiles.Progress) {
	if p.terminal < 0 {
		if s.Round == 0 {
			fmt.Fprintln(p.w, progressLine(s))
		}
		return
	}
	p.line(progressLine(s))
}

// showCapacity tells of every trial on a terminal, and elsewhere of none.
func (p *progress) showCapacity(s profiles.CapacityProgress) {
	if p.terminal < 0 {
		return
	}
	t := s.Trial
	p.line(fmt.Sprintf("%d of %d blocks | %s at %s/s: p99 %.2f ms", s.Done, s.Blocks, s.Name,
		texttab.Number(t.Rate, 0), t.P99.Seconds()*1e3))
}

// line writes over the line before, if that has been there for a while.
func (p *progress) line(text string) {
	const interval = 200 * time.Millisecond
	if time.Since(p.shown) < interval {
		return
	}
	p.shown = time.Now()
	fmt.Fprint(p.w, "\r\x1b[K", clip(text, p.width()))
}

// clear removes the line that show may have left on a terminal.
func (p *progress) clear() {
	if p.terminal >= 0 && !p.shown.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *progress) width() int {
	width, _, err := term.GetSize(p.terminal)
	if err != nil || width < 1 {
		return 80
	}
	return width
}

func progressLine(s profiles.Progress) string {
	if s.Counting > 0 {
		return fmt.Sprintf("counting instructions: %d of %d blocks", s.Counted, s.Counting)
	}
	parts := []string{fmt.Sprintf("%d of %d blocks", s.Done, s.Blocks), s.Left.Round(time.Second).String() + " left"}
	for _, subject := range s.Subjects {
		if subject.OpsPerSec > 0 {
			parts = append(parts, fmt.Sprintf("%s %s ops/s, p99 %.2f ms", subject.Name, texttab.Number(subject.OpsPerSec, 0),
				subject.P99Ms))
		}
	}
	return strings.Join(parts, " | ")
}

// clip cuts a line to the terminal's width, so that it can be written over.
func clip(line string, width int) string {
	if runes := []rune(line); len(runes) >= width {
		return string(runes[:width-1])
	}
	return line
}
