// Package cachegrind counts the instructions of a program, function by function, with
// valgrind's tool of that name.
package cachegrind

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// Counts are instructions in user space by function.
type Counts map[string]int64

// Parse reads what cachegrind writes: a line "events: Ir …", "fn=NAME" before the lines
// of each function, which hold a line number and a count for each event, and "summary:"
// with the sums. The sum of the functions must be that of the summary; see the chapter on
// cachegrind in valgrind's manual, "Cachegrind Output File Format".
func Parse(r io.Reader) (Counts, error) {
	p := parser{counts: Counts{}, column: -1, summary: -1}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	for n := 1; lines.Scan(); n++ {
		if err := p.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	switch {
	case p.summary < 0:
		return nil, errors.New("it ends without a summary")
	case p.sum != p.summary:
		return nil, fmt.Errorf("the functions add up to %d instructions, the summary says %d", p.sum, p.summary)
	}
	return p.counts, nil
}

// longestLine is more than the name of any function.
const longestLine = 1 << 20

// parser holds what the lines so far said.
type parser struct {
	counts       Counts
	column       int    // of instructions among the events
	function     string // whose lines are read
	sum, summary int64
}

func (p *parser) line(text string) error {
	key, value, keyed := strings.Cut(text, ": ")
	switch {
	case text == "" || p.summary >= 0:
		return nil
	case strings.HasPrefix(text, "fn="):
		p.function = text[len("fn="):]
		return nil
	case text[0] >= '0' && text[0] <= '9':
		return p.count(strings.Fields(text))
	case keyed && key == "events":
		p.column = slices.Index(strings.Fields(value), "Ir")
	case keyed && key == "summary":
		return p.summarize(strings.Fields(value))
	}
	return nil // fl= and desc: say nothing of instructions
}

func (p *parser) count(fields []string) error {
	n, err := p.instructions(fields[1:])
	if err != nil {
		return err
	}
	if p.function == "" {
		return errors.New("a count of no function")
	}
	p.counts[p.function] += n
	p.sum += n
	return nil
}

func (p *parser) summarize(fields []string) (err error) {
	p.summary, err = p.instructions(fields)
	return err
}

// instructions are the count of instructions among those of all events. Cachegrind leaves
// out trailing zeros.
func (p *parser) instructions(counts []string) (int64, error) {
	if p.column < 0 {
		return 0, errors.New("no events before it, or no instructions (Ir) among them")
	}
	if p.column >= len(counts) {
		return 0, nil
	}
	n, err := strconv.ParseInt(counts[p.column], 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64-p.sum {
		return 0, fmt.Errorf("%q is no count", counts[p.column])
	}
	return n, nil
}

// Less is what c counts more than d. A function may come out negative.
func (c Counts) Less(d Counts) Counts {
	diff := maps.Clone(c)
	for function, n := range d {
		diff[function] -= n
	}
	maps.DeleteFunc(diff, func(_ string, n int64) bool { return n == 0 })
	return diff
}

// Split separates what a program did from how it waited for something to do, see waiting.
func (c Counts) Split() (work, waited Counts) {
	work, waited = Counts{}, Counts{}
	for function, n := range c {
		if waits(function) {
			waited[function] = n
		} else {
			work[function] = n
		}
	}
	return work, waited
}

// Total is the sum over all functions.
func (c Counts) Total() int64 {
	var sum int64
	for _, n := range c {
		sum += n
	}
	return sum
}

// Profile gives the counts the form of a pprof profile, without callers.
func (c Counts) Profile() *profile.Profile {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "instructions", Unit: "count"}},
		PeriodType: &profile.ValueType{Type: "instructions", Unit: "count"}, Period: 1,
	}
	for i, name := range slices.Sorted(maps.Keys(c)) {
		id := uint64(i) + 1
		f := &profile.Function{ID: id, Name: name, SystemName: name}
		l := &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{c[name]}})
	}
	return p
}
