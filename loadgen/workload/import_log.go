package workload

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// logLine is a line of the Common or, with referer and user agent, the Combined
// format. What follows is a server's own.
var logLine = regexp.MustCompile(`^\S+ .+? \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-)` +
	`(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?(?:\s.*)?$`)

// The parts of a line, as submatches.
const (
	logTime = 1 + iota
	logRequest
	logStatus
	logReferer
	logAgent
)

const logTimeFormat = "02/Jan/2006:15:04:05 -0700"

// readLog takes the requests of an access log.
func (i *importer) readLog(file, text string) error {
	offset := 0
	for line := range strings.Lines(text) {
		start := offset
		offset += len(line)
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		part := logLine.FindStringSubmatch(line)
		if part == nil {
			return errorAt(file, text, skipSpace(text, start),
				`want HOST IDENT USER [TIME] "METHOD PATH PROTOCOL" STATUS SIZE, not %s`, excerpt(line))
		}
		at, err := time.Parse(logTimeFormat, part[logTime])
		if err != nil {
			return errorAt(file, text, skipSpace(text, start)+strings.Index(line, "[")+1,
				"the time is %q; want one such as 24/Nov/2026:10:00:00 +0000", part[logTime])
		}
		i.addLog(part, at)
	}
	i.spreadSeconds()
	return nil
}

func (i *importer) addLog(part []string, at time.Time) {
	words := strings.Fields(unescaped(part[logRequest]))
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		i.leaveOut("without a request line")
		return
	}
	t := Target{Method: words[0], URL: string(escapePath([]byte(words[1]))), Header: http.Header{}}
	switch t.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		i.leaveOut(fmt.Sprintf("with method %s, whose bodies are not in a log", t.Method))
		return
	}
	for name, index := range map[string]int{"Referer": logReferer, "User-Agent": logAgent} {
		switch value := unescaped(part[index]); {
		case value == "" || value == "-":
		case !utf8.ValidString(value): // JSON cannot hold it
			i.omit(name, "not in UTF-8")
		default:
			t.Header.Set(name, value)
		}
	}
	status, _ := strconv.Atoi(part[logStatus]) // it is three digits
	i.add(t, at, status)
}

// spreadSeconds spreads the requests of each second over it: a log tells no more
// than the second, and all at its start would be a load that never was.
func (i *importer) spreadSeconds() {
	count, seen := map[int64]int{}, map[int64]int{}
	for _, e := range i.entries {
		count[e.time.Unix()]++
	}
	for n := range i.entries {
		e := &i.entries[n]
		second := e.time.Unix()
		e.time = e.time.Add(time.Second * time.Duration(seen[second]) / time.Duration(count[second]))
		seen[second]++
	}
}

var logEscape = regexp.MustCompile(`\\(x[0-9A-Fa-f]{2}|.)`)

// unescaped undoes how servers write quotes and control characters in a log.
func unescaped(text string) string {
	return logEscape.ReplaceAllStringFunc(text, func(escape string) string {
		switch {
		case len(escape) == len(`\x00`):
			code, _ := strconv.ParseUint(escape[2:], 16, 8) // it is two digits
			return string([]byte{byte(code)})
		case strings.ContainsAny(escape, "ntr"):
			return " "
		}
		return escape[1:]
	})
}

// excerpt is the part of a line that is worth showing.
func excerpt(line string) string {
	const most = 80
	if len(line) > most {
		return fmt.Sprintf("%.*q…", most, line)
	}
	return strconv.Quote(line)
}
