package powercut

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// call is a system call as strace shows it.
type call struct {
	name     string
	args     []string
	result   int64
	failed   bool
	injected bool // it was not made: strace only told the program so
	resumed  bool // it was shown in two lines, and this is the end
	time     time.Time
	text     string
}

// event is what a line of strace's tells of a call.
type event int

const (
	nothing event = iota // it is about a signal or the end of a thread
	begun
	ended
)

// joiner puts together the calls that strace shows in two lines, because
// another thread's came between.
type joiner struct {
	begun map[string]string // the first line, by thread
}

// add takes the next line. A call that is shown in one line has only an end.
func (j *joiner) add(line string) (call, event, error) {
	const unfinished, resumed = " <unfinished ...>", " resumed>"
	thread, rest, _ := strings.Cut(line, " ")
	stamp, text, ok := strings.Cut(strings.TrimLeft(rest, " "), " ")
	switch {
	case !ok:
		return call{}, nothing, fmt.Errorf("line %.80q has no time", line)
	case strings.HasPrefix(text, "---"), strings.HasPrefix(text, "+++"):
		return call{}, nothing, nil
	case strings.HasSuffix(text, unfinished):
		if j.begun == nil {
			j.begun = map[string]string{}
		}
		j.begun[thread] = strings.TrimSuffix(text, unfinished)
		c, err := parseCall(j.begun[thread]+")", stamp)
		return c, begun, err
	case strings.HasPrefix(text, "<... "):
		_, end, ok := strings.Cut(text, resumed)
		first, known := j.begun[thread]
		if !ok || !known {
			return call{}, nothing, fmt.Errorf("line %.80q resumes nothing", line)
		}
		delete(j.begun, thread)
		c, err := parseCall(first+end, stamp)
		c.resumed = true
		return c, ended, err
	}
	c, err := parseCall(text, stamp)
	return c, ended, err
}

// parseCall reads "name(args) = result". The result is missing if the call has
// only begun, and "?" if the process ended in it.
func parseCall(text, stamp string) (c call, err error) {
	c.text = text[:min(len(text), 200)]
	if c.time, err = parseTime(stamp); err != nil {
		return c, err
	}
	name, rest, ok := strings.Cut(text, "(")
	end := strings.Index(rest, ")") // texts are in hexadecimal, and no other argument has one
	if !ok || end < 0 {
		return c, fmt.Errorf("line %.80q is no call", text)
	}
	c.name, c.args = name, strings.Split(rest[:end], ", ")
	result := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest[end+1:]), "="))
	c.injected = strings.Contains(result, "INJECTED")
	first, _, _ := strings.Cut(result, " ")
	if c.result, err = strconv.ParseInt(first, 0, 64); err != nil {
		c.result, err = -1, nil // begun only, or an address
	}
	c.failed = c.result < 0
	return c, nil
}

func parseTime(stamp string) (time.Time, error) {
	seconds, micros, _ := strings.Cut(stamp, ".")
	s, err1 := strconv.ParseInt(seconds, 10, 64)
	us, err2 := strconv.ParseInt(micros, 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return time.Time{}, fmt.Errorf("time %q: %w", stamp, err)
	}
	return time.Unix(s, us*int64(time.Microsecond)), nil
}

// descriptor is the first argument, if it is the number of an open file; of mmap
// the one that stands for it.
func (c call) descriptor() (int, bool) {
	place := 0
	if c.name == "mmap" {
		place = 4
		if len(c.args) <= place || !strings.Contains(c.args[3], "MAP_SHARED") || !strings.Contains(c.args[2], "PROT_WRITE") {
			return 0, false
		}
	}
	if len(c.args) <= place {
		return 0, false
	}
	fd, err := strconv.Atoi(c.args[place])
	return fd, err == nil && fd >= 0
}

// path is the first argument that is a text.
func (c call) path() string {
	for i := range c.args {
		if data := c.data(i); data != nil {
			return string(data)
		}
	}
	return ""
}

// data is an argument that is a text, nil if it is none.
func (c call) data(i int) []byte {
	if i >= len(c.args) {
		return nil
	}
	quoted, ok := strings.CutPrefix(c.args[i], `"`)
	if !ok {
		return nil
	}
	digits := strings.ReplaceAll(strings.TrimSuffix(quoted, `"`), `\x`, "")
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil
	}
	return data
}

// number is an argument that is one, 0 if it is none.
func (c call) number(i int) int64 {
	if i >= len(c.args) {
		return 0
	}
	n, err := strconv.ParseInt(c.args[i], 0, 64)
	if err != nil {
		return 0
	}
	return n
}

// unknown is the error of a call that the model of a disk has no place for.
func (c call) unknown() error {
	return fmt.Errorf("%s changes a file in a way that is not understood; add it to package powercut: %s", c.name, c.text)
}
