package workload

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chromedp/cdproto/har"
	"github.com/go-json-experiment/json"
)

// readHAR takes the requests to a host from a HAR file.
func (i *importer) readHAR(file, text, host string) error {
	var doc har.HAR
	err := json.Unmarshal([]byte(text), &doc)
	if err != nil {
		return jsonError(file, text, err)
	}
	if doc.Log == nil {
		return errorAt(file, text, skipSpace(text, 0), "no HAR: it has no \"log\"")
	}
	entries := slices.DeleteFunc(doc.Log.Entries, func(e *har.Entry) bool { return e == nil || e.Request == nil })
	host, err = i.chooseHost(file, entries, host)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if hostOf(e) != host {
			continue
		}
		at, err := time.Parse(time.RFC3339, e.StartedDateTime)
		if err != nil {
			return errorAt(file, text, max(0, strings.Index(text, `"`+e.StartedDateTime+`"`)),
				"the time of a request is %q; want one such as 2026-11-24T10:00:00.123Z", e.StartedDateTime)
		}
		i.addHAR(e, at)
	}
	return nil
}

// chooseHost returns the host that was asked for, or the one of most requests. The
// others are left out.
func (i *importer) chooseHost(file string, entries []*har.Entry, host string) (string, error) {
	count := map[string]int{}
	for _, e := range entries {
		if name := hostOf(e); name != "" {
			count[name]++
		} else {
			i.leaveOut("that was not HTTP")
		}
	}
	hosts := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	if host != "" && count[host] == 0 {
		return "", fmt.Errorf("%s: no requests to %s; there are some to %s", file, host, strings.Join(hosts, ", "))
	}
	if host == "" && len(hosts) > 0 {
		host = hosts[0]
	}
	for _, other := range hosts {
		for range count[other] {
			if other != host {
				i.leaveOut("to " + other)
			}
		}
	}
	return host, nil
}

// hostOf is the host, and the port if there is one, that a request went to by HTTP.
func hostOf(e *har.Entry) string {
	u, err := url.Parse(e.Request.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.Host
}

func (i *importer) addHAR(e *har.Entry, at time.Time) {
	body, held := harBody(e.Request.PostData)
	if !held || len(body) == 0 && hadBody(e.Request) {
		i.leaveOut("whose body is not in the recording")
		return
	}
	t := Target{Method: e.Request.Method, URL: e.Request.URL, Header: http.Header{}, Body: body}
	for _, f := range e.Request.Headers {
		if f != nil && !ofConnection(f.Name) {
			t.Header.Add(f.Name, f.Value) // HTTP/2 has lower-case names only
		}
	}
	status := 0
	if e.Response != nil {
		status = int(e.Response.Status)
	}
	i.add(t, at, status)
}

// harBody returns the body of a request, and whether the recording holds it.
func harBody(post *har.PostData) (body []byte, held bool) {
	if post == nil {
		return nil, true
	}
	form := strings.HasPrefix(post.MimeType, "application/x-www-form-urlencoded")
	if post.Text != "" || len(post.Params) == 0 {
		return []byte(post.Text), true
	}
	if !form {
		return nil, false
	}
	var pairs []string
	for _, p := range post.Params {
		if p != nil {
			pairs = append(pairs, url.QueryEscape(p.Name)+"="+url.QueryEscape(p.Value))
		}
	}
	return []byte(strings.Join(pairs, "&")), true
}

// hadBody reports whether a request says that it had a body. Browsers do not save all of
// them.
func hadBody(r *har.Request) bool {
	return r.BodySize > 0 || slices.ContainsFunc(r.Headers, func(f *har.NameValuePair) bool {
		if f == nil || !strings.EqualFold(f.Name, "Content-Length") {
			return false
		}
		size, err := strconv.ParseInt(f.Value, 10, 64)
		return err == nil && size > 0
	})
}
