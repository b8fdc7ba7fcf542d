package workload

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Recording is what a browser or a server has recorded, as targets with times.
type Recording struct {
	Targets []Target
	Notes   []string // for people: what was left out, and why
}

// Import reads a HAR file, or an access log in the Common or the Combined format.
// Of a HAR file only the requests to one host are taken: the given one (host or
// host:port), or that of most requests if it is empty. An error of type *Error tells
// the place in the file.
func Import(file, host string) (Recording, error) {
	text, err := readText(file, decodeLog)
	if err != nil {
		return Recording{}, err
	}
	return parseRecording(file, text, host)
}

func parseRecording(file, text, host string) (Recording, error) {
	var i importer
	var err error
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		err = i.readHAR(file, text, host)
	} else if host != "" {
		err = fmt.Errorf("%s: an access log tells no hosts to choose from; leave out --host", file)
	} else {
		err = i.readLog(file, text)
	}
	if err != nil {
		return Recording{}, err
	}
	if len(i.entries) == 0 {
		why := cmp.Or(strings.Join(i.notes(), "; "), "it is empty")
		return Recording{}, fmt.Errorf("%s: no requests to take; %s", file, why)
	}
	return Recording{i.targets(), i.notes()}, nil
}

// WriteTargets writes targets in vegeta's JSON format, with their times.
func WriteTargets(w io.Writer, targets []Target) error {
	for _, t := range targets {
		line, err := json.Marshal(t, json.Deterministic(true))
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		if err != nil {
			return err
		}
	}
	return nil
}

// importer collects the requests of a recording.
type importer struct {
	entries []entry
	left    map[omission]int
}

// omission is something that was left out, in the singular, and the reason.
type omission struct{ what, why string }

type entry struct {
	Target
	time time.Time
}

// add takes a request that was answered with a status. What was not answered well
// then would fail now too.
func (i *importer) add(t Target, at time.Time, status int) {
	err := t.check()
	switch {
	case status < 100:
		i.leaveOut("that was not answered")
	case status >= 400:
		i.leaveOut(fmt.Sprintf("that was answered with status %d", status))
	case err != nil:
		i.leaveOut(fmt.Sprintf("that cannot be sent (%v)", err))
	default:
		i.entries = append(i.entries, entry{t, at})
	}
}

// leaveOut notes that a request was left out.
func (i *importer) leaveOut(why string) { i.omit("request", why) }

func (i *importer) omit(what, why string) {
	if i.left == nil {
		i.left = map[omission]int{}
	}
	i.left[omission{what, why}]++
}

// maxNotes limits how much is told about odd requests.
const maxNotes = 20

// notes tells what was left out, the most frequent first.
func (i *importer) notes() []string {
	reasons := slices.SortedFunc(maps.Keys(i.left), func(a, b omission) int {
		return cmp.Or(cmp.Compare(i.left[b], i.left[a]), cmp.Compare(a.why, b.why), cmp.Compare(a.what, b.what))
	})
	var all []string
	for n, o := range reasons {
		if n == maxNotes {
			return append(all, fmt.Sprintf("left out others for %d more reasons", len(reasons)-n))
		}
		all = append(all, o.times(i.left[o]))
	}
	return all
}

// times tells of n omissions.
func (o omission) times(n int) string {
	if n == 1 {
		return fmt.Sprintf("left out 1 %s %s", o.what, o.why)
	}
	rest, past := strings.CutPrefix(o.why, "that was ")
	if past {
		o.why = "that were " + rest
	}
	return fmt.Sprintf("left out %d %ss %s", n, o.what, o.why)
}

// targets are the requests in the order of their times, which count from the first.
func (i *importer) targets() []Target {
	slices.SortStableFunc(i.entries, func(a, b entry) int { return a.time.Compare(b.time) })
	var all []Target
	for _, e := range i.entries {
		at := e.time.Sub(i.entries[0].time).Nanoseconds()
		e.At = &at
		all = append(all, e.Target)
	}
	return all
}

// ofConnection reports whether a header field is about the connection that a request
// was recorded on, and not about the request.
func ofConnection(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Te":
		return true
	}
	return framing(name) || strings.HasPrefix(name, ":")
}
