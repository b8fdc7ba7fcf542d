package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// recordedPair are recorded folders of nethttp and fasthttp.
func recordedPair(t *testing.T) (nethttp, fasthttp string) {
	t.Helper()
	for subject, dir := range map[string]*string{"nethttp": &nethttp, "fasthttp": &fasthttp} {
		found, err := filepath.Glob(filepath.Join(recordedFolders, "pair", "*-"+subject))
		if err != nil || len(found) != 1 {
			t.Fatalf("recorded folders of %s: %q (%v)", subject, found, err)
		}
		*dir = found[0]
	}
	return nethttp, fasthttp
}

// startView serves pages. The function it returns ends that, and holds that
// nothing is left: no listener, and no file in the home or temporary folder.
func startView(t *testing.T, args ...string) (s *serving, end func()) {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "eventobench", append([]string{"view"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "TMPDIR="+home, "PPROF_TMPDIR=")
	s = startListening(t, cmd)
	return s, func() {
		t.Helper()
		if more := s.stop(t); more != "" {
			t.Errorf("it printed %q", more)
		}
		if conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
			_ = conn.Close()
			t.Error("its port is still open")
		}
		if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v (%v)", left, err)
		}
	}
}

// page gets a page, following redirects.
func (s *serving) page(t *testing.T, address string) (body string, at *url.URL) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s (%v): %s", address, resp.Status, err, text)
	}
	return string(text), resp.Request.URL
}

// link is where the link with the given text leads to.
func link(t *testing.T, body, text string, from *url.URL) string {
	t.Helper()
	match := regexp.MustCompile(`<a href="([^"]*)">` + regexp.QuoteMeta(text) + `</a>`).FindStringSubmatch(body)
	if match == nil {
		t.Fatalf("%s has no link %q", from, text)
	}
	to, err := from.Parse(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return to.String()
}

func wantText(t *testing.T, body string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(body) {
			t.Errorf("a page of %d bytes lacks %s", len(body), p)
		}
	}
}

// netHTTPServe is a function that nearly all work of net/http is under, so that
// even a few samples show it.
const netHTTPServe = `net/http\.\(\*conn\)\.serve`

func TestView(t *testing.T) {
	nethttp, _ := recordedPair(t)
	s, end := startView(t, nethttp)
	defer end()
	body, at := s.page(t, s.url)
	wantText(t, body, `<h1>nethttp</h1>`, regexp.QuoteMeta(nethttp), `<th>nethttp</th><td>[\d,.]+</td><td>[\d,]+</td>`)

	body, at = s.page(t, link(t, body, "flame graph", at)) // the first one
	if at.Path != "/cpu/flamegraph" {
		t.Errorf("the first flame graph is %s", at)
	}
	wantText(t, body, `"FullName":"`+netHTTPServe+`"`, `"Type":"cpu_per_op","Unit":"s"`, `nethttp, CPU time per operation`)

	body, at = s.page(t, link(t, body, "Allocated", at))
	if at.Path != "/allocs/flamegraph" {
		t.Errorf("from the flame graph of CPU the link to allocations leads to %s", at)
	}
	wantText(t, body, `"FullName":"`+netHTTPServe+`"`, `"Type":"alloc_space_per_op","Unit":"B"`)
	if strings.Contains(body, `"FullName":"net/http/pprof.`) {
		t.Error("the profiling's own allocations are shown")
	}

	// pprof's own links stay within their view.
	body, at = s.page(t, at.JoinPath("../top").String())
	wantText(t, body, `"Name":"`+netHTTPServe+`",[^}]*"Cum":\d+,[^}]*"CumFormat":"[\d.]+k?B"`)
	_, at = s.page(t, link(t, body, "pprof", at))
	if at.Path != "/allocs/flamegraph" {
		t.Errorf("pprof's front page leads to %s", at)
	}
	body, at = s.page(t, s.url+"/allocs/peek?f=conn.*serve")
	wantText(t, body, netHTTPServe)
	if to := link(t, body, "CPU time", at); !strings.HasSuffix(to, "/cpu/peek?f=conn.%2Aserve") {
		t.Errorf("the link to the same function's CPU time leads to %s", to)
	}
	for view, function := range map[string]string{"heap": "main", "goroutine": netHTTPServe} {
		body, _ = s.page(t, s.url+"/"+view+"/top")
		wantText(t, body, function, `_per_process`)
	}

	// What is downloaded is the file as it was recorded.
	body, _ = s.page(t, s.url+"/cpu/download")
	if file, err := os.ReadFile(nethttp + "/cpu.prof"); err != nil || string(file) != body {
		t.Errorf("%d bytes of cpu.prof downloaded, %d recorded (%v)", len(body), len(file), err)
	}
}

func TestViewDifference(t *testing.T) {
	nethttp, fasthttp := recordedPair(t)
	s, end := startView(t, fasthttp, nethttp)
	defer end()
	body, _ := s.page(t, s.url)
	wantText(t, body, `<h1>fasthttp less nethttp</h1>`, `operations of each run`)
	body, _ = s.page(t, s.url+"/allocs/top")
	wantText(t, body,
		`"Name":"`+netHTTPServe+`",[^}]*"Cum":-\d+`,
		`fasthttp less nethttp, Allocated per operation`)
	body, _ = s.page(t, s.url+"/cpu/flamegraph")
	wantText(t, body, `"FullName":"`+netHTTPServe+`"`, `"FullName":"github\.com/valyala/fasthttp\.`, `"Value":-\d+`)
}

// TestViewEndsWithCtrlC ends it while a client is connected.
func TestViewEndsWithCtrlC(t *testing.T) {
	nethttp, _ := recordedPair(t)
	s := startListening(t, exec.CommandContext(t.Context(), "eventobench", "view", nethttp))
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}
