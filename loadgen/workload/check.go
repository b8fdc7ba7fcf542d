package workload

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/eventobench/eventobench/loadgen"
)

// check is what an answer must be. The zero value wants a status below 400.
type check struct {
	statuses []int
	contains [][]byte
	json     []jsonCheck
}

// jsonCheck wants a value at a path of a body that is JSON.
type jsonCheck struct {
	path string
	want string // for people
	ok   func(gjson.Result) bool
}

// readsJSON reports whether an answer must be JSON.
func readsJSON(c check, taken []capture) bool {
	return len(c.json) > 0 || slices.ContainsFunc(taken, func(t capture) bool { return t.header == "" })
}

func (c check) status(a *loadgen.Answer) error {
	if len(c.statuses) == 0 {
		return a.CheckStatus()
	}
	if !slices.Contains(c.statuses, a.Status) {
		return &loadgen.StatusError{Status: a.Status}
	}
	return nil
}

func (c check) body(a *loadgen.Answer) error {
	for _, part := range c.contains {
		if !bytes.Contains(a.Body, part) {
			return fmt.Errorf("no %q", part)
		}
	}
	for _, j := range c.json {
		if got := gjson.GetBytes(a.Body, j.path); !j.ok(got) {
			return fmt.Errorf("%s is %s, not %s,", j.path, shown(got), j.want)
		}
	}
	return nil
}

// shown is a value as the body has it.
func shown(r gjson.Result) string {
	const most = 100
	switch {
	case !r.Exists():
		return "missing"
	case len(r.Raw) > most:
		return r.Raw[:most] + "…"
	}
	return r.Raw
}

// capture takes a value from an answer for later requests of the same worker.
type capture struct {
	variable     int
	name         string
	json, header string // one of them says where it is
}

func (c capture) value(a *loadgen.Answer) (string, error) {
	if c.header != "" {
		if value := a.Header(c.header); value != "" {
			return value, nil
		}
		return "", fmt.Errorf("no header field %s, wanted for %s,", c.header, c.name)
	}
	value := gjson.GetBytes(a.Body, c.json)
	if !value.Exists() || value.Type == gjson.Null {
		return "", fmt.Errorf("no value at %s, wanted for %s,", c.json, c.name)
	}
	return value.String(), nil
}

var (
	errNoJSON = errors.New("no JSON")
	errCoded  = errors.New("a Content-Encoding, so that the body cannot be checked: do not ask for it in the request,")
)

// checkStep returns an error if the answer is not what the step wants, and takes its
// values from it otherwise.
func (s *mixSource) checkStep(step *step, a *loadgen.Answer) error {
	if err := step.check.status(a); err != nil {
		return err
	}
	if step.readsBody && a.Header("Content-Encoding") != "" {
		return errCoded
	}
	if step.readsJSON && !gjson.ValidBytes(a.Body) {
		return errNoJSON
	}
	if err := step.check.body(a); err != nil {
		return err
	}
	for _, c := range step.captures {
		value, err := c.value(a)
		if err != nil {
			return err
		}
		s.values[c.variable], s.have[c.variable] = value, true
	}
	return nil
}
