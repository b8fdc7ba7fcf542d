package subject

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// DebugPages says where a server has its debug pages. It may be another server
// than the one under test: many keep these pages on a port of their own.
type DebugPages struct {
	Pprof *url.URL // the folder of net/http/pprof; nil in the zero value
	Vars  *url.URL // the page of expvar
	apart bool     // not on the server under test
}

// The usual places of debug pages.
const (
	pprofFolder = "/debug/pprof"
	varsPath    = "/debug/vars"
)

// ParseDebugPages reads where a server has its debug pages: [host]:port, or a URL.
// A path is that of net/http/pprof's folder, and expvar's page is expected beside
// it; without, they are /debug/pprof and /debug/vars. Of an empty text it is the
// zero value.
func ParseDebugPages(text string) (DebugPages, error) {
	if text == "" {
		return DebugPages{}, nil
	}
	full := text
	switch {
	case strings.HasPrefix(text, ":"):
		full = "http://" + loopback + text
	case !strings.Contains(text, "://"):
		full = "http://" + text
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || (u.Scheme != "http" && u.Scheme != "https") {
		return DebugPages{}, fmt.Errorf(
			"%q is not where profiling pages are: write a URL such as http://127.0.0.1:6060/debug/pprof", text)
	}
	toLoopback(u)
	pages := debugPagesOf(u)
	pages.apart = true
	if folder := strings.TrimRight(u.Path, "/"); folder != "" {
		pages.Pprof = at(u, folder)
		pages.Vars = at(u, path.Join(path.Dir(folder), "vars"))
	}
	return pages, nil
}

// parseDebugPages checks besides that the pages are on loopback, unless remote
// allows for others.
func parseDebugPages(text string, remote bool) (DebugPages, error) {
	pages, err := ParseDebugPages(text)
	if err == nil && pages.apart && !remote {
		err = CheckLoopback(pages.Pprof)
	}
	return pages, err
}

// debugPagesOf are the pages of a server in their usual places.
func debugPagesOf(server *url.URL) DebugPages {
	return DebugPages{Pprof: at(server, pprofFolder), Vars: at(server, varsPath)}
}

// at is a page of a server.
func at(server *url.URL, page string) *url.URL {
	return &url.URL{Scheme: server.Scheme, Host: server.Host, Path: page}
}

// Apart is where the pages are if not on the server under test, for ParseDebugPages.
func (d DebugPages) Apart() string {
	if !d.apart {
		return ""
	}
	return d.Pprof.String()
}

// PagesOf are the pages that Apart told of a server.
func PagesOf(server *url.URL, apart string) (DebugPages, error) {
	pages, err := ParseDebugPages(apart)
	return pages.orOf(server), err
}

// orOf are the pages, or those of the server if it was not said where they are.
func (d DebugPages) orOf(server *url.URL) DebugPages {
	if d.Pprof == nil {
		return debugPagesOf(server)
	}
	return d
}

// url is where a page really is, given its usual path and query.
func (d DebugPages) url(page string) *url.URL {
	usual, query, _ := strings.Cut(page, "?")
	u := *d.Vars
	if rest, ok := strings.CutPrefix(usual, pprofFolder); ok {
		u = *d.Pprof.JoinPath(rest)
	}
	u.RawQuery = query
	return &u
}

// show names a page in an error.
func (d DebugPages) show(page *url.URL) string {
	if d.apart {
		return page.String()
	}
	return page.RequestURI()
}

// anyCertificate accepts whatever a server on this machine shows: it was started
// or named by the user, and is told no secrets.
var anyCertificate = &tls.Config{InsecureSkipVerify: true}

// noRedirect takes a redirect for the answer that it is.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// parseServer reads the URL of a server under test. One that listens on all
// addresses is reached on loopback, and only remote allows for others.
func parseServer(text string, remote bool) (*url.URL, error) {
	u, err := parseServerURL(text)
	if err != nil {
		return nil, err
	}
	toLoopback(u)
	if remote {
		return u, nil
	}
	return u, CheckLoopback(u)
}

func parseServerURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is not the URL of a server, such as http://127.0.0.1:8080", text)
	}
	return u, nil
}

// toLoopback reaches on loopback what listens on all addresses.
func toLoopback(u *url.URL) {
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort(loopback, portOf(u))
	}
}

// CheckLoopback rejects servers that others may depend on.
func CheckLoopback(u *url.URL) error {
	ips := []net.IP{net.ParseIP(u.Hostname())}
	if ips[0] == nil {
		var err error
		if ips, err = net.LookupIP(u.Hostname()); err != nil {
			return fmt.Errorf("finding the server at %s: %w", u, err)
		}
	}
	for _, ip := range ips {
		if !ip.IsLoopback() {
			return fmt.Errorf("%s is not on this machine's loopback: load on it may harm others; --allow-remote permits it", u)
		}
	}
	return nil
}

// portOf is the port of a URL, also if it is its scheme's.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
