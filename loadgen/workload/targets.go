package workload

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Target is a request as vegeta describes it: its JSON format is one of these per
// line.
type Target struct {
	Method string      `json:"method"`
	URL    string      `json:"url"` // or path and query alone
	Body   []byte      `json:"body,omitempty"`
	Header http.Header `json:"header,omitempty"` // names in the letter case in which they are sent

	// At is when the request was sent, in nanoseconds from the start of a recording.
	// It is not vegeta's, which takes no notice of it.
	At *int64 `json:"at_ns,omitempty"`
}

// ReadTargets reads a file in one of vegeta's two formats. The workload is named
// by the file and by a hash of its requests. An error of type *Error tells the
// place in the file.
func ReadTargets(file string) (*Requests, error) {
	text, err := readText(file, decodeText)
	if err != nil {
		return nil, err
	}
	targets, err := parseTargets(file, text, bodyReader(file))
	if err != nil {
		return nil, err
	}
	r, err := newRequests("", targets)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var content []byte
	for i, t := range targets {
		content = append(content, r.all[i].Wire(anyHost)...)
		if t.At != nil {
			content = fmt.Appendf(content, "\n@%d\n", *t.At)
		}
	}
	r.name = contentName(file, content)
	return r, nil
}

// parseTargets reads targets in the format that the first character gives away.
func parseTargets(file, text string, body func(name string) ([]byte, error)) ([]Target, error) {
	parse := parseHTTP
	if start := strings.TrimSpace(text); strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[") {
		parse = parseJSON
	}
	targets, err := parse(file, text, body)
	if err == nil && len(targets) == 0 {
		return nil, fmt.Errorf("%s: no targets in it", file)
	}
	return targets, err
}

// bodyReader reads the files of bodies: from the folder of the targets or, as
// vegeta does, from the working directory.
func bodyReader(file string) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if filepath.IsAbs(name) {
			return os.ReadFile(name)
		}
		body, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
		if errors.Is(err, fs.ErrNotExist) {
			if here, err := os.ReadFile(name); err == nil {
				return here, nil
			}
		}
		return body, err
	}
}

// httpParser reads vegeta's http format line by line.
type httpParser struct {
	file, text string
	body       func(name string) ([]byte, error)
	rest       string // what follows the current line
	line       string // the current line, without space around it
	at         int    // where in text it begins
}

func parseHTTP(file, text string, body func(string) ([]byte, error)) ([]Target, error) {
	p := &httpParser{file: file, text: text, body: body, rest: text}
	var all []Target
	for p.next() {
		if p.line == "" || isComment(p.line) {
			continue
		}
		t, err := p.target()
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// next makes the following line the current one. It reports whether there is one.
func (p *httpParser) next() bool {
	if p.rest == "" {
		return false
	}
	start := len(p.text) - len(p.rest)
	line, rest, _ := strings.Cut(p.rest, "\n")
	p.rest = rest
	p.line = strings.TrimSpace(line)
	p.at = start + strings.Index(line, p.line)
	return true
}

// back makes the current line follow again.
func (p *httpParser) back() { p.rest = p.text[p.at:] }

func isComment(line string) bool {
	return strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//")
}

// method is how a line begins that starts a target.
var method = regexp.MustCompile(`^[A-Z]+\s`)

// nextTarget is how a line begins that is no header field but the next target.
var nextTarget = regexp.MustCompile(`^[A-Z]+\s+(https?:/)?/`)

// target reads the target that begins in the current line. It ends before a blank
// line or the next target, or with the file that holds its body.
func (p *httpParser) target() (Target, error) {
	start := p.at
	t, err := p.requestLine()
	for err == nil && p.next() && p.line != "" {
		if nextTarget.MatchString(p.line) {
			p.back()
			break
		}
		if strings.HasPrefix(p.line, "@") {
			t.Body, err = p.bodyFile()
			break
		}
		if !isComment(p.line) {
			err = p.field(t.Header)
		}
	}
	if err != nil {
		return t, err
	}
	if _, err := t.request(); err != nil {
		return t, errorAt(p.file, p.text, start, "%v", err)
	}
	return t, nil
}

// errorf returns an error about the current line, from an offset on.
func (p *httpParser) errorf(offset int, format string, args ...any) error {
	return errorAt(p.file, p.text, p.at+offset, format, args...)
}

// version is what a request line has behind its URL when it was copied from
// somewhere else.
var version = regexp.MustCompile(`\sHTTP/[0-9.]+$`)

func (p *httpParser) requestLine() (Target, error) {
	if !method.MatchString(p.line) {
		return Target{}, p.errorf(0, "%q: want METHOD URL, such as GET http://localhost/", p.line)
	}
	if at := version.FindStringIndex(p.line); at != nil {
		return Target{}, p.errorf(at[0]+1, "remove %q: a URL ends its line", strings.TrimSpace(p.line[at[0]:]))
	}
	end := strings.IndexAny(p.line, " \t")
	target := strings.TrimSpace(p.line[end:])
	t := Target{Method: p.line[:end], URL: target, Header: http.Header{}}
	if _, err := parseURL(t.URL); err != nil {
		return t, p.errorf(len(p.line)-len(target), "%v", err)
	}
	return t, nil
}

// field adds the field in the current line to a header, its name as it is.
func (p *httpParser) field(h http.Header) error {
	name, value, ok := strings.Cut(p.line, ":")
	if !ok {
		return p.errorf(0, "%q: want a header field (Name: value), @FILE with a body, or a blank line", p.line)
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if err := checkField(name, []string{value}); err != nil {
		return p.errorf(0, "%v", err)
	}
	h[name] = append(h[name], value)
	return nil
}

func (p *httpParser) bodyFile() ([]byte, error) {
	body, err := p.body(p.line[1:])
	if err != nil {
		return nil, p.errorf(1, "reading the body: %v", err)
	}
	return body, nil
}
